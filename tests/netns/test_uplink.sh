#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_uplink.sh - the block list at the node's uplink, with a second machine (a namespace) behind a veth that plays the
# node's network card. `db` is a pod; what the machine sends from a blocked address must not even reach the bridge.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

GOOD4=203.0.113.1 BAD4=198.51.100.9
GOOD6=2001:db8:1::1 BAD6=2001:db8:bad::9

# The machine has all addresses; the node routes between it and the pods.
machine() {
	ip netns add machine
	ip link add up0 type veth peer name eth0 netns machine
	ip link set up0 up
	ip addr add 203.0.113.254/24 dev up0
	ip addr add 2001:db8:1::fe/64 dev up0 nodad
	ip route add 198.51.100.0/24 dev up0
	ip route add 2001:db8:bad::/64 dev up0
	ip -n machine link set lo up
	ip -n machine link set eth0 up
	ip -n machine addr add $GOOD4/24 dev eth0
	ip -n machine addr add $BAD4/32 dev eth0
	ip -n machine addr add $GOOD6/64 dev eth0 nodad
	ip -n machine addr add $BAD6/128 dev eth0 nodad
	ip -n machine route add 10.88.0.0/16 via 203.0.113.254
	ip -n machine route add fd88::/64 via 2001:db8:1::fe
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
}

# block_list [EGRESS]: the emergency rule, with its other half if told so
block_list() {
	policy list berm-system <<-YAML
	kind: SegmentationPolicy
	name: list
	tier: emergency
	ingress:
	- {name: bad, action: Deny, from: [{ipBlock: {cidr: 198.51.100.0/24}}, {ipBlock: {cidr: "2001:db8:bad::/64"}}]}
	${1:+egress:
	- {name: bad, action: Deny, to: [{ipBlock: {cidr: 198.51.100.0/24\}\}, {ipBlock: {cidr: "2001:db8:bad::/64"\}\}]\}}
	YAML
}

setup() {
	cast db app=db
	machine
	block_list both
}

