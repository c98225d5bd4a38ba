# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2317 # sandbox.sh reads the arrays and calls what is replaced here
#
# bed.sh - tests on real Kubernetes. Source it, write functions as for sandbox.sh, end with
# bed_tests. What sandbox.sh offers for pods of one namespaced node is here for pods of two
# real ones, under the same names: reach, block, in_pod, wait_until, fail, skip, note.
#
# The cluster (hack/cluster) is made at first use and shared by all test functions; by all
# test programs, too, where BERM_BED_DIR says where it is (hack/test does). Each function has
# Kubernetes namespaces of its own. BERM_BED_KEEP=1 leaves the cluster for a look at it.
#
#   kube ARG... / node N CMD... / outside CMD... / cluster ARG...   see hack/cluster --help
#   ns_make NAME [label=value]...     a namespace; NAME is made unique: NS[NAME]
#   pod_run POD [ns=NAME] [node=N] [ports="80 81"] [label=value]...   a pod that serves its name
#   pods_ready POD...                 waits, then fills POD_IP4, POD_IP6
#   pod_stop POD...                   deletes them and waits
#   service POD-LABEL NAME ns=NAME port=PORT [to=PORT] [type=NodePort]  selects app=POD-LABEL
#   service_ip ns NAME [4|6]
#   ask POD ADDR PORT [tcp|udp] [MS]  one attempt at an address: 'open WHO', silent, refused
#   in_pod_net POD CMD...             a program of this machine in the pod's network
#   apply_yaml [ns]                   documents on stdin
#
# Arrays by pod name: POD_NS POD_IP4 POD_IP6; by namespace name: NS.
. "$(dirname "${BASH_SOURCE[0]}")/../lib/sandbox.sh"

TRAFFIC=/traffic
TRAFFIC_IMAGE=localhost/traffic:1
READY_S=${BERM_BED_READY_S:-60}
TEST_JOBS=1 # they share one cluster; who does not mind says so
POLL_S=0.2
declare -A NS

cluster() { "$TOP/hack/cluster" --dir="$BERM_BED_DIR" "$@"; }
kube() { cluster kubectl "$@"; }
node() { cluster node "$@"; }
outside() { cluster outside "$@"; }

# --- the cluster --------------------------------------------------------------------------

# What serves and tries in pods: a static program is all that an image needs.
bed_image() {
	local tmp

	tmp=$(mktemp -d)
	{ cc -Os -static -D_GNU_SOURCE -o "$tmp/traffic" "$TOP/tests/tools/traffic.c" &&
		"$TOP/tests/cluster/image.py" "$tmp/traffic.tar" --tag $TRAFFIC_IMAGE "$tmp/traffic:/traffic" &&
		cluster load "$tmp/traffic.tar"; } >"$tmp/log" 2>&1 || { cat "$tmp/log"; rm -rf "$tmp"; return 1; }
	rm -rf "$tmp"
}

# One that a test broke, or an earlier run left, is made anew.
bed_up() {
	if cluster status >/dev/null 2>&1; then return; fi
	cluster down && cluster up && bed_image
}

bed_down() { [ "${BERM_BED_KEEP:-0}" = 1 ] || cluster down; }

# With a cluster, which goes at the end unless others share it. ON_EXIT runs before.
bed_open() {
	if [ -z "${BERM_BED_DIR:-}" ]; then
		export BERM_BED_DIR=$BUILD/bed
		trap '${ON_EXIT:-:}; bed_down' EXIT
		trap 'exit 130' INT TERM
	else
		trap '${ON_EXIT:-:}' EXIT
	fi
	bed_up >"$BERM_BED_DIR.log" 2>&1 || { sed 's/^/# /' "$BERM_BED_DIR.log"; echo "1..0"; exit 1; }
}

# Instead of run_tests.
bed_tests() {
	local rc=0

	if [ -n "${BERM_TEST:-}" ]; then run_tests "$@"; fi # ends here
	bed_open
	(run_tests "$@") || rc=$?
	exit $rc
}

# Replaces that of sandbox.sh: the function runs on this machine, its pods on the nodes.
run_sandboxed() {
	local rc=0

	BERM_TEST=$1 SANDBOX_TMP=$2 timeout --foreground --kill-after=5 "${TEST_TIMEOUT_S:-120}" bash "$0" || rc=$?
	[ ! -s "$2/namespaces" ] || xargs "$TOP/hack/cluster" --dir="$BERM_BED_DIR" kubectl delete namespace --wait=false \
		<"$2/namespaces" >/dev/null || rc=1
	return $rc
}

node_up() { :; }

# --- objects ------------------------------------------------------------------------------

apply_yaml() { kube ${1:+-n "$1"} apply -f - >"$SANDBOX_TMP/apply" 2>&1 || fail "kubectl apply: $(cat "$SANDBOX_TMP/apply")"; }

has_account() { kube -n "$1" get serviceaccount default >/dev/null 2>&1; }

