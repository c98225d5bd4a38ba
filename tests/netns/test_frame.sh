#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_frame.sh - what goes on below IP, with hand-made frames on a real bridge. `spy` is walled and sends,
# `db` is walled and watches; `wild` has no wall: what it sends or sees shows that a frame as such gets through.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

setup() {
	cast db app=db -- spy app=spy
	cast_wild wild
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: nine, from: [{podSelector: {matchLabels: {app: spy}}}], ports: [{protocol: UDP, port: 9}]}
	- {name: wild, from: [{ipBlock: {cidr: ${POD_IP4[wild]}/32}}, {ipBlock: {cidr: "${POD_IP6[wild]}/128"}}]}
	YAML
	curtain_up
}

isolate_spy() {
	settle policy spy <<-YAML
	kind: SegmentationPolicy
	name: spy
	subject: {podSelector: {matchLabels: {app: spy}}}
	isolate: [Ingress, Egress]
	egress:
	- {name: nine, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{protocol: UDP, port: 9}]}
	YAML
}

#: a pod tells ARP only of itself: neither in requests, replies nor announcements of others [pkt.arp_spoof]
test_arp_spoof() {
	local wild4=${POD_IP4[wild]} wild_mac
	wild_mac=$(mac_of wild)
	arrives spy db arp: arp:op=2 arp:spa=0.0.0.0
	counted arp-spoof lost spy db "arp:spa=$wild4" "arp:op=2,spa=$wild4" "arp:op=2,sha=$wild_mac" \
		"arp:op=2,smac=$wild_mac" "arp:spa=$wild4,tpa=$wild4" "arp:op=2,spa=10.88.0.1"
	arrives wild db "arp:op=2,spa=${POD_IP4[spy]}" # so it was the sender's wall
}

#: no neighbour advertisement for the address of another [pkt.arp_spoof]
test_na_spoof() {
	arrives spy db na: ns: "na:src=$(link_local spy),target=$(link_local spy)"
	counted nd-spoof lost spy db "na:target=${POD_IP6[wild]}" na:target=fd88::1 "na:target=$(link_local wild)"
	counted malformed lost spy db na:ttl=64 ns:ttl=1
	counted spoofed-source lost spy db "na:src=${POD_IP6[wild]}" "ns:src=${POD_IP6[wild]}"
	arrives wild db "na:target=${POD_IP6[spy]}"
}

#: no pod is a router: advertisements and redirects stay behind its wall [pkt.rogue_ra]
test_rogue_ra() {
	local here
	here=$(link_local spy)
	arrives spy db "ns:src=$here"
	counted rogue-ra lost spy db ra: "ra:src=$here" redirect: "redirect:src=$here" "ra:src=$here,dmac=33:33:00:00:00:01,dst=ff02::1"
	arrives wild db "ra:src=$(link_local wild)" "redirect:src=$(link_local wild)"
}

#: other ethertypes: not to or from an isolated pod, untouched elsewhere [pkt.foreign_ethertype]
test_foreign_ethertype() {
	arrives spy wild raw: raw:type=0x88cc
	counted foreign-ethertype lost spy db raw: raw:type=0x88cc raw:type=0x8863 raw:dmac=ff:ff:ff:ff:ff:ff
	isolate_spy
	counted foreign-ethertype lost spy wild raw: raw:type=0x88cc
	arrives spy db udp: # the wall has a door
}

#: a VLAN tag, or two, change nothing: what is inside is judged [pkt.vlan]
test_vlan() {
	arrives spy db udp:dport=9 udp:dport=9,vlan=5 udp:dport=9,vlan=0 udp:dport=9,vlan=5,vlan2=6 udp:v=6,dport=9,vlan=5
	lost spy db udp:dport=10 udp:dport=10,vlan=5 udp:dport=10,vlan=0 udp:dport=10,vlan=5,vlan2=6 udp:v=6,dport=10,vlan=5
	lost spy db "udp:vlan=5,src=${POD_IP4[wild]}" arp:vlan=5,spa=10.88.0.1 ra:vlan=5 raw:vlan=5,type=0x88cc
	arrives wild db udp:dport=10,vlan=5,vlan2=6
	arrives spy wild udp:dport=10,vlan=5 raw:vlan=5,type=0x88cc # spy itself is not isolated
}

