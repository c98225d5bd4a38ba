#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# test_tamper.sh - somebody else writes to our maps, or takes away the file system that holds the pins.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

nodectl() { "$BUILD/tools/nodectl" "$@"; }
tampered_is() { [ "$(status .tampered)" = "$1" ]; }
is_open() { [ "$(try "$1" "$2" "$3")" = "open $2" ]; }
is_shut() { [ "$(try "$1" "$2" "$3")" = silent ]; }
index_of() { cat "/sys/class/net/${POD_HOSTIF[$1]}/ifindex"; }
now_ms() { date +%s%3N; }
pins_are_there() { [ -e "$PINS/maps/berm_node" ] && [ -e "$PINS/progs/to_pod" ]; }
hooks_are_ours() { [ "$(nodectl hooks "$(index_of db)" | grep -c 'attached=1 current=1')" = 2 ]; }

stage() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}
	YAML
	curtain_up
	walled
	stream_open talk web db 80
}

stage_loudly() { curtain_up() { agent_start --log-level=debug; wait_until is_enforcing; }; stage; }

walled() {
	reach web db 80
	block spy db 80
}

#: somebody opens a pod by writing its endpoint: seen and mended in less than a second, counted [tamper.map_write]
test_endpoint_written() {
	local start took
	stage
	tampered_is 0 || fail "counted before anything happened"
	agent_pause
	nodectl sets "$(index_of db)" 0 0
	is_open spy db 80 || fail "the control: it was not opened"
	kill -CONT "$AGENT_PID"
	start=$(now_ms)
	wait_until has_its_set
	took=$(($(now_ms) - start))
	note "mended after $took ms"
	wait_until tampered_is 1
	[ "$took" -lt 1000 ] || fail "mended only after $took ms"
	walled
	stream_runs talk
}
has_its_set() { ! nodectl endpoint "$(index_of db)" | grep -q 'in=0 '; }
agent_pause() { kill -STOP "$AGENT_PID"; }

ticks_pass() { [ "$(status .uptime_seconds)" -gt "$1" ]; }

#: what changes while somebody holds the node's lock is a plugin at work, until the lock is free [tamper.map_write]
test_plugin_at_work() {
	local up
	stage_loudly
	wait_until has_scanned_twice # what follows the first scan would wait for the lock, and mend
	exec 7>/run/berm/lock
	flock 7
	nodectl sets "$(index_of db)" 0 0
	up=$(status .uptime_seconds)
	wait_until ticks_pass $((up + 1))
	tampered_is 0 || fail "a plugin at work was taken for somebody else"
	exec 7>&-
	wait_until tampered_is 1
	wait_until has_its_set
	walled
}

#: pods and policies come and go for a while, with scans between: none of that is tampering [tamper.map_write]
test_churn() {
	local i
	stage_loudly
	for ((i = 0; i < 24; i++)); do
		pod_prepare "c$i"
		relabel "c$i" app=web "n=$((i % 5))"
		pod_cni ADD "c$i" >"$SANDBOX_TMP/add" 2>&1 || fail "ADD of c$i: $(cat "$SANDBOX_TMP/add")"
		pod_learn "c$i"
		more_rules "$i"
		[ $((i % 3)) = 0 ] || pod_del "c$((i - 1))"
	done
	reach web db 80
	wait_until scan_is_done "$(($(status .uptime_seconds) + 6))"
	[ "$(scans)" -ge 4 ] || fail "only $(scans) scans: nothing was tried"
	note "$(status .generation) generations, $(scans) scans"
	tampered_is 0 || fail "counted $(status .tampered): $(grep tampered "$AGENT_LOG")"
}
has_scanned_twice() { [ "$(scans)" -ge 2 ]; }
scans() { grep -c maps-scanned "$AGENT_LOG"; }
more_rules() {
	policy more <<-YAML
	kind: SegmentationPolicy
	name: more
	subject: {podSelector: {matchLabels: {n: "$(($1 % 5))"}}}
	isolate: [Ingress]
	ingress:
	- {name: some, from: [{cidr: 10.$1.0.0/16}, {podSelector: {matchLabels: {app: web}}}], ports: [{port: $((1000 + $1))}]}
	YAML
}

