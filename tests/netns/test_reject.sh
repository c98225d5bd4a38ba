#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_reject.sh - Reject, seen by the clients: what they are told, how soon, and that a Drop stays silent. And what
# becomes of connections when policies change that say Keep or Reset.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

TRIES=200

# says WANT FROM TO PORT [tcp|udp] [4|6]: a client's error, or "open", or "silent"
says() {
	local want=$1 got
	shift
	got=$(refusal "$@")
	[ "${got%% *}" = "$want" ] || fail "$1 -> $2:$3 ${4:-tcp} v${5:-4}: $got, want $want"
}

refusal() { in_pod "$1" "$TOP/tests/netns/refuse.py" "${4:-tcp}" "$(addr_of "$2" "${5:-4}")" "$3" "${6:-1}"; }

# The errors that Linux makes of RST, and of "administratively prohibited" in both families.
rejected() {
	says ECONNREFUSED "$1" "$2" "$3" tcp 4
	says ECONNREFUSED "$1" "$2" "$3" tcp 6
	says EHOSTUNREACH "$1" "$2" "$3" udp 4
	says EACCES "$1" "$2" "$3" udp 6
}

silent() {
	local proto v
	for proto in tcp udp; do for v in 4 6; do says silent "$1" "$2" "$3" $proto $v; done; done
}

reachable() {
	local proto v
	for proto in tcp udp; do for v in 4 6; do reach "$1" "$2" "$3" $proto $v; done; done
}

# db rejects but on port 82; jail may speak with db's port 80 only, and hears what it may not.
walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	denyWith: Reject
	ingress:
	- {name: web, from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [web, jail]}]}}],
	   ports: [{port: 80}, {protocol: UDP, port: 80}]}
	- {name: never, action: Deny, ports: [{port: 82}, {protocol: UDP, port: 82}]}
	---
	kind: SegmentationPolicy
	name: jail
	subject: {podSelector: {matchLabels: {app: jail}}}
	isolate: [Egress]
	essentials: []
	egress:
	- {name: db, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	- {name: said, action: Reject, ports: [{port: 81}, {protocol: UDP, port: 81}]}
	YAML
}

core() {
	local BERM_CONF="\"waitForPolicy\": \"5s\", \"attach\": \"$1\""
	cast db app=db -- web app=web -- spy app=spy -- far:net=ptp app=spy -- jail app=jail -- caged:net=ptp app=jail
	listen db 80 81 82
	walls
	curtain_up --attach="$1"
	[ "$(endpoint db .mode)" = "$1" ] || fail "db is attached by $(endpoint db .mode)"
	reachable web db 80
	rejected spy db 80 # by a bridge
	rejected far db 80 # by a route
	rejected web db 81
	silent spy db 82
	reachable jail db 80
	reachable caged db 80
	rejected jail db 81 # on its way out
	rejected caged db 81
	silent jail web 82
	pinged
	told
	networkpolicy
}

# An echo is answered by who filters: ping says so.
pinged() {
	in_pod spy ping -4 -n -c 1 -W 2 "$(addr_of db 4)" >"$SANDBOX_TMP/ping" && fail "ping: an answer came"
	grep -q "Packet filtered" "$SANDBOX_TMP/ping" || fail "ping: $(paste -sd ' ' "$SANDBOX_TMP/ping")"
	in_pod far ping -6 -n -c 1 -W 2 "$(addr_of db 6)" >"$SANDBOX_TMP/ping" && fail "ping: an answer came"
	grep -qi "administratively prohibited" "$SANDBOX_TMP/ping" || fail "ping: $(paste -sd ' ' "$SANDBOX_TMP/ping")"
}

has_flow() { "$BUILD/bermctl" flows -o json --last 500 | jq -es "any(.[]; $1)" >/dev/null; }

told() {
	wait_until has_flow '.verdict == "REJECTED" and .source.pod == "spy" and .destination.pod == "db" and .reason == "default-deny"'
	wait_until has_flow '.verdict == "REJECTED" and .source.pod == "jail" and .rule.rule == "said" and .reason == "policy-deny"'
	wait_until has_flow '.verdict == "DROPPED" and .source.pod == "spy" and .rule.rule == "never"'
	[ "$("$BUILD/bermctl" why default/spy default/db:80 -o name)" = REJECTED ] || fail "why does not say that it is rejected"
	[ "$("$BUILD/bermctl" why default/spy default/db:82 -o name)" = DROPPED ] || fail "why does not say that it is dropped"
	"$BUILD/bermctl" rules -o json | jq -e '.rules[] | select(.rule == "said").action == "reject"' >/dev/null ||
		fail "rules do not say that it rejects"
	[ "$(counter rejection)" -gt 0 ] || fail "no answer was counted"
}

# A NetworkPolicy that isolates too says Drop.
networkpolicy() {
	settle apply - np.yaml <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: db, namespace: default}
	spec: {podSelector: {matchLabels: {app: db}}}
	YAML
	silent spy db 80
	reachable web db 80
	settle unapply np.yaml
	rejected spy db 80
}

#: clients are refused at once, by both hooks, in both families; Drop is silent: tcx [reject.traffic]
test_tcx() {
	has_tcx || skip "kernel: no tcx before 6.6"
	core tcx
}

has_tcx() { printf '%s\n6.6\n' "$(uname -r | grep -oE '^[0-9]+\.[0-9]+')" | sort -CVr; }

#: the same with clsact [reject.traffic]
test_clsact() { core clsact; }

# least FROM TO PORT FAMILY: us from connect() to ECONNREFUSED, the least of many
least() {
	local got
	got=$(refusal "$1" "$2" "$3" tcp "$4" $TRIES)
	[ "${got%% *}" = ECONNREFUSED ] || fail "$1 -> $2:$3: $got"
	echo "${got#* }"
}

