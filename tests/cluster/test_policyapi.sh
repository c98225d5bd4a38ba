#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 300
#
# ClusterNetworkPolicies on two real nodes: their API comes to a running cluster, rules over those of namespaces, and goes.
# shellcheck disable=SC2034,SC2154 # bed.sh reads and fills the arrays
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"
. "$(dirname "$0")/told.sh"
. "$(dirname "$0")/policyapi.sh"

setup() { berm_there BERM_FEEDBACK=2; }

CRD=clusternetworkpolicies.policy.networking.k8s.io

# overrule NAME TIER PRIORITY ACTION [LABEL]: over what app=LABEL may ask of db, of namespace shop on either side
overrule() {
	kube apply -f - >"$SANDBOX_TMP/apply" 2>&1 <<-YAML || fail "ClusterNetworkPolicy $1: $(cat "$SANDBOX_TMP/apply")"
	apiVersion: policy.networking.k8s.io/v1alpha2
	kind: ClusterNetworkPolicy
	metadata: {name: $1}
	spec:
	  tier: $2
	  priority: $3
	  subject: {pods: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ${NS[shop]}}}, podSelector: {matchLabels: {app: db}}}}
	  ingress:
	  - name: to db
	    action: $4
	    from: [{pods: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ${NS[shop]}}}, podSelector: {matchLabels: {app: ${5:-web}}}}}]
	    protocols: [{tcp: {destinationPort: {number: 5001}}}]
	YAML
}

watch_state() { agent_rest "$1" /v1/status '.watches[] | select(.resource == "clusternetworkpolicies").state'; }
watch_states_are() { [ "$(watch_state 1) $(watch_state 2)" = "$1 $1" ]; }
is_gone() { ! kube get crd $CRD >/dev/null 2>&1; }

network_policy() {
	apply_yaml "${NS[shop]}" <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: wall}
	spec: {podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]}
	YAML
}

# RULE: of the newest flow that db was denied, as kubectl berm has it
denied_by() {
	kubectl_berm flows --pod "${NS[shop]}/db" --last 20 -o json 2>/dev/null |
		jq -es --arg rule "$1" 'any(.[]; .verdict == "DROPPED" and "\(.rule.kind) \(.rule.tier) \(.rule.policy):\(.rule.rule)" == $rule)' >/dev/null
}

#: the CRD comes, Admin overrules NetworkPolicy, Baseline where there is none; Pass, priorities, deletion; the CRD goes
test_policyapi() {
	local crd

	crd=$(policyapi_crd) || fail "no CRD: is there Go, and a module proxy?"
	! is_gone || watch_states_are absent || fail "without the CRD: $(watch_state 1)"
	shop_open 5001
	network_policy
	becomes_walled
	kube apply -f "$crd" >/dev/null || fail "the CRD is not taken"
	kube wait --for=condition=Established crd/$CRD --timeout=30s >/dev/null || fail "the CRD is not served"
	overrule guard Admin 10 Deny
	WAIT_S=20 wait_until is_silent web db 5001
	watch_states_are watching || fail "nodes that do not watch: $(watch_state 1) $(watch_state 2)"
	wait_until denied_by "ClusterNetworkPolicy admin guard:to-db"
	overrule spies Admin 10 Accept spy # opens what no NetworkPolicy does
	wait_until is_open spy db 5001
	block web db 5001
	overrule pass Admin 5 Pass
	wait_until is_open web db 5001
	overrule pass Admin 20 Pass
	wait_until is_silent web db 5001
	reach spy db 5001
	kube delete clusternetworkpolicy guard spies pass >/dev/null || fail delete
	wait_until is_open web db 5001
	wait_until is_silent spy db 5001

	overrule base Baseline 0 Deny
	wait_until is_enforced base
	reach web db 5001 # a NetworkPolicy has the say
	kube -n "${NS[shop]}" delete networkpolicy wall >/dev/null || fail delete
	wait_until is_open spy db 5001
	wait_until is_silent web db 5001
	wait_until denied_by "ClusterNetworkPolicy baseline base:to-db"
	WAIT_S=30 wait_until is_told_enforced
	kube delete crd $CRD >/dev/null || fail "the CRD stays"
	wait_until is_open web db 5001
	WAIT_S=20 wait_until watch_states_are absent
}
is_told_enforced() { # the leader gathers before it tells
	kube get events -n default -o json |
		jq -e 'any(.items[]; .reason == "PolicyEnforced" and .involvedObject.kind == "ClusterNetworkPolicy")' >/dev/null
}
is_enforced() { kubectl_berm policies 2>/dev/null | grep -c " $1 .*ClusterNetworkPolicy.*enforced" | grep -qx 2; }

installed_tests "$@"
