#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_session.sh - connections of a pod that others try to use, to end or to get round.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

PORT=5000 # the client's, so that others can name the connection

web_only() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	YAML
}

# How many sessions POD has with a peer's PORT, whatever their state.
sessions_of() {
	"$BUILD/bermctl" sessions -o json | jq --arg pod "$1" --argjson port "$2" \
		'[.sessions[] | select(.local.pod == $pod and .peer.port == $port)] | length'
}

#: a neighbour with raw sockets neither ends another's connection, nor speaks in it, nor opens one [session.forged]
test_forged() {
	local web db family to
	cast db app=db -- web app=web -- spy app=spy
	cast_wild wild
	listen db 80
	web_only
	curtain_up
	BERM_SPORT=$PORT stream_open talk web db 80
	BERM_SPORT=$PORT stream_open talk6 web db 80 6
	for family in 4 6; do
		if [ $family = 4 ]; then web=${POD_IP4[web]} db=${POD_IP4[db]}; else web=${POD_IP6[web]} db=${POD_IP6[db]}; fi
		to="v=$family,sport=$PORT,dport=80"
		# as web to db, and as db to web: resets, ends, data, SYNs
		counted spoofed-source lost spy db "tcp:$to,src=$web,flags=R" "tcp:$to,src=$web,flags=RA" "tcp:$to,src=$web,flags=FA" \
			"tcp:$to,src=$web,flags=PA" "tcp:$to,src=$web,flags=S" "udp:$to,src=$web"
		lost spy web "tcp:v=$family,sport=80,dport=$PORT,src=$db,flags=R" "tcp:v=$family,sport=80,dport=$PORT,src=$db,flags=SA"
		arrives wild web "tcp:v=$family,sport=80,dport=$PORT,src=$db,flags=A" # web is open: its wall was not it
	done
	stream_runs talk
	stream_runs talk6
	# A session that spy would have made in web's name does not let spy in.
	lost spy db "udp:sport=6000,dport=80,src=${POD_IP4[web]}" "tcp:sport=6000,dport=80,src=${POD_IP4[web]},flags=S"
	BERM_SPORT=6000 block spy db 80 udp
	BERM_SPORT=6000 block spy db 80 tcp
	[ "$(sessions_of db 6000)" = 0 ] || fail "a session came out of forged or denied packets: $("$BUILD/bermctl" sessions)"
	[ "$(sessions_of db $PORT)" = 2 ] || fail "bermctl does not show the sessions that there are"
	BERM_SPORT=6000 reach web db 80 udp
}

#: resets from beside the path that the wall cannot tell apart do not end a session either [session.forged]
test_forged_from_outside() {
	local i
	cast db app=db -- web app=web
	cast_wild wild
	listen db 80
	web_only
	curtain_up
	BERM_SPORT=$PORT stream_open talk web db 80
	# wild has no wall of its own, so db's sees web's address; TCP itself refuses the sequence number.
	for i in 1 2 3; do
		arrives wild db "tcp:sport=$PORT,dport=80,src=${POD_IP4[web]},flags=R,seq=$((i * 1000000007))"
		arrives wild web "tcp:sport=80,dport=$PORT,src=${POD_IP4[db]},flags=R,seq=$((i * 1000000007))"
		stream_runs talk
	done
	lost wild db "tcp:sport=$PORT,dport=81,src=${POD_IP4[web]},flags=R"
}

#: a pod isolated one way cannot talk through segments that are no SYN, nor be talked to [session.ack_tunnel]
test_ack_tunnel() {
	local v flags open=() shut=()
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	web_only
	curtain_up
	for v in 4 6; do
		for flags in A PA SA FA R RA FPA; do
			shut+=("tcp:v=$v,sport=7000,dport=80,flags=$flags" "tcp:v=$v,sport=80,dport=7000,flags=$flags")
			open+=("tcp:v=$v,sport=7000,dport=80,flags=$flags")
		done
	done
	lost spy db "${shut[@]}"
	lost web db "tcp:sport=7000,dport=81,flags=A" "tcp:v=6,sport=80,dport=7000,flags=PA"
	arrives web db tcp:sport=7000,dport=80,flags=A tcp:v=6,sport=7000,dport=80,flags=PA # the rule's own direction
	settle mute
	lost db spy "${shut[@]}"
	lost db web tcp:sport=80,dport=7100,flags=PA # nobody has spoken to it from that port
	arrives spy db "${open[@]}"
	arrives spy web "${open[@]}"
}

mute() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Egress]
	YAML
}

#: a connection outlives its session: it is adopted where its opener's direction is allowed, and only there [session.state_lost]
test_state_lost() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	web_only
	curtain_up
	stream_open talk web db 80
	"$BUILD/tools/nodectl" forget-sessions "$(ifindex db)" >/dev/null || fail "cannot free the sessions of db"
	stream_runs talk
	block spy db 80
}

ifindex() { cat "/sys/class/net/${POD_HOSTIF[$1]}/ifindex"; }

#: works without connection tracking: nothing of ours turns it on [session.no_conntrack]
test_no_conntrack() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	web_only
	curtain_up
	iptables -t raw -A PREROUTING -j NOTRACK 2>/dev/null || skip "kernel: no raw table, so tracking cannot be turned off"
	iptables -t raw -A OUTPUT -j NOTRACK
	reach web db 80
	reach web db 80 udp
	block spy db 80
	stream_open talk web db 80
	stream_runs talk
}

run_tests "$@"