scan_is_done() { [ "$(status .uptime_seconds)" -gt "$1" ]; }

#: somebody turns rules in the maps: the next scan sees it, what was written is undone, and it is counted [tamper.map_write]
test_rules_written() {
	stage_loudly
	wait_until scan_is_done "$(($(status .uptime_seconds) + 5))" # two scans, so that there is one to compare with
	agent_pause
	nodectl open-rules
	is_open spy db 80 || fail "the control: it was not opened"
	kill -CONT "$AGENT_PID"
	wait_until tampered_is 1
	wait_until is_shut spy db 80
	walled
	stream_runs talk
	wait_until scan_is_done "$(($(status .uptime_seconds) + 6))"
	note "the last scan: $(grep maps-scanned "$AGENT_LOG" | tail -n 1)"
	tampered_is 1 || fail "what the agent mended counts as tampering, too: $(status .tampered)"
}

#: what is written before the first scan of a generation cannot be told from ours; it is undone all the same [tamper.map_write]
test_before_first_scan() {
	stage_loudly
	agent_pause
	! grep -q maps-scanned "$AGENT_LOG" || note "too late: a scan was faster"
	nodectl open-rules
	is_open spy db 80 || fail "the control: it was not opened"
	kill -CONT "$AGENT_PID"
	wait_until is_shut spy db 80
	walled
	stream_runs talk
}

#: bpffs is unmounted and mounted anew while the agent runs: pins and walls are back, sessions live on [bpffs.remounted]
test_remounted() {
	local start
	stage
	umount /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
	start=$(now_ms)
	wait_until pins_are_there
	wait_until hooks_are_ours
	note "back after $(($(now_ms) - start)) ms"
	[ "$(($(now_ms) - start))" -lt 2000 ] || fail "back only after $(($(now_ms) - start)) ms"
	walled
	stream_runs talk
	[ "$(status .stats.session_rejudged)" = 0 ] || fail "sessions were lost"
	tampered_is 1 || tampered_is 2 || fail "not counted" # 2: it looked between the two commands, and mounted one itself
	pod_add late # and the plugin finds its maps
}

#: a second bpffs is mounted over the first: nothing is ever unfiltered, pods come and go [bpffs.remounted]
test_mounted_over() {
	stage
	load_start spy spy "no=${POD_IP4[db]}:80"
	mount -t bpf bpf /sys/fs/bpf
	wait_until pins_are_there
	walled
	pod_add late
	wait_until hooks_of_late_are_ours
	load_stop spy
	load_is spy '.no_sent > 50 and .no_back == 0'
	stream_runs talk
}

hooks_of_late_are_ours() { [ "$(nodectl hooks "$(index_of late)" | grep -c 'attached=1 current=1')" = 2 ]; }

#: pins vanish and a plugin is faster than the agent: the agent takes over what that made, in the same process [bpffs.remounted]
test_plugin_faster() {
	local before
	stage
	before=$(status .pid)
	agent_pause
	umount /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
	BERM_CONF='"waitForPolicy": "100ms"' pod_prepare late
	pod_cni ADD late >"$SANDBOX_TMP/add" 2>&1 || fail "ADD: $(cat "$SANDBOX_TMP/add")"
	kill -CONT "$AGENT_PID"
	wait_until is_restarted
	wait_until is_enforcing_but_late
	[ "$(status .pid)" = "$before" ] || fail "another process"
	wait_until hooks_are_ours
	walled
	stream_runs talk
}
is_restarted() { grep -q "starting-again" "$AGENT_LOG"; }
is_enforcing_but_late() { [ "$(rest GET /v1/endpoints 2>/dev/null | jq '[.endpoints[] | select(.judged)] | length' 2>/dev/null)" = 3 ]; }

run_tests "$@"
