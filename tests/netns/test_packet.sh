#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_packet.sh - IP packets of pods that do not keep to the rules of the game, or test their finer points.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# db: isolated both ways; spy may send it UDP to port 9, and db may talk to anybody's port 7.
walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: nine, from: [{podSelector: {matchLabels: {app: spy}}}], ports: [{protocol: UDP, port: 9}, {port: 9}]}
	YAML
}

#: a pod sends from its own addresses only, both families, bridge and ptp [pkt.spoofed_source]
test_spoofed_source() {
	local ptp_mac
	cast db app=db -- spy app=spy -- far:net=ptp app=spy
	cast_wild wild
	walls
	curtain_up
	arrives spy db udp: udp:v=6 tcp:
	counted spoofed-source lost spy db udp:src=10.88.0.200 "udp:src=${POD_IP4[wild]}" "udp:src=${POD_IP4[far]}" \
		udp:src=0.0.0.0 udp:src=10.88.0.1 tcp:src=10.88.0.200 echo:src=8.8.8.8 ip:src=8.8.8.8
	counted spoofed-source lost spy db udp:v=6,src=fd88::200 "udp:v=6,src=${POD_IP6[far]}" udp:v=6,src=:: \
		"udp:v=6,src=$(link_local spy)" tcp:v=6,src=fd88::1
	counted loopback-source lost spy db udp:src=127.0.0.1 udp:v=6,src=::1
	counted malformed lost spy db "udp:v=6,src=::ffff:${POD_IP4[spy]}"
	# What the wall took was in order but for its source.
	lost spy wild udp:src=10.88.0.200 udp:v=6,src=fd88::200
	arrives wild spy "udp:src=${POD_IP4[far]}" "udp:v=6,src=${POD_IP6[far]}"
	ptp_mac=$(cat "/sys/class/net/${POD_HOSTIF[far]}/address")
	arrives far db "udp:routed=9,dmac=$ptp_mac"
	counted spoofed-source lost far db "udp:routed=9,dmac=$ptp_mac,src=10.89.0.77" "udp:routed=9,dmac=$ptp_mac,src=${POD_IP4[spy]}"
	lost far db "udp:routed=9,dmac=$ptp_mac,v=6,src=fd89::77"
}

#: an address of one family opens nothing in the other; a pod is both [pkt.dual_stack]
test_dual_stack() {
	local proto
	cast db app=db -- spy app=spy -- web app=web
	listen db 80 81
	curtain_up
	reach web db 80 tcp 4
	reach web db 80 tcp 6
	settle policy four <<-YAML
	kind: SegmentationPolicy
	name: four
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: v4, from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}, {protocol: UDP, port: 81}]}
	YAML
	for proto in tcp udp; do
		reach spy db 80 $proto 4
		block spy db 80 $proto 6
		reach web db 81 $proto 4
		reach web db 81 $proto 6
		block spy db 81 $proto 4
		block spy db 81 $proto 6
	done
	settle policy four <<-YAML
	kind: SegmentationPolicy
	name: six
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: v6, from: [{ipBlock: {cidr: "::/0"}}], ports: [{port: 80}]}
	YAML
	reach spy db 80 tcp 6
	block spy db 80 tcp 4
}

# ping_pong FAMILY: db may ping, spy may not, and an identifier in use opens no way back
ping_pong() {
	ping_ok db spy "$1" -e 77
	ping_silent spy db "$1" -e 77
	ping_silent spy db "$1" -e 78
	ping_ok db spy "$1" -e 77
	lost spy db "reply:v=$1,id=79" "echo:v=$1,id=77"
}

#: echo has two directions: whoever may ping need not be pinged, even with the same identifier [pkt.echo_both_ways]
test_echo_both_ways() {
	cast db app=db -- spy app=spy
	curtain_up
	ping_ok spy db 4
	ping_ok spy db 6
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	YAML
	ping_pong 4
	ping_pong 6
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Egress]
	YAML
	ping_ok spy db 4 -e 80
	ping_silent db spy 4 -e 80
	ping_ok spy db 6 -e 80
	ping_silent db spy 6 -e 80
}

# It has answered, lately or less so (REACHABLE, DELAY, STALE, PROBE), which an unresolved one has not.
knows() { ip -n "$1" -j -6 neigh show "${POD_IP6[$2]}" dev eth0 | jq -e '.[0].lladdr' >/dev/null; }

