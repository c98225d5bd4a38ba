#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# What the agent writes to the API server, and that nothing depends on it.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

object() { order "$(jq -nc --arg r "$1" --arg ns "$2" --arg n "$3" '{do: "get", resource: $r, namespace: $ns, name: $n}')"; }
node_status() { object configmaps berm-system berm-status-here | jq -r '.data["status.json"] // "{}"' | jq -r "$1"; }
node_status_is() { [ "$(node_status "$1")" = "$2" ]; }
rollup() { object configmaps berm-system "berm-rollup-${2:-0}" | jq -r '.data["policies.json"] // "[]"' | jq -r "$1"; }
rollup_is() { [ "$(rollup "$1")" = "$2" ]; }
# events REASON JQ: of each such Event
events() { order '{"do": "all", "resource": "events"}' | jq -r --arg reason "$1" ".items[] | select(.reason == \$reason) | $2"; }
events_are() { [ "$(events "$1" "$2")" = "$3" ]; }
event_matches() { grep -qE "$2" <<<"$(events "$1" .message)"; }
leader() { object leases berm-system berm-leader | jq -r '.spec.holderIdentity // ""'; }
leader_is() { [ "$(leader)" = "$1" ]; }
writes() { order '{"do": "count"}' | jq -r 'to_entries[] | select(.key | test(" (POST|PUT|PATCH|DELETE) ")).key' | sort | paste -sd,; }
renewed() { asked_past 'leases PUT berm-system' "$1"; }

# A lease of somebody else, seconds long.
foreign_lease() {
	jq -n --arg who "$1" --arg now "$(date -u +%FT%T.%6NZ)" --argjson s "$2" '
		{metadata: {name: "berm-leader", namespace: "berm-system", annotations: {"berm.dev/nodes": "3"}},
		 spec: {holderIdentity: $who, leaseDurationSeconds: $s, renewTime: $now, acquireTime: $now, leaseTransitions: 4}}' |
		put leases
}

# Another node that says it has this set of policies.
foreign_status() {
	jq -n --arg set "$1" '{metadata: {name: "berm-status-far", namespace: "berm-system", labels: {"berm.dev/status": "node"},
		annotations: {"berm.dev/policy-set": $set}}, data: {}}' | put configmaps
}
own_set() { object configmaps berm-system berm-status-here | jq -r '.metadata.annotations["berm.dev/policy-set"] // ""'; }

is_of_generation() { [ "$(object configmaps berm-system berm-status-here | jq -r .data.generation)" = "$1" ]; }

#: the status of the node: content, owner, written only when it changes
test_status() {
	local writes renewals

	jq -n '{metadata: {name: "here", uid: "node-uid"}}' | put nodes
	start_walled --feedback=1
	wait_until node_status_is .policies.enforced 1
	wait_until node_status_is .enforcing true
	equal owner "$(object configmaps berm-system berm-status-here | jq -r '.metadata.ownerReferences[0] | "\(.kind) \(.uid)"')" "Node node-uid"
	wait_until is_of_generation "$(status .generation)"
	writes=$(asked 'configmaps PATCH berm-system')
	renewals=$(asked 'leases PUT berm-system')
	wait_until renewed $((renewals + 4)) # the clock of this test
	[ "$(asked 'configmaps PATCH berm-system')" -le $((writes + 1)) ] || fail "the status is written though nothing changes"
	segment web 'oops: 1
'
	wait_until node_status_is '.problems[0] | "\(.source):\(.line)"' "configmap shop/wall key policy.yaml:1"
	equal invalid "$(node_status '.policies["invalid"] // .policies["invalid-isolating"]')" 1
}

#: an AgentConfig shortens the interval of a running agent, whose own would be an hour
test_interval() {
	start_walled --feedback=3600
	jq -n '{metadata: {name: "agents", namespace: "berm-system", labels: {"berm.dev/policy": "v1"}},
		data: {"config.yaml": "kind: AgentConfig\nname: cluster\nsettings: {feedback: 1}\n"}}' | put configmaps
	wait_until status_is .config.settings.feedback 1
	wait_until node_status_is .enforcing true
	segment web 'oops: 1
'
	wait_until node_status_is '.problems | length' 1
}

#: forty documents at fault: the status stays within 8 KiB, names some and counts the others
test_many_problems() {
	local i

	for i in {1..40}; do
		jq -nc --arg n "c$i" '{do: "put", resource: "configmaps", object: {metadata: {name: $n, namespace: "shop", labels: {"berm.dev/policy": "v1"}},
			data: {"policy.yaml": ("kind: SegmentationPolicy\nname: " + $n + "\nsubject: {podSelector: {}}\n" + ("\"q\\\"" * 60) + ": 1\n")}}}'
	done | order >/dev/null
	ready_agent --feedback=1
	wait_until node_status_is '.problems | length > 0' true
	[ "$(object configmaps berm-system berm-status-here | jq -c 'del(.metadata.resourceVersion)' | wc -c)" -le 8192 ] || fail "it has more than 8 KiB"
	[ "$(node_status '.problems | length')" -le 20 ] || fail "more than 20 problems"
	[ "$(node_status '(.problems | length) + .more_problems')" -ge 40 ] || fail "problems are neither named nor counted"
}

