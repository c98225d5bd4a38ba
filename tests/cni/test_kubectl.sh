#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_kubectl.sh - what `kubectl berm` asks of kubectl, and what it says when that fails. A script stands in for kubectl,
# writes down how it was called, and answers as a cluster of three nodes would.
. "$(dirname "$0")/../lib/sandbox.sh"

ASKED=/run/asked

setup() {
	mkdir -p /run/bin
	ln -s "$BUILD/bermctl" /run/bin/kubectl-berm
	cat >/run/bin/kubectl <<-'SH'
	#!/bin/bash
	printf '%s\n' "$*" >>/run/asked
	case " $* " in
	*' get configmap '*) cat /run/configmap.json ;;
	*' annotate '*) exit "$(cat /run/annotate-status 2>/dev/null || echo 0)" ;;
	*' get pods '*) cat /run/pods.json; exit "$(cat /run/list-status 2>/dev/null || echo 0)" ;;
	*' get pod '*' far '*) printf n1 ;;
	*' get pod '*) [ -e /run/pod-node ] && cat /run/pod-node ;;
	*' exec -i '*' diff --question '*) cat >/run/question; cat /run/answer; exit "$(cat /run/exec-status 2>/dev/null || echo 0)" ;;
	*' exec '*) echo "ran ${*##* -- }"; case "$*" in *agent-2*) exit "$(cat /run/exec-status 2>/dev/null || echo 0)" ;; esac ;;
	esac
	SH
	chmod +x /run/bin/kubectl
	pods agent-1=n1 agent-2=n2 agent-3=n3
}

# pods NAME=NODE...; NAME- does not run
pods() {
	local pod state
	for pod in "$@"; do
		state='{"running":{}}'
		[[ $pod != *-=* ]] || state='{"waiting":{}}'
		jq -n --arg name "${pod%%=*}" --arg node "${pod#*=}" --argjson state "$state" \
			'{metadata: {name: $name}, spec: {nodeName: $node}, status: {containerStatuses: [{name: "agent", state: $state}]}}'
	done | jq -s '{items: .}' >/run/pods.json
}

berm() { : >$ASKED; PATH=/run/bin:$PATH kubectl-berm "$@" >"$SANDBOX_TMP/out" 2>"$SANDBOX_TMP/err"; }
execs() { grep ' exec \|^exec ' $ASKED || :; }
err_has() { grep -qF -- "$1" "$SANDBOX_TMP/err" || fail "said: $(cat "$SANDBOX_TMP/err")"; }

#: all nodes, one after the other, with their names; options go where they belong
test_all() {
	berm status --context east --kubeconfig=/k -w --interval 1s || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | wc -l)" = 3 ] || fail "asked: $(cat $ASKED)"
	[ "$(execs | sort | head -n 1)" = '--context east --kubeconfig /k exec -n berm-system agent-1 -c agent -- /usr/bin/bermctl --color=never status -w --interval 1s' ] ||
		fail "asked: $(execs)"
	berm policies || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(grep -c '^== node n[123]$' "$SANDBOX_TMP/out")" = 3 ] || fail "no titles: $(cat "$SANDBOX_TMP/out")"
	berm flows -o json || fail "$(cat "$SANDBOX_TMP/err")"
	! grep '==' "$SANDBOX_TMP/out" || fail "titles among JSON"
}

#: --node, the node of --pod, another namespace
test_narrow() {
	berm flows --node=n2 || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs)" = 'exec -n berm-system agent-2 -c agent -- /usr/bin/bermctl --color=never flows' ] || fail "asked: $(execs)"
	printf n3 >/run/pod-node
	berm flows --pod shop/db --last 3 || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs)" = 'exec -n berm-system agent-3 -c agent -- /usr/bin/bermctl --color=never flows --pod shop/db --last 3' ] || fail "asked: $(cat $ASKED)"
	grep -q '^get pod -n shop db ' $ASKED || fail "asked: $(cat $ASKED)"
	rm /run/pod-node # a pod that is gone: everybody is asked
	berm flows --pod shop/db || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | wc -l)" = 3 ] || fail "asked: $(cat $ASKED)"
	berm flows --pod 'shop/*' || fail "$(cat "$SANDBOX_TMP/err")"
	! grep -q 'get pod ' $ASKED || fail "a pattern is no pod"
	berm flows --berm-namespace walls || fail "$(cat "$SANDBOX_TMP/err")"
	grep -q 'get pods -n walls' $ASKED && execs | grep -q 'exec -n walls' || fail "asked: $(cat $ASKED)"
	! berm flows --node n9 || fail "no such node"
	err_has 'no agent on node n9'
}

