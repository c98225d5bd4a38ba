#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# What kubectl shows of policies on two real nodes: Events, statuses, kubectl berm; and that mistakes of one stay his own.
# shellcheck disable=SC2034,SC2154 # bed.sh reads and fills the arrays
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"
. "$(dirname "$0")/told.sh"

setup() { berm_there BERM_FEEDBACK=2; }

# The wall of one document, on a port of its own: whether this very document is in force shows there.
wall() {
	cat <<-YAML
	kind: SegmentationPolicy
	name: $1
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: in, from: [{podSelector: {matchLabels: {app: ${3:-web}}}}], ports: [{port: $2}]}
	YAML
}

# An honest mistake each, in the document of that name.
spoil() {
	case $1 in
	yaml) sed 's/^isolate.*/isolate: [Ingress/' ;;
	kind) sed 's/^kind.*/kind: SegmentPolicy/' ;;
	field) sed 's/^ingress:/igress:/' ;;
	type) sed 's/^isolate.*/isolate: Ingress/' ;;
	cidr) sed 's|podSelector: {matchLabels: {app: web}}|ipBlock: {cidr: 10.1.2.3/16}|' ;;
	deep) cat; printf 'egress: %s%s\n' "$(printf '[%.0s' {1..3000})" "$(printf ']%.0s' {1..3000})" ;;
	twice) cat; echo ---; wall twice 5007 spy ;;
	tier) sed 's/^isolate/tier: admin\nisolate/' ;;
	reach) sed 's/^subject.*/subject: {namespaceSelector: {}}/' ;;
	esac
}

# What the Event must say: key, place, field, what is wrong, what to do.
said_of() {
	case $1 in
	yaml) echo '^key policy.yaml, line 5, column [0-9]+: not YAML: .*see line 4 too' ;;
	kind) echo "^key policy.yaml, line 1, column 7: kind: 'SegmentPolicy' is not a known kind; known: SegmentationPolicy" ;;
	field) echo "^key policy.yaml, line 5, column 1: igress: unknown field; did you mean 'ingress'" ;;
	type) echo "^key policy.yaml, line 4, column 10: isolate: want a list, got 'Ingress'; put it in brackets" ;;
	cidr) echo "^key policy.yaml, line 6, column [0-9]+: ingress\[0\].from\[0\].ipBlock.cidr: '10.1.2.3/16' .*did you mean '10.1.0.0/16'" ;;
	deep) echo '^key policy.yaml, line 7, column [0-9]+: the document is nested too deep \(at most 64\)' ;;
	twice) echo '^key policy.yaml, line 8, column 1: defined twice, first in line 1: .*give it another name' ;;
	tier) echo '^key policy.yaml, line 4, column 7: tier: tier admin is not for namespace .*only documents in namespace berm-system' ;;
	reach) echo '^key policy.yaml, line 3, column 11: subject.namespaceSelector: the subject is always in namespace ' ;;
	binary) echo '^binaryData\["policy.yaml"\]: documents in binaryData are not read; put it into data' ;;
	esac
}

MISTAKES=(yaml kind field type cidr deep twice tier reach binary)

sorted() { printf '%s\n' "$@" | sort | xargs; }
told_are() { [ "$(events shop "$1" .involvedObject.name | sort | xargs)" = "$2" ]; }

to_binary() {
	kube -n "${NS[shop]}" get configmap "$1" -o json | jq '.binaryData = (.data | map_values(@base64)) | del(.data)' |
		kube replace -f - >/dev/null || fail "binaryData"
}

# All at the same time: an exec takes its while.
each_port_is_walled() {
	local port pid pids=()

	for port in "$@"; do
		(reach web db "$port") &
		pids+=($!)
		(block spy db "$port") &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || fail "not as the last good documents say"; done
}

