#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_failures.sh - the plugin is killed, the kernel refuses, the disk is full, files are cut off: nothing is
# left half done that the next call does not mend.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/plugin.sh"

WAIT='"waitForPolicy":"100ms"'

syscalls_of_add() { # a warm ADD's system calls of a set, counted
	PLUGIN_RUNNER="strace -qq -o $SANDBOX_TMP/trace -e trace=$1" call_ok ADD a conf="$WAIT,\"attach\":\"$2\""
	wc -l <"$SANDBOX_TMP/trace"
	call_ok DEL a >&2
}

# kill_at SYSCALLS N CMD...; bash's own word about the killed process is left out
kill_at() {
	local runner="strace -qq -o /dev/null -e trace=$1 -e inject=$1:signal=KILL:when=$2"
	shift 2
	{ PLUGIN_RUNNER=$runner "$@"; } 2>/dev/null
}

# Killed at its N-th system call; then either DEL cleans up or the runtime's second ADD succeeds.
killed_add() {
	local set=$1 n=$2 mode=$3
	kill_at "$set" "$n" call ADD a conf="$WAIT,\"attach\":\"$mode\"" && fail "not killed at $set $n"
	if [ $((n % 2)) = 0 ]; then
		call_ok DEL a
	else
		call_ok ADD a conf="$WAIT,\"attach\":\"$mode\""
		is_guarded a
		call_ok DEL a
	fi
	must_leave_nothing
	is_not_guarded a
}

#: ADD killed at every system call that makes something, on a warm node [cni.add_killed_each_step]
test_add_killed_each_step() {
	local mode set n count
	veth_add a
	nodectl load
	for mode in clsact tcx; do
		for set in rename symlink flock fsync openat sendto bpf; do # strace counts each by itself
			count=$(syscalls_of_add $set $mode)
			[ "$count" -gt 0 ] || fail "no $set: the trace is wrong"
			note "$mode: $count of $set"
			for ((n = 1; n <= count; n += mode_step)); do
				killed_add $set "$n" $mode
			done
		done
		mode_step=3
	done
	[ -z "$(find /run/berm -name '.*.json.*')" ] || note "temporary files: $(find /run/berm -name '.*')"
}
mode_step=1

#: the first ADD killed while it loads: the next one completes the work [cni.add_killed_each_step]
test_loader_killed() {
	local where
	veth_add a
	for where in bpf:3 bpf:20 bpf:40 bpf:48 bpf:55 rename:1 rename:3; do
		kill_at "${where%:*}" "${where#*:}" call ADD a conf="$WAIT" && fail "not killed at $where"
		! nodectl usage >/dev/null 2>&1 || note "$where: was complete already"
		call_ok ADD a conf="$WAIT"
		is_guarded a
		call_ok CHECK a
		call_ok DEL a
		must_leave_nothing
		umount /sys/fs/bpf
		mount -t bpf bpf /sys/fs/bpf
	done
}

#: every bpf() call of ADD fails in turn: a whole error object and nothing left, or no harm [cni.add_fails_midway]
test_add_fails_midway() {
	local n count refused=0
	veth_add a
	nodectl load
	count=$(syscalls_of_add bpf clsact)
	for ((n = 1; n <= count; n++)); do
		if PLUGIN_RUNNER="strace -qq -o /dev/null -e trace=bpf -e inject=bpf:error=ENOSPC:when=$n" \
			call ADD a conf="$WAIT,\"attach\":\"clsact\""; then
			is_guarded a
			call_ok DEL a
		else
			refused=$((refused + 1))
			jq -e '.code >= 5 and .msg and .details' "$OUT" >/dev/null || fail "call $n: no error object: $(cat "$OUT" "$LOG")"
		fi
		must_leave_nothing
	done
	[ "$refused" -ge 5 ] || fail "only $refused of $count failures were noticed"
}

#: the second hook cannot be attached: the first one is taken back [cni.add_fails_midway]
test_second_hook_fails() {
	local n links
	veth_add a
	call_ok ADD a conf="$WAIT"
	call_ok DEL a
	wait_until hooks_are_free "$(ifindex_of h-a)"
	PLUGIN_RUNNER="strace -qq -o $SANDBOX_TMP/trace -e trace=bpf" call_ok ADD a conf="$WAIT"
	links=$(grep -n 'BPF_LINK_CREATE' "$SANDBOX_TMP/trace" | cut -d: -f1)
	[ "$(wc -w <<<"$links")" = 2 ] || skip "kernel: no tcx, so no two links to fail"
	n=$(tail -n 1 <<<"$links")
	call_ok DEL a
	wait_until hooks_are_free "$(ifindex_of h-a)"
	PLUGIN_RUNNER="strace -qq -o /dev/null -e trace=bpf -e inject=bpf:error=EPERM:when=$n" \
		call_fails 103 "create a tcx link" ADD a conf="$WAIT"
	must_leave_nothing
	is_not_guarded a
}

