#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_why.sh - what `bermctl why` says of real pods, and that real traffic then goes as it said.
# shellcheck disable=SC2034,SC2154 # sandbox.sh has the arrays
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

why() { "$BUILD/bermctl" why "$@"; }
verdict() { why "$@" -o name; }
says() { # TEXT ARG...: is in what why says
	local text=$1 out
	shift
	out=$(why "$@") || fail "bermctl why $*: $out"
	[[ $out == *"$text"* ]] || fail "no '$text' in: $out"
}
refuses() { # TEXT ARG...: is in its complaint
	local text=$1 out rc=0
	shift
	out=$(why "$@" 2>&1) || rc=$?
	[ "$rc" != 0 ] || fail "bermctl why $* is answered: $out"
	[[ $out == *"$text"* ]] || fail "no '$text' in: $out"
}

shop() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 5432 80
	policy shop <<-YAML
	kind: SegmentationPolicy
	name: db-in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}
	- {name: metrics, from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: 9100, endPort: 9109}]}
	YAML
	curtain_up
}

#: what it says of both ends is what happens, in both families; a denial names what is missing
test_verdicts() {
	shop
	[ "$(verdict default/web default/db:5432)" = FORWARDED ] || fail "web -> db 5432"
	reach web db 5432
	[ "$(verdict default/spy default/db:5432)" = DROPPED ] || fail "spy -> db 5432"
	block spy db 5432
	[ "$(verdict default/web default/db:80)" = DROPPED ] || fail "web -> db 80"
	block web db 80
	[ "$(verdict -6 default/web default/db:5432)" = FORWARDED ] || fail "web -> db 5432 in IPv6"
	reach web db 5432 tcp 6
	says "by default/db-in:web (policy-allow)" default/web default/db:5432
	says "default/db-in:web would allow it if the peer's label app were web (it is spy)" default/spy default/db:5432
	says "default/db-in:web would allow it if the port were TCP 5432" default/web default/db:80
	says "default/db-in:metrics would allow it if 198.51.100.7 were in 192.0.2.0/24" 198.51.100.7 default/db:9105
	says "isolated by default/db-in" default/web default/db:80
	says " column=" default/web default/db:80 -o wide
	has_cell default/web default/db:5432 1
	has_cell default/db 198.51.100.7:443 0 # not isolated: there is no matrix
	[ "$(verdict 192.0.2.9 default/db:9105)" = FORWARDED ] || fail "a block"
	says "host: the node's own traffic" "$(gateway web)" default/db:5432
	says "egress   of default/db: FORWARDED, not-isolated" default/db 198.51.100.7:443
}

# has_cell SRC DST N: of N ends it is said which cell decided, and each end has its own
has_cell() {
	local got
	got=$(why "$1" "$2" -o json | jq '[.ends[].matrix | select(.set >= 16 and .cell >= 0 and .port_class >= 0)] | length')
	[ "$got" = "$3" ] || fail "$1 -> $2: cells of $got ends, want $3"
}

gateway() { ip -n "$1" -j route show default | jq -r '.[0].gateway'; }

#: a denial by a rule names that rule and no other
test_deny_rule() {
	shop
	settle policy shop <<-YAML
	kind: SegmentationPolicy
	name: db-in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: not-spy, action: Deny, from: [{podSelector: {matchLabels: {app: spy}}}]}
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}
	YAML
	says "by default/db-in:not-spy (policy-deny)" default/spy default/db:5432
	! why default/spy default/db:5432 | grep 'would allow' || fail "it names rules that would not have helped"
	[ "$(verdict default/web default/db:5432)" = FORWARDED ] || fail "the control"
}

# What our questions would count if they counted; ND and the like goes on.
verdicts() { status '[.counters.ingress["default-deny", "policy-allow"], .stats["session_new", "event_sent"]] | tostring'; }

#: a question leaves no trace: no session, no counter, no hit; a session that is there is seen, and --new looks past it
test_no_trace() {
	local before port
	shop
	before=$(verdicts)
	for _ in 1 2 3; do
		verdict default/web default/db:5432 >/dev/null
		verdict default/spy default/db:5432 >/dev/null
	done
	[ "$(verdicts)" = "$before" ] || fail "counters: $(verdicts), before $before"
	[ "$(rest GET /v1/rules | jq '[.rules[].hits // 0] | add')" = 0 ] || fail "hits were counted"
	[ "$("$BUILD/bermctl" sessions --count)" = 0 ] || fail "a question made a session"
	load_start live web live=1 "ok=${POD_IP4[db]}:5432"
	wait_until has_session
	port=$(established | head -n 1)
	[ "$(why default/web default/db:5432 --source-port "$port" -o json | jq -r '.ends[1].reason')" = session ] || fail "the session is not seen"
	[ "$(why default/web default/db:5432 --source-port "$port" --new -o json | jq -r '.ends[1].reason')" = policy-allow ] || fail "--new"
	load_stop live
}

# Ports of the clients, oldest session first.
established() { "$BUILD/bermctl" sessions --pod default/db --state established -o json | jq -r '.sessions | sort_by(.expires_seconds)[] | select(.protocol == "TCP") | .peer.port'; }
has_session() { [ -n "$(established)" ]; }

#: questions that make no sense are refused with what is wrong; a pod elsewhere is said to be elsewhere
test_refusals() {
	shop
	refuses "port is missing" default/web default/db
	refuses "no pod 'default/nobody' is known here" default/nobody default/db:1
	refuses "'db' is neither an IP address nor NAMESPACE/POD" default/web db:5432
	refuses "no addresses of the same family" 192.0.2.1 '[2001:db8::1]:80'
	refuses "protocol 'tpc' is none of TCP, UDP, SCTP, ICMP" --protocol tpc default/web default/db:1
	refuses "'70000' is no port" default/web default/db:70000
	refuses "want SRC and DST" default/web
	POD_NS[far]=default POD_UID[far]=$(new_uid)
	pod_object far app=far | sed 's/^spec:.*//' >"$SANDBOX_TMP/far" # its node is another one
	{ cat "$SANDBOX_TMP/far"; printf 'spec: {nodeName: elsewhere}\nstatus: {podIPs: [{ip: 10.77.0.1}], phase: Running}\n'; } | settle apply - pod-far.yaml
	says "UNKNOWN, not on this node (ask elsewhere)" default/web default/far:80
	[ "$(verdict default/web default/far:80)" = UNKNOWN ] || fail "the whole"
	[ "$(rest POST /v1/explain 'no json' | jq -r .error)" = "the body is no JSON object" ] || fail "a body that is no JSON"
}

run_tests "$@"
