#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# The agent and its API server, on good and on bad days: what is enforced, and what is said about it.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

#: a streaming list, then changes as they come: policy, pod labels, deletion
test_stream() {
	start_walled
	equal "lists" "$(asked 'networkpolicies list')" 0
	equal "state" "$(status '[.watches[] | .state] | unique | join(" ")')" "off watching"
	equal "off" "$(watches_in off)" "services endpointslices servicecidrs"
	wall spy
	becomes_walled_for_spy
	put_pod web spy
	wait_until is_open web db 5432
	put_pod web
	order '{"do": "delete", "resource": "networkpolicies", "namespace": "shop", "name": "wall"}' >/dev/null
	wait_until is_open web db 5432
	reach spy db 5432
	"$BUILD/bermctl" status | grep -q 'networkpolicies *watching' || fail "bermctl status shows no watches"
}

# By the version of a change that its watch has reached, and nothing that is not in the kernel yet.
is_in_force() {
	status_is "[.enforcing, (.pending | not), (.watches[] | select(.resource == \"networkpolicies\").resource_version | tonumber >= $1)] | all" true
}

version_of_wall() {
	order '{"do": "get", "resource": "networkpolicies", "namespace": "shop", "name": "wall"}' | jq -r .metadata.resourceVersion
}

#: resource_version and pending tell when a change is in force, not sooner
test_in_force() {
	local version

	start_walled
	version=$(version_of_wall)
	wait_until is_in_force "$version"
	! is_in_force $((version + 1000)) || fail "a version of the future is in force"
	for _ in 1 2 3 4 5; do
		wall spy
		wait_until is_in_force "$(version_of_wall)"
		walled_for_spy # at once, whatever it was
		wall web
		wait_until is_in_force "$(version_of_wall)"
		walled
	done
	version=$(version_of_wall)
	server_stop
	is_in_force "$version" || fail "what is known is no more in force without a server"
}

#: a policy that needs Services is pending until they are listed
test_pending_services() {
	start_walled
	mood 'stream="ignored"' # a list that takes its time
	jq -n '{metadata: {name: "wall", namespace: "shop"}, spec: {podSelector: {}, policyTypes: ["Egress"], egress: [{}]}}' | put networkpolicies
	wait_until status_is '.watches[] | select(.resource == "services").state' listing
	equal pending "$(status .pending)" true
	WAIT_S=30 wait_until is_in_force "$(version_of_wall)"
	equal "faults" "$(log_count api-unauthorized)" 0
	equal synced "$(status '[.watches[] | select(.state != "off") | .synced] | all')" true
}

#: servers without streaming lists, in three ways: an in-stream error, 422, silence; and without our field selector
test_list_fallback() {
	local kind

	mood 'stream="error"' selectors=false
	jq -n '{metadata: {name: "host", namespace: "shop", uid: "h"}, spec: {hostNetwork: true}, status: {}}' | put pods
	start_walled
	equal "pods known" "$(status '.watches[] | select(.resource == "pods").objects')" 3
	for kind in '"422"' '"ignored"'; do
		agent_stop
		mood "stream=$kind"
		WAIT_S=30 ready_agent
		walled
	done
	wall spy
	becomes_walled_for_spy
}

watches_in() { status "[.watches[] | select(.state == \"$1\").resource] | join(\" \")"; }
watches_are() { [ "$(watches_in "$1")" = "$2" ]; }

#: Services are watched once a pod here has egress rules; a server without ServiceCIDRs has none, until it has them
test_services() {
	mood 'absent="servicecidrs"'
	jq -n '{metadata: {name: "db", namespace: "shop"}, spec: {clusterIP: "10.96.0.9", clusterIPs: ["10.96.0.9"], ports: [{port: 80, protocol: "TCP"}]}}' | put services
	jq -n '{metadata: {name: "other", namespace: "shop", labels: {"service.kubernetes.io/service-proxy-name": "x"}}, spec: {ports: []}}' | put services
	start_walled
	watches_are off "services endpointslices servicecidrs" || fail "watched without need: $(watches_in watching)"
	jq -n '{metadata: {name: "out", namespace: "shop"}, spec: {podSelector: {matchLabels: {app: "db"}}, policyTypes: ["Egress"], egress: []}}' | put networkpolicies
	wait_until watches_are absent servicecidrs
	wait_until status_is '.watches[] | select(.resource == "services") | "\(.state) \(.objects)"' "watching 1"
	equal off "$(watches_in off)" ""
	agent_stop
	mood 'absent=""'
	jq -n '{metadata: {name: "kubernetes"}, spec: {cidrs: ["10.96.0.0/16"]}}' | put servicecidrs
	ready_agent # a start waits for them too
	equal cidrs "$(status '.watches[] | select(.resource == "servicecidrs") | "\(.state) \(.objects)"')" "watching 1"
	walled
}

