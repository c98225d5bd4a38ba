#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_audit.sh - a policy is tried on real traffic before it bites: what it would do is told, and nothing is cut
# until it is enforced.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# in_mode MODE [RULE_MODE]: nobody but web may come to db's port 80
in_mode() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: in
	mode: $1
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, mode: ${2:-enforce}, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	YAML
}

# flows_of POD JQ: the flows that POD has opened to db
flows_of() {
	"$BUILD/bermctl" flows --pod db -o json | jq -s "[.[] | select(.source.pod == \"$1\")] | $2"
}
would_be_dropped() { flows_of spy 'any(.verdict == "FORWARDED" and .audit.verdict == "DROPPED" and .audit.reason == "default-deny")' | grep -q true; }
state() { rest GET /v1/policies | jq -r '.policies[] | select(.name == "in").state'; }
has() { grep -q "$2" <<<"$1" || fail "'$1' lacks '$2'"; }

#: audit: traffic flows as before and what would be cut is told; enforced, it is cut [audit.try]
test_try() {
	local epoch line
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	in_mode audit
	curtain_up
	has "$(state)" '^audit$'
	[ "$(endpoint db '.isolated | length')" = 0 ] || fail "an audit policy isolates"
	epoch=$(endpoint db .epoch)
	stream_open four spy db 80 4
	stream_open six spy db 80 6
	reach web db 80
	reach spy db 80 udp
	wait_until would_be_dropped
	flows_of web 'any(has("audit"))' | grep -q false || fail "web would be cut: $(flows_of web .)"
	line=$("$BUILD/bermctl" flows --pod db --verdict audit | tail -n 1)
	has "$line" 'spy .*audit: would be DROPPED by default-deny (isolated by default/in)'
	line=$("$BUILD/bermctl" why default/spy default/db:80 --new)
	has "$line" '^FORWARDED'
	has "$line" 'audit: would be DROPPED, default-deny, isolated by default/in'
	if "$BUILD/bermctl" why default/web default/db:80 --new | grep -q audit; then fail "web has an audit line"; fi
	[ "$(status .stats.audit_denied)" -gt 0 ] || fail "nothing was counted"
	stream_runs four
	settle in_mode enforce
	stream_stalls four
	stream_stalls six
	block spy db 80
	block spy db 80 udp 6
	reach web db 80
	has "$("$BUILD/bermctl" why default/spy default/db:80 --new)" '^DROPPED'
	[ "$(endpoint db .epoch)" != "$epoch" ] || fail "it was never judged again"
	settle in_mode disabled
	reach spy db 80
	stream_runs four
}

#: an audit rule in an enforced policy: the policy denies, the rule says whom it would let in [audit.try]
test_rule() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	in_mode enforce audit
	curtain_up
	block web db 80
	block spy db 80
	wait_until would_be_allowed
	if flows_of spy 'any(has("audit"))' | grep -q true; then fail "spy would be let in"; fi
	has "$("$BUILD/bermctl" why default/web default/db:80)" 'audit: would be FORWARDED by default/in:web (policy-allow)'
	settle in_mode enforce
	reach web db 80
	block spy db 80
	settle in_mode enforce disabled
	block web db 80
}
would_be_allowed() { flows_of web 'any(.verdict == "DROPPED" and .audit.verdict == "FORWARDED" and .audit.rule.rule == "web")' | grep -q true; }

#: an audit policy that comes and goes judges no connection again
test_no_rejudging() {
	local epoch
	cast db app=db -- web app=web
	listen db 80
	policy base <<-YAML
	kind: SegmentationPolicy
	name: base
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: all, from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 80}]}]
	YAML
	curtain_up
	stream_open talk web db 80 4
	epoch=$(endpoint db .epoch)
	settle policy tried <<-YAML
	kind: SegmentationPolicy
	name: tried
	mode: audit
	tier: application
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress: [{name: no, action: Deny, from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: http}, {port: 80}]}]
	YAML
	[ "$(endpoint db .epoch)" = "$epoch" ] || fail "an audit policy has made db be judged again"
	reach web db 80
	settle unapply tried.yaml
	[ "$(endpoint db .epoch)" = "$epoch" ] || fail "the end of an audit policy has made db be judged again"
	stream_runs talk
}

run_tests "$@"