dropped() { status '.uplink.dropped_packets'; }
is_attached() { [ "$(status ".uplink.interfaces[] | select(.name == \"$1\").attached")" = true ]; }
mode_of() { status ".uplink.interfaces[] | select(.name == \"$1\").mode"; }
to_tc() { counter policy-deny; }
has_xdp() { ip -j -d link show dev "$1" | jq -e '.[0].xdp.prog.id // .[0].xdp.prog' >/dev/null; }

# pings COUNT FROM: how many answers
ping_from() { in_pod machine ping -n -c 1 -W "$2" -I "$1" "${POD_IP4[db]}" >/dev/null 2>&1; }
ping6_from() { in_pod machine ping -6 -n -c 1 -W "$2" -I "$1" "${POD_IP6[db]}" >/dev/null 2>&1; }
answers() { ping_from $GOOD4 2 && ping6_from $GOOD6 2; }
silence() { ! ping_from $BAD4 0.6 && ! ping6_from $BAD6 0.6; }

# What is blocked is dropped by XDP alone, both families; the rest is untouched.
drops_early() {
	local before walls

	wait_until answers
	before=$(dropped) walls=$(to_tc)
	silence || fail "a blocked address gets answers"
	[ "$(dropped)" -ge $((before + 2)) ] || fail "the uplink has dropped $before, now $(dropped)"
	[ "$(to_tc)" = "$walls" ] || fail "the walls have seen blocked packets"
	answers || fail "an address that nobody blocks has no answer"
}

#: a block list in the driver: dropped at the uplink, both families, counted for the rule; nothing else is [uplink.drop]
test_native() {
	curtain_up --uplink=up0 --uplink-mode=native
	wait_until is_attached up0
	[ "$(mode_of up0)" = native ] || fail "mode $(mode_of up0)"
	drops_early
	[ "$(rule_hits bad)" -ge 2 ] || fail "the rule has $(rule_hits bad) hits"
	"$BUILD/bermctl" status | grep -q 'uplink *up0 native; 2 blocks, [1-9]' || fail "$("$BUILD/bermctl" status)"
	in_pod machine ping -n -c 1 -W 2 -I $BAD4 203.0.113.254 >/dev/null || fail "the node itself does not answer"
}

#: the same before the stack, where the driver cannot [uplink.generic]
test_generic() {
	curtain_up --uplink=up0 --uplink-mode=generic
	wait_until is_attached up0
	[ "$(mode_of up0)" = generic ] || fail "mode $(mode_of up0)"
	drops_early
	agent_stop
	agent_start --uplink=up0 --uplink-mode=native
	wait_until is_attached up0
	[ "$(mode_of up0)" = native ] || fail "mode $(mode_of up0) after a start in the other one"
	drops_early
}

#: the block list outlives its agent, and goes with its rule, its option and the program with it [uplink.restart]
test_restart() {
	curtain_up --uplink=up0
	wait_until is_attached up0
	drops_early
	kill -KILL "$AGENT_PID"
	wait "$AGENT_PID" 2>/dev/null || :
	local walls
	walls=$(to_tc)
	silence || fail "without an agent a blocked address gets answers"
	[ "$(to_tc)" = "$walls" ] || fail "without an agent the walls see blocked packets"
	agent_start --uplink=up0
	wait_until is_attached up0
	drops_early
	settle unapply list.yaml
	ping_from $BAD4 2 || fail "blocked though the rule is gone"
	ping6_from $BAD6 2 || fail "blocked though the rule is gone, IPv6"
	settle block_list both
	drops_early
	agent_stop
	has_xdp up0 || fail "the program went with its agent"
	agent_start
	wait_until is_enforcing
	! has_xdp up0 || fail "the program is there though nobody asks for it"
	[ ! -e /sys/fs/bpf/berm/uplink ] || fail "pins are left"
	silence || fail "the walls let blocked packets in"
}

#: removal takes the program off with everything else [uninstall.clean]
test_uninstall() {
	curtain_up --uplink=up0
	wait_until is_attached up0
	agent_stop
	has_xdp up0 || fail "the control: no program"
	mkdir "$SANDBOX_TMP/bin" # nothing of the host's own
	"$BUILD/berm-install" uninstall --reload-wait=0 --bin-dir="$SANDBOX_TMP/bin" >"$SANDBOX_TMP/uninstall" 2>&1 || fail "$(cat "$SANDBOX_TMP/uninstall")"
	! has_xdp up0 || fail "a program is left"
}

#: where only the way in is denied, answers to what the pod asks still come, and questions do not [uplink.answers]
test_answers() {
	block_list
	curtain_up --uplink=up0
	wait_until is_attached up0
	ip netns exec machine python3 -c "import socket
s = socket.create_server(('$BAD4', 7070))
while True: s.accept()[0].close()" &
	local server=$! before
	wait_until in_pod db timeout 2 bash -c "exec 2>/dev/null; </dev/tcp/$BAD4/7070"
	kill $server
	before=$(dropped)
	! in_pod machine python3 -c "import socket
socket.create_connection(('${POD_IP4[db]}', 9), timeout=1, source_address=('$BAD4', 0))" 2>/dev/null || fail "connected"
	[ "$(dropped)" -gt "$before" ] || fail "the uplink lets SYNs through"
	before=$(to_tc)
	! ping_from $BAD4 0.6 || fail "an answer to a blocked ping"
	[ "$(to_tc)" -gt "$before" ] || fail "not the wall has dropped the ping"
}

#: an interface that comes later is attached to then; one with a foreign program is left alone, told and walled [uplink.foreign]
test_foreign() {
	curtain_up --uplink=up0,up1 --uplink-mode=generic
	wait_until is_attached up0
	"$BUILD/bermctl" status | grep -q 'up1: there is no such interface' || fail "$("$BUILD/bermctl" status)"
	ip link add up1 type veth peer name up1p
	wait_until is_attached up1
	ip link del up1
	agent_stop
	agent_start # takes its programs off
	wait_until is_enforcing
	agent_stop
	"$BUILD/tools/nodectl" xdp-pass up0
	agent_start --uplink=up0
	wait_until is_enforcing
	status '.problems' | grep -q "another XDP program" || fail "$(status .problems)"
	silence || fail "a blocked address gets answers"
	wait_until answers
	ip link set dev up0 xdp off
	wait_until is_attached up0
	drops_early
}

has_pin() { [ -n "$(ls /sys/fs/bpf/berm/uplink 2>/dev/null)" ]; }

#: pins that vanish come back, with the program that was there all the time [uplink.restart] [bpffs.remounted]
test_remounted() {
	local id
	curtain_up --uplink=up0
	wait_until is_attached up0
	id=$(ip -j link show dev up0 | jq '.[0].xdp.prog.id')
	umount /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
	wait_until has_pin
	[ "$(ip -j link show dev up0 | jq '.[0].xdp.prog.id')" = "$id" ] || fail "another program is there"
	settle unapply list.yaml
	ping_from $BAD4 2 || fail "blocked though the rule is gone"
}

#: options that make no sense are refused with what to write [uplink.options]
test_options() {
	local word out
	for word in --uplink= --uplink=a,,b --uplink=a/b --uplink=averyverylongname0 --uplink-mode=fast; do
		! out=$("$BUILD/berm-agent" --manifests=/tmp "$word" 2>&1) || fail "$word is taken"
		grep -qF -e "$word" <<<"$out" || fail "$word: $out"
	done
}

run_tests "$@"