#: a bridge floods: what is not for the pod stays outside, unicast and by MAC alike [pkt.not_for_pod]
test_not_for_pod() {
	local nobody=02:00:00:00:77:77
	arrives spy wild "udp:dmac=$nobody,dst=10.88.0.200" # the bridge does flood
	counted not-for-pod lost spy db "udp:dmac=$nobody,dst=10.88.0.200" "udp:dst=10.88.0.200" \
		"udp:v=6,dmac=$nobody,dst=fd88::200" "udp:v=6,dst=fd88::200" "tcp:dmac=$nobody,dst=10.88.0.200,flags=A"
	arrives spy db "udp:dmac=$nobody" "udp:v=6,dmac=$nobody" # flooded, but for db
	[ -z "$(rest GET '/v1/flows?last=1000' | grep not-for-pod || :)" ] || fail "floods make events"
}

members_of() { bridge -j mdb show dev cni0 | jq -r --arg port "$1" '[.[].mdb[]? | select(.port == $port).grp] | unique | join(" ")'; }
is_member() { grep -qw "$2" <<<"$(members_of "$1")"; }

#: a bridge learns from an isolated pod which groups it is in; that makes no event [pkt.igmp]
test_igmp() {
	local group=239.1.2.3 ask=igmp:dst=224.0.0.1,dmac=01:00:5e:00:00:01,src=10.88.0.77
	local denied leave=igmp:type=0x17,dst=224.0.0.2,dmac=01:00:5e:00:00:02
	isolate_spy
	ip link set cni0 type bridge mcast_snooping 1 mcast_querier 1
	in_pod db python3 -c "import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton('$group') + socket.inet_aton('${POD_IP4[db]}'))
time.sleep(60)" &
	wait_until is_member "${POD_HOSTIF[db]}" "$group"
	kill $!
	careless_bridge # it would keep some of these to itself
	denied=$(counter default-deny)
	counted link-local arrives wild db "$ask" "$ask,src=0.0.0.0"
	[ "$(counter default-deny)" = "$denied" ] || fail "questions are denied"
	counted default-deny lost wild db "$ask,ttl=2" "$ask,type=0x13" "igmp:src=10.88.0.77"
	counted link-local arrives spy wild "$leave" "$leave,src=0.0.0.0"
	counted spoofed-source lost spy wild "$leave,src=${POD_IP4[db]}"
	counted default-deny lost spy wild "$leave,ttl=2"
	arrives wild db "$ask,ttl=2,src=${POD_IP4[wild]}" # db lets wild in, whatever it sends
}

# Else the bridge itself looks into packets and throws these away. All of it concerns this namespace only.
careless_bridge() {
	local hook

	ip link set cni0 type bridge mcast_snooping 0
	for hook in /proc/sys/net/bridge/bridge-nf-call-{ip,ip6,arp}tables; do
		[ ! -e "$hook" ] || echo 0 >"$hook"
	done
}

#: frames that end too early, and headers that lie about it: not even an open door lets them in [pkt.truncated]
test_truncated() {
	local broken4="udp:data=0,cut=41 udp:data=0,cut=38 udp:cut=34 udp:cut=33 udp:cut=20 udp:cut=15 tcp:cut=53 tcp:cut=46
		tcp:cut=38 echo:cut=37 udp:iplen=200 udp:iplen=19 udp:iplen=27 udp:options=01010101,cut=37 udp:vlan=5,cut=40"
	local broken6="udp:v=6,cut=61 udp:v=6,cut=53 udp:v=6,cut=30 udp:v=6,iplen=200 udp:v=6,iplen=7 tcp:v=6,cut=73
		udp:v=6,vlan=5,cut=50" frame

	cast_wild other
	careless_bridge
	arrives wild db udp: udp:v=6 tcp: tcp:v=6 echo: udp:data=0 udp:v=6,data=0 tcp:data=0 udp:options=01010101
	for frame in $broken4 $broken6 arp:cut=41 arp:cut=20; do
		counted malformed lost wild db "$frame"
	done
	# shellcheck disable=SC2086 # words
	lost spy other $broken4 $broken6 arp:cut=41
	# shellcheck disable=SC2086
	arrives wild other $broken4 $broken6 arp:cut=41
}

run_tests "$@"