#: a refusal takes no longer than that of a closed port [reject.speed]
test_speed() {
	local v closed wall out
	cast db app=db -- web app=web -- spy app=spy -- jail app=jail
	listen db 80
	walls
	curtain_up
	for v in 4 6; do
		closed=$(least spy web 9 $v) # nobody listens there, and nobody isolates web
		wall=$(least spy db 80 $v)
		out=$(least jail db 81 $v)
		note "IPv$v: refused by a closed port after $closed us, by db's wall $wall us, by jail's own $out us"
		[ "$wall" -le $((closed * 2)) ] && [ "$out" -le $((closed * 2)) ] || fail "IPv$v: a refusal is slow"
	done
}

#: whoever sets the mark of our answers in a pod is judged like others [reject.mark]
test_mark() {
	local mark before BERM_MARK
	cast db app=db -- spy app=spy -- jail app=jail
	listen db 80 81 82
	walls
	curtain_up
	mark=$("$BUILD/tools/nodectl" mark)
	before=$(counter rejection)
	export BERM_MARK=$mark
	says silent spy db 82
	says silent spy db 82 udp 6
	says silent jail spy 82 # on its way out
	[ "$(counter rejection)" = "$before" ] || fail "a pod's packet passed for our answer"
	says ECONNREFUSED spy db 80 # the control: an answer is counted so
	[ "$(counter rejection)" -gt "$before" ] || fail "our answer was not counted"
}

# db lets nobody in but SUBJECT; onPolicyChange: MODE
guests() {
	policy guests <<-YAML
	kind: SegmentationPolicy
	name: guests
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	onPolicyChange: $2
	ingress: [{name: guest, from: [{podSelector: {matchLabels: {app: $1}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}]
	YAML
}

stream_ended() { ! kill -0 "${STREAM_PID[$1]}" 2>/dev/null; }

declare -A STREAM_PID
opens() {
	stream_open "$@"
	STREAM_PID[$1]=$!
}

# Connections of db that its side still has.
held() { in_pod db ss -Htn state established "sport = :80" | wc -l; }
none_held() { [ "$(held)" = 0 ]; }

#: Keep: connections live on under a policy that no longer allows them, new ones fail at once [revoke.existing]
test_keep() {
	cast db app=db -- web app=web -- far:net=ptp app=web -- spy app=spy
	listen db 80
	guests web Keep
	curtain_up
	opens four web db 80 4
	opens six web db 80 6
	opens routed far db 80 4
	BERM_SPORT=5000 reach web db 80 udp
	settle guests spy Keep
	block web db 80
	BERM_SPORT=5000 reach web db 80 udp # the same flow as before
	stream_runs four
	stream_runs six
	stream_runs routed
	reach spy db 80
	settle guests spy Recheck
	stream_stalls four
	stream_stalls six
	settle guests spy Keep # what has stopped has stopped
	stream_stalls four
}

#: Reset: both ends of a connection that is no longer allowed are reset, new ones fail, others go on [revoke.existing]
test_reset() {
	cast db app=db -- web app=web -- far:net=ptp app=web -- spy app=spy
	listen db 80
	guests web Reset
	curtain_up
	opens four web db 80 4
	opens six web db 80 6
	opens routed far db 80 4
	[ "$(held)" = 3 ] || fail "db has $(held) connections"
	settle relabel spy app=bystander # the control: a change that takes nothing away
	stream_runs four
	settle guests spy Reset
	wait_until stream_ended four
	wait_until stream_ended six
	wait_until stream_ended routed
	wait_until none_held
	block web db 80
	[ "$(status .stats.session_reset)" -ge 3 ] || fail "$(status .stats.session_reset) resets were counted"
}

#: of several policies the strictest decides: Recheck beside Keep stops connections, Reset beside both resets them
test_strictest() {
	cast db app=db -- web app=web
	listen db 80
	guests web Keep
	policy other <<-YAML
	kind: SegmentationPolicy
	name: other
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	YAML
	curtain_up
	opens one web db 80
	settle guests spy Keep
	stream_stalls one
	! stream_ended one || fail "it was reset"
	settle policy other <<-YAML
	kind: SegmentationPolicy
	name: other
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	onPolicyChange: Reset
	YAML
	wait_until stream_ended one
}

# Their answers, computed anew, in both families, with the checksum of what is rejected left to the device and not.
answers_are_whole() {
	local proto v offload got want
	for proto in tcp udp; do for v in 4 6; do for offload in on off; do
		got=$(in_pod "$1" "$TOP/tests/netns/answers.py" $proto "$(addr_of "$2" $v)" "$3" $offload)
		want=rst
		[ $proto = tcp ] || want=icmp
		[ "$got" = "$want good" ] || fail "$1 -> $2:$3 $proto v$v, offload $offload: $got"
	done; done; done
}

#: the checksums of an answer are right as bytes: nothing of it is left to be computed, whatever was of the packet it is made of [reject.checksum]
test_answers() {
	cast db app=db -- web app=web -- spy app=spy -- far:net=ptp app=spy -- jail app=jail
	listen db 80 81
	walls
	curtain_up
	reachable web db 80
	answers_are_whole spy db 80  # on its way in, by a bridge
	answers_are_whole far db 80  # by a route
	answers_are_whole jail db 81 # on its way out
	[ "$(in_pod web "$TOP/tests/netns/answers.py" udp "$(addr_of db 4)" 82 on)" = silent ] || fail "a Drop was answered" # the control
}

run_tests "$@"
