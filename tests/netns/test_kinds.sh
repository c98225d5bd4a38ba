#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_kinds.sh - policies that depend on more than themselves: on IPSets and on the time, with real traffic.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

office() { # ADDRESS...: what the IPSet has
	{
		printf 'kind: IPSet\nname: office\ncidrs: ['
		[ $# -eq 0 ] || printf '%s, ' "$@"
		printf ']\n'
	} | policy office
}

db_for_office() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: office, from: [{ipSet: office}], ports: [{port: 80}]}]
	YAML
}

problem_says() { [ "$(status "[.problems[].message] | any(contains(\"$1\"))")" = true ]; }
nothing_said() { [ "$(status '.problems | length')" = 0 ]; }
of() { printf '%s/32 %s/128' "$(addr_of "$1" 4)" "$(addr_of "$1" 6)"; }

#: an IPSet that changes moves what is open, connections with it; broken it stays as it was, over a restart; without it the rule is closed
test_ipset() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	db_for_office
	curtain_up
	block web db 80
	problem_says "there is no IPSet 'office'" || fail "the missing IPSet is not told: $(status .problems)"
	# shellcheck disable=SC2046 # two words
	settle office $(of web)
	wait_until nothing_said || fail "still told: $(status .problems)"
	reach web db 80
	reach web db 80 tcp 6
	block spy db 80
	stream_open talk web db 80
	# shellcheck disable=SC2046
	settle office $(of spy)
	stream_stalls talk
	block web db 80 tcp 6
	reach spy db 80
	office 10.1.2.3/8
	wait_until problem_says "has bits set beyond its prefix" || fail "a broken IPSet is not told"
	agent_stop # what it was is on the disk
	agent_start
	wait_until problem_says "has bits set beyond its prefix" || fail "a broken IPSet is not told after a restart"
	reach spy db 80
	block web db 80
	# shellcheck disable=SC2046
	settle office $(of web)
	stream_runs talk
	settle unapply office.yaml
	block web db 80
	stream_stalls talk
}

in_seconds() { date -u -d "+$1 seconds" +%Y-%m-%dT%H:%M:%SZ; }

until_then() { # MOMENT
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: visit, from: [{podSelector: {matchLabels: {app: web}}}], expires: $1}
	- {name: ban, action: Deny, from: [{podSelector: {matchLabels: {app: spy}}}], expires: $1}
	- {name: rest, from: [{podSelector: {matchLabels: {app: spy}}}]}
	YAML
}

#: an Allow that expires closes by itself and ends its connections, a Deny opens; nobody writes a document
test_expires() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	until_then "$(in_seconds 3600)"
	curtain_up
	reach web db 80
	block spy db 80
	stream_open talk web db 80
	settle until_then "$(in_seconds 3)"
	wait_until problem_says "the rule is not in force any more" || fail "nothing has expired: $(status .problems)"
	stream_stalls talk
	block web db 80
	reach spy db 80
	settle until_then "$(in_seconds 3600)"
	wait_until nothing_said || fail "still told: $(status .problems)"
	stream_runs talk
	block spy db 80
}

run_tests "$@"
