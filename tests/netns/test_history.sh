#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_history.sh - which documents changed with the last generations, told by the agent over its own restarts.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

history_is() { # JQ WANT, of the newest entry first
	local got
	got=$("$BUILD/bermctl" history -o json | jq -c "$1") || fail "bermctl history"
	[ "$got" = "$2" ] || fail "history $1: $got, want $2"
}

db_in() { # NAME PORT
	policy "$1" <<-YAML
	kind: SegmentationPolicy
	name: $1
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{ports: [{port: $2}]}]
	YAML
}

#: documents that came, changed and went, with digests and time, over a restart of the agent
test_history() {
	local names='[.history[] | [.added, .changed, .removed] | map(map(.policy | sub("SegmentationPolicy default/"; "")) | join(","))]'
	cast db app=db -- web app=web
	listen db 80
	db_in one 80
	curtain_up
	reach web db 80
	history_is "$names" '[["one","",""]]'
	settle db_in two 81
	settle db_in one 82
	block web db 80
	history_is "$names" '[["","one",""],["two","",""],["one","",""]]'
	history_is '[.history[0].changed[0] | .before, .after] | map(length), (.[0] != .[1])' "$(printf '[16,16]\ntrue')"
	settle relabel web app=other # a pod is no document
	history_is '.history | length' 3
	agent_stop
	rm "$MANIFESTS/two.yaml"
	curtain_up
	history_is "$names" '[["","","two"],["","one",""],["two","",""],["one","",""]]'
	history_is '[.history[].policies]' '[1,2,2,1]'
	history_is '[.history[].generation] | (. == (sort | reverse)) and .[0] > 3' true
	history_is '[.history[].time | fromdate] | (. == (sort | reverse)) and (now - .[0] < 600)' true
	history_is '[.history[].digest | length] | unique' '[32]'
	[[ "$("$BUILD/bermctl" history)" == *"+0 ~0 -1"*"-SegmentationPolicy default/two"* ]] || fail "the table: $("$BUILD/bermctl" history)"
	agent_stop # without news nothing is added
	curtain_up
	history_is '.history | length' 4
}

run_tests "$@"
