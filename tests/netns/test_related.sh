#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_related.sh - ICMP errors that isolated pods must hear, and those that they must not.
#
#	db -- node -- router --(MTU 1,300)-- server
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

SERVER4=198.51.100.2 SERVER6=2001:db8:2::2
VIP4=192.0.2.80 VIP6=2001:db8:80::80
SMALL_MTU=1300
MEGABYTES=4

# wire NS DEV ADDR4 ADDR6 PEER_NS PEER_DEV PEER_ADDR4 PEER_ADDR6: a link; - is the node
wire() {
	ip link add "$2" type veth peer name "$6"
	wire_end "$1" "$2" "$3" "$4"
	wire_end "$5" "$6" "$7" "$8"
}

wire_end() {
	local at=()
	[ "$1" = - ] || { ip link set "$2" netns "$1" && at=(-n "$1"); }
	ip "${at[@]}" addr add "$3" dev "$2"
	ip "${at[@]}" addr add "$4" dev "$2" nodad
	ip "${at[@]}" link set "$2" up
}

# The server's own MTU is 1,500: it asks for segments that do not fit through.
outside() {
	ip netns add router
	ip netns add server
	ip -n server link set lo up
	wire - up0 203.0.113.1/24 2001:db8:1::1/64 router down0 203.0.113.2/24 2001:db8:1::2/64
	wire router far0 198.51.100.1/24 2001:db8:2::1/64 server eth0 $SERVER4/24 $SERVER6/64
	ip -n router link set far0 mtu $SMALL_MTU
	in_pod router sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	ip route add 198.51.100.0/24 via 203.0.113.2
	ip -6 route add 2001:db8:2::/64 via 2001:db8:1::2
	ip -n router route add 10.88.0.0/24 via 203.0.113.1
	ip -n router -6 route add fd88::/112 via 2001:db8:1::1
	ip -n server route add default via 198.51.100.1
	ip -n server -6 route add default via 2001:db8:2::1
}

# db may speak with the server's port 90 by TCP, and with nobody else.
walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	essentials: []
	egress:
	- {name: server, to: [{ipBlock: {cidr: $SERVER4/32}}, {ipBlock: {cidr: $SERVER6/128}}], ports: [{port: 90}]}
	- {name: vip, to: [{ipBlock: {cidr: $VIP4/32}}, {ipBlock: {cidr: $VIP6/128}}], ports: [{port: 90}]}
	YAML
}

listens() { in_pod "$1" ss -Hltn "sport = :$2" | grep -q .; }

# upload ADDR FAMILY: db sends megabytes to the server, which gets them as they were
upload() {
	local to=$1 server got=$SANDBOX_TMP/got sent=$SANDBOX_TMP/sent
	[ "$2" = 4 ] || to="[$1]"
	head -c ${MEGABYTES}M /dev/urandom >"$sent"
	ip netns exec server socat -u "TCP$2-LISTEN:90,reuseaddr" "CREATE:$got" &
	server=$!
	wait_until listens server 90
	in_pod db timeout "$WAIT_S" socat -u "OPEN:$sent" "TCP$2:$to:90,connect-timeout=5" || fail "upload to $1: it does not end"
	wait "$server"
	cmp "$sent" "$got" || fail "what came out is not what went in: $1"
}

path_mtu() { ip -n db -j route get "$1" | jq '.[0].metrics[0].mtu // 1500'; }

# quoting REASON SRC SPORT DST DPORT: such an error of the router is counted so
quoting() {
	local reason=$1
	shift
	counted "$reason" quoting_arrives "$reason" "$@"
}

# Counted at once or never: the counter is asked until it has moved.
quoting_arrives() {
	local before
	before=$(counter "$1")
	in_pod router "$TOP/tests/netns/quote.py" "${@:2}"
	wait_until counter_is_past "$1" "$before"
}

counter_is_past() { [ "$(counter "$1")" -gt "$2" ]; }

# Of db's connection to the server.
local_port() { in_pod db ss -Htn state established "dport = :90" | awk '{ print $3 }' | sed 's/.*://' | head -n 1; }

# discovers FAMILY SERVER: the way is found to be narrow; what quotes nothing of db's does not get in
discovers() {
	local port held
	[ "$(path_mtu "$2")" = 1500 ] || fail "db knows the way's MTU already"
	counted related upload "$2" "$1"
	[ "$(path_mtu "$2")" = $SMALL_MTU ] || fail "db has learned an MTU of $(path_mtu "$2"), want $SMALL_MTU"
	ip netns exec server socat -u "TCP$1-LISTEN:90,reuseaddr" /dev/null &
	wait_until listens server 90
	in_pod db socat -u EXEC:"sleep 60" "TCP$1:$([ "$1" = 4 ] && echo "$2" || echo "[$2]"):90" &
	held=$!
	wait_until connected
	port=$(local_port)
	quoting related "$(addr_of db "$1")" "$port" "$2" 90
	quoting default-deny "$(addr_of db "$1")" $((port ^ 1)) "$2" 90
	quoting default-deny "$(addr_of db "$1")" "$port" "$2" 91
	quoting default-deny "$(addr_of db "$1")" 90 "$2" "$port"
	kill "$held"
}

connected() { [ -n "$(local_port)" ]; }

#: an isolated pod learns that the way is narrow, and its upload arrives, IPv4 [pkt.pmtud_v4] [pkt.icmp_garbage_inner]
test_pmtud_v4() {
	cast db app=db
	outside
	walls
	curtain_up
	discovers 4 $SERVER4
}

#: the same with IPv6 [pkt.pmtud_v6] [pkt.icmp_garbage_inner]
test_pmtud_v6() {
	cast db app=db
	outside
	walls
	curtain_up
	discovers 6 $SERVER6
}

#: where the node leads a connection elsewhere, it turns what errors quote back too [pkt.pmtud_v4] [pkt.pmtud_v6] [pkt.icmp_related]
test_pmtud_service() {
	cast db app=db
	outside
	iptables -t nat -A PREROUTING -d $VIP4 -p tcp --dport 90 -j DNAT --to-destination "$SERVER4:90" 2>"$SANDBOX_TMP/nat" ||
		skip "kernel: no NAT: $(cat "$SANDBOX_TMP/nat")"
	ip6tables -t nat -A PREROUTING -d $VIP6 -p tcp --dport 90 -j DNAT --to-destination "[$SERVER6]:90"
	walls
	curtain_up
	counted related upload $VIP4 4
	[ "$(path_mtu $VIP4)" = $SMALL_MTU ] || fail "db has learned nothing about $VIP4: $(path_mtu $VIP4)"
	counted related upload $VIP6 6
	[ "$(path_mtu $VIP6)" = $SMALL_MTU ] || fail "db has learned nothing about $VIP6: $(path_mtu $VIP6)"
}

# asks FROM TO PORT FAMILY WANT
asks() {
	local got
	got=$(in_pod "$1" "$TOP/tests/netns/datagram.py" ask "$(addr_of "$2" "$4")" "$3" 20 1000)
	[ "$got" = "$5" ] || fail "$1 -> $2:$3 v$4: $got, want $5"
}

#: "port unreachable" gets out of one isolated pod and into another, about a flow that both allow [pkt.icmp_related]
test_unreachable() {
	local v
	cast db app=db -- web app=web
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: nine, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{protocol: UDP, port: 9}]}
	---
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Ingress, Egress]
	egress:
	- {name: db, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{protocol: UDP, port: 9}, {protocol: UDP, port: 10}]}
	YAML
	curtain_up
	for v in 4 6; do
		counted related asks web db 9 $v refused
		asks web db 10 $v silent
	done
}

run_tests "$@"