# first_of CALL WORD MODE: which of an ADD's CALLs is the first with WORD
first_of() {
	PLUGIN_RUNNER="strace -qq -s 64 -o $SANDBOX_TMP/trace -e trace=$1" call_ok ADD a conf="$WAIT,\"attach\":\"$3\""
	grep -n "$2" "$SANDBOX_TMP/trace" | head -n 1 | cut -d: -f1
	call_ok DEL a >&2
	wait_until hooks_are_free "$(ifindex_of h-a)"
}

# slow_attach CALL WORD MODE: an ADD that dawdles before it attaches, so that the agent does it meanwhile
slow_attach() {
	local n
	n=$(first_of "$1" "$2" "$3")
	[ -n "$n" ] || { [ "$3" = tcx ] && skip "kernel: no tcx"; fail "no $2 in the trace"; }
	PLUGIN_RUNNER="strace -qq -o /dev/null -e trace=$1 -e inject=$1:delay_enter=2000000:when=$n" \
		call_ok ADD a conf="$WAIT,\"attach\":\"$3\""
	is_guarded a
	[ "$(jq -r .mode /run/berm/endpoints/a@eth0.json)" = "$3" ] || fail "$(cat /run/berm/endpoints/a@eth0.json)"
	call_ok DEL a
	wait_until nothing_is_left
	is_not_guarded a
}

#: the agent repairs the hooks while a slow ADD is about to attach them: both succeed, once attached [cni.add_fails_midway]
test_agent_attaches_first() {
	local mode
	veth_add a
	for mode in tcx:bpf:BPF_LINK_CREATE clsact:sendto:RTM_NEWTFILTER; do
		agent_start --attach="${mode%%:*}"
		slow_attach "$(cut -d: -f2 <<<"$mode")" "${mode##*:}" "${mode%%:*}"
		agent_stop
	done
}

#: /run/berm full or read-only: refused with the reason, nothing attached [cni.add_fails_midway]
test_run_full() {
	veth_add a
	nodectl load
	mkdir -p /run/berm
	mount -t tmpfs -o size=4k tmpfs /run/berm
	head -c 4096 /dev/zero >/run/berm/ballast
	call_fails 103 "No space left on device" ADD a conf="$WAIT"
	is_not_guarded a
	rm /run/berm/ballast
	mount -o remount,ro /run/berm
	call_fails 103 "Read-only file system" ADD a conf="$WAIT"
	is_not_guarded a
	mount -o remount,rw,size=1m /run/berm
	call_ok ADD a conf="$WAIT"
	is_guarded a
}

#: records cut off, empty, replaced by something else: DEL still cleans up, GC and CHECK say so
test_records_damaged() {
	local record=/run/berm/endpoints/a@eth0.json damage
	veth_add a
	for damage in 'truncate -s 20' 'truncate -s 0' 'cp /bin/true'; do
		call_ok ADD a conf="$WAIT"
		$damage $record
		call_fails 104 "$record" CHECK a
		call_ok GC x version=1.1.0 conf='"cni.dev/valid-attachments":[]'
		is_guarded a
		call_ok DEL a
		is_not_guarded a
		must_leave_nothing
	done
	call_ok ADD a conf="$WAIT"
	rm $record
	call_fails 104 "no attachment" CHECK a
	call_ok ADD a conf="$WAIT"
	call_ok DEL a
	must_leave_nothing
}

#: maps of another version, no bpffs to be had: refused with what to do
test_foreign_maps() {
	veth_add a
	nodectl load
	rm "$PINS/maps/berm_endpoints"
	bpftool map create "$PINS/maps/berm_endpoints" type array key 4 value 8 entries 4 name other
	call_fails 102 "upgrade agent and plugin together" ADD a conf="$WAIT"
	call_fails 50 "upgrade agent and plugin together" STATUS a version=1.1.0
	must_be_empty_but_maps
}

must_be_empty_but_maps() {
	[ -z "$(entries_in /run/berm/endpoints)$(entries_in /sys/fs/bpf/berm/links)" ] || fail "left behind"
}

#: a lost pin is made again; the pods that run keep their guard
test_lost_pin() {
	veth_add a
	veth_add b
	call_ok ADD a conf="$WAIT"
	rm "$PINS/progs/to_pod"
	call_ok ADD b conf="$WAIT"
	is_guarded b
	[ "$(nodectl hooks "$(ifindex_of h-a)" | grep -c attached=1)" = 2 ] || fail "a has lost its programs"
	call_ok ADD a conf="$WAIT"
	is_guarded a
}

run_tests "$@"
