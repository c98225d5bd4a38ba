#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_veth.sh - which host interface is guarded, which is refused, and who else is on its hooks.
# shellcheck disable=SC2034 # settings that sandbox.sh reads
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/plugin.sh"

WAIT='"waitForPolicy":"100ms"'
OPEN='"waitForPolicy":"100ms","fallback":"allow","bootFallback":"allow"'
BERM_CONF=$OPEN

record_of() { cat "/run/berm/endpoints/$1@${2:-eth0}.json"; }

#: the host side behind real bridge and ptp, found without trusting the result [cni.host_veth]
test_host_veth() {
	local net
	for net in bridge ptp; do
		pod_add "p$net" "net=$net"
		[ "$(record_of "${POD_ID[p$net]}" | jq -r .host_ifname)" = "${POD_HOSTIF[p$net]}" ] || fail "$net: wrong interface"
		is_guarded_dev "${POD_HOSTIF[p$net]}"
		pod_cni CHECK "p$net" || fail "$net: CHECK"
		pod_del "p$net"
	done
	must_leave_nothing
}

#: results without sandbox, without interfaces, with other plugins' oddities [cni.host_veth]
test_host_veth_odd_results() {
	local prev
	veth_add a
	for prev in '{"cniVersion":"1.0.0"}' '{"cniVersion":"1.0.0","interfaces":[{"name":"eth0","mac":"not a mac"}]}' \
		'{"interfaces":[{"name":"h-a","sandbox":"12345"},{"name":"eth0","sandbox":"/other"}],"ips":[{"interface":7.0,"address":"x"}]}' \
		'{"interfaces":null,"ips":null,"dns":[]}' '{"interfaces":{"name":"lo"}}'; do
		call_ok ADD a conf="$WAIT" prev="$prev"
		is_guarded a
		[ "$(nodectl endpoint "$(ifindex_of h-a)" | grep -o ' 10\..*')" = " 10.1.0.2" ] || fail "addresses: $prev"
		call_ok DEL a
	done
	call_ok ADD a conf="$WAIT" prev='{"ips":[{"address":"10.7.7.7/24"}]}'
	nodectl endpoint "$(ifindex_of h-a)" | grep -q ' 10.1.0.2 10.7.7.7$' || fail "an address of the result is missing"
}

#: several interfaces of one pod are several attachments [cni.host_veth]
test_host_veth_several() {
	veth_add a
	ip link add h-second type veth peer name net1 netns a
	call_ok ADD a conf="$WAIT"
	call_ok ADD a conf="$WAIT" ifname=net1
	is_guarded a
	is_guarded second
	call_ok DEL a ifname=net1
	is_not_guarded second
	is_guarded a
	call_ok DEL a
	must_leave_nothing
}

#: a veth whose other end is in a third namespace is refused, whatever has its index here [cni.host_veth]
test_host_veth_third_namespace() {
	veth_add a
	ip netns add b
	ip netns add c
	# Its index in c is the one of h-a here, so that only the namespace tells them apart.
	ip -n c link add index "$(ifindex_of h-a)" name far type veth peer name eth0 netns b
	ip -n b link set eth0 up
	call_fails 101 "not in the node's network namespace" ADD b conf="$WAIT"
	! nodectl hooks "$(ifindex_of h-a)" | grep -q attached=1 || fail "a stranger's interface was taken"
	call_ok ADD a conf="$WAIT"
	is_guarded a
}