#: neighbour discovery is not asked for a policy, echo is [pkt.nd_vs_echo]
test_nd_vs_echo() {
	cast db app=db -- spy app=spy
	listen db 9
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: all
	subject: {podSelector: {}}
	isolate: [Ingress, Egress]
	YAML
	curtain_up
	ip -n spy neigh flush dev eth0
	ip -n db neigh flush dev eth0
	! knows spy db && ! knows db spy || fail "the neighbours are known already"
	ping_silent spy db 6
	knows spy db || fail "db's wall ate the solicitation or the answer: $(ip -n spy -6 neigh)"
	ping_silent db spy 6
	knows db spy || fail "spy's wall ate the solicitation or the answer: $(ip -n db -6 neigh)"
	block spy db 9 udp 6
	settle unapply walls.yaml
	ping_ok spy db 6
	ping_ok db spy 6
}

#: IPv4 options move the ports, and hide none [pkt.ip_options]
test_ip_options() {
	local nop=01010101 rr=070b04000000000000000000 long
	long=$(printf '01%.0s' {1..40})
	cast db app=db -- spy app=spy
	cast_wild wild
	walls
	curtain_up
	arrives spy db "udp:options=$nop" "udp:options=$rr" "udp:options=$long" "tcp:options=$long"
	counted default-deny lost spy db "udp:options=$nop,dport=10" "udp:options=$rr,dport=10" \
		"udp:options=$long,dport=10" "tcp:options=$long,dport=10" "echo:options=$nop" "ip:options=$nop"
	arrives spy wild "udp:options=$nop,dport=10" "udp:options=$long,dport=10" # so it was db's wall
	# Ports of an allowed flow where a parser that takes the header for 20 bytes would look for them.
	lost spy db udp:options=0fa00009,dport=10 udp:options=0fa0000901010101,dport=10
}

#: a protocol that we cannot look into needs a rule without ports [pkt.unknown_l4]
test_unknown_l4() {
	cast db app=db -- spy app=spy -- web app=web
	walls
	curtain_up
	lost spy db ip:proto=253 ip:v=6,proto=253 ip:proto=47 ip:proto=50
	arrives spy web ip:proto=253 ip:v=6,proto=253 ip:proto=47
	settle policy more <<-YAML
	kind: SegmentationPolicy
	name: more
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: any, from: [{podSelector: {matchLabels: {app: web}}}]}
	YAML
	arrives web db ip:proto=253 ip:v=6,proto=253
	lost spy db ip:proto=253 ip:v=6,proto=253
}

MEGABYTES=20

# bulk FROM TO PORT FAMILY: what arrives is what was sent
bulk() {
	local listener=TCP$4-LISTEN addr got=$SANDBOX_TMP/got sent=$SANDBOX_TMP/sent server
	addr=$(addr_of "$2" "$4")
	[ "$4" = 4 ] || addr="[$addr]"
	head -c ${MEGABYTES}M /dev/urandom >"$sent"
	ip netns exec "$2" socat -u "$listener:$3" "CREATE:$got" &
	server=$!
	wait_until listens "$2" "$3"
	in_pod "$1" socat -u "OPEN:$sent" "TCP$4:$addr:$3,connect-timeout=5" || fail "bulk $1 -> $2:$3 v$4"
	wait "$server"
	cmp "$sent" "$got" || fail "what came out is not what went in, v$4"
}

listens() { in_pod "$1" ss -Hltn "sport = :$2" | grep -q .; }

# Bytes per packet of db's sessions on PORT.
packet_size() {
	"$BUILD/bermctl" sessions -o json | jq --argjson port "$1" \
		'[.sessions[] | select(.local.pod == "db" and .local.port == $port) | .bytes.ingress / .packets.ingress] | max | floor'
}

#: packets far bigger than the MTU, with all their data outside the linear part, are judged like others [pkt.gso] [pkt.nonlinear]
test_gso() {
	local v
	cast db app=db -- web app=web -- far:net=ptp app=web -- spy app=spy
	listen db 80
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 90, endPort: 93}]}
	YAML
	curtain_up
	for v in 4 6; do
		bulk web db $((86 + v)) $v
		bulk far db $((86 + v + 1)) $v
		[ "$(packet_size $((86 + v)))" -gt 4000 ] || fail "no big packets: $(packet_size $((86 + v))) bytes each, so nothing was tested"
	done
	block spy db 80
	[ "$(counter malformed)" = 0 ] || fail "packets were taken for malformed"
}

run_tests "$@"
