#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# The test cluster itself, without Berm: what tests on it take for granted must be so.
. "$(dirname "$0")/bed.sh"

SECOND=$BUILD/bed2 # a cluster beside the shared one

refused() { ! "$@" >"$SANDBOX_TMP/out" 2>&1 && grep -qiE 'forbidden|unauthorized|not allowed' "$SANDBOX_TMP/out"; }

#: two nodes are Ready, of the version that go.mod names
test_nodes() {
	local want

	want=$(sed -n 's|^[[:space:]]*k8s.io/kubernetes \(v[^ ]*\).*|\1|p' "$TOP/tests/cluster/tools/go.mod")
	[ "$(kube get nodes -o json | jq -r '[.items[] | select(any(.status.conditions[]; .type == "Ready" and .status == "True"))
		| .metadata.name + "=" + .status.nodeInfo.kubeletVersion] | join(" ")')" = "node1=$want node2=$want" ] ||
		fail "$(kube get nodes)"
	cluster status >/dev/null || fail "$(cluster status)"
}

#: nobody may more than in a user's cluster: RBAC, NodeRestriction, kubelets ask who calls
test_permissions() {
	local as=(--as=system:node:node1 --as-group=system:nodes) ip

	ns_make test
	kube "${as[@]}" annotate node node1 berm-test=1 >/dev/null || fail "a node may not write to itself"
	refused kube "${as[@]}" annotate node node2 berm-test=1 || fail "a node writes to another: $(cat "$SANDBOX_TMP/out")"
	refused kube "--as=system:serviceaccount:${NS[test]}:default" get secrets -A || fail "an account reads secrets"
	for ip in 192.168.100.1 192.168.100.2; do
		[ "$(outside curl -sk -o /dev/null -w '%{http_code}' "https://$ip:10250/pods")" = 401 ] || fail "kubelet $ip answers anybody"
		outside curl -s --cacert "$BERM_BED_DIR/pki/ca.crt" --cert "$BERM_BED_DIR/pki/apiserver-kubelet.crt" \
			--key "$BERM_BED_DIR/pki/apiserver-kubelet.key" "https://$ip:10250/healthz" | grep -qx ok || fail "kubelet $ip: no verified TLS"
	done
}

#: pods of both nodes reach each other, both families, TCP and UDP
test_pods() {
	local from to proto family

	pod_run a1 node=1
	pod_run b1 node=1
	pod_run a2 node=2
	pod_run b2 node=2
	pods_ready a1 b1 a2 b2
	for from in a1 a2; do
		for to in b1 b2; do
			for family in 4 6; do
				for proto in tcp udp; do reach "$from" "$to" 80 $proto $family; done
			done
		done
	done
	[ "$(try a1 b2 81)" = refused ] || fail "a port without a server: $(try a1 b2 81)"
}

# As a client library does: the cluster's CA, the name in the certificate, a bound token.
sees_api() {
	in_pod_net "$1" curl -sf --max-time 5 --cacert "$BERM_BED_DIR/pki/ca.crt" --resolve kubernetes.default.svc:443:10.96.0.1 \
		-H "Authorization: Bearer $(kube -n "${POD_NS[$1]}" create token default)" \
		https://kubernetes.default.svc/api/v1 | jq -e '.kind == "APIResourceList"' >/dev/null
}

#: Services work through kube-proxy: ClusterIP, own pod, NodePort from outside, the API from pods
test_services() {
	local port

	pod_run web node=1
	pod_run client node=2
	pods_ready web client
	service web web port=8000 to=80 type=NodePort
	for family in 4 6; do
		for from in client web; do
			wait_until answers web $from "$(service_ip test web $family)" 8000
			wait_until answers web $from "$(service_ip test web $family)" 8000 udp
		done
	done
	port=$(kube -n "${NS[test]}" get service web -o 'jsonpath={.spec.ports[0].nodePort}')
	for node in 192.168.100.1 192.168.100.2 fd00:100::1 fd00:100::2; do
		outside bash -c "echo >/dev/tcp/$node/$port" || fail "the NodePort of $node"
	done
	wait_until sees_api client
	wait_until sees_api web
}

pod_is_ready() { [ "$(kube -n "${POD_NS[$1]}" get pod "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}')" = True ]; }
is_probed() { kube -n "${POD_NS[$1]}" get events --field-selector "reason=Unhealthy,involvedObject.name=$1" 2>&1 | grep -q 'Readiness probe failed'; }

#: kubectl exec and logs, exec probes; a pod whose probe fails is not Ready
test_exec() {
	pod_run good
	pod_run bad
	kube -n "${NS[test]}" delete pod bad >/dev/null
	pod_yaml bad 2 80 | sed 's/127.0.0.1, "80"/127.0.0.1, "81"/' | apply_yaml "${NS[test]}"
	pods_ready good
	[ "$(in_pod good /traffic try tcp 127.0.0.1 80)" = "open good" ] || fail "exec"
	kube -n "${NS[test]}" logs good | grep -qx ready || fail "logs: $(kube -n "${NS[test]}" logs good)"
	wait_until is_probed bad
	! pod_is_ready bad || fail "the probe fails, the pod is Ready"
}

#: a hostPort is there on its node, from outside
test_host_port() {
	pod_run ported node=2
	kube -n "${NS[test]}" delete pod ported >/dev/null
	pod_yaml ported 2 80 | sed '/name: main/a\    ports: [{containerPort: 80, hostPort: 8080}]' | apply_yaml "${NS[test]}"
	pods_ready ported
	outside bash -c 'echo >/dev/tcp/192.168.100.2/8080' || fail "hostPort"
	! outside timeout 2 bash -c 'echo >/dev/tcp/192.168.100.1/8080' 2>/dev/null || fail "the hostPort of another node"
}

mirror_is_ready() { [ "$(kube get pod static-node2 -o 'jsonpath={.status.phase}' 2>/dev/null)" = Running ]; }
mirror_is_gone() { ! kube get pod static-node2 >/dev/null 2>&1; }

#: a static pod runs and has its mirror
test_static_pod() {
	pod_yaml static 2 80 | node 2 tee /etc/kubernetes/manifests/static.yaml >/dev/null
	WAIT_S=30 wait_until mirror_is_ready
	node 2 rm /etc/kubernetes/manifests/static.yaml
	WAIT_S=30 wait_until mirror_is_gone
}

ready_of() { kube get node "$1" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null; }
is_node_ready() { [ "$(ready_of "$1")" = True ]; }

#: pods outlive restarts of kubelet, runtime, API server and etcd, and so do objects
test_restarts() {
	local id

	pod_run stays node=2
	pod_run asks node=1
	pods_ready stays asks
	id=$(kube -n "${NS[test]}" get pod stays -o 'jsonpath={.status.containerStatuses[0].containerID}')
	cluster restart kubelet
	cluster restart containerd
	cluster restart proxy
	cluster stop etcd
	cluster start etcd
	cluster restart apiserver
	cluster stop apiserver
	! kube get nodes >/dev/null 2>&1 || fail "a stopped API server answers"
	cluster start apiserver
	WAIT_S=60 wait_until is_node_ready node1
	WAIT_S=60 wait_until is_node_ready node2
	pods_ready stays asks
	reach asks stays 80
	[ "$(kube -n "${NS[test]}" get pod stays -o 'jsonpath={.status.containerStatuses[0].containerID}')" = "$id" ] || fail "another container"
	cluster status >/dev/null || fail "$(cluster status)"
}

# --- what a cluster leaves ------------------------------------------------------------------

second() { "$TOP/hack/cluster" --dir="$SECOND" "$@"; }

# What this machine has that a cluster could have changed. Other things come and go meanwhile.
snapshot() {
	{
		echo "--- links"; ip -o link show | awk '{ print $2 }'; ip rule; ip route
		echo "--- mounts"; cut -d' ' -f5- /proc/self/mountinfo | sort
		echo "--- sysctls"; sysctl -a | grep -E "^($WATCHED_SYSCTLS)"
		echo "--- rules"; nft list ruleset
		echo "--- named namespaces"; ls /run/netns || :
		echo "--- bpf"; find /sys/fs/bpf || :
		echo "--- cgroups"; find /sys/fs/cgroup -type d -name "$(group_of_second)"
		echo "--- files"; ls -d "$SECOND" || :; new_files
	} 2>/dev/null
}

WATCHED_SYSCTLS='vm\.(overcommit|panic)|kernel\.(panic|keys)|net\.(ipv4\.ip_forward|bridge|netfilter\.nf_conntrack_(max|tcp_timeout))'

new_files() {
	find /etc /opt /usr/libexec /var/lib /run /root /home -xdev -newer "$SANDBOX_TMP/begin" |
		grep -E 'kube|cni|containerd|etcd|crictl|berm-cluster|/pods/' | grep -vE "^$BUILD|/\.cache/(berm|go-build)|^$BERM_BED_DIR" || :
}

group_of_second() { printf 'berm-cluster-%s' "$(printf '%s' "$(realpath -m "$SECOND")" | sha256sum | cut -c1-8)"; }

# The processes of the second cluster, by the only mark that they all have. One that has ended is none, even if
# the first process of this machine never asks how it ended.
members() {
	local pid group

	group=$(group_of_second)
	for pid in /proc/[0-9]*; do
		! grep -q "/$group/" "$pid/cgroup" 2>/dev/null || has_ended "$pid" || echo "${pid#/proc/}"
	done
}

# Its memory is gone: it has ended, or only waits for others of its pid namespace to be asked how they did.
has_ended() { ! grep -q '^VmSize:' "$1/status" 2>/dev/null; }

# Of the processes on stdin.
namespaces_of() {
	local pid

	while read -r pid; do
		has_ended "/proc/$pid" || readlink "/proc/$pid/ns/net" "/proc/$pid/ns/mnt" "/proc/$pid/ns/pid" || : # it may have just ended
	done 2>/dev/null | sort -u
}

# Of no process, nor mounted.
namespaces_left() {
	printf '%s\n' /proc/[0-9]* | sed 's|/proc/||' | namespaces_of >"$SANDBOX_TMP/now"
	grep -o 'net:\[[0-9]*\]' /proc/self/mountinfo >>"$SANDBOX_TMP/now" || :
	grep -xF -f "$SANDBOX_TMP/now" "$1"
}

has_no_members() {
	[ -z "$(members)" ] || { note "$1: $(members | xargs ps -o pid,stat,args -p)"; return 1; }
}

must_be_as_before() {
	snapshot >"$SANDBOX_TMP/after"
	diff "$SANDBOX_TMP/before" "$SANDBOX_TMP/after" || fail "$1: see above"
	wait_until has_no_members "$1" # what was killed may be on its way out
}

before() {
	touch "$SANDBOX_TMP/begin"
	snapshot >"$SANDBOX_TMP/before"
	! grep -qF "$(group_of_second)" "$SANDBOX_TMP/before" || fail "an earlier cluster left its control groups"
}

#: a second cluster with one node, ptp and built plugins runs beside; 'down' leaves nothing of it
test_down() {
	before
	second up --nodes=1 --cni=ptp --plugins=built || fail "up: $(second logs 1 kubelet | tail -n 5)"
	second kubectl run lone --image=localhost/agnhost:1 --restart=Never >/dev/null || fail "no pod"
	second kubectl wait --for=condition=Ready pod/lone --timeout=60s >/dev/null || fail "$(second kubectl describe pod lone)"
	members | namespaces_of | grep -vxF "$(echo $$ | namespaces_of)" >"$SANDBOX_TMP/namespaces-then"
	[ "$(grep -c net: "$SANDBOX_TMP/namespaces-then")" -ge 3 ] || fail "what is looked for is not seen while it is there"
	second down
	must_be_as_before "after 'down'"
	! namespaces_left "$SANDBOX_TMP/namespaces-then" || fail "namespaces are left"
	cluster status >/dev/null || fail "the other cluster was hurt: $(cluster status)"
}

log_has() { grep -q "$2" "$1" 2>/dev/null; }

#: an 'up' killed on its way leaves nothing that 'down' does not find
test_killed_up() {
	local word up

	for word in 'made' 'API server answers'; do
		before
		second up --nodes=1 >"$SANDBOX_TMP/up" 2>&1 &
		up=$!
		WAIT_S=60 wait_until log_has "$SANDBOX_TMP/up" "$word"
		kill -KILL "$up"
		wait "$up" 2>/dev/null || :
		[ -n "$(members)" ] || fail "nothing ran when it was killed"
		second down
		must_be_as_before "killed after '$word'"
	done
	second down || fail "'down' of nothing"
}

#: a folder of somebody else is neither used nor removed
test_foreign_folder() {
	local folder=$SANDBOX_TMP/foreign

	mkdir "$folder"
	echo precious >"$folder/file"
	! "$TOP/hack/cluster" --dir="$folder" up >"$SANDBOX_TMP/out" 2>&1 || fail "up in a folder that is in use"
	! "$TOP/hack/cluster" --dir="$folder" down >"$SANDBOX_TMP/out" 2>&1 || fail "down of a folder of others"
	[ "$(cat "$folder/file")" = precious ] || fail "it is gone"
}

bed_tests "$@"