is_shut() { [ "$(try "$1" "$2" "$3")" != "open $2" ]; }
cluster_watch() { status ".watches[] | select(.resource == \"clusternetworkpolicies\") | $1"; }
cluster_watch_is() { [ "$(cluster_watch "$1")" = "$2" ]; }

#: ClusterNetworkPolicies: Admin before, Baseline after what the namespace says; priority, Pass and deletion
test_cluster_policy() {
	overrule Admin 10 Deny web
	wall web
	ready_agent
	pods_start
	is_shut web db 5432 || fail "Admin does not deny" # from the first generation on
	"$BUILD/bermctl" policies | grep -q 'guard .*ClusterNetworkPolicy *admin *enforced' || fail "bermctl policies: $("$BUILD/bermctl" policies)"
	"$BUILD/bermctl" rules | grep -q '^guard *over *ingress *deny' || fail "bermctl rules: $("$BUILD/bermctl" rules)"
	overrule Admin 5 Pass web first
	wait_until is_open web db 5432
	overrule Admin 20 Pass web first
	wait_until is_shut web db 5432
	overrule Admin 5 Accept spy first
	wait_until is_open spy db 5432
	block web db 5432
	overrule_no_more
	becomes_open web spy
	overrule_no_more first
	wait_until is_shut spy db 5432
	walled
	overrule Baseline 0 Deny web
	overrule Baseline 1 Deny spy other
	walled
	order '{"do": "delete", "resource": "networkpolicies", "namespace": "shop", "name": "wall"}' >/dev/null
	wait_until is_shut web db 5432
	block spy db 5432
	overrule_no_more
	wait_until is_open web db 5432
	block spy db 5432
}

becomes_open() {
	local pod

	for pod; do wait_until is_open "$pod" db 5432; done
}

#: a cluster without ClusterNetworkPolicies: one line, few questions; they count at once when the API comes
test_cluster_policy_comes() {
	local asked

	mood 'absent="clusternetworkpolicies"'
	start_walled
	equal state "$(cluster_watch .state)" absent
	equal "lines" "$(log_count resource-absent)" 1
	asked=$(asked 'clusternetworkpolicies stream')
	wall spy
	becomes_walled_for_spy
	wall web
	becomes_walled
	equal "questions since" "$(($(asked 'clusternetworkpolicies stream') - asked))" 0
	install_crd # as real servers do it: announced first, served a little later
	wait_until asked_past 'clusternetworkpolicies stream' $((asked + 1))
	mood 'absent=""'
	overrule Admin 10 Deny web
	wait_until is_shut web db 5432
	equal state "$(cluster_watch '"\(.state) \(.objects)"')" "watching 1"
	equal "lines" "$(log_count resource-absent)" 1
	grep -q '^watch-synced .*resource=clusternetworkpolicies' "$AGENT_LOG" || fail "it is not told that it came"
	equal restarts "$(cluster_watch .restarts)" 0
}

#: the API goes: a 404 of a moment changes nothing, one of half a minute is a deletion
test_cluster_policy_goes() {
	overrule Admin 10 Deny web
	wall web
	ready_agent
	pods_start
	is_shut web db 5432 || fail "Admin does not deny"
	wall spy
	wait_until is_open spy db 5432
	mood 'absent="clusternetworkpolicies"'
	cut_all
	wait_until has_logged resource-absent
	equal objects "$(cluster_watch .objects)" 1
	mood 'absent=""'
	WAIT_S=20 wait_until cluster_watch_is .state watching
	wall web
	wait_until is_shut spy db 5432
	block web db 5432
	mood 'absent="clusternetworkpolicies"'
	cut_all
	WAIT_S=60 becomes_open web
	walled
	equal state "$(cluster_watch '"\(.state) \(.objects)"')" "absent 0"
	equal "lines" "$(log_count resource-absent)" 2
}

