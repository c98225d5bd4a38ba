#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_rollback.sh - a node that goes back to earlier policies, and forward again.
# shellcheck disable=SC2154 # sandbox.sh has the arrays
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# wall NAME LABEL: only pods with app=LABEL may reach db on 80
wall() {
	policy "$1" <<-YAML
	kind: SegmentationPolicy
	name: $1
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: in, from: [{podSelector: {matchLabels: {app: $2}}}], ports: [{port: 80}]}]
	YAML
}

bermctl() { "$BUILD/bermctl" "$@" 2>"$SANDBOX_TMP/err" || fail "bermctl $*: $(cat "$SANDBOX_TMP/err")"; }
rollback() { bermctl rollback "$@" | paste -sd, ; }
refused() {
	! "$BUILD/bermctl" rollback "$@" >/dev/null 2>"$SANDBOX_TMP/err" || fail "rollback $* is not refused"
}
standing() { rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\").state"; }
stands() { [ "$(standing "$1")" = "$2" ]; }
generation() { rest GET /v1/history | jq -r ".history[$1].generation"; }
said() { grep -qF -- "$1" "$SANDBOX_TMP/err" || fail "said: $(cat "$SANDBOX_TMP/err")"; }
P='SegmentationPolicy default'

shop() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	wall one web
	curtain_up
	reach web db 80
	block spy db 80
}

#: back by one, over a restart of the agent, and until the document changes; --cancel
test_last() {
	shop
	settle wall one spy
	reach spy db 80
	block web db 80
	[ "$(rollback --dry-run)" = "change: $P/one" ] || fail "$(rollback --dry-run)"
	reach spy db 80 # it did nothing
	block web db 80
	[ "$(settle rollback)" = "change: $P/one" ] || fail "it said otherwise"
	reach web db 80
	block spy db 80
	said "on this node only"
	stands one rolled-back || fail "it is $(standing one)"
	[[ "$(status '.problems[].message')" == "rolled back on this node: 1 policies"* ]] || fail "$(status .problems)"
	settle wall two web # another document: it does not end it
	stands one rolled-back || fail "it is $(standing one)"
	agent_stop
	curtain_up
	stands one rolled-back || fail "after a restart it is $(standing one)"
	reach web db 80
	block spy db 80
	[ "$(settle rollback --cancel)" = "as the document says: $P/one" ] || fail "it said otherwise"
	wait_until stands one enforced
	wait_until is_settled
	reach spy db 80
	reach web db 80 # by two
	settle rollback default/one >/dev/null
	block spy db 80
	settle wall one web # its document changes
	stands one enforced || fail "it is $(standing one)"
	[ "$(status '.problems | length')" = 0 ] || fail "$(status .problems)"
	reach web db 80
	block spy db 80
}

#: back by several: what came goes, what went comes again; forward again; what is not there is refused
test_generation() {
	local first

	shop
	first=$(generation 0)
	settle wall one spy
	settle wall two web
	settle rm "$MANIFESTS/one.yaml"
	block spy db 80
	[ "$(rollback --dry-run "$first" | tr , '\n' | sort | paste -sd,)" = "remove: $P/two,restore: $P/one" ] || fail "$(rollback --dry-run "$first")"
	settle rollback "$first" >/dev/null
	stands one rolled-back || fail "one is $(standing one)"
	stands two rolled-back || fail "two is $(standing two)"
	reach web db 80
	block spy db 80
	agent_stop
	curtain_up
	stands one rolled-back || fail "after a restart one is $(standing one)"
	reach web db 80
	block spy db 80
	[ "$(rest GET /v1/policies | jq -r '[.policies[] | "\(.name) \(.isolate | length)"] | sort | join(",")')" = "one 1,two 0" ] || fail "$(rest GET /v1/policies)"
	settle rollback >/dev/null # the rollback itself was the last change
	stands two enforced || fail "two is $(standing two)"
	[ -z "$(standing one)" ] || fail "one is $(standing one)"
	reach web db 80
	block spy db 80
	refused 4711
	said "no such generation"
	refused default/nobody
	said "no policy default/nobody has changed"
	rm -r /var/lib/berm/undo
	refused
	said "is not kept"
	block spy db 80
}

run_tests "$@"
