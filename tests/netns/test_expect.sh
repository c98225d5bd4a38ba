#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_expect.sh - documents that say what must hold: a version of which it does not is not applied, and traffic goes on
# as under the version before.
# shellcheck disable=SC2154 # sandbox.sh has the arrays
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

standing() { rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\").state"; }
stands() { [ "$(standing "$1")" = "$2" ]; }
problem() { status '[.problems[].message] | join(" ")'; }

# db_in PORT EXPECTED: web may reach db on that port, and EXPECTED is what must hold of 5432
db_in() {
	policy shop <<-YAML
	kind: SegmentationPolicy
	name: db-in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: $1}]}
	expect:
	- {from: default/web, to: default/db, port: 5432, verdict: $2}
	- {from: {namespace: default, labels: {app: spy}}, to: default/db, port: 5432, verdict: Deny}
	YAML
}

shop() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 5432 80
	db_in 5432 Allow
	curtain_up
}

#: a version that breaks what it expects is held while the one before it is enforced, over a restart of the agent too
test_held() {
	shop
	[ "$(standing db-in)" = enforced ] || fail "the first version is $(standing db-in)"
	reach web db 5432
	block spy db 5432
	db_in 80 Allow
	wait_until stands db-in held
	reach web db 5432
	block web db 80
	block spy db 5432
	[[ "$(problem)" == *"default/app=web -> default/app=db TCP/5432: expected Allow, found Deny (ingress: default-deny by default/db-in)"* ]] || fail "status says: $(problem)"
	agent_stop
	curtain_up
	[ "$(standing db-in)" = held ] || fail "after a restart it is $(standing db-in)"
	reach web db 5432
	block web db 80
	db_in 80 Deny
	wait_until stands db-in enforced
	wait_until is_settled
	reach web db 80
	block web db 5432
	[ -z "$(problem)" ] || fail "status still says: $(problem)"
}

#: a held version goes as soon as the documents that it needs are there
test_others_arrive() {
	shop
	policy out <<-YAML
	kind: SegmentationPolicy
	name: web-out
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress:
	- {to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 5432}]}
	YAML
	wait_until stands web-out enforced
	wait_until is_settled
	policy shop <<-YAML
	kind: SegmentationPolicy
	name: db-in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}, {port: 80}]}
	expect:
	- {from: default/web, to: default/db, port: 80, verdict: Allow}
	YAML
	wait_until stands db-in held
	block web db 80
	reach web db 5432
	policy out <<-YAML
	kind: SegmentationPolicy
	name: web-out
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress:
	- {to: [{podSelector: {matchLabels: {app: db}}}]}
	YAML
	wait_until stands db-in enforced
	wait_until is_settled
	reach web db 80
}

says() { [[ "$(problem)" == *"$1"* ]]; }
says_nothing() { [ -z "$(problem)" ]; }

#: what is in force stays when another document breaks what it expects, and it is told; with that document that is over
test_broken_by_another() {
	shop
	policy lock <<-YAML
	kind: SegmentationPolicy
	name: lock
	priority: 1
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: []
	ingress: [{name: all, action: Deny, from: [{podSelector: {matchLabels: {app: web}}}]}]
	YAML
	wait_until stands lock enforced
	wait_until says "does not hold any more: default/app=web -> default/app=db TCP/5432: expected Allow, found Deny (ingress: rule default/lock:all)"
	[ "$(standing db-in)" = enforced ] || fail "it is $(standing db-in)"
	[ "$(status '.problems[0] | "\(.severity) \(.field) \(.document)"')" = "warning expect[0] SegmentationPolicy default/db-in" ] || fail "status says: $(status .problems)"
	[ "$(rest GET /v1/policies | jq '.policies[] | select(.name == "db-in").problems | length')" = 1 ] || fail "not beside its policy"
	block web db 5432
	unapply lock.yaml
	WAIT_S=15 wait_until says_nothing || fail "status still says: $(problem)"
	reach web db 5432
}

run_tests "$@"