#: 403 for them: not ready, and it says what it may not; with the permission it goes on
test_cluster_policy_forbidden() {
	mood 'forbidden="clusternetworkpolicies customresourcedefinitions"'
	overrule Admin 10 Deny web
	wall web
	watch_agent
	wait_until has_logged api-forbidden
	grep -q '^api-forbidden .*resource=clusternetworkpolicies' "$AGENT_LOG" || fail "it does not say of what"
	wait_until status_is '.watches[] | select(.resource == "networkpolicies").synced' true
	equal enforcing "$(status .enforcing)" false
	mood 'forbidden="customresourcedefinitions"' # without that it only takes longer to notice
	WAIT_S=30 wait_until status_is .enforcing true
	pods_start
	is_shut web db 5432 || fail "Admin does not deny"
	overrule_no_more
	becomes_walled
}

#: a document in a ConfigMap: a mistake keeps the last good version and is named by key and line
test_configmap() {
	segment web
	ready_agent
	pods_start
	becomes_walled
	segment spy 'oops: 1
'
	wait_until status_is .policies.invalid 1
	equal source "$(status '.problems[0] | "\(.source):\(.line)"')" "configmap shop/wall key policy.yaml:1"
	walled
	segment spy
	becomes_walled_for_spy
	equal invalid "$(status .policies.invalid)" 0
}

#: two ConfigMaps that hold one policy: the first by name counts, and the other when that one goes
test_twice() {
	segment web
	jq -n '{metadata: {name: "zwall", namespace: "shop", labels: {"berm.dev/policy": "v1"}},
		data: {"policy.yaml": "kind: SegmentationPolicy\nname: wall\nsubject: {podSelector: {matchLabels: {app: db}}}\nisolate: [Ingress]\ningress:\n- {from: [{podSelector: {matchLabels: {app: spy}}}]}\n"}}' |
		put configmaps
	ready_agent
	pods_start
	becomes_walled
	order '{"do": "delete", "resource": "configmaps", "namespace": "shop", "name": "wall"}' >/dev/null
	becomes_walled_for_spy
}

#: the server is down at boot: what the kernel holds stays; it comes, and its policies are enforced [api.down_at_boot]
test_down_at_boot() {
	start_walled
	agent_stop KILL
	server_stop
	watch_agent
	wait_until has_logged api-unreachable
	walled
	equal enforcing "$(status .enforcing)" false
	equal generation "$(status .last_apply.judged)" 0
	server_start # it has forgotten everything, but has this
	jq -n '{metadata: {name: "shop"}}' | put namespaces
	pods_put
	wall spy
	WAIT_S=25 wait_until status_is .enforcing true
	becomes_walled_for_spy
}

pods_put() {
	local pod

	for pod in web db spy; do put_pod "$pod"; done
}

#: the server goes: the state stays, one line says so; it returns without a policy: that goes [api.down_later]
test_down_later() {
	start_walled
	server_stop
	wait_until has_logged api-unreachable
	walled
	equal lines "$(log_count api-unreachable)" 1
	equal enforcing "$(status .enforcing)" true
	server_start
	jq -n '{metadata: {name: "shop"}}' | put namespaces
	pods_put
	order '{"do": "relevel"}' >/dev/null
	cut_all # a watch that has come back already goes on from a version of the old server
	WAIT_S=25 wait_until is_open spy db 5432
	reach web db 5432
}

#: 410 everywhere: as status of lists and watches, and in the stream; what went meanwhile is removed [api.410_everywhere]
test_410() {
	local resource

	start_walled
	wall web extra
	wait_until status_is .policies.total 2
	order '{"do": "forget", "resource": "networkpolicies", "namespace": "shop", "name": "extra"}' >/dev/null
	order '{"do": "relevel"}' >/dev/null
	mood gone=7
	for resource in namespaces pods networkpolicies configmaps nodes; do
		order "{\"do\": \"gone\", \"resource\": \"$resource\"}" >/dev/null
	done
	wait_until status_is .policies.total 1
	walled
	order '{"do": "relevel"}' >/dev/null
	cut_all # and a watch that begins with 410 in the stream
	wall spy
	WAIT_S=20 becomes_walled_for_spy
}

