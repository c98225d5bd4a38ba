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

own() { # NAME LINE...: a SegmentationPolicy of the system on the database
	printf 'kind: SegmentationPolicy\nname: %s\nnamespace: default\nsubject: {podSelector: {matchLabels: {app: db}}}\n' "$1"
	shift
	printf '%s\n' "$@"
}
ask() { cat >"$SANDBOX_TMP/ask.yaml"; diffs 1 -f "$SANDBOX_TMP/ask.yaml"; }

#: an IPSet that comes or goes and a LabelMapping change what policies mean that are not in the question
test_companions() {
	cast db app=db -- web app=web -- spy app=spy job=web
	listen db 80
	{ own sets 'isolate: [Ingress]' 'ingress: [{name: office, from: [{ipSet: office}]}, {name: role, from: [{workload: {role: web}}]}]'
	  printf -- '---\nkind: IPSet\nname: office\nnamespace: berm-system\ncidrs: [198.51.100.0/24]\n'; } | apply - sets.yaml
	curtain_up
	ask <<-YAML
	{kind: IPSet, name: office, namespace: berm-system, cidrs: [198.51.100.0/24, 203.0.113.0/24, $(addr_of web 4)/32]}
	YAML
	[ "$(jq -c .documents.changed <<<"$DIFF")" = '["IPSet berm-system/office"]' ] || fail "documents: $DIFF"
	has_edge opened 203.0.113.0/24 default/db TCP
	has_edge opened default/web default/db TCP
	[ "$(jq -r '.edges[] | select(.from.pods == ["default/web"] and (.ports | index("TCP"))).family' <<<"$DIFF")" = IPv4 ] || fail "the IPSet has no IPv6: $DIFF"
	lacks_edge opened 198.51.100.0/24 default/db TCP
	lacks_edge opened default/spy default/db TCP
	block web db 80
	diffs 1 --delete IPSet/berm-system/office
	has_edge closed 198.51.100.0/24 default/db TCP
	ask <<-YAML
	{kind: LabelMapping, name: ours, namespace: berm-system, role: [{pod: job}]}
	YAML
	has_edge opened default/spy default/db TCP
}

#: Services, exact flows and what audit would do
test_all_that_counts() {
	cast db app=db -- web app=web -- spy app=spy
	apply - world.yaml <<-YAML
	{apiVersion: v1, kind: Service, metadata: {name: data, namespace: default}, spec: {clusterIP: 10.96.0.10, ports: [{name: sql, port: 5432}]}}
	---
	{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: {name: data-1, namespace: default, labels: {kubernetes.io/service-name: data}},
	 ports: [{name: sql, port: 5432, protocol: TCP}], endpoints: [{addresses: [$(addr_of db 4)], conditions: {ready: true}}]}
	YAML
	curtain_up
	ask <<-YAML
	kind: SegmentationPolicy
	name: web-out
	namespace: default
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	essentials: []
	egress: [{to: [{podSelector: {matchLabels: {app: spy}}}]}]
	flows: [{name: pinned, action: Allow, direction: Egress, protocol: TCP, src: $(addr_of web 4), srcPort: 45000, dst: $(addr_of db 4), dstPort: 5432}]
	YAML
	has_edge closed default/web default/db TCP
	[ "$(jq -c '[.edges[] | select(.to.service == "default/data") | [.change, .to.address, .ports[], .after.direction]]' <<<"$DIFF")" = '[["closed","10.96.0.10","TCP 5432","egress"]]' ] || fail "the Service: $DIFF"
	[ "$(jq '[.edges[] | select(.flow)] | length' <<<"$DIFF")" = 0 ] || fail "the flow stays allowed: $DIFF"
	settle apply "$SANDBOX_TMP/ask.yaml" out.yaml
	[ "$(verdict default/web 10.96.0.10:5432)" = DROPPED ] || fail "why: web -> the Service"
	ask < <(own cut 'isolate: []' "flows: [{name: cut, action: Deny, direction: Ingress, protocol: TCP, src: $(addr_of web 4), srcPort: 45000, dst: $(addr_of db 4), dstPort: 5432}]")
	[ "$(jq -c '[.edges[] | [.change, .from.pods[0], .to.pods[0], .flow.source.port, .after.by]]' <<<"$DIFF")" = '[["closed","default/web","default/db",45000,"rule default/cut:flows/cut"]]' ] || fail "the flow: $DIFF"
	ask < <(own db-in 'isolate: [Ingress]' 'mode: audit' 'ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]')
	has_edge would-close default/spy default/db TCP
	lacks_edge closed default/spy default/db TCP
	lacks_edge would-close default/web default/db TCP
	"$BUILD/bermctl" diff -f "$SANDBOX_TMP/ask.yaml" >"$SANDBOX_TMP/text" || [ $? = 1 ] || fail "text"
	grep -q '^(-) default/spy -> default/db  .*if what is in mode audit were enforced' "$SANDBOX_TMP/text" || fail "text: $(cat "$SANDBOX_TMP/text")"
}

run_tests "$@"
