#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_fallback.sh - what a pod gets while nobody has judged it, seen in its traffic.
# shellcheck disable=SC2034 # settings that sandbox.sh reads
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/plugin.sh"

IN=1 OUT_DIR=2 # bits of a namespace's isolation: 1 << enum berm_dir

# settle: a node on which an agent has been in charge before
settle() {
	nodectl load
	nodectl generation 7
}

# fallback_pods SETTINGS NS: pod `mate`, open by exemption, and pod `it` in namespace NS
fallback_pods() {
	BERM_CONF="$1,\"exemptNamespaces\":[\"open\"]"
	rm -f /run/nets/bridge.conflist
	pod_add mate ns=open
	pod_add it ns="$2"
	listen mate 80
	listen it 80
	[ "$(fallback_of mate)" = exempt ] || fail "mate is not exempt but $(fallback_of mate)"
}

fallback_of() { jq -r .fallback "/run/berm/endpoints/${POD_ID[$1]}@eth0.json"; }

#: fallback allow: open, and said so [cni.fallback_each]
test_fallback_allow() {
	settle
	fallback_pods '"fallback":"allow","bootFallback":"deny"' shop
	reach mate it 80
	reach it mate 80
	reach it mate 80 udp 6
	[ "$(fallback_of it)" = allow ] || fail "record says $(fallback_of it)"
	grep -q 'fallback .*pod=shop/it fallback=allow' /var/log/berm/cni.log || fail "the log does not tell"
	[ "$(nodectl counter fallback)" -gt 0 ] || fail "verdicts are not counted as fallback"
}

#: fallback deny: shut in both directions [cni.fallback_each]
test_fallback_deny() {
	settle
	fallback_pods '"fallback":"deny","bootFallback":"allow"' shop
	block mate it 80
	block it mate 80
	block it mate 80 udp 6
	[ "$(fallback_of it)" = deny ] || fail "record says $(fallback_of it)"
	nodectl sets "$(ifindex_of "${POD_HOSTIF[it]}")" 0 0
	reach mate it 80 # it was the fallback that shut it
	reach it mate 80
}

#: fallback isolate-namespace: the directions that policies isolate there, and only there [cni.fallback_each]
test_fallback_isolate_namespace() {
	settle
	nodectl isolate in-only $IN
	nodectl isolate out-only $OUT_DIR
	nodectl isolate both $((IN | OUT_DIR))
	fallback_pods '"fallback":"isolate-namespace","bootFallback":"deny"' in-only
	block mate it 80
	reach it mate 80
	pod_add out ns=out-only
	listen out 80
	reach mate out 80
	block out mate 80
	pod_add both ns=both
	listen both 80
	block mate both 80
	block both mate 80
	pod_add free ns=free
	listen free 80
	reach mate free 80
	reach free mate 80
	[ "$(fallback_of free)" = isolate-namespace ] || fail "record says $(fallback_of free)"
}

#: fallback hold: error 11, nothing left behind, and it goes through once an agent judges [cni.fallback_each]
test_fallback_hold() {
	settle
	veth_add a
	call_fails 11 "has not judged" ADD a conf='"fallback":"hold","waitForPolicy":"100ms"'
	must_leave_nothing
	is_not_guarded a
	stub_agent unjudged
	call_fails 11 "no such pod yet" ADD a conf='"fallback":"hold","waitForPolicy":"100ms"'
	must_leave_nothing
	stub_agent judged
	call_ok ADD a conf='"fallback":"hold"'
	is_guarded a
	[ "$(jq -r .fallback /run/berm/endpoints/a@eth0.json)" = '' ] || fail "judged, but the record names a fallback"
	jq -e '.container_id == "a" and .ifname == "eth0" and .namespace == "shop" and .name == "a" and .uid == "uid-a" and
		.ifindex > 0 and .slot > 0 and .addresses == ["10.1.0.2"] and .wait_ms == 2000' "$SANDBOX_TMP/asked" >/dev/null ||
		fail "the agent was told: $(cat "$SANDBOX_TMP/asked")"
}

#: a second ADD that fails leaves the guard of the first one, and its record [cni.add_fails_midway]
test_second_add_fails() {
	settle
	veth_add a
	stub_agent judged
	call_ok ADD a conf='"fallback":"hold"'
	cp /run/berm/endpoints/a@eth0.json "$SANDBOX_TMP/before"
	stub_agent unjudged
	call_fails 11 "no such pod yet" ADD a conf='"fallback":"hold","waitForPolicy":"100ms"'
	is_guarded a
	cmp "$SANDBOX_TMP/before" /run/berm/endpoints/a@eth0.json || fail "the record has changed: $(cat /run/berm/endpoints/a@eth0.json)"
	call_ok DEL a
	is_not_guarded a
	call_fails 11 "no such pod yet" ADD a conf='"fallback":"hold","waitForPolicy":"100ms"' # the control: alone, it leaves nothing
	is_not_guarded a
	must_leave_nothing
}