#: macvlan has no host veth: refused, or started and reported as not enforced [cni.host_veth]
test_host_veth_not_a_veth() {
	local conf=/run/nets/mv.conflist report='"waitForPolicy":"100ms","onUnsupported":"report"'
	ip link add up0 type veth peer name up1
	ip link set up0 up
	cat >$conf <<-JSON
	{"cniVersion": "1.0.0", "name": "mv", "plugins": [{"type": "macvlan", "master": "up0",
	 "ipam": {"type": "host-local", "dataDir": "/var/lib/cni/networks", "subnet": "10.77.0.0/24"}},
	 {"type": "berm-cni", $WAIT}]}
	JSON
	pod_prepare m "net=$conf"
	! pod_cni ADD m >"$OUT" || fail "a macvlan pod was taken"
	jq -e '.code == 101 and (.msg | contains("of kind '"'macvlan'"'"))' "$OUT" >/dev/null || fail "says $(cat "$OUT")"
	must_leave_nothing
	pod_cni DEL m || fail "DEL after a refused ADD"
	sed -i "s/$WAIT/$report/" $conf
	pod_cni ADD m >"$OUT" || fail "not taken although it should only be reported: $(cat "$OUT")"
	record_of "${POD_ID[m]}" | jq -e '.ifindex == 0 and (.problem | startswith("not enforced"))' >/dev/null ||
		fail "the record does not tell: $(record_of "${POD_ID[m]}")"
	grep -q not-enforced /var/log/berm/cni.log || fail "the log does not tell"
	pod_cni CHECK m || fail "CHECK of a pod that is knowingly not enforced"
	pod_cni DEL m || fail "DEL"
	must_leave_nothing
	call_fails 101 "of kind 'none'" ADD m conf="$WAIT" ifname=lo
}

#: CNI_NETNS that is the node's own namespace is refused [cni.hostnet_mistake]
test_hostnet_mistake() {
	veth_add a
	call_fails 4 "node's own network namespace" ADD a conf="$WAIT" netns=/proc/self/ns/net ifname=h-a
	call_fails 4 "node's own network namespace" ADD a conf="$WAIT,\"onUnsupported\":\"report\"" netns=/proc/1/ns/net ifname=h-a
	! nodectl hooks "$(ifindex_of h-a)" | grep -q attached=1 || fail "attached all the same"
	must_leave_nothing
	call_ok ADD a conf="$WAIT"
	is_guarded a
}

#: the bandwidth plugin before and after us: both work, and so do the pods [cni.bandwidth_both_orders]
test_bandwidth_both_orders() {
	local order shape='{"type": "bandwidth", "ingressRate": 80000000, "ingressBurst": 80000000, "egressRate": 80000000, "egressBurst": 80000000}'
	modprobe ifb 2>/dev/null || ip link add ifbtest type ifb 2>/dev/null || skip "kernel: no ifb devices"
	WITH_BERM=0 net_conf bridge >/dev/null
	for order in "$shape, $(berm_entry)" "$(berm_entry), $shape"; do
		jq --argjson more "[$order]" '.plugins += $more' /run/nets/bridge.conflist >/run/nets/bw.conflist
		pod_add a net=/run/nets/bw.conflist
		pod_add b net=/run/nets/bw.conflist
		is_guarded_dev "${POD_HOSTIF[a]}"
		tc qdisc show dev "${POD_HOSTIF[a]}" | grep tbf >/dev/null || fail "the bandwidth plugin has not shaped"
		listen b 80
		reach a b 80
		pod_cni CHECK a || fail "CHECK"
		pod_del a
		pod_del b
	done
	must_leave_nothing
}

# A pod behind the real bridge that we have not guarded yet; berm_add does that.
plain_pod() {
	WITH_BERM=0 net_conf bridge >/dev/null
	pod_add "$1"
}

berm_add() { call_ok ADD "$1" id="${POD_ID[$1]}" conf="$OPEN${2:+,$2}"; }