#: `why` asks the nodes of both ends, each once
test_why() {
	printf n3 >/run/pod-node
	berm why shop/far shop/db:5432 --protocol udp || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | sed 's/ -c .*//')" = $'exec -n berm-system agent-1\nexec -n berm-system agent-3' ] || fail "asked: $(cat $ASKED)"
	grep -q '^get pod -n shop db -o' $ASKED || fail "with its port: $(cat $ASKED)"
	berm why shop/web shop/db:5432 || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | sed 's/ -c .*//')" = 'exec -n berm-system agent-3' ] || fail "asked: $(cat $ASKED)"
	berm why 192.0.2.1 192.0.2.2:80 || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | wc -l)" = 3 ] || fail "addresses may be anywhere: $(cat $ASKED)"
}

#: the files of `diff` go to one agent, with their names; its answer is shown here, and the exit status is that of diff
test_diff() {
	printf 'kind: IPSet\nname: office\n' >"$SANDBOX_TMP/a.yaml"
	echo '{"documents": {"added": ["IPSet berm-system/office"], "changed": [], "removed": []}, "held": [], "breaks": [], "edges": [], "changed": false}' >/run/answer
	pods agent-1-=n1 agent-2=n2 agent-3=n3
	berm diff -f "$SANDBOX_TMP/a.yaml" --delete shop/db --context east && fail "something changes: $(cat "$SANDBOX_TMP/out")" || [ $? = 1 ] || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs)" = '--context east exec -i -n berm-system agent-2 -c agent -- /usr/bin/bermctl diff --question' ] || fail "asked: $(cat $ASKED)"
	[ "$(jq -r '.documents[0].text' /run/question)" = "$(cat "$SANDBOX_TMP/a.yaml")" ] || fail "the text: $(cat /run/question)"
	[ "$(jq -r '[.documents[0].source, .delete[0]] | join(" ")' /run/question)" = "$SANDBOX_TMP/a.yaml SegmentationPolicy shop/db" ] || fail "the names: $(cat /run/question)"
	grep -q '^added: IPSet berm-system/office$' "$SANDBOX_TMP/out" || fail "shown: $(cat "$SANDBOX_TMP/out")"
	berm diff -o json --node n3 -f - <"$SANDBOX_TMP/a.yaml" || [ $? = 1 ] || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(jq -r '.documents.added[0]' "$SANDBOX_TMP/out")" = 'IPSet berm-system/office' ] || fail "JSON: $(cat "$SANDBOX_TMP/out")"
	execs | grep -q 'agent-3' || fail "asked: $(cat $ASKED)"
	echo '{"documents": {}, "edges": []}' >/run/answer
	berm diff -f "$SANDBOX_TMP/a.yaml" || fail "nothing changes: $(cat "$SANDBOX_TMP/err")"
	echo 2 >/run/exec-status
	berm diff -f "$SANDBOX_TMP/a.yaml" && fail "no answer" || [ $? = 2 ] || fail "$(cat "$SANDBOX_TMP/err")"
	err_has 'no answer from the agent on node n2 (kubectl ended with 2)'
	berm diff --node n1 -f "$SANDBOX_TMP/a.yaml" && fail "it does not run" || [ $? = 2 ] || fail "$(cat "$SANDBOX_TMP/err")"
	err_has 'no agent runs on node n1'
	berm diff -f /nowhere.yaml && fail "no such file" || [ $? = 2 ] || fail "$(cat "$SANDBOX_TMP/err")"
	! grep -q exec $ASKED || fail "asked with no file: $(cat $ASKED)"
}

