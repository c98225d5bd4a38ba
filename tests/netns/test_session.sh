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

equal() { [ "$2" = "$3" ] || fail "$1: '$2', want '$3'"; }

TALK=$TOP/tests/netns/talk.py

talk_serve() {
	in_pod "$1" "$TALK" serve 90 >"$SANDBOX_TMP/talk.$1" 2>&1 &
	wait_until serves "$SANDBOX_TMP/talk.$1"
}

# db is asked by web at 90, and may not speak first.
asked_only() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {port: 90}]}
	YAML
}

has_session() { [ "$(sessions_of "$1" "$2")" -gt 0 ]; }
state_of() {
	"$BUILD/bermctl" sessions -o json | jq -r --arg pod "$1" --argjson port "$2" \
		'.sessions[] | select(.local.pod == $pod and .local.port == $port) | .tcp_state'
}
is_in_state() { [ "$(state_of "$1" "$2")" = "$3" ]; }

#: a connection may be silent for much longer than it takes to open one, and closed by halves too [session.idle_long]
test_idle_long() {
	local s=7 to pid
	[ -z "${BERM_LONG:-}" ] || s=200
	cast db app=db -- web app=web
	asked_only
	talk_serve db
	curtain_up --timeout-half-open=5 --timeout-closing=5 --timeout-reset=1
	for to in "${POD_IP4[db]}" "${POD_IP6[db]}"; do
		in_pod web "$TALK" idle "$to" 90 $s >"$SANDBOX_TMP/idle.$to" &
		pid=$!
		wait_until is_in_state db 90 established
		wait_until is_in_state db 90 fin-wait-2
		wait $pid
		equal "what came from $to after ${s} s of silence" "$(cat "$SANDBOX_TMP/idle.$to")" "late end"
		wait_until is_in_state db 90 time-wait
		"$BUILD/tools/nodectl" forget-sessions "$(ifindex db)" >/dev/null
	done
	# The control: without its session db may not speak, so silence is what an expired one would look like.
	in_pod web "$TALK" idle "${POD_IP4[db]}" 90 1 >"$SANDBOX_TMP/idle" &
	pid=$!
	wait_until is_in_state db 90 established
	"$BUILD/tools/nodectl" forget-sessions "$(ifindex db)" >/dev/null
	wait $pid
	equal "what came without a session" "$(cat "$SANDBOX_TMP/idle")" "silent "
}

#: the same few ports again and again, however connections end: none is refused [session.port_reuse] [session.rst_fin_reuse]
test_port_reuse() {
	local s=4 to got
	[ -z "${BERM_LONG:-}" ] || s=900
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	asked_only
	talk_serve db
	curtain_up
	for to in "${POD_IP4[db]}" "${POD_IP6[db]}"; do
		got=$(in_pod web "$TALK" churn "$to" 90 $s)
		[[ $got =~ ^([0-9]+)\ of\ ([0-9]+)$ && ${BASH_REMATCH[1]} = "${BASH_REMATCH[2]}" && ${BASH_REMATCH[1]} -gt 20 ]] ||
			fail "connections to $to: $got"
		note "$to: $got"
	done
	equal "packets denied" "$(counter default-deny)" 0
	block spy db 80
}

#: connections of the kernel pass through the states of TCP, and nothing in them is illegal [session.tcp_states]
test_tcp_states() {
	cast db app=db -- web app=web
	listen db 80
	asked_only
	curtain_up
	arrives web db tcp:sport=6000,dport=80,flags=S
	has_session db 6000 || fail "no session of a SYN: $("$BUILD/bermctl" sessions)"
	stream_open talk web db 80
	stream_runs talk
	equal "illegal segments" "$(status .stats.tcp_illegal)" 0
	lost web db tcp:sport=6001,dport=81,flags=S
	arrives web db tcp:sport=6000,dport=80,flags=P
	equal "illegal segments" "$(status .stats.tcp_illegal)" 2 # of web's wall and of db's
}

# The wall of db and the conntrack of web, of the connection from web's port
wall_says() {
	"$BUILD/bermctl" sessions -o json | jq -r --argjson port "$1" \
		'.sessions[] | select(.local.pod == "db" and .peer.port == $port) | .tcp_state'
}
conntrack_says() { in_pod web cat /proc/net/nf_conntrack | awk -v p="sport=$1" '$3 == "tcp" && $9 == p { print $6 }'; }
both_say() { [ "$(wall_says "$1")/$(conntrack_says "$1")" = "$2/$3" ]; }

# agree PORT OURS THEIRS
agree() {
	wait_until both_say "$@" || fail "port $1: $(wall_says "$1")/$(conntrack_says "$1"), want $2/$3"
	note "$2 = $3"
}

