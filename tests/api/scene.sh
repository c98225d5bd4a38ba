# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2120 # read by sandbox.sh; given by tests
#
# scene.sh - words for stories about an API server. Sourced after sandbox.sh. Pods web, db and spy in namespace shop,
# db listens on 5432; a policy lets one of the others in.
#
#   server_start / server_stop      fakeapi.py with a certificate of our own CA, or nobody on that port
#   order [JSON]                    see fakeapi.py; default: from stdin, one a line; prints the counts
#   put RESOURCE <<JSON             an object
#   mood KEY=JSON...
#   wall LABEL [NAME]               a NetworkPolicy: only app=LABEL may reach db
#   overrule TIER PRIORITY ACTION LABEL [NAME] / overrule_no_more [NAME [HOW]]   a ClusterNetworkPolicy; install_crd
#   kubeconfig [JQ]                 writes $KUBE, changed by the filter
#   watch_agent [ARG...]            starts the agent; ready_agent waits for the first generation too
#   status JQ / status_is JQ WANT / has_logged EVENT / log_count EVENT
#   walled / walled_for_spy         who may and, as control, who may not
#   becomes_walled / becomes_walled_for_spy   waits for it

KUBE=/run/kube/config
CONTROL=/run/kube/control
SERVER_PID=

certificates() {
	mkdir -p /run/kube
	(
		cd /run/kube
		for ca in ca other; do
			openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout $ca.key -out $ca.crt \
				-subj "/CN=$ca" -days 2
		done
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout srv.key -out srv.csr -subj /CN=api
		openssl x509 -req -in srv.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out srv.crt \
			-extfile <(echo subjectAltName=IP:127.0.0.1)
	) >/run/kube.log 2>&1 || fail "openssl: $(cat /run/kube.log)"
	echo first-token >/run/kube/token
}

