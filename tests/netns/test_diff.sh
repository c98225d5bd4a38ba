#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_diff.sh - what `bermctl diff` says would change; then it is applied, and `bermctl why` and real traffic say the same.
# shellcheck disable=SC2154 # sandbox.sh has the arrays
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

verdict() { "$BUILD/bermctl" why "$@" -o name; }

# diffs CODE ARG...: exits with it; the answer is in $DIFF
diffs() {
	local want=$1 rc=0
	shift
	"$BUILD/bermctl" diff "$@" -o json >"$SANDBOX_TMP/diff" 2>"$SANDBOX_TMP/diff.err" || rc=$?
	DIFF=$(cat "$SANDBOX_TMP/diff")
	[ "$rc" = "$want" ] || fail "bermctl diff $*: exit $rc, want $want: $DIFF $(cat "$SANDBOX_TMP/diff.err")"
}
# edge CHANGE FROM TO PORT: how many edges say so
edge() {
	jq --arg c "$1" --arg f "$2" --arg t "$3" --arg p "$4" \
		'[.edges[] | select(.change == $c and (.from.pods // [.from.cidr] | index($f)) and (.to.pods // [.to.cidr] | index($t)) and (.ports | index($p)))] | length' <<<"$DIFF"
}
has_edge() { [ "$(edge "$@")" = 1 ] || fail "no edge $*: $DIFF"; }
lacks_edge() { [ "$(edge "$@")" = 0 ] || fail "an edge $*: $DIFF"; }

db_in() { # APP PORT
	cat <<-YAML
	kind: SegmentationPolicy
	name: db-in
	namespace: default
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: one, from: [{podSelector: {matchLabels: {app: $1}}}], ports: [{port: $2}]}
	- {name: office, from: [{ipBlock: {cidr: 192.0.2.0/24}}], ports: [{port: $2}]}
	YAML
}

shop() {
	cast db app=db -- web app=web -- web2 app=web -- spy app=spy
	listen db 5432 80
	db_in web 5432 | apply - shop.yaml
	curtain_up
}

#: what it says would change is what changes; asking changes nothing, and documents as they are change nothing
test_diff() {
	local before
	shop
	reach web db 5432
	block spy db 5432
	before=$(status .generation)
	db_in web 5432 >"$SANDBOX_TMP/same.yaml"
	diffs 0 -f "$SANDBOX_TMP/same.yaml"
	[ "$(jq '.edge_count' <<<"$DIFF")" = 0 ] || fail "the same: $DIFF"

	db_in spy 80 >"$SANDBOX_TMP/new.yaml"
	diffs 1 -f "$SANDBOX_TMP/new.yaml"
	has_edge opened default/spy default/db "TCP 80"
	has_edge closed default/web default/db "TCP 5432"
	has_edge closed default/web2 default/db "TCP 5432"
	has_edge opened 192.0.2.0/24 default/db "TCP 80"
	has_edge closed 192.0.2.0/24 default/db "TCP 5432"
	lacks_edge opened default/spy default/db "TCP 5432"
	lacks_edge opened 0.0.0.0/0 default/db "TCP 80"
	[ "$(jq -r '.edges[] | select(.change == "closed" and .from.count == 2) | [.before.by, .after.by] | join("; ")' <<<"$DIFF")" = \
		"rule default/db-in:one; default-deny by default/db-in" ] || fail "the rules: $DIFF"
	[ "$(jq -r '.documents.changed[0]' <<<"$DIFF")" = "SegmentationPolicy default/db-in" ] || fail "documents: $DIFF"
	[ "$(status .generation)" = "$before" ] || fail "asking made a generation"
	reach web db 5432
	block spy db 80

	db_in spy 80 | settle apply - shop.yaml
	[ "$(verdict default/spy default/db:80)" = FORWARDED ] || fail "why: spy -> db 80"
	[ "$(verdict default/web default/db:5432)" = DROPPED ] || fail "why: web -> db 5432"
	[ "$(verdict 192.0.2.9 default/db:80)" = FORWARDED ] || fail "why: block -> db 80"
	[ "$(verdict 192.0.2.9 default/db:5432)" = DROPPED ] || fail "why: block -> db 5432"
	reach spy db 80
	block web db 5432
	diffs 0 -f "$SANDBOX_TMP/new.yaml"
}

#: a deletion opens what only that document had closed; broken documents and unknown names are refused, with exit 2
test_delete_and_refusals() {
	shop
	diffs 1 --delete default/db-in
	has_edge opened default/spy default/db TCP
	has_edge opened default/web default/db "TCP 1-5431"
	has_edge opened default/spy default/db "UDP"
	has_edge opened 0.0.0.0/0 default/db "ICMP"
	lacks_edge closed default/web default/db "TCP 5432"
	[ "$(jq -r '.documents.removed[0]' <<<"$DIFF")" = "SegmentationPolicy default/db-in" ] || fail "documents: $DIFF"
	diffs 2 --delete default/nobody
	grep -q "there is no SegmentationPolicy default/nobody" "$SANDBOX_TMP/diff.err" || fail "$(cat "$SANDBOX_TMP/diff.err")"
	db_in web 0 >"$SANDBOX_TMP/broken.yaml"
	diffs 2 -f "$SANDBOX_TMP/broken.yaml"
	grep -q "ingress\[0\].ports\[0\].port" "$SANDBOX_TMP/diff.err" || fail "$(cat "$SANDBOX_TMP/diff.err")"
	{ db_in web 80; echo "expect: [{from: default/web, to: default/db, port: 5432, verdict: Allow}]"; } >"$SANDBOX_TMP/held.yaml"
	diffs 1 -f "$SANDBOX_TMP/held.yaml"
	[[ "$(jq -r '.held[0]' <<<"$DIFF")" == "SegmentationPolicy default/db-in: expect[0]: "*"expected Allow, found Deny"* ]] || fail "held: $DIFF"
	[ "$(rest POST /v1/diff 'no json' | jq -r .error)" = "the body is no JSON object" ] || fail "a body that is no JSON"
	[ "$(status .enforcing)" = true ] || fail "the agent is not well"
}

run_tests "$@"
