#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A ConfigMap that must be confirmed in time, as nodes see it that were there, were off, are new, or have another clock.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

SKEW=0 # of the server's clock
stamp() { date -u -d "now $((${1:-0} + SKEW)) seconds" +%FT%TZ; }

# guarded LABEL WITHIN AGE [CONFIRMED [CREATED-AGE]]: the ConfigMap of segment(), its data AGE seconds old
guarded() {
	jq -n --arg app "$1" --arg within "$2" --arg time "$(stamp "-$3")" --arg confirmed "${4:-}" --arg created "$(stamp "-${5:-$((3600))}")" \
		--arg later "$(stamp "$(($3 > 0 ? 1 - $3 : 0))")" '
		{apiVersion: "v1", kind: "ConfigMap", metadata: {name: "wall", namespace: "shop", uid: "one", creationTimestamp: $created,
		  labels: {"berm.dev/policy": "v1"},
		  annotations: ({"berm.dev/confirm-within": $within} + (if $confirmed == "" then {} else {"berm.dev/confirmed": $confirmed} end)),
		  managedFields: [
		   {manager: "old", operation: "Update", time: "2020-01-01T00:00:00Z", fieldsV1: {"f:data": {".": {}}}},
		   {manager: "apply", operation: "Update", time: $time, fieldsV1: {"f:data": {"f:policy.yaml": {}},
		    "f:metadata": {"f:annotations": {"f:berm.dev/confirm-within": {}}}}},
		   {manager: "annotate", operation: "Update", time: $later, fieldsV1: {"f:metadata": {"f:annotations": {"f:other": {}}}}}]},
		 data: {"policy.yaml": ("kind: SegmentationPolicy\nname: wall\n" +
		  "subject: {podSelector: {matchLabels: {app: db}}}\nisolate: [Ingress]\ningress:\n" +
		  "- {name: in, from: [{podSelector: {matchLabels: {app: " + $app + "}}}], ports: [{port: 5432}]}\n")}}' |
		put configmaps
}

confirmation() { rest GET /v1/confirmations | jq -r "[.confirmations[] | $1] | join(\" \")"; }
confirmation_is() { [ "$(confirmation "$1")" = "$2" ]; }
problem_has() { [[ "$(status '[.problems[].message] | join(" ")')" == *"$1"* ]]; }

events() { order '{"do": "all", "resource": "events"}' | jq -r --arg reason "$1" ".items[] | select(.reason == \$reason) | $2"; }
event_matches() { grep -qE "$2" <<<"$(events "$1" .message)"; }

# The server's clock goes on, and everybody hears it.
pass_s() {
	SKEW=$((SKEW + $1))
	mood "skew=$SKEW"
	order '{"do": "relevel"}' >/dev/null
	cut_all
}

start_segmented() {
	segment web
	ready_agent "$@"
	pods_start
	becomes_walled
}

#: until the deadline, counted from the newest time of the data, then the version before; the server is asked first
test_back() {
	local lists

	start_segmented --feedback=1
	lists=$(asked 'configmaps stream')
	guarded spy 2h 3600
	becomes_walled_for_spy
	equal state "$(confirmation .state)" waiting
	equal until "$(confirmation '.until | fromdate - now | . > 3000 and . < 3605')" true
	pass_s 3000
	wait_until asked_past 'configmaps stream' "$lists"
	walled_for_spy
	equal state "$(confirmation .state)" waiting
	guarded spy 2s 0
	becomes_walled
	equal state "$(confirmation .state)" rolled-back
	[ "$(asked 'configmaps stream')" -gt "$lists" ] || fail "the server was not asked"
	wait_until event_matches PolicyUnconfirmed 'is awaiting confirmation until .*; keep it with .kubectl berm confirm shop/wall'
	wait_until event_matches PolicyRolledBack 'was not confirmed until .*: rolled back to the version before'
	agent_stop
	ready_agent
	walled
	equal state "$(confirmation .state)" rolled-back
	guarded spy 1h 0 # written again
	becomes_walled_for_spy
	segment web # not guarded any more
	becomes_walled
	equal state "$(confirmation .state)" ""
}

#: a confirmation of this version counts, one of another does not; one that comes late brings it into force again
test_confirmed() {
	local digest

	start_segmented
	guarded spy 1h 0 0123456789abcdef
	becomes_walled_for_spy
	digest=$(confirmation .digest)
	guarded spy 1h 0 "$digest"
	wait_until confirmation_is .state ""
	guarded web 1h 0 "$digest" # another version
	becomes_walled
	pass_s 4000
	wait_until confirmation_is .state rolled-back
	becomes_walled_for_spy
	guarded web 1h 4000 "$(confirmation .digest)"
	becomes_walled
	wait_until confirmation_is .state ""
}

#: without the server nobody goes back; as soon as it answers, if it still says so
test_server_away() {
	start_segmented
	guarded spy 5s 0
	wait_until confirmation_is .state waiting
	order '{"do": "mood", "set": {"status": 503}}' >/dev/null
	cut_all
	wait_until eval '[ "$(confirmation ".until | fromdate < now - 2")" = true ]'
	walled_for_spy
	equal state "$(confirmation .state)" waiting
	mood status=0
	WAIT_S=30 wait_until is_open web db 5432
	walled
	equal state "$(confirmation .state)" rolled-back
}

#: an agent that was off while it came and over the deadline goes back, too
test_off() {
	start_segmented
	agent_stop
	guarded spy 4s 10
	ready_agent
	walled
	equal state "$(confirmation .state)" rolled-back
}

#: a node that never had the version before keeps the new one, and says so; over a restart too
test_late() {
	guarded spy 4s 10
	ready_agent
	pods_start
	becomes_walled_for_spy
	equal state "$(confirmation .state)" kept
	problem_has "this node never had the version before, and keeps it" || fail "status: $(status .problems)"
	agent_stop
	ready_agent
	walled_for_spy
	equal state "$(confirmation .state)" kept
}

#: one that is new goes altogether, on a node that was off when it came, too; not on one that is new itself
test_new() {
	wall web other # the node has policies
	ready_agent
	pods_start
	becomes_walled
	agent_stop
	order '{"do": "delete", "resource": "networkpolicies", "namespace": "shop", "name": "other"}' >/dev/null
	guarded web 2s -1 "" -1
	wait_until eval '[ $(date +%s) -gt '$(($(date +%s) + 4))' ]' # its deadline
	ready_agent
	wait_until is_open spy db 5432
	reach web db 5432
	equal state "$(confirmation '.state + " \(.previous_documents)"')" "rolled-back 0"
}

#: what counts is the server's clock
test_clock() {
	start_segmented
	SKEW=5000
	mood skew=5000
	cut_all
	guarded spy 1h 0 # by our own clock, in two hours and more
	becomes_walled_for_spy
	equal until "$(confirmation '.until | fromdate - now | . > 8000')" true
	agent_stop
	SKEW=-5000
	mood skew=-5000
	guarded spy 1h 0 # by our own clock its deadline was long ago
	ready_agent
	walled_for_spy
	equal state "$(confirmation .state)" waiting
	pass_s 4000 # by our own clock, still
	becomes_walled
	equal state "$(confirmation .state)" rolled-back
}

run_tests "$@"