#: the cache of another server lags behind what is known: not that list, but one of the storage
test_stale_cache() {
	mood 'stream="422"'
	start_walled
	order '{"do": "forget", "resource": "networkpolicies", "namespace": "shop", "name": "wall"}' >/dev/null
	order '{"do": "rewind"}' >/dev/null
	cut_all
	WAIT_S=20 wait_until is_open spy db 5432
	reach web db 5432
	grep -q '^api-error .*Too large resource version' "$AGENT_LOG" || fail "no list was asked to be as new as the last one"
}

#: a connection that is open and dead is noticed and replaced [api.half_open]
test_half_open() {
	start_walled --api-idle-timeout=2
	mood mute=true
	wall spy
	walled # nobody has told the agent
	wait_until has_logged watch-stalled
	walled
	mood mute=false
	WAIT_S=20 becomes_walled_for_spy
}

#: a server that sends one byte at a time, lists and watches [api.slow_chunks]
test_slow() {
	mood slow=true
	WAIT_S=30 start_walled
	agent_stop
	mood 'stream="422"'
	WAIT_S=30 ready_agent
	wall spy
	becomes_walled_for_spy
}

#: the token rotates: the next request has the new one [api.token_rotated]
test_token() {
	mood 'token="first-token"'
	start_walled
	mood 'token="second-token"'
	cut_all
	wait_until has_logged api-unauthorized
	wall spy
	walled
	echo second-token >/run/kube/token
	WAIT_S=20 becomes_walled_for_spy
}

# refused CODE EVENT LINES: the state stays, few clear lines, and it goes on afterwards
refused() {
	start_walled
	mood "status=$1" retry_after=1
	cut_all
	wait_until has_logged "$2"
	walled
	mood status=0
	WAIT_S=25 wait_until status_is '[.watches[] | select(.error)] | length' 0
	equal "lines of $2" "$(log_count "$2")" "$3"
	grep -q "^$2 .*HTTP $1: the mood is" "$AGENT_LOG" || fail "the server's own words are not in the log"
	wall spy
	becomes_walled_for_spy
}

#: 401: the state stays, one clear line, and it goes on afterwards [api.401_403_429]
test_401() { refused 401 api-unauthorized 1; }

#: 403: the same, a line for each resource [api.401_403_429]
test_403() { refused 403 api-forbidden 7; }

#: 429: the same, and no sooner than the server asks for [api.401_403_429]
test_429() { refused 429 api-throttled 1; }

#: 500: the same
test_500() { refused 500 api-error 1; }

#: nonsense instead of JSON: the state stays, then all is read anew [api.malformed_json]
test_malformed() {
	start_walled
	order '{"do": "raw", "resource": "networkpolicies", "text": "{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"wall"}' >/dev/null
	wait_until has_logged api-malformed
	walled
	mood garbage=5 'stream="422"'
	cut_all
	order '{"do": "relevel"}' >/dev/null
	order '{"do": "raw", "resource": "networkpolicies", "text": "%%%"}' >/dev/null
	order '{"do": "raw", "resource": "networkpolicies", "text": "{\"type\":\"ADDED\",\"object\":[]}"}' >/dev/null
	walled
	wall spy
	WAIT_S=25 becomes_walled_for_spy
}

#: a ConfigMap of a mebibyte, half of it quotes: it is read like any other [api.huge_object]
test_huge() {
	start_walled
	python3 - <<-'PY' | order >/dev/null
	import json
	print(json.dumps({"do": "put", "resource": "configmaps", "object": {
	    "metadata": {"name": "huge", "namespace": "shop", "labels": {"berm.dev/policy": "v1"}},
	    "data": {"a.yaml": "# " + "\"x" * 500000 + """
	kind: SegmentationPolicy
	name: huge
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {from: [{podSelector: {matchLabels: {app: spy}}}], ports: [{port: 5432}]}
	"""}}}))
	PY
	wait_until is_open spy db 5432 # the union of both
	reach web db 5432
}

