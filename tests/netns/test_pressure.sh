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

run_tests "$@"