is_serving() { curl -s --unix-socket "$CONTROL" --data-binary '{"do": "count"}' -o /dev/null http://localhost/; }

server_start() {
	python3 "$TOP/tests/api/fakeapi.py" /run/kube/srv.crt /run/kube/srv.key "$CONTROL" >>"$SANDBOX_TMP/server.log" 2>&1 &
	SERVER_PID=$!
	wait_until is_serving
}

server_stop() {
	kill -KILL "$SERVER_PID"
	wait "$SERVER_PID" 2>/dev/null || true # killed is what it should be
	rm -f "$CONTROL"
}

order() {
	local answer

	answer=$(curl -sS --max-time 30 --unix-socket "$CONTROL" --data-binary "${1:-@-}" http://localhost/) || fail "order: $answer"
	[[ $answer != *'"error"'* ]] || fail "order ${1:-}: $answer"
	printf '%s\n' "$answer"
}

asked() { order '{"do": "count"}' | jq -r ".\"$1\" // 0"; }
asked_past() { [ "$(asked "$1")" -gt "$2" ]; }

put() { order "$(jq -c --arg r "$1" '{do: "put", resource: $r, object: .}')" >/dev/null; }

mood() {
	local word set='{}'

	for word in "$@"; do
		set=$(jq -c --arg k "${word%%=*}" --argjson v "${word#*=}" '.[$k] = $v' <<<"$set")
	done
	order "{\"do\": \"mood\", \"set\": $set}" >/dev/null
}

cut_all() { order '{"do": "cut"}' >/dev/null; }

put_pod() {
	local name=$1
	jq -n --arg name "$name" --arg uid "${POD_UID[$name]}" --arg app "${2:-$1}" --arg ip "${POD_IP4[$name]:-}" '
		{metadata: {name: $name, namespace: "shop", uid: $uid, labels: {app: $app}},
		 spec: {nodeName: "here", containers: [{name: "c", ports: []}]},
		 status: {phase: "Running", podIPs: (if $ip == "" then [] else [{ip: $ip}] end)}}' | put pods
}

wall() {
	jq -n --arg app "$1" --arg name "${2:-wall}" '
		{apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy", metadata: {name: $name, namespace: "shop"},
		 spec: {podSelector: {matchLabels: {app: "db"}}, policyTypes: ["Ingress"],
		  ingress: [{from: [{podSelector: {matchLabels: {app: $app}}}], ports: [{port: 5432, protocol: "TCP"}]}]}}' |
		put networkpolicies
}

# segment LABEL [TEXT]: the same as a document in a ConfigMap, with TEXT in front
segment() {
	jq -n --arg app "$1" --arg text "${2:-}" '
		{apiVersion: "v1", kind: "ConfigMap", metadata: {name: "wall", namespace: "shop", labels: {"berm.dev/policy": "v1"}},
		 data: {"policy.yaml": ($text + "kind: SegmentationPolicy\nname: wall\n" +
		  "subject: {podSelector: {matchLabels: {app: db}}}\nisolate: [Ingress]\ningress:\n" +
		  "- {name: in, from: [{podSelector: {matchLabels: {app: " + $app + "}}}], ports: [{port: 5432}]}\n")}}' |
		put configmaps
}

# overrule TIER PRIORITY ACTION LABEL [NAME]: a ClusterNetworkPolicy over what app=LABEL may ask of db
overrule() {
	jq -n --arg tier "$1" --argjson priority "$2" --arg action "$3" --arg app "$4" --arg name "${5:-guard}" '
		{apiVersion: "policy.networking.k8s.io/v1alpha2", kind: "ClusterNetworkPolicy", metadata: {name: $name},
		 spec: {tier: $tier, priority: $priority, subject: {pods: {podSelector: {matchLabels: {app: "db"}}}},
		  ingress: [{name: "over", action: $action, from: [{pods: {podSelector: {matchLabels: {app: $app}}}}],
		   protocols: [{tcp: {destinationPort: {number: 5432}}}]}]}}' | put clusternetworkpolicies
}
overrule_no_more() { order "{\"do\": \"${2:-delete}\", \"resource\": \"clusternetworkpolicies\", \"name\": \"${1:-guard}\"}" >/dev/null; }

# The API of ClusterNetworkPolicies comes to a cluster
install_crd() {
	jq -n '{metadata: {name: "clusternetworkpolicies.policy.networking.k8s.io"}}' | put customresourcedefinitions
}

kubeconfig() {
	jq -n '{apiVersion: "v1", kind: "Config", "current-context": "here",
		clusters: [{name: "k", cluster: {server: "https://127.0.0.1:6443", "certificate-authority": "ca.crt"}}],
		users: [{name: "u", user: {tokenFile: "token"}}],
		contexts: [{name: "here", context: {cluster: "k", user: "u"}}]}' | jq "${1:-.}" >"$KUBE"
}

watch_agent() {
	AGENT_LOG=$SANDBOX_TMP/agent.log
	"$BUILD/berm-agent" --kubeconfig "$KUBE" --node-name here "$@" >>"$AGENT_LOG" 2>&1 &
	AGENT_PID=$!
	wait_until agent_answers
}

ready_agent() {
	watch_agent "$@"
	wait_until status_is .enforcing true
}

status() { rest GET /v1/status | jq -r "$1"; }
status_is() { [ "$(status "$1")" = "$2" ]; }
log_count() { grep -c "^$1 " "$AGENT_LOG" || true; }
has_logged() { [ "$(log_count "$1")" -gt 0 ]; }
equal() { [ "$2" = "$3" ] || fail "$1 is '$2', want '$3'"; }

is_open() { [ "$(try "$1" "$2" "$3")" = "open $2" ]; }
walled() {
	reach web db 5432
	block spy db 5432
}
walled_for_spy() {
	reach spy db 5432
	block web db 5432
}
becomes_walled() {
	wait_until is_open web db 5432
	walled
}
becomes_walled_for_spy() {
	wait_until is_open spy db 5432
	walled_for_spy
}

# The world as the server knows it, before anybody watches.
setup() {
	local pod

	certificates
	server_start
	kubeconfig
	for pod in web db spy; do
		pod_prepare "$pod" ns=shop
		put_pod "$pod"
	done
	jq -n '{metadata: {name: "shop", labels: {team: "a"}}}' | put namespaces
	jq -n '{metadata: {name: "here"}}' | put nodes
}

pods_start() {
	local pod

	for pod in web db spy; do
		pod_cni ADD "$pod" >/dev/null || fail "ADD of pod $pod"
		pod_learn "$pod"
		put_pod "$pod"
	done
	listen db 5432
}

start_walled() {
	wall web
	ready_agent "$@"
	pods_start
	becomes_walled
}