#: an object that no etcd would store: it is left out, and what comes behind it counts; no list removes anything
test_too_large() {
	start_walled
	python3 - <<-'PY' | order >/dev/null
	import json
	print(json.dumps({"do": "put", "resource": "networkpolicies", "object": {
	    "metadata": {"name": "monster", "namespace": "shop", "annotations": {"a": "x" * (13 << 20)}}, "spec": {"podSelector": {}}}}))
	PY
	wall spy
	becomes_walled_for_spy
	equal lines "$(log_count object-too-large)" 1
	order '{"do": "forget", "resource": "networkpolicies", "namespace": "shop", "name": "wall"}' >/dev/null
	order '{"do": "relevel"}' >/dev/null
	mood 'stream="422"'
	cut_all
	wait_until asked_past 'networkpolicies list' 0
	WAIT_S=20 wait_until status_is '[.watches[] | select(.state == "listing" or .state == "waiting")] | length' 0
	walled_for_spy
	order '{"do": "delete", "resource": "networkpolicies", "namespace": "shop", "name": "monster"}' >/dev/null
	order '{"do": "relevel"}' >/dev/null
	cut_all
	WAIT_S=20 wait_until is_open web db 5432
}

#: 3,000 events in one go: the last one counts, and the agent answers all the while [api.flood_of_events]
test_flood() {
	start_walled
	python3 - <<-'PY' | order >/dev/null
	import json
	for i in range(3000):
	    print(json.dumps({"do": "put", "resource": "pods", "object": {
	        "metadata": {"name": "p%d" % (i % 500), "namespace": "shop", "uid": str(i), "labels": {"app": "l%d" % (i % 7)}},
	        "spec": {"nodeName": "far"}, "status": {"podIPs": [{"ip": "10.7.%d.%d" % (i % 500 // 250, i % 250 + 1)}]}}}))
	PY
	wall spy
	becomes_walled_for_spy
	wait_until status_is '.watches[] | select(.resource == "pods").objects' 503
}

#: a server whose certificate is another CA's is not listened to; insecure-skip-tls-verify is refused
test_tls() {
	kubeconfig '.clusters[0].cluster["certificate-authority"] = "other.crt"'
	wall web
	watch_agent
	wait_until has_logged api-unreachable
	equal synced "$(status '[.watches[].synced] | any')" false
	equal "requests seen" "$(asked 'pods stream')" 0
	agent_stop
	kubeconfig '.clusters[0].cluster["insecure-skip-tls-verify"] = true'
	! "$BUILD/berm-agent" --kubeconfig "$KUBE" 2>"$SANDBOX_TMP/refused" || fail "an unverified server was taken"
	grep -q 'insecure-skip-tls-verify is refused' "$SANDBOX_TMP/refused" || fail "$(cat "$SANDBOX_TMP/refused")"
	kubeconfig
	ready_agent # the control
}

#: in-cluster: the ServiceAccount's files and the environment
test_in_cluster() {
	local dir=/var/run/secrets/kubernetes.io/serviceaccount

	mkdir -p "$dir"
	cp /run/kube/ca.crt /run/kube/token "$dir/"
	mood 'token="first-token"'
	AGENT_LOG=$SANDBOX_TMP/agent.log
	! "$BUILD/berm-agent" --in-cluster 2>"$SANDBOX_TMP/refused" || fail "it started outside of a cluster"
	grep -q 'this is no pod; use --kubeconfig' "$SANDBOX_TMP/refused" || fail "$(cat "$SANDBOX_TMP/refused")"
	KUBERNETES_SERVICE_HOST=127.0.0.1 KUBERNETES_SERVICE_PORT=6443 \
		"$BUILD/berm-agent" --in-cluster --node-name here >>"$AGENT_LOG" 2>&1 &
	AGENT_PID=$!
	wait_until agent_answers
	wait_until status_is .enforcing true
}

TEST_JOBS=6 # they wait, most of the time
run_tests "$@"
