#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_pressure.sh - the session table when it gets full, when it is made larger or smaller, and what is said of it.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

nodectl() { "$BUILD/tools/nodectl" "$@" || fail "nodectl $*"; }
ifindex_of() { endpoint "$1" .ifindex; }
level_is() { [ "$(status .session_table.level)" = "$1" ]; }
told() { grep -c "session-table .*pressure=${1:-}" "$AGENT_LOG" || true; }

#: how full the session table is, and by whom: in the status, and once in the log for each change [session.levels]
test_levels() {
	local db bermctl="$BUILD/bermctl"
	cast db app=db -- web app=web
	curtain_up
	wait_until level_is normal
	db=$(ifindex_of db)
	[ "$(told)" = 0 ] || fail "an empty table is worth a line: $(grep session-table "$AGENT_LOG")"
	nodectl fill "$db" 80
	agent_stop
	curtain_up
	wait_until level_is warning # the first look is made at once
	[ "$(status '.session_table.pods[0].pod')" = db ] || fail "who has most: $(status .session_table)"
	[ "$(status '.session_table.established > 200000 and .session_table.half_open == 0')" = true ] ||
		fail "counts: $(status .session_table)"
	[ "$(status '.problems | map(select(.message | test("session table"))) | length')" = 0 ] || fail "a problem at 80 %"
	nodectl fill "$db" 95
	WAIT_S=40 wait_until level_is critical # within 15 s, on a machine that is busy
	[ "$(told warning)/$(told critical)" = 1/1 ] || fail "lines: $(grep session-table "$AGENT_LOG")"
	[ "$(status '.problems | map(select(.message | test("session table"))) | length')" = 1 ] || fail "no problem at 95 %"
	[[ "$("$bermctl" status)" == *"95 % full: critical"*"default/db: "* ]] || fail "bermctl: $("$bermctl" status)"
	agent_stop
	[ "$("$bermctl" status -o json | jq -r .sessions.level)" = critical ] || fail "bermctl without an agent"
	nodectl forget-sessions "$db"
	agent_start
	wait_until level_is normal
}

ended() { "$BUILD/bermctl" flows --last 1000 --verdict ended -o json 2>/dev/null | jq -s "$1"; }
has_ended() { [ "$(ended "map(select(.cause == \"$1\" and .destination.port == 80)) | length")" -ge "$2" ]; }

#: what a session has carried is a flow record once it has left, also when its pod goes; off unless asked for [session.final_counts]
test_final_counts() {
	local counts
	cast db app=db -- web app=web
	listen db 80
	curtain_up
	reach web db 80
	pod_del db
	[ "$(status .events.ended_sent)" = 0 ] || fail "nobody has asked for them: $(status .events)"
	pod_del web
	agent_stop
	cast db2 app=db -- web2 app=web
	listen db2 80
	curtain_up --report-ended --timeout-closing=5
	reach web2 db2 80
	WAIT_S=60 wait_until has_ended closed 2 # both ends, 5 s, and until the agent has looked
	counts=$(ended 'map(select(.cause == "closed" and .direction == "ingress"))[0]')
	[ "$(jq -r '[.source.pod, .destination.pod, .established, .policy_changed] | join(" ")' <<<"$counts")" = "web2 db2 true false" ] ||
		fail "who it was: $counts"
	[ "$(jq '.packets.ingress >= 4 and .packets.egress >= 3 and .bytes.ingress > 200' <<<"$counts")" = true ] || fail "counts: $counts"
	# The other half of the same connection, web2's own session, has carried the same.
	[ "$(ended 'map(select(.cause == "closed" and .protocol == "TCP")) | group_by(.source.port)[0] | map(.packets) |
		.[0].ingress == .[1].egress and .[0].egress == .[1].ingress')" = true ] || fail "the two ends differ: $(ended .)"
	stream_open talk web2 db2 80
	pod_del db2
	WAIT_S=60 wait_until has_ended deleted 1 # DEL leaves it to the agent
	[ "$(status '.events.ended_lost')" = 0 ] || fail "some were lost: $(status .events)"
	[[ "$("$BUILD/bermctl" flows --last 1000)" == *ENDED*"(deleted)  in "*" packets "* ]] || fail "as text: $("$BUILD/bermctl" flows --last 1000)"
}

run_tests "$@"
