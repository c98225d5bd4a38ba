#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_confirm.sh - a policy that somebody must confirm in time: it is enforced at once, and without a confirmation
# traffic goes on as before.
# shellcheck disable=SC2154 # sandbox.sh has the arrays
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# wall NAME LABEL [ANNOTATION...]: only pods with app=LABEL may reach db on 80
wall() {
	local name=$1 label=$2 notes
	shift 2
	printf -v notes '%s, ' "$@" "berm.dev/note: x"
	apply - "$name.yaml" <<-YAML
	apiVersion: v1
	kind: ConfigMap
	metadata:
	  name: $name
	  namespace: default
	  labels: {berm.dev/policy: v1}
	  annotations: {${notes%, }}
	data:
	  policy.yaml: |
	    kind: SegmentationPolicy
	    name: $name
	    subject: {podSelector: {matchLabels: {app: db}}}
	    isolate: [Ingress]
	    ingress: [{name: in, from: [{podSelector: {matchLabels: {app: $label}}}], ports: [{port: 80}]}]
	YAML
}

GUARD='berm.dev/confirm-within: 1h'
over() { touch -d '2 hours ago' "$MANIFESTS/$1.yaml"; } # the deadline: this file has been there for so long
standing() { rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\").state"; }
stands() { [ "$(standing "$1")" = "$2" ]; }
confirmations() { rest GET /v1/confirmations | jq -r "[.confirmations[] | $1] | join(\" \")"; }
problems() { status '[.problems[] | "\(.severity) \(.document): \(.message)"] | join(" ")'; }

shop() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
}

#: without a confirmation the version before is in force again, over a restart of the agent too; a new version starts anew
test_back() {
	shop
	wall one web
	curtain_up
	reach web db 80
	block spy db 80
	settle wall one spy "$GUARD"
	stands one unconfirmed || fail "it is $(standing one)"
	reach spy db 80
	block web db 80
	[[ "$(problems)" == "warning ConfigMap default/one: version "*" is awaiting confirmation until 20"* ]] || fail "status: $(problems)"
	[ "$(confirmations '.name + .state')" = onewaiting ] || fail "$(confirmations .)"
	wall one spy 'berm.dev/confirm-within: 2s'
	wait_until stands one rolled-back
	wait_until is_settled
	reach web db 80
	block spy db 80
	[[ "$(problems)" == "error ConfigMap default/one: version "*" was not confirmed until "*": rolled back to the version before (documents: 1)" ]] || fail "status: $(problems)"
	agent_stop
	curtain_up
	stands one rolled-back || fail "after a restart it is $(standing one)"
	reach web db 80
	block spy db 80
	settle wall one spy # without a guard
	stands one enforced || fail "it is $(standing one)"
	reach spy db 80
	block web db 80
	[ -z "$(problems)" ] || fail "status: $(problems)"
	[ -z "$(confirmations .name)" ] || fail "$(confirmations .name)"
}

#: what has been confirmed stays, and a confirmation that comes late brings the version into force again
test_confirmed() {
	local digest

	shop
	wall one web
	wall two web
	curtain_up
	wall one spy "$GUARD"
	wall two spy "$GUARD"
	wait_until stands one unconfirmed
	wait_until stands two unconfirmed
	digest=$(confirmations 'select(.name == "one").digest')
	wall one spy "$GUARD" "berm.dev/confirmed: \"$digest\""
	wait_until stands one enforced
	over one
	settle over two
	stands two rolled-back || fail "it is $(standing two)"
	stands one enforced || fail "it is $(standing one)"
	reach spy db 80
	reach web db 80 # by two
	digest=$(confirmations 'select(.name == "two").digest')
	wall two spy "$GUARD" "berm.dev/confirmed: \"$digest\""
	wait_until stands two enforced
	wait_until is_settled
	block web db 80
	reach spy db 80
}

#: a policy that is new goes altogether; on a node that is new itself it stays, and that is told
test_new() {
	shop
	curtain_up
	reach web db 80
	settle wall one spy "$GUARD"
	block web db 80
	reach spy db 80
	settle over one
	[ -z "$(standing one)" ] || fail "it is $(standing one)"
	reach web db 80
	[[ "$(problems)" == *"rolled back; there was none before"* ]] || fail "status: $(problems)"
	agent_stop
	rm -rf /var/lib/berm
	curtain_up
	stands one unconfirmed || fail "it is $(standing one)"
	[[ "$(problems)" == *"this node never had the version before, and keeps it"* ]] || fail "status: $(problems)"
	block web db 80
	reach spy db 80
}

#: an agent that was off over the deadline goes back when it starts
test_off() {
	shop
	wall one web
	curtain_up
	block spy db 80
	agent_stop
	wall one spy "$GUARD"
	over one
	curtain_up
	stands one rolled-back || fail "it is $(standing one)"
	reach web db 80
	block spy db 80
}

#: a length of time that is none: told with its place, and the documents stay as they were
test_bad() {
	shop
	wall one web
	curtain_up
	wall one spy 'berm.dev/confirm-within: soon'
	wait_until stands one invalid-last-good
	wait_until is_settled
	reach web db 80
	block spy db 80
	[ "$(status '.problems[] | "\(.source):\(.line)"')" = one.yaml:7 ] || fail "$(status .problems)"
	[[ "$(problems)" == *"'soon' is no length of time: want numbers with h, m and s"* ]] || fail "status: $(problems)"
}

run_tests "$@"
