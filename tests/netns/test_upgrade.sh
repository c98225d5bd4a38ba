#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
#
# test_upgrade.sh - another version of the agent takes over, and the first one takes over again, under load. The other
# versions are built by hack/other-version: one with other programs, one with another ABI, too.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

TEST_TIMEOUT_S=400
WAIT_S=30
ABI=${PINS##*v}
LIVE=2000
OTHERS=$BUILD/others

# start_as BUILD-FOLDER: its agent
start_as() { BUILD=$1 agent_start; wait_until is_enforcing; }

walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	essentials: []
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	YAML
}

# web may use db's port 80, spy may not, and nobody port 81.
stage() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80 81
	listen spy 80
	walls
	start_as "$BUILD"
	reach web db 80
	block spy db 80
}

load_all() {
	load_start web web live=$LIVE tick=1 "ok=${POD_IP4[db]}:80" "no=${POD_IP4[db]}:81"
	load_start spy spy "no=${POD_IP4[db]}:80" "no=[${POD_IP6[db]}]:80"
	load_start db db "no=${POD_IP4[spy]}:80"
	stream_open talk web db 80
}

no_leaks() {
	stream_runs talk
	for name in web spy db; do load_stop $name; done
	load_is web ".live == $LIVE and .live_ok == $LIVE and .no_sent > 50 and .no_back == 0"
	load_is spy '.no_sent > 50 and .no_back == 0'
	load_is db '.no_sent > 50 and .no_back == 0'
	[ "$(status .tampered)" = 0 ] || fail "the agent takes its own work for tampering: $(grep tampered "$AGENT_LOG")"
}