#: Events on the objects that policies come from: a mistake with key, line, column and hint; and when a policy is in force
test_policy_events() {
	wall web
	segment web 'igress: []
'
	ready_agent --feedback=1
	pods_start
	wait_until event_matches PolicyInvalid '^key policy.yaml, line 1, column [0-9]+: .*unknown field; did you mean .ingress'
	equal object "$(events PolicyInvalid '.involvedObject | "\(.kind) \(.namespace)/\(.name)"')" "ConfigMap shop/wall"
	wait_until event_matches PolicyEnforced '^NetworkPolicy shop/wall is in force on 1 of 1 nodes'
	equal object "$(events PolicyEnforced '.involvedObject | "\(.apiVersion) \(.kind) \(.namespace)/\(.name)"')" "networking.k8s.io/v1 NetworkPolicy shop/wall"
	segment web
	wait_until event_matches PolicyEnforced '^SegmentationPolicy shop/wall is in force'
	becomes_walled
	equal "written to" "$(writes)" "configmaps PATCH berm-system,events POST shop,leases POST berm-system,leases PUT berm-system"
}

#: a version that is held is called that, with the expectation that fails; so is one in force that another document breaks
test_held_events() {
	segment web 'expect: [{from: shop/spy, to: shop/db, port: 5432, verdict: Allow}]
'
	ready_agent --feedback=1
	pods_start
	wait_until event_matches PolicyHeld '^key policy.yaml, line 1: expect\[0\]: shop/app=spy -> shop/app=db TCP/5432: expected Allow, found Deny \(ingress: default-deny by shop/wall\); this version is not applied until that holds \(SegmentationPolicy shop/wall\)$'
	equal object "$(events PolicyHeld '.involvedObject | "\(.kind) \(.namespace)/\(.name)"')" "ConfigMap shop/wall"
	wait_until rollup_is '.[] | "\(.policy) \(.phase)"' "SegmentationPolicy shop/wall Held"
	wait_until node_status_is .policies.held 1
	equal invalid "$(events PolicyInvalid .message)" ""
	equal held "$(status '.policies | "\(.held) \(.invalid)"')" "1 0"
	segment web 'expect: [{from: shop/web, to: shop/db, port: 5432, verdict: Allow}]
'
	wait_until rollup_is '.[] | "\(.policy) \(.phase)"' "SegmentationPolicy shop/wall Enforced"
	overrule Admin 10 Deny web
	WAIT_S=20 wait_until event_matches ExpectationBroken '^key policy.yaml, line 1: expect\[0\]: does not hold any more: .*found Deny \(ingress: rule guard:over\)'
	equal phase "$(rollup '.[] | select(.policy | startswith("Seg")).phase')" Enforced
	equal Events "$(events PolicyHeld .count) $(events ExpectationBroken .count)" "1 1"
}

#: ClusterNetworkPolicies are in no namespace: their Events are in default, and name the object
test_cluster_policy_events() {
	overrule Admin 10 Deny web
	wall web
	ready_agent --feedback=1
	pods_start
	block spy db 5432
	wait_until event_matches PolicyEnforced '^ClusterNetworkPolicy guard is in force on 1 of 1 nodes'
	equal object "$(events PolicyEnforced 'select(.involvedObject.kind == "ClusterNetworkPolicy") | "\(.metadata.namespace) \(.involvedObject | "\(.apiVersion) \(.namespace) \(.name)")"')" \
		"default policy.networking.k8s.io/v1alpha2 null guard"
	wait_until rollup_is '.[] | select(.policy | startswith("Cluster")) | "\(.policy) \(.phase)"' "ClusterNetworkPolicy guard Enforced"
	is_open web db 5432 && fail "it is not denied"
	wait_until event_matches PolicyDenied 'rule over of ClusterNetworkPolicy guard denies it$'
	jq -n '{metadata: {name: "wrong"}, spec: {tier: "Admin", priority: 1, subject: {namespaces: {}}, ingress: [{action: "Later", from: [{namespaces: {}}]}]}}' |
		put clusternetworkpolicies
	wait_until event_matches PolicyInvalid '^spec.ingress\[0\].action: .*known: Accept, Deny, Pass'
	equal invalid "$("$BUILD/bermctl" policies -o name | sort | xargs)" \
		"clusternetworkpolicy/guard clusternetworkpolicy/wrong networkpolicy/shop/wall"
}