conntrack_on() {
	local v p
	for v in iptables ip6tables; do
		p=71
		[ $v = ip6tables ] || p=70
		in_pod web $v -A INPUT -m conntrack --ctstate INVALID -j DROP 2>/dev/null || skip "kernel: no connection tracking"
		in_pod web $v -t raw -A OUTPUT -p tcp --sport ${p}00 --tcp-flags SYN,ACK,RST,FIN ACK -j DROP 2>/dev/null ||
			skip "kernel: no raw table"
		in_pod db $v -A INPUT -p tcp --sport ${p}01 -j DROP
	done
	[ -e /proc/net/nf_conntrack ] || skip "kernel: no /proc/net/nf_conntrack"
}

talk_from() { # PORT MODE SECONDS
	BERM_SPORT=$1 in_pod web "$TALK" "$2" "$to" 90 "$3" >/dev/null 2>&1 &
}

#: a connection has the state that the kernel's own connection tracking gives it [session.tcp_states]
test_conntrack_agrees() {
	local to p=70 # ports of their own for each family: what one leaves behind is still there
	cast db app=db -- web app=web
	asked_only
	talk_serve db
	conntrack_on
	curtain_up
	for to in "${POD_IP4[db]}" "${POD_IP6[db]}"; do
		talk_from ${p}00 idle 1 # its ACKs do not get out
		agree ${p}00 syn-received SYN_RECV
		talk_from ${p}01 idle 1 # its SYN is not heard
		agree ${p}01 syn-sent SYN_SENT
		talk_from ${p}02 idle 2
		agree ${p}02 established ESTABLISHED
		agree ${p}02 fin-wait-2 CLOSE_WAIT
		agree ${p}02 time-wait TIME_WAIT
		talk_from ${p}03 leave 2 # the side that was asked closes first
		agree ${p}03 fin-wait-2 CLOSE_WAIT
		agree ${p}03 time-wait TIME_WAIT
		talk_from ${p}04 reset 1
		agree ${p}04 established ESTABLISHED
		agree ${p}04 closed CLOSE
		"$BUILD/tools/nodectl" forget-sessions "$(ifindex db)" >/dev/null
		p=71
	done
	equal "illegal segments" "$(status .stats.tcp_illegal)" 0
}

#: timeouts are settings: what is out of range is refused, a change swaps programs under running connections
test_timeouts() {
	local out
	cast db app=db -- web app=web
	listen db 80
	web_only
	for out in --timeout-tcp=299 --timeout-half-open=x --timeout-reset=601; do
		! "$BUILD/berm-agent" --manifests "$MANIFESTS" $out >"$SANDBOX_TMP/refused" 2>&1 || fail "$out was accepted"
		grep -Eq 'want [0-9]+ to [0-9]+ seconds' "$SANDBOX_TMP/refused" || fail "$out: $(cat "$SANDBOX_TMP/refused")"
	done
	BERM_TIMEOUT_HALF_OPEN=200 curtain_up --timeout-tcp=600
	equal "the setting" "$(status '.session_settings.timeout_seconds | [."half-open", .tcp, .reset] | join(" ")')" "200 600 10"
	stream_open talk web db 80
	equal "how long it lives" "$(life_of 80)" 600
	agent_stop
	agent_start
	wait_until is_enforcing
	stream_runs talk
	wait_until lives 80 10800
}

# Of db's session at PORT, by the minute: 595 to 605 s are ten.
life_of() {
	"$BUILD/bermctl" sessions --pod db -o json | jq --argjson port "$1" \
		'[.sessions[] | select(.local.port == $port) | (.expires_seconds - 5) / 60 | ceil * 60] | max'
}
lives() { [ "$(life_of "$1")" = "$2" ]; }

#: strict: a connection whose session is lost does not come back, a new one does; nothing but a SYN opens [session.state_lost] [session.ack_tunnel]
test_strict_tcp() {
	cast db app=db -- web app=web
	listen db 80
	asked_only
	BERM_STRICT_TCP=true curtain_up
	equal "the setting" "$(status .session_settings.strict_tcp)" true
	stream_open talk web db 80
	stream_runs talk
	"$BUILD/tools/nodectl" forget-sessions "$(ifindex db)" >/dev/null
	stream_stalls talk
	arrives web db tcp:sport=7000,dport=80,flags=PA # allowed by itself
	! has_session db 7000 || fail "a segment without SYN has opened a session"
	reach web db 80
	agent_stop
	agent_start # not strict: it comes back
	wait_until is_enforcing
	stream_runs talk
}

run_tests "$@"