#: a mistake in a document: one Event with key, line, field and hint; the last good version stays in force; put right, it is said
test_mistakes() {
	local i ports=() name

	for i in "${!MISTAKES[@]}"; do ports+=($((5001 + i))); done
	shop_open "${ports[*]}"
	for i in "${!MISTAKES[@]}"; do wall "${MISTAKES[i]}" "${ports[i]}" | carrier "${MISTAKES[i]}"; done
	wait_until told_are PolicyEnforced "$(sorted "${MISTAKES[@]}")"
	equal said "$(events shop PolicyEnforced '.message | sub(".*/[a-z]*"; "")' | sort -u)" " is in force on 2 of 2 nodes"
	each_port_is_walled "${ports[@]}"
	for i in "${!MISTAKES[@]}"; do
		[ "${MISTAKES[i]}" != binary ] || { to_binary binary; continue; }
		wall "${MISTAKES[i]}" "${ports[i]}" | spoil "${MISTAKES[i]}" | carrier "${MISTAKES[i]}"
	done
	wait_until told_are PolicyInvalid "$(sorted "${MISTAKES[@]}")"
	events shop PolicyInvalid '"\(.involvedObject.name) \(.message)"' >"$SANDBOX_TMP/said"
	for name in "${MISTAKES[@]}"; do
		sed -n "s/^$name //p" "$SANDBOX_TMP/said" | grep -qE "$(said_of "$name")" || fail "$name: $(grep "^$name " "$SANDBOX_TMP/said")"
	done
	each_port_is_walled "${ports[@]}"
	wait_until rollup_is "[.[] | select(.phase == \"Invalid\")] | length" $((${#MISTAKES[@]} - 1)) # of 'twice', the first counts
	rounds 2
	told_are PolicyInvalid "$(sorted "${MISTAKES[@]}")" || fail "not one Event each: $(events shop PolicyInvalid .involvedObject.name | xargs)"
	equal repeats "$(events shop PolicyInvalid .count | sort -u)" 1
	wall field 6001 | carrier field # right again, and another version
	wait_until rollup_is '.[] | select(.policy | endswith("/field")) | "\(.phase) \(.realised)/\(.desired)"' "Enforced 2/2"
	wait_until is_told_again field
	block web db 5003
	reach web db 5001
}
is_told_again() { [ "$(events shop PolicyEnforced "select(.involvedObject.name == \"$1\") | .lastTimestamp != .firstTimestamp")" = true ]; }

#: emptied, deleted and unlabelled is a deletion; what becomes unreadable is not; a ConfigMap of a mebibyte works
test_deletions() {
	shop_open 5001
	wall emptied 5001 | carrier wall
	becomes_walled
	kube -n "${NS[shop]}" patch configmap wall --type=merge -p '{"data": null}' >/dev/null || fail patch
	becomes_open
	wall labelled 5001 | carrier wall
	becomes_walled
	kube -n "${NS[shop]}" label configmap wall berm.dev/policy- >/dev/null || fail label
	becomes_open
	{ wall large 5001; many '# a comment, "quoted"'; } | carrier large
	becomes_walled
	equal size "$(kube -n "${NS[shop]}" get configmap large -o json | jq '.data[] | length / 1000000 | floor')" 1
	{ wall large 5001; many '"]'; } | carrier large
	wait_until is_told PolicyInvalid large '^key policy.yaml, line [0-9]+, column [0-9]+: '
	each_port_is_walled 5001
	kube -n "${NS[shop]}" delete configmap large >/dev/null || fail delete
	becomes_open
}

many() { head -c 1040000 < <(yes "$1"); }

#: a tenant's document that reaches for what is not his is refused, and nobody else notices [tenant.admin_tier] [tenant.foreign_namespace] [tenant.dress_up] [tenant.noisy_documents]
test_tenants() {
	local doc

	shop_open 5001
	pod_run far ns=shop2 node=2 app=web # dressed up as the shop's
	pods_ready far
	wall good 5001 | carrier good
	becomes_walled
	block far db 5001
	! kube label --overwrite namespace "${NS[shop2]}" "kubernetes.io/metadata.name=${NS[shop]}" >/dev/null 2>&1 ||
		[ "$(kube get namespace "${NS[shop2]}" -o 'jsonpath={.metadata.labels.kubernetes\.io/metadata\.name}')" = "${NS[shop2]}" ] ||
		fail "a namespace may bear another one's name"
	block far db 5001
	for doc in emergency admin baseline; do
		printf 'kind: SegmentationPolicy\nname: t\ntier: %s\nsubject: {podSelector: {}}\ningress:\n- {name: a, action: Deny}\n' "$doc" | carrier "$doc"
	done
	printf 'kind: SegmentationPolicy\nname: f\nnamespace: %s\nsubject: {podSelector: {}}\nisolate: [Ingress, Egress]\n' "${NS[shop2]}" | carrier foreign
	printf 'kind: NetworkPolicy\nmetadata: {name: n, namespace: %s}\nspec: {podSelector: {}}\n' "${NS[shop2]}" | carrier foreign-np
	printf 'kind: SegmentationPolicy\nname: s\nsubject: {namespaceSelector: {}}\nisolate: [Ingress]\n' | carrier selector
	noisy | carrier noisy
	for doc in emergency admin baseline foreign foreign-np selector; do wait_until is_told PolicyInvalid "$doc" '^key policy.yaml, line '; done
	wait_until is_told PolicyInvalid noisy '^key policy.yaml, line 1: over the limit of 2,048 port bounds per namespace: left out, what it selects is isolated; split it'
	wait_until rollup_is '.[] | select(.policy | endswith("/noisy")) | "\(.phase) \(.refused)/\(.desired)"' "Refused 1/2" # the pods are on one node
	rounds 2
	! is_told PolicyEnforced noisy . || fail "told to be in force"
	reach spy far 80 # not isolated by anybody
	each_port_is_walled 5001
	wall good 5001 spy | carrier good # and changes are taken as ever
	wait_until is_open spy db 5001
	block web db 5001
}

# Ports that cut each other a thousand times: more than a namespace may have.
noisy() {
	local i

	printf 'kind: SegmentationPolicy\nname: noisy\nsubject: {podSelector: {matchLabels: {app: web}}}\nisolate: []\ningress:\n'
	for i in {1..900}; do
		printf -- '- {name: r%d, from: [{ipBlock: {cidr: 10.%d.%d.0/24}}], ports: [{port: %d}, {port: %d}]}\n' "$i" $((i / 200)) $((i % 200)) $((i * 7)) $((60000 - i * 3))
	done
}

#: an Event on the pod that is denied: who, what, and which rule; once for each edge
test_denied() {
	shop_open 5001
	wall wall 5001 | carrier wall
	becomes_walled
	wait_until is_told PolicyDenied db '^ingress from pod spy \([0-9.]+\), port 5001 TCP dropped: no rule allows it, and the pod is isolated by .*/wall$'
	deny_rule | carrier deny
	wait_until is_silent web db 5001
	wait_until is_told PolicyDenied db '^ingress from pod web \([0-9.]+\), port 5001 TCP dropped: rule no-web of SegmentationPolicy .*/deny denies it$'
	for _ in 1 2; do block spy db 5001; done
	rounds 2
	equal "Events of that edge" "$(events shop PolicyDenied 'select(.message | test("from pod spy")) | "\(.count) \(.lastTimestamp == .firstTimestamp)"')" "1 true"
	equal object "$(events shop PolicyDenied '.involvedObject | "\(.kind) \(.name) \(.uid)"' | sort -u)" \
		"Pod db $(kube -n "${NS[shop]}" get pod db -o 'jsonpath={.metadata.uid}')"
}

deny_rule() {
	printf 'kind: SegmentationPolicy\nname: deny\nsubject: {podSelector: {matchLabels: {app: db}}}\nisolate: []\ningress:\n'
	printf -- '- {name: no-web, action: Deny, from: [{podSelector: {matchLabels: {app: web}}}]}\n'
}

#: kubectl berm from outside: status, policies, endpoints, flows; of all nodes and of one
test_kubectl_berm() {
	shop_open 5001
	wall wall 5001 | carrier wall
	becomes_walled
	kubectl_berm status -o json >"$SANDBOX_TMP/out" || fail "status: $(cat "$SANDBOX_TMP/out")"
	equal nodes "$(jq -r .node "$SANDBOX_TMP/out" | sort | xargs)" "node1 node2"
	equal enforcing "$(jq -r .enforcing "$SANDBOX_TMP/out" | sort -u)" true
	kubectl_berm policies >"$SANDBOX_TMP/out" || fail "policies: $(cat "$SANDBOX_TMP/out")"
	equal "nodes with the policy" "$(grep -c "${NS[shop]}.*wall.*enforced" "$SANDBOX_TMP/out")" 2
	kubectl_berm --node=node2 endpoints >"$SANDBOX_TMP/out" || fail "endpoints: $(cat "$SANDBOX_TMP/out")"
	grep -q "^${NS[shop]} *db " "$SANDBOX_TMP/out" || fail "no db among the endpoints of node2: $(cat "$SANDBOX_TMP/out")"
	! grep -q "^${NS[shop]} *web " "$SANDBOX_TMP/out" || fail "web is not on node2"
	block spy db 5001
	wait_until shows_denial
}

shows_denial() {
	kubectl_berm flows --pod "${NS[shop]}/db" --last 20 -o json 2>/dev/null |
		jq -es 'any(.[]; .verdict == "DROPPED" and .source.pod == "spy" and .reason == "default-deny")' >/dev/null
}

is_in_status() { kube -n berm-system get configmap berm-status-node1 -o 'jsonpath={.data.status\.json}' | grep -q "$1"; }

#: of users' objects none is written to: Berm is in no managedFields outside its namespace, but for Events
test_untouched() {
	local kind

	shop_open 5001
	wall wall 5001 | carrier wall
	wall wall 5001 | spoil field | carrier wall
	becomes_walled_or_isolated
	wait_until is_told PolicyInvalid wall .
	for kind in configmaps pods namespaces nodes services networkpolicies serviceaccounts; do
		equal "$kind written to by agents" "$(kube get "$kind" -A --show-managed-fields -o json |
			jq -r '.items[] | select(.metadata.namespace != "berm-system" and any(.metadata.managedFields[]?; .manager | test("berm"))) | .metadata.name' | xargs)" ""
	done
	equal "control: in berm-system they are" "$(kube -n berm-system get configmap berm-status-node1 --show-managed-fields -o json |
		jq -r '[.metadata.managedFields[].manager] | unique | join(" ")')" berm-agent
}
becomes_walled_or_isolated() { wait_until is_silent spy db 5001; }

TEST_JOBS=3
installed_tests "$@"