#: the roll-up counts the nodes that have this version of a policy; a new leader does not tell again
test_rollup() {
	local set

	start_walled --feedback=1
	wait_until rollup_is '.[] | "\(.policy) \(.phase) \(.realised)/\(.desired)"' "NetworkPolicy shop/wall Enforced 1/1"
	set=$(own_set)
	foreign_status 00000000000000000000000000000000
	wait_until rollup_is '.[] | "\(.phase) \(.realised)/\(.desired)"' "Enforcing 1/2"
	foreign_status "$set"
	wait_until rollup_is '.[] | "\(.phase) \(.realised)/\(.desired)"' "Enforced 2/2"
	wall web second # which the other node has not yet
	wait_until rollup_is '[.[] | "\(.policy) \(.phase) \(.realised)"] | join(", ")' \
		"NetworkPolicy shop/second Enforcing 1, NetworkPolicy shop/wall Enforced 2"
	equal told "$(events PolicyEnforced '.involvedObject.name')" wall
	agent_stop
	order '{"do": "delete", "resource": "events", "namespace": "shop", "name": "'"$(events PolicyEnforced .metadata.name)"'"}' >/dev/null
	foreign_status "$(own_set)"
	ready_agent --feedback=1
	wait_until event_matches PolicyEnforced 'shop/second is in force on 2 of 2'
	equal told "$(events PolicyEnforced '.involvedObject.name')" second
}

#: a document that another node has no room for: it is not in force, and the elected agent says so, once
test_refused_elsewhere() {
	segment web
	ready_agent --feedback=1
	pods_start
	wait_until rollup_is '.[].phase' Enforced
	jq -n --arg set "$(own_set)" '{metadata: {name: "berm-status-far", namespace: "berm-system", labels: {"berm.dev/status": "node"},
		annotations: {"berm.dev/policy-set": $set, "berm.dev/refused": ([{source: "configmap shop/wall key policy.yaml", line: 1,
			message: "over the limit of rows", hint: "split it", document: "SegmentationPolicy shop/wall"}] | tojson)}}, data: {}}' | put configmaps
	wait_until rollup_is '.[] | "\(.phase) \(.refused)/\(.desired)"' "Refused 1/2"
	wait_until event_matches PolicyInvalid '^key policy.yaml, line 1: over the limit of rows; split it \(SegmentationPolicy shop/wall\)$'
	foreign_status "$(own_set)"
	wait_until rollup_is '.[] | "\(.phase) \(.realised)/\(.desired) \(.refused)"' "Enforced 2/2 null"
	equal Events "$(events PolicyInvalid .count)" 1
}

#: an Event on the pod that is denied something, with the cause, once for each edge
test_denied() {
	start_walled --feedback=1
	wait_until event_matches PolicyDenied '^ingress from pod spy \([0-9.]+\), port 5432 TCP dropped: .*shop/wall'
	equal object "$(events PolicyDenied '.involvedObject | "\(.kind) \(.namespace)/\(.name) \(.uid)"')" "Pod shop/db ${POD_UID[db]}"
	block spy db 5432
	wait_until renewed $(($(asked 'leases PUT berm-system') + 2))
	equal "Events" "$(events PolicyDenied .message | wc -l)" 1
	equal "writes of Events" "$(asked 'events PATCH shop')" 0
	note "all: $(events PolicyDenied .message | sort | uniq -c)"
}

#: the Lease: nobody leads beside another one, an orphaned one is taken over, one that another took is left to it
test_lease() {
	foreign_lease other 600
	start_walled --feedback=1
	wait_until node_status_is .enforcing true
	wait_until asked_past 'leases list' 2
	leader_is other || fail "taken while it was held"
	equal "roll-up" "$(rollup length)" 0
	foreign_lease other 3
	wait_until leader_is here
	equal transitions "$(object leases berm-system berm-leader | jq .spec.leaseTransitions)" 5
	wait_until rollup_is length 1
	wait_until status_is .feedback.leader true
	foreign_lease other 4
	wait_until status_is .feedback.leader false
	leader_is other || fail "taken back at once"
	wait_until leader_is here
}

#: writes that are refused: one line each, enforcement goes on, and so does the writing afterwards
test_refused() {
	mood writes=403
	start_walled --feedback=1
	wait_until has_logged feedback-failed
	wait_until log_has 'feedback-failed .*what="lease" .*advice="a Role in berm-system must give'
	wait_until log_has 'feedback-failed .*what="status of the node" error="HTTP 403: writes are refused'
	wait_until log_has 'feedback-failed .*what="events" .*advice="a ClusterRole must give create and patch on events'
	equal lines "$(log_count feedback-failed)" 3
	wall spy
	becomes_walled_for_spy
	equal enforcing "$(status .enforcing)" true
	agent_stop
	mood writes=500
	ready_agent --feedback=1
	wait_until log_has 'feedback-failed .*HTTP 500'
	mood writes=0
	WAIT_S=30 wait_until node_status_is .enforcing true
	WAIT_S=30 wait_until leader_is here
}
log_has() { grep -qE "$1" "$AGENT_LOG"; }

#: a server that hangs: enforcement is as it was, and the agent stops at once
test_hanging() {
	local before

	start_walled --feedback=1
	wait_until leader_is here
	mood mute=true
	wall spy
	walled
	before=$SECONDS
	agent_stop
	[ $((SECONDS - before)) -le 3 ] || fail "it took $((SECONDS - before)) s to stop"
	walled
}

#: without --feedback nothing is written
test_off() {
	start_walled
	block spy db 5432
	order '{"do": "relevel"}' >/dev/null
	equal "written to" "$(writes)" ""
	equal feedback "$(status .feedback)" null
}

TEST_JOBS=6 # they wait, most of the time
run_tests "$@"