#: a pod of an exempt namespace neither waits nor is isolated [cni.fallback_each]
test_fallback_exempt() {
	settle
	nodectl isolate kube-system 3
	veth_add a
	stub_agent hung
	took_between 0 900 call_ok ADD a conf='"fallback":"hold","bootFallback":"hold","waitForPolicy":"1s"' \
		args='K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=dns'
	nodectl endpoint "$(ifindex_of h-a)" | grep 'in=0 out=0' >/dev/null || fail "isolated: $(nodectl endpoint "$(ifindex_of h-a)")"
	veth_add b
	took_between 1000 2500 call_fails 11 "" ADD b conf='"fallback":"hold","waitForPolicy":"1s"'
}

#: ADD without an agent, with a silent, a broken, a confused one: in time, as configured [start.agent_down]
test_agent_down() {
	local mode short='"fallback":"deny","bootFallback":"deny","waitForPolicy":"300ms"'
	nodectl load
	veth_add a
	took_between 0 400 call_ok ADD a conf="$short"
	call_ok DEL a
	for mode in hung deaf; do
		stub_agent $mode
		took_between 300 1000 call_ok ADD a conf="$short"
		nodectl endpoint "$(ifindex_of h-a)" | grep 'in=1 out=1' >/dev/null || fail "$mode: not the fallback"
		grep -q "fallback .*container=a .*fallback=deny" "$LOG" || fail "$mode: not logged: $(cat "$LOG")"
		call_ok DEL a
	done
	for mode in garbage refused unjudged; do
		stub_agent $mode
		took_between 0 400 call_ok ADD a conf="$short"
		[ "$(jq -r .fallback /run/berm/endpoints/a@eth0.json)" = deny ] || fail "$mode: not recorded"
		call_ok DEL a
	done
	stub_stop
	: >/run/berm/agent.sock # a file, no socket
	took_between 0 400 call_ok ADD a conf="$short"
	[ "$(jq -r .fallback /run/berm/endpoints/a@eth0.json)" = deny ] || fail "not recorded"
	rm /run/berm/agent.sock
	stub_agent judged
	call_ok ADD a conf="$short"
	[ "$(jq -r .fallback /run/berm/endpoints/a@eth0.json)" = '' ] || fail "judged, but the record names a fallback"
}

#: bpffs and /run empty, no agent yet: bootFallback, whatever fallback says [start.boot]
test_boot_deny() {
	fallback_pods '"fallback":"allow","bootFallback":"deny"' shop
	block mate it 80
	block it mate 80
	nodectl generation 1
	pod_add later ns=shop
	listen later 80
	reach mate later 80 # from the first generation on it is the other one
}

#: bpffs is mounted where the host has none; the default isolates while nobody knows [start.boot]
test_boot_without_bpffs() {
	umount /sys/fs/bpf
	[ "$(stat -f -c %T /sys/fs/bpf)" != bpf_fs ] || fail "there is still a bpffs"
	fallback_pods '"waitForPolicy":"100ms"' shop
	[ "$(stat -f -c %T /sys/fs/bpf)" = bpf_fs ] || fail "no bpffs was mounted"
	block mate it 80
	block it mate 80
	is_guarded_dev "${POD_HOSTIF[mate]}"
}

#: after a boot the agent fills in: the pod is judged and open, as no policy isolates it [start.boot]
test_boot_then_agent() {
	fallback_pods '"bootFallback":"deny"' shop
	block mate it 80
	pod_object it | apply - it.yaml
	pod_object mate | apply - mate.yaml
	agent_start
	wait_until is_judged it
	reach mate it 80
	reach it mate 80
}

is_judged() { [ "$(rest GET /v1/endpoints | jq -r ".endpoints[] | select(.pod == \"$1\") | .judged")" = true ]; }

#: a packet on an interface that has lost its entry follows the node's setting, counted [start.missing_state]
test_missing_state() {
	local index before
	settle
	fallback_pods '"fallback":"deny"' shop
	index=$(ifindex_of "${POD_HOSTIF[it]}")
	block mate it 80
	before=$(nodectl counter missing-state)
	nodectl forget-iface "$index"
	reach mate it 80
	[ "$(nodectl counter missing-state)" -gt "$before" ] || fail "not counted"
	nodectl flags 1
	block mate it 80
	nodectl flags 0
	reach mate it 80
	pod_cni CHECK it >"$OUT" && fail "CHECK is content"
	grep -q "lost its endpoint entry" "$OUT" || fail "CHECK says $(cat "$OUT")"
}

run_tests "$@"