ns_make() {
	local name=$1 label unique
	shift
	unique=$name-$(new_uid | cut -c1-8)
	NS[$name]=$unique
	echo "$unique" >>"$SANDBOX_TMP/namespaces"
	kube create namespace "$unique" >/dev/null || fail "no namespace $unique"
	for label in "$@"; do kube label namespace "$unique" "$label" >/dev/null || fail "no label $label"; done
	wait_until has_account "$unique"
}

# The namespace that a test uses when it names none.
ns_default() { [ -n "${NS[${1:-test}]:-}" ] || ns_make "${1:-test}"; }

pod_yaml() {
	local pod=$1 node=$2 ports=$3 label
	shift 3
	cat <<-YAML
	apiVersion: v1
	kind: Pod
	metadata:
	  name: $pod
	  labels:
	    app: $pod
	$(for label in "$@"; do printf '    %s: "%s"\n' "${label%%=*}" "${label#*=}"; done)
	spec:
	  nodeSelector: {${node:+kubernetes.io/hostname: node$node}}
	  terminationGracePeriodSeconds: 0
	  containers:
	  - name: main
	    image: $TRAFFIC_IMAGE
	    args: [serve, $pod$(for port in $ports; do printf ', "%s"' "$port"; done)]
	    readinessProbe: {periodSeconds: 1, timeoutSeconds: 5, exec: {command: [/traffic, try, tcp, 127.0.0.1, "${ports%% *}"]}}
	YAML
}

pod_run() {
	local pod=$1 option ns=test node="" ports=80 labels=()
	shift
	for option in "$@"; do
		case $option in
		ns=*) ns=${option#ns=} ;;
		node=*) node=${option#node=} ;;
		ports=*) ports=${option#ports=} ;;
		*=*) labels+=("$option") ;;
		*) fail "pod_run: what is '$option'?" ;;
		esac
	done
	ns_default "$ns"
	POD_NS[$pod]=${NS[$ns]}
	LISTENING[$pod]=" $ports "
	pod_yaml "$pod" "$node" "$ports" "${labels[@]}" | apply_yaml "${NS[$ns]}"
}

pods_ready() {
	local pod ips

	for pod in "$@"; do
		kube -n "${POD_NS[$pod]}" wait --for=condition=Ready "pod/$pod" --timeout="${READY_S}s" >/dev/null ||
			fail "pod $pod is not Ready: $(kube -n "${POD_NS[$pod]}" describe pod "$pod" | tail -n 12)"
		ips=$(kube -n "${POD_NS[$pod]}" get pod "$pod" -o 'jsonpath={.status.podIPs[*].ip}')
		POD_IP4[$pod]=${ips%% *}
		POD_IP6[$pod]=${ips##* }
	done
}

pod_stop() {
	local pod

	for pod in "$@"; do
		kube -n "${POD_NS[$pod]}" delete pod "$pod" --timeout="${READY_S}s" >/dev/null || fail "pod $pod stays"
		unset "POD_IP4[$pod]" "POD_IP6[$pod]" "LISTENING[$pod]"
	done
}

# Replaces that of sandbox.sh.
in_pod() {
	local pod=$1
	shift
	kube -n "${POD_NS[$pod]}" exec "$pod" -- "$@"
}

# A program of this machine, which the pod's image lacks, with the pod's network.
in_pod_net() {
	local pod=$1 where sandbox netns
	shift
	where=$(kube -n "${POD_NS[$pod]}" get pod "$pod" -o 'jsonpath={.spec.nodeName}')
	sandbox=$(node "${where#node}" crictl pods -q --state ready --namespace "${POD_NS[$pod]}" --name "^$pod\$")
	netns=$(node "${where#node}" crictl inspectp "$sandbox" | jq -r '.info.runtimeSpec.linux.namespaces[] | select(.type == "network").path')
	node "${where#node}" nsenter "--net=$netns" "$@"
}

service() {
	local app=$1 name=$2 option ns=test port=80 to="" type=ClusterIP
	shift 2
	for option in "$@"; do
		case $option in
		ns=*) ns=${option#ns=} ;;
		port=*) port=${option#port=} ;;
		to=*) to=${option#to=} ;;
		type=*) type=${option#type=} ;;
		*) fail "service: what is '$option'?" ;;
		esac
	done
	apply_yaml "${NS[$ns]}" <<-YAML
	apiVersion: v1
	kind: Service
	metadata: {name: $name}
	spec:
	  type: $type
	  ipFamilyPolicy: PreferDualStack
	  selector: {app: $app}
	  ports:
	  - {name: tcp, protocol: TCP, port: $port, targetPort: ${to:-$port}}
	  - {name: udp, protocol: UDP, port: $port, targetPort: ${to:-$port}}
	YAML
}

service_ip() {
	local which=0

	[ "${3:-4}" = 4 ] || which=1
	kube -n "${NS[$1]}" get service "$2" -o "jsonpath={.spec.clusterIPs[$which]}"
}

ask() { in_pod "$1" $TRAFFIC try "${4:-tcp}" "$2" "$3" "${5:-$REACH_MS}" || true; } # the word counts
answers() { [ "$(ask "$2" "$3" "$4" "${5:-tcp}" 2>/dev/null)" = "open $1" ]; }
