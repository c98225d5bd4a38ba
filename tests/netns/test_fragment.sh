#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_fragment.sh - datagrams that do not fit into one packet, between pods that are isolated.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

DATAGRAM=$TOP/tests/netns/datagram.py
BYTES=4000 # three pieces at an MTU of 1,500

# echoes POD PORT...: sends big datagrams back
echoes() {
	local pod=$1 out=$SANDBOX_TMP/echoes.$1
	shift
	in_pod "$pod" "$DATAGRAM" serve "$@" >"$out" 2>&1 &
	wait_until serves "$out"
}

# big FROM TO PORT FAMILY [BYTES]: what comes back
big() { in_pod "$1" "$DATAGRAM" ask "$(addr_of "$2" "$4")" "$3" "${5:-$BYTES}" "$MS"; }

big_ok() {
	local MS=4000 got
	got=$(big "$@")
	[ "$got" = whole ] || fail "$1 -> $2:$3 v$4, $BYTES bytes: $got, want them back"
}

big_silent() {
	local MS=600 got
	got=$(big "$@")
	[ "$got" = silent ] || fail "$1 -> $2:$3 v$4, $BYTES bytes: $got, want silence"
}

# made POD FAMILY: fragments that it has sent
made() {
	local file=snmp6
	[ "$2" = 6 ] || file=snmp
	in_pod "$1" awk -v v="$2" '
		v == 6 && $1 == "Ip6FragCreates" { print $2 }
		v == 4 && $1 == "Ip:" && n { print $n }
		v == 4 && $1 == "Ip:" { for (i = 2; i <= NF; i++) if ($i == "FragCreates") n = i }' "/proc/net/$file"
}

# in_pieces CMD POD ...: and they were sent in pieces
in_pieces() {
	local before
	before=$(made "$2" "$5")
	"$1" "${@:2}"
	[ "$(made "$2" "$5")" -ge $((before + 3)) ] || fail "$2 has sent no fragments with IPv$5"
}

# Both ends are isolated both ways; web may ask db's port 9.
walls() {
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
}

#: datagrams bigger than the MTU reach a port that is allowed, and no other [pkt.later_fragment] [pkt.v6_fragment]
test_big_datagrams() {
	local v
	cast db app=db -- web app=web -- spy app=spy
	echoes db 9 10
	curtain_up
	for v in 4 6; do
		in_pieces big_ok web db 10 $v # nothing is isolated yet
	done
	settle walls
	for v in 4 6; do
		in_pieces big_ok web db 9 $v
		big_ok web db 9 $v
		counted fragment in_pieces big_silent web db 10 $v
		counted fragment in_pieces big_silent spy db 9 $v
		big_ok web db 9 $v 20000
	done
	[ "$(counter malformed)" = 0 ] || fail "fragments were taken for malformed"
}

# Connection tracking puts datagrams together when the node takes them in, and they are fragmented anew on
# their way out. The second rule counts those that the node has had in one piece.
track() {
	local tables
	for tables in iptables ip6tables; do
		$tables -A FORWARD -m conntrack --ctstate ESTABLISHED 2>"$SANDBOX_TMP/track" &&
			$tables -A FORWARD -m length --length 3000: 2>"$SANDBOX_TMP/track" ||
			skip "kernel: no connection tracking or no length match: $(cat "$SANDBOX_TMP/track")"
	done
}

# put_together FAMILY: so many datagrams
put_together() {
	local tables=iptables
	[ "$1" = 4 ] || tables=ip6tables
	$tables -nvxL FORWARD | awk '/length/ { print $1 }'
}

#: datagrams that the node put together and fragmented again are judged alike, and are not the node's own [pkt.v6_refragmented] [pkt.later_fragment]
test_made_again() {
	local v
	cast db:net=ptp app=db -- web:net=ptp app=web -- spy:net=ptp app=spy
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	echoes db 9 10
	track
	curtain_up
	for v in 4 6; do
		in_pieces big_ok spy db 9 $v
		[ "$(put_together $v)" = 2 ] || fail "the node has put together $(put_together $v) datagrams of IPv$v, want 2"
	done
	settle walls
	for v in 4 6; do
		in_pieces big_ok web db 9 $v
		in_pieces big_silent web db 10 $v
		in_pieces big_silent spy db 9 $v
	done
	# Under an address of the node: still not the node's own.
	iptables -t nat -A POSTROUTING -s "${POD_IP4[spy]}" -j MASQUERADE 2>"$SANDBOX_TMP/nat" ||
		skip "kernel: no NAT: $(cat "$SANDBOX_TMP/nat")"
	ip6tables -t nat -A POSTROUTING -s "${POD_IP6[spy]}" -j MASQUERADE
	for v in 4 6; do
		in_pieces big_silent spy db 9 $v
		in_pieces big_ok web db 9 $v
	done
}

run_tests "$@"
