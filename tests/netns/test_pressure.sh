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

sessions() { "$BUILD/bermctl" sessions -o json --limit 0; }
# Which there are, and what each has carried.
who() { sessions | jq -c '[.sessions[] | [.local.pod, .direction, .local.port, .peer.port, .state]] | sort'; }
carried() { sessions | jq -c '[.sessions[] | {key: "\(.local.pod)-\(.local.port)-\(.peer.port)", value: (.packets.ingress + .packets.egress)}] | from_entries'; }
room() { "$BUILD/bermctl" status -o json | jq .sessions.max; }
is_moved() { [ "$(grep -c session-table-resized "$AGENT_LOG")" = "$1" ] && is_enforcing; }

STREAMS=6

# Nobody but web may open, so a connection whose session is lost would be judged anew, or stand still.
streams_on_stage() {
	local i
	cast db app=db -- web app=web -- far:net=ptp app=web
	listen db 80
	listen web 80
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: all
	subject: {podSelector: {}}
	isolate: [Ingress, Egress]
	essentials: []
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}
	egress:
	- {name: db, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}]}
	YAML
	curtain_up
	for i in $(seq 1 $STREAMS); do
		stream_open "web$i" web db 80 $((i % 2 ? 4 : 6))
		stream_open "far$i" far db 80
	done
}

streams_run() {
	local i
	for i in $(seq 1 $STREAMS); do stream_runs "web$i"; stream_runs "far$i"; done
}

# moved_to SESSIONS N: the agent is started anew with a table of that size, for the Nth time; every connection is what it was
moved_to() {
	local before after new carried lost
	before=$(who) carried=$(carried) new=$(status .stats.session_new)
	agent_stop
	agent_start --sessions="$1"
	wait_until is_moved "$2"
	streams_run
	after=$(who)
	[ "$after" = "$before" ] || fail "sessions before and after: $before -> $after"
	[ "$(status .stats.session_new)" = "$new" ] || fail "sessions were recorded anew: $new -> $(status .stats.session_new)"
	[ "$(status '.stats | [.session_rejudged, .session_adopted, .session_full] | add')" = 0 ] || fail "$(status .stats)"
	[ "$(counter default-deny)" = 0 ] || fail "$(counter default-deny) packets were denied"
	lost=$(jq -cn --argjson a "$carried" --argjson b "$(carried)" '[$a | keys[] | select(($b[.] // 0) < $a[.])]')
	[ "$lost" = '[]' ] || fail "counts went back: $lost of $carried"
	! grep "session-table-resized" "$AGENT_LOG" | tail -n 1 | grep -qv "lost=0" || fail "$(grep resized "$AGENT_LOG")"
	[ -z "$(find /sys/fs/bpf/berm -name berm_sessions_old)" ] || fail "the old table is still there"
}

#: a session table of another size takes over every established connection while packets pass [session.resize]
test_resize() {
	streams_on_stage
	[ "$(room)" = 262150 ] || fail "room: $(room)"
	moved_to 1000000 1
	[ "$(room)" = 1000006 ] || fail "room: $(room)"
	moved_to 1000 2
	[ "$(room)" = 1001 ] || fail "room: $(room)"
	agent_stop
	curtain_up # without the option it stays
	[ "$(room)" = 1001 ] || fail "room: $(room)"
	reach web db 80
	block db web 80
}

#: an agent that is killed while sessions move goes on where it was [session.resize]
test_resize_killed() {
	local i size=300000 new
	streams_on_stage
	new=$(status .stats.session_new)
	for i in 1 2 3 4; do
		agent_stop KILL
		size=$((size + 10000))
		"$BUILD/berm-agent" --manifests "$MANIFESTS" --sessions=$size >>"$AGENT_LOG" 2>&1 &
		AGENT_PID=$!
		sleep "0.$((1 + RANDOM % 6))" # not a wait for anything: any moment will do
	done
	agent_stop KILL
	curtain_up --sessions=500000
	streams_run
	[ "$(status .stats.session_new)" = "$new" ] || fail "sessions were recorded anew: $new -> $(status .stats.session_new)"
	[ "$(counter default-deny)" = 0 ] || fail "$(counter default-deny) packets were denied"
}

minute_is_over() { [ "$SECONDS" -ge "$MINUTE_ENDS" ]; }
cpu_ticks() { awk '{print $14 + $15}' "/proc/$AGENT_PID/stat"; }

#: a million sessions cost the agent less than 1 % of a core
test_scan_cost() {
	local us ticks
	cast db app=db
	curtain_up --sessions=1000000
	nodectl fill "$(ifindex_of db)" 100
	agent_stop
	curtain_up
	wait_until level_is critical
	us=$(status .session_table.took_us)
	note "a look at $(status .session_table.established) sessions takes $us us, every 15 s"
	[ "$us" -lt 150000 ] || fail "a look takes $us us"
	[ -n "${BERM_LONG:-}" ] || return 0
	ticks=$(cpu_ticks)
	MINUTE_ENDS=$((SECONDS + 60))
	WAIT_S=90 wait_until minute_is_over
	note "$(($(cpu_ticks) - ticks)) ticks of $(getconf CLK_TCK) a second in a minute"
	[ $(($(cpu_ticks) - ticks)) -lt $((60 * $(getconf CLK_TCK) / 100)) ] || fail "more than 1 % of a core"
}

run_tests "$@"