#: what goes wrong is said, and the exit status is the worst one
test_errors() {
	echo 1 >/run/exec-status
	! berm status || fail "one node is not enforcing"
	[ "$(execs | wc -l)" = 3 ] || fail "it stopped at the first: $(execs)"
	rm /run/exec-status
	pods agent-1=n1 agent-2-=n2
	! berm status || fail "an agent does not run"
	err_has 'node n2: its agent (pod agent-2-) does not run'
	[ "$(execs | wc -l)" = 1 ] || fail "asked: $(execs)"
	echo '{"items": []}' >/run/pods.json
	! berm status || fail "no agents"
	err_has 'is Berm installed in this cluster'
	echo 1 >/run/list-status
	! berm status || fail "kubectl failed"
	err_has 'cannot list the agents'
	echo 'no JSON' >/run/pods.json
	rm /run/list-status
	! berm status || fail "an answer that is no JSON"
	rm /run/bin/kubectl
	! PATH=/run/bin kubectl-berm status >"$SANDBOX_TMP/out" 2>"$SANDBOX_TMP/err" || fail "without kubectl"
	err_has 'kubectl is not on the PATH'
}

#: confirm NAME annotates the ConfigMap with the digest of its data as it is, and asks no agent; without a name they list
test_confirm() {
	local map='{metadata: {annotations: {"berm.dev/confirm-within": "5m"}}, data: {"b.yaml": "kind: IPSet\n", "a.yaml": ""}}'

	jq -n "$map" >/run/configmap.json
	berm confirm shop/wall --context east || fail "$(cat "$SANDBOX_TMP/err")"
	grep -qx -- '--context east get configmap wall -n shop -o json' $ASKED || fail "asked: $(cat $ASKED)"
	grep -qxE -- '--context east annotate configmap wall -n shop --overwrite berm.dev/confirmed=[0-9a-f]{16}' $ASKED || fail "asked: $(cat $ASKED)"
	[ "$(wc -l <$ASKED)" = 2 ] || fail "asked: $(cat $ASKED)"
	sed -n 's/.*confirmed=//p' $ASKED >/run/digest
	jq -n "$map | .data |= (to_entries | reverse | from_entries)" >/run/configmap.json
	berm confirm wall || fail "$(cat "$SANDBOX_TMP/err")"
	grep -qx "annotate configmap wall --overwrite berm.dev/confirmed=$(cat /run/digest)" $ASKED || fail "asked: $(cat $ASKED)"
	jq -n "$map"' | .data["a.yaml"] = "x"' >/run/configmap.json
	berm confirm wall || fail "$(cat "$SANDBOX_TMP/err")"
	! grep -qF "$(cat /run/digest)" $ASKED || fail "other data, the same digest"
	echo 1 >/run/annotate-status
	! berm confirm wall || fail "kubectl failed"
	jq -n "$map | del(.metadata.annotations)" >/run/configmap.json
	! berm confirm wall || fail "nobody has to confirm it"
	err_has 'has no annotation berm.dev/confirm-within: nobody has to confirm it'
	! grep annotate $ASKED || fail "it is annotated"
	echo 'no JSON' >/run/configmap.json
	! berm confirm wall || fail "an answer that is no JSON"
	berm confirm || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | wc -l)" = 3 ] || fail "asked: $(cat $ASKED)"
}

#: a policy is rolled back on all nodes, a generation on one
test_rollback() {
	berm rollback shop/db || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | wc -l)" = 3 ] || fail "asked: $(cat $ASKED)"
	! berm rollback 7 || fail "a generation of which node?"
	err_has 'generations are counted on each node'
	[ -z "$(execs)" ] || fail "asked: $(cat $ASKED)"
	berm rollback 7 --node n2 || fail "$(cat "$SANDBOX_TMP/err")"
	[ "$(execs | wc -l)" = 1 ] || fail "asked: $(cat $ASKED)"
}

#: lint and help need no cluster
test_local() {
	berm lint -f "$TOP/manifests/examples/shop.yaml" || fail "lint: $(cat "$SANDBOX_TMP/err")"
	berm help && grep -q -- '--node=NODE' "$SANDBOX_TMP/out" || fail "help: $(cat "$SANDBOX_TMP/out")"
	berm flows --help && berm --version || fail "help of a command"
	! berm || fail "no command is wrong usage"
	[ ! -s $ASKED ] || fail "asked: $(cat $ASKED)"
}

run_tests "$@"