#: tc filters of others stay, still decide after our allow, and outlive us [cni.foreign_tc]
test_foreign_tc() {
	local mode dev
	for mode in tcx clsact; do
		plain_pod a
		plain_pod b
		listen b 80
		dev=${POD_HOSTIF[a]}
		nodectl pin stranger 2 /sys/fs/bpf/stranger
		tc qdisc add dev "$dev" clsact
		tc filter add dev "$dev" ingress prio 7 bpf da object-pinned /sys/fs/bpf/stranger
		berm_add a "\"attach\":\"$mode\""
		berm_add b "\"attach\":\"$mode\""
		is_guarded_dev "$dev"
		block a b 80
		tc filter del dev "$dev" ingress prio 7
		reach a b 80
		tc filter add dev "$dev" ingress prio 7 bpf da object-pinned /sys/fs/bpf/stranger
		call_ok DEL a id="${POD_ID[a]}"
		tc filter show dev "$dev" ingress | grep stranger >/dev/null || fail "$mode: the foreign filter is gone"
		wait_until hooks_hold_only_foreign "$dev"
		call_ok DEL b id="${POD_ID[b]}"
		rm /sys/fs/bpf/stranger
		pod_del a
		pod_del b
	done
	must_leave_nothing
}

hooks_hold_only_foreign() { [ "$(nodectl hooks "$(ifindex_of "$1")" | grep -c attached=0)" = 2 ]; }

#: tcx programs of others stay, still decide after our allow, and outlive us [cni.foreign_tcx]
test_foreign_tcx() {
	local dev
	plain_pod a
	plain_pod b
	listen b 80
	dev=${POD_HOSTIF[a]}
	foreign "$dev" out stranger 2
	berm_add a
	berm_add b
	is_guarded_dev "$dev" # and in front of the other one
	block a b 80
	foreign_stop
	reach a b 80
	foreign "$dev" out stranger 2
	call_ok DEL a id="${POD_ID[a]}"
	wait_until sh -c "'$BUILD/tools/nodectl' hooks $(ifindex_of "$dev") | grep '^out.*attached=0 .*before=1 foreign=stranger'"
	foreign_stop
	reach a b 80
}

#: a program that comes before ours is reported, on tcx and on clsact [cni.position]
test_position() {
	veth_add a
	foreign h-a in early -1
	call_ok ADD a conf="$WAIT"
	is_guarded a # we went in front of it
	foreign_stop
	foreign h-a in intruder -1
	call_fails 104 "'intruder'" CHECK a
	grep -qF "may bypass it" "$OUT" || fail "$(cat "$OUT")"
	call_ok CHECK a conf='"onUnsupported":"report"'
	grep -q 'may-bypass.*intruder' "$LOG" || fail "not reported: $(cat "$LOG")"
	foreign_stop
	call_ok CHECK a

	veth_add b
	nodectl pin stranger -1 /sys/fs/bpf/stranger
	tc qdisc add dev h-b clsact
	tc filter add dev h-b egress prio 1 bpf da object-pinned /sys/fs/bpf/stranger
	call_ok ADD b conf="$WAIT,\"attach\":\"clsact\""
	call_fails 104 "'stranger" CHECK b
	tc filter del dev h-b egress prio 1
	call_ok CHECK b
}

#: data paths that redirect past the host veth are refused, or reported [cni.redirect_peer]
test_redirect_peer() {
	local name
	for name in cil_from_cont cali_tc_pream; do
		veth_add a
		foreign h-a out $name -1
		call_fails 101 "$name" ADD a conf="$WAIT"
		must_leave_nothing
		call_ok ADD a conf="$WAIT,\"onUnsupported\":\"report\""
		record_of a | jq -e '.ifindex > 0 and (.problem | startswith("not enforced"))' >/dev/null || fail "$(record_of a)"
		is_guarded a # the pod's egress is
		call_ok DEL a
		foreign_stop
		veth_del a
	done
	veth_add a
	foreign h-a out ciliary -1
	call_ok ADD a conf="$WAIT"
	call_ok DEL a
	foreign_stop

	ip link set h-a down
	ip link set h-a name lxc12ab
	call_ok ADD a conf="$WAIT"
	call_ok DEL a
	ip link add cilium_host type veth peer name cilium_net
	call_fails 101 Cilium ADD a conf="$WAIT"
	ip link set lxc12ab name cali12ab
	call_ok ADD a conf="$WAIT"
	call_ok DEL a
	ip link add bpfin.cali type veth peer name bpfout.cali
	call_fails 101 Calico ADD a conf="$WAIT"
	must_leave_nothing
}

run_tests "$@"