prog_ids() { for f in /sys/fs/bpf/berm/links/*; do bpftool -j link show pinned "$f" | jq .prog_id; done | sort -u | paste -sd ' '; }
pinned_ids() { for f in to_pod from_pod; do bpftool -j prog show pinned "/sys/fs/bpf/berm/v$1/progs/$f" | jq .id; done | sort -u | paste -sd ' '; }
all_have() { [ "$(prog_ids)" = "$(pinned_ids "$1" 2>/dev/null)" ]; }
only_abi() { [ "$(cd /sys/fs/bpf/berm && echo v*)" = "v$1" ]; }
mode_is_tcx() { [ -n "$(ls -A /sys/fs/bpf/berm/links)" ] || skip "kernel: no tcx, so no links to look at"; }

#: an agent with other programs and back, 2,000 live flows and a new one every tick: 0 lost, 0 unfiltered [upgrade.swap]
test_swap() {
	local before
	stage
	mode_is_tcx
	load_all
	before=$(prog_ids)
	agent_stop KILL
	start_as "$BUILD"
	[ "$(prog_ids)" = "$before" ] || fail "the same build has loaded its programs again"
	for dir in "$OTHERS/code/build" "$BUILD"; do
		agent_stop
		start_as "$dir"
		wait_until all_have "$ABI"
		[ "$(prog_ids)" != "$before" ] || fail "still the programs of before: $before"
		before=$(prog_ids)
	done
	[ "$(status .stats.session_rejudged)" = 0 ] || fail "sessions were judged again"
	no_leaks
	load_is web '.udp_sent > 100 and .udp_back == .udp_sent and .tcp_ok == .tcp_tried and .tcp_late == 0 and .tcp_failed == 0'
}

#: another ABI and back: live flows go on, nothing passes unfiltered, the other's maps are gone in the end [upgrade.schema]
test_schema() {
	stage
	mode_is_tcx
	load_all
	agent_stop
	start_as "$OTHERS/abi/build"
	wait_until only_abi 1000
	all_have 1000 || fail "a pod has other programs: $(prog_ids), not $(pinned_ids 1000)"
	stream_runs talk
	reach web db 80
	block spy db 80
	agent_stop
	start_as "$BUILD"
	wait_until only_abi "$ABI"
	all_have "$ABI" || fail "a pod has other programs: $(prog_ids), not $(pinned_ids "$ABI")"
	no_leaks
	load_is web '.tcp_failed == 0'
}

#: a plugin of another ABI refuses to add pods and still deletes them; nothing is mixed [upgrade.schema]
test_plugin_of_other() {
	local gone
	stage
	pod_prepare late
	ln -sf "$OTHERS/abi/build/berm-cni" "$CNI_BIN/berm-cni"
	! pod_cni ADD late >"$SANDBOX_TMP/add" 2>&1 || fail "a pod was added: $(cat "$SANDBOX_TMP/add")"
	grep -q "upgrade agent and plugin together" "$SANDBOX_TMP/add" || fail "it says: $(cat "$SANDBOX_TMP/add")"
	only_abi "$ABI" || fail "it has loaded something: $(ls /sys/fs/bpf/berm)"
	gone=${POD_ID[spy]}
	[ -e "/run/berm/endpoints/$gone@eth0.json" ] || fail "no record to begin with"
	pod_del spy
	[ ! -e "/run/berm/endpoints/$gone@eth0.json" ] || fail "its record is left"
	[ ! -e "/run/berm/endpoints/${POD_ID[late]}@eth0.json" ] || fail "a record of the pod that was refused"
	ln -sf "$BUILD/berm-cni" "$CNI_BIN/berm-cni"
	pod_cni DEL late >/dev/null 2>&1 || fail "DEL of what was refused" # as a runtime does after a failure
	pod_cni ADD late >"$SANDBOX_TMP/add" 2>&1 || fail "the control: $(cat "$SANDBOX_TMP/add")"
}

is_killed_or_done() { ! kill -0 "$AGENT_PID" 2>/dev/null || only_abi "$1"; }

# killed_at SET:N DIR ABI: its agent is killed at that system call of its start; not if it has finished before
killed_at() {
	local set=${1%:*}
	strace -D -f -qq -o /dev/null -e trace="$set" -e inject="$set:signal=KILL:when=${1#*:}" \
		"$2/berm-agent" --manifests "$MANIFESTS" >>"$AGENT_LOG" 2>&1 &
	AGENT_PID=$!
	wait_until is_killed_or_done "$3"
	if kill -KILL "$AGENT_PID" 2>/dev/null; then
		note "$2 has finished before $1"
	else
		HITS=$((HITS + 1))
	fi
	wait "$AGENT_PID" 2>/dev/null || true # killed, one way or the other
	AGENT_PID=
}

# kill_series DIR ABI SET:N...: from the other version to this one, killed again and again, then finished
kill_series() {
	local dir=$1 abi=$2 at
	shift 2
	for at in "$@"; do
		killed_at "$at" "$dir" "$abi"
		reach web db 80
		block spy db 80
	done
	start_as "$dir"
	wait_until only_abi "$abi"
	reach web db 80
	block spy db 80
	agent_stop KILL
}

#: killed at each kind of step of an upgrade: old or new enforces, the next start finishes, either way [upgrade.crash_each_step]
test_crash_each_step() {
	local other=$OTHERS/abi/build
	HITS=0
	stage
	mode_is_tcx
	stream_open talk web db 80
	agent_stop KILL
	kill_series "$other" 1000 mkdir:1 bpf:5 bpf:30 bpf:45 bpf:60 rename:1 rename:3 symlink:1 rename:5
	kill_series "$BUILD" "$ABI" bpf:60 symlink:1 unlink:1
	kill_series "$other" 1000 unlink:6 unlink:8 unlink:12
	kill_series "$BUILD" "$ABI" bpf:110 bpf:130 bpf:150
	kill_series "$other" 1000 bpf:170 bpf:190 bpf:210
	kill_series "$BUILD" "$ABI" rmdir:2 rmdir:1
	kill_series "$other" 1000 rmdir:3
	note "$HITS kills"
	[ "$HITS" -ge 14 ] || fail "only $HITS starts were killed"
	stream_runs talk
}

if [ -z "${BERM_TEST:-}" ]; then
	for other in code abi; do
		"$TOP/hack/other-version" $other "$OTHERS" >/dev/null || { echo "1..0 # cannot build another version"; exit 1; }
	done
fi
run_tests "$@"
