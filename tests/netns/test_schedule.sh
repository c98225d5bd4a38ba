#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_schedule.sh - windows of time: rules and documents come and go by themselves, with real traffic.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

clock_in() { date -u -d "+$1 seconds" +%H:%M:%S; }
moment_of() { rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\").schedules[0].changes"; }
state_of() { rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\").state"; }
is_open() { [ "$(rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\") | [.schedules[] | .open] | all")" = "$2" ]; }

visit_from() { # FROM TO: web may come between these, in seconds from now
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: visit, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}], schedule: [{from: "$(clock_in "$1")", to: "$(clock_in "$2")"}]}
	- {name: rest, from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: 80}]}
	YAML
}

#: a rule opens and shuts at the edges of its window, established connections with it; nobody writes a document
test_rule() {
	cast db app=db -- web app=web -- friend app=friend
	listen db 80
	visit_from 3600 7200
	curtain_up
	block web db 80
	reach friend db 80
	is_open db false || fail "it is open: $(rest GET /v1/policies)"
	"$BUILD/bermctl" why default/web default/db:80 --new >"$SANDBOX_TMP/why" 2>&1 || true
	grep -q "its schedule were open (it opens at $(moment_of db))" "$SANDBOX_TMP/why" || fail "why says: $(cat "$SANDBOX_TMP/why")"
	visit_from 3 3600
	wait_until is_open db true
	reach web db 80
	stream_open talk web db 80
	settle visit_from -3600 3
	wait_until is_open db false
	stream_stalls talk
	block web db 80
	reach friend db 80
	"$BUILD/bermctl" policies -o wide | grep -q "$(moment_of db)" || fail "no change is shown: $("$BUILD/bermctl" policies -o wide)"
}

wall_until() { # TO
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: wall
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	schedule: [{from: "$(clock_in -3600)", to: "$(clock_in "$1")"}]
	YAML
}

is_in_state() { [ "$(state_of "$1")" = "$2" ]; }

#: a document outside its window is as if it were not there, over a restart of the agent too
test_document() {
	cast db app=db -- web app=web
	listen db 80
	wall_until 3600
	curtain_up
	block web db 80
	is_in_state wall enforced || fail "its state is $(state_of wall)"
	wall_until 3
	wait_until is_in_state wall outside-schedule
	reach web db 80
	agent_stop
	agent_start
	wait_until is_in_state wall outside-schedule
	reach web db 80
	settle wall_until 3600
	block web db 80
}

run_tests "$@"
