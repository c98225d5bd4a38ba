#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_bermctl.sh - every command of bermctl against real pods, with and without an agent.
# shellcheck disable=SC2317 # tests are called by name
# shellcheck source=tests/lib/sandbox.sh
. "$(dirname "$0")/../lib/sandbox.sh"

CTL=$BUILD/bermctl

# Runs bermctl; leaves out, err and rc.
ctl() {
	rc=0
	"$CTL" "$@" >"$SANDBOX_TMP/out" 2>"$SANDBOX_TMP/err" || rc=$?
	out=$(cat "$SANDBOX_TMP/out")
	err=$(cat "$SANDBOX_TMP/err")
}

expect_rc() { [ "$rc" -eq "$1" ] || fail "exit status $rc, want $1: $out $err"; }
expect_out() { [[ $out == *"$1"* ]] || fail "no '$1' in: $out"; }
expect_no_out() { [[ $out != *"$1"* ]] || fail "'$1' in: $out"; }
expect_err() { [[ $err == *"$1"* ]] || fail "no '$1' on stderr: $err"; }

# The last output as JSON must make this jq expression true.
expect_json() {
	local answer

	answer=$(jq -r "$1" "$SANDBOX_TMP/out" 2>&1) || fail "no JSON: $answer: $out"
	[ "$answer" = true ] || fail "'$1' is $answer in: $out"
}

# web may talk to db on 5432; a stranger may not.
policy() {
	cat <<-YAML
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: shop-segmentation, namespace: shop, labels: {berm.dev/policy: v1}}
	data:
	  policy.yaml: |
	    kind: SegmentationPolicy
	    name: db-in
	    subject: {podSelector: {matchLabels: {app: db}}}
	    isolate: [Ingress]
	    ingress:
	    - {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}
	YAML
}

pod_with_label() {
	POD_NS[$1]=$2 POD_UID[$1]=$(new_uid)
	pod_object "$1" "app=$1" | apply - "pod-$1.yaml"
	pod_add "$1" "ns=$2" "uid=${POD_UID[$1]}" "${@:3}"
}

policy_is_enforced() { "$CTL" policies -o json 2>/dev/null | jq -e '[.policies[].state] == ["enforced"]' >/dev/null; }
is_enforcing() { "$CTL" status >/dev/null 2>&1; }

setup() {
	agent_start
	pod_with_label web shop
	pod_with_label db shop
	pod_with_label stranger other net=ptp
	listen db 5432
	policy | apply - shop.yaml
	wait_until policy_is_enforced
	wait_until is_enforcing
}

flow_is_there() {
	"$CTL" flows --last 1 "$@" -o json 2>/dev/null | jq -e . >/dev/null
}

#: status says that the node enforces, in every format
test_status() {
	ctl status
	expect_rc 0
	expect_out enforcing
	expect_out "3, 3 enforced, 0 on their fallback"
	ctl status -o json
	expect_rc 0
	expect_json '.enforcing and .reasons == [] and .agent.running and .endpoints.total == 3 and .generation > 0'
	expect_json '.programs | map(.pinned) == [true, true]'
	expect_json '.sessions.max > 0 and (.maps | map(.name) | index("peers") != null)'
	ctl status -o wide
	expect_out REASON
	ctl status -o yaml
	expect_out "enforcing: true"
	ctl status -o name
	expect_out "$(hostname)"
}

#: a hook that lost its program is seen: status exits with 1 and names the pod
test_status_not_enforcing() {
	ctl status
	expect_rc 0
	agent_stop KILL # it would repair what this test breaks
	rm "/sys/fs/bpf/berm/links/$(ctl endpoints -o json; jq -r '.endpoints[] | select(.pod == "db").ifindex' "$SANDBOX_TMP/out")_in"
	ctl status
	expect_rc 1
	expect_out "NOT ENFORCING"
	expect_out "pod shop/db"
	ctl status -o json
	expect_rc 1
	expect_json '.enforcing == false and (.endpoints.not_enforced | map(.pod) == ["db"])'
	ctl endpoints
	expect_out "not enforced"
}

#: without a data path status exits with 1, and says so
test_status_without_data_path() {
	agent_stop KILL
	umount -l /sys/fs/bpf
	mount -t bpf bpf /sys/fs/bpf
	ctl status
	expect_rc 1
	expect_out "not loaded"
	ctl sessions
	expect_rc 1
	expect_err "not loaded"
}

#: endpoints shows every pod, its isolation and its hooks
test_endpoints() {
	ctl endpoints
	expect_rc 0
	expect_out "${POD_IP4[db]}"
	ctl endpoints -o wide
	expect_out "app=db"
	ctl endpoints -o json
	expect_json '.endpoints | length == 3 and all(.enforced and .hooks.ingress.attached and .hooks.egress.attached)'
	expect_json '.endpoints[] | select(.pod == "db") | .isolated == ["ingress"]'
	expect_json '.endpoints[] | select(.pod == "web") | .isolated == []'
	ctl endpoints -o name
	expect_out "shop/db"
	[ "$(wc -l <"$SANDBOX_TMP/out")" -eq 3 ] || fail "not one name a line: $out"
}

#: policies shows state and problems of each document
test_policies() {
	ctl policies -o json
	expect_rc 0
	expect_json '.policies | length == 1 and .[0].name == "db-in" and .[0].subjects == 1'
	ctl policies -o name
	expect_out "segmentationpolicy/shop/db-in"
	policy | sed 's/podSelector/podSelektor/' | apply - shop.yaml
	wait_until policy_is_invalid
	ctl policies
	expect_out invalid-last-good
	expect_out "did you mean 'podSelector'"
	ctl status -o json
	expect_json '.problems[0].line > 0 and .policies.invalid == 1'
}

policy_is_invalid() { "$CTL" policies -o json | jq -e '.policies[0].state | startswith("invalid")' >/dev/null; }

#: rules counts what each decided
test_rules() {
	reach web db 5432
	block stranger db 5432
	ctl rules -o json
	expect_rc 0
	expect_json '.rules[] | select(.policy == "db-in") | .hits > 0 and .rule == "web" and .action == "allow"'
	expect_json '.rules[] | select(.reason == "default-deny") | .hits > 0 and .action == "deny"'
	ctl rules -n shop
	expect_out "shop/db-in"
	expect_out default-deny
	ctl rules -n other
	expect_no_out "shop/db-in"
	expect_err "no rules"
	ctl rules --policy 'shop/db-*' -o name
	expect_out "shop/db-in:web"
	ctl rules --unused
	expect_no_out web
}

#: sessions reads the table, with filters
test_sessions() {
	stream_open s web db 5432
	ctl sessions --pod shop/db --state established -o json
	expect_rc 0
	expect_json '.matching == 1 and (.sessions | length == 1)'
	expect_json '.sessions[0] | .direction == "ingress" and .local.port == 5432 and .peer.pod == "web" and .protocol == "TCP"'
	expect_json '.sessions[0] | .rule.label == "shop/db-in:web" and .packets.ingress > 2 and .expires_seconds > 0'
	ctl sessions --pod shop/db --state established
	expect_out "shop/web:"
	ctl sessions --peer "${POD_IP4[web]}" --port 5432 --state established --count
	[ "$out" = 1 ] || fail "one session to db, counted: $out"
	ctl sessions --peer "${POD_IP4[stranger]}" --state established --count
	[ "$out" = 0 ] || fail "no session of the stranger, counted: $out"
	ctl sessions -n other
	expect_err "no sessions match"
	ctl sessions -o yaml --limit 1
	expect_out "matching: "
	ctl sessions --limit 1
	[ "$(wc -l <"$SANDBOX_TMP/out")" -eq 2 ] || fail "more than one row: $out"
	expect_err "--limit=0 shows all"
}

#: flows names pods, verdict, direction and rule
test_flows() {
	reach web db 5432
	block stranger db 5432
	wait_until flow_is_there --verdict dropped --pod stranger
	ctl flows --pod shop/db --port 5432 --direction ingress --verdict forwarded -o json
	expect_rc 0
	jq -se 'length >= 1 and all(.source.pod == "web" and .rule.policy == "db-in" and .rule.rule == "web")' \
		"$SANDBOX_TMP/out" >/dev/null || fail "allowed flows are not those of web: $out"
	ctl flows --verdict dropped --port 5432 --last 1
	expect_out "other/stranger"
	expect_out "default-deny (isolated by shop/db-in)"
	ctl flows --rule shop/db-in:web --last 1 -o json
	expect_json '.destination.port == 5432'
	ctl flows --since 1h --namespace nowhere
	expect_rc 0
	expect_err "no flows match"
	ctl flows --since 2020-01-01T00:00:00Z --port 5432 --last 1 -o wide
	expect_out "labels=app="
	ctl flows -o yaml --last 1
	expect_out "verdict: "
}

follower_sees_stranger() {
	block stranger db 5432
	grep -q stranger "$SANDBOX_TMP/follow"
}

#: flows -f shows new flows once, and goes on
test_flows_follow() {
	reach web db 5432
	wait_until flow_is_there --pod web --port 5432
	"$CTL" flows -f --last 0 --verdict dropped -o json >"$SANDBOX_TMP/follow" &
	local pid=$!
	wait_until follower_sees_stranger # tried again: what happened before it listened is the past
	! grep -q FORWARDED "$SANDBOX_TMP/follow" || fail "the filter lets allowed flows through"
	! grep -q '"pod":"web"' "$SANDBOX_TMP/follow" || fail "--last 0 shows the past"
	kill -0 $pid || fail "flows -f has ended by itself"
	kill $pid
	wait $pid 2>/dev/null || true # by our signal
}

#: without an agent, status, endpoints, rules and sessions come from the kernel
test_without_agent() {
	stream_open s web db 5432
	block stranger db 5432
	agent_stop KILL
	ctl status
	expect_rc 0
	expect_out "no agent"
	ctl status -o json
	expect_json '.enforcing and (.agent.running | not) and .endpoints.total == 3'
	ctl endpoints -o json
	expect_rc 0
	expect_err "no agent"
	expect_json '.endpoints | length == 3 and all(.enforced)'
	expect_json '.endpoints[] | select(.pod == "db") | .isolated == ["ingress"] and .namespace == "shop"'
	ctl rules -o json
	expect_rc 0
	expect_json '.rules[] | select(.policy == "db-in") | .rule == "web" and .namespace == "shop" and .hits > 0'
	ctl sessions --pod db --state established -o json
	expect_json '.sessions[0].rule.label == "shop/db-in:web"'
	ctl flows
	expect_rc 1
	expect_err "flows come from the agent"
	ctl policies
	expect_rc 1
	expect_err "known to the agent only"
	ctl version
	expect_rc 0
	expect_out "not running"
}

#: an agent that answers nonsense is reported, not believed
test_bad_agent() {
	agent_stop KILL
	rm -f /run/berm/agent.sock
	printf '#!/bin/sh\nread -r _\nprintf "HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\n{nope"\n' >"$SANDBOX_TMP/nonsense"
	chmod 755 "$SANDBOX_TMP/nonsense"
	socat UNIX-LISTEN:/run/berm/agent.sock,fork EXEC:"$SANDBOX_TMP/nonsense" &
	wait_until test -S /run/berm/agent.sock
	ctl policies
	expect_rc 1
	expect_err "is no JSON"
	ctl status -o json
	expect_json '.agent.running == false and (.agent.error | contains("JSON"))'
}

#: lint finds in files what the agent finds, without root and agent
test_lint() {
	agent_stop KILL
	policy >"$SANDBOX_TMP/good.yaml"
	policy | sed 's/podSelector: {matchLabels: {app: db}}/podSelektor: {}/' >"$SANDBOX_TMP/bad.yaml"
	chmod 755 "$SANDBOX_TMP"
	ctl lint -f "$SANDBOX_TMP/good.yaml"
	expect_rc 0
	ctl lint -f "$SANDBOX_TMP/bad.yaml"
	expect_rc 1
	expect_out "bad.yaml:8:15: error: "
	expect_out "did you mean 'podSelector'?"
	expect_out "^"
	ctl lint -f "$SANDBOX_TMP/good.yaml" -f "$SANDBOX_TMP/bad.yaml" -o json
	expect_rc 1
	expect_json '.documents == 2 and .errors == 1 and .problems[0].line == 8 and .problems[0].column == 15'
	rc=0
	"$CTL" lint -f - <"$SANDBOX_TMP/bad.yaml" >"$SANDBOX_TMP/out" 2>&1 || rc=$?
	expect_rc 1
	grep -q 'stdin):8:15' "$SANDBOX_TMP/out" || fail "standard input is not read"
	ctl lint -f "$SANDBOX_TMP/absent.yaml"
	expect_rc 1
	expect_err "absent.yaml: No such file"
	ctl lint
	expect_rc 2
	install -m 755 "$CTL" "$SANDBOX_TMP/bermctl"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$SANDBOX_TMP/bermctl" lint -f "$SANDBOX_TMP/good.yaml" 2>/dev/null ||
		fail "lint needs root"
}

#: lint --agent: the agent's pods count
test_lint_with_agent() {
	policy >"$SANDBOX_TMP/good.yaml"
	policy | sed 's/app: web/app: wep/' >"$SANDBOX_TMP/ghost.yaml"
	ctl lint --agent -f "$SANDBOX_TMP/good.yaml" -o json
	expect_rc 0
	expect_json '.problems == []'
	ctl lint -f "$SANDBOX_TMP/ghost.yaml" -o json
	expect_json '.problems == []'
	ctl lint --agent --strict -f "$SANDBOX_TMP/ghost.yaml" -o json
	expect_rc 1
	expect_json '[.problems[].code] == ["selects-nothing"] and (.problems[0].message | contains("3 pods"))'
	agent_stop KILL
	ctl lint --agent -f "$SANDBOX_TMP/good.yaml"
	expect_rc 1
	expect_err "agent.sock"
}

#: colours, broken pipes, full disks and wrong usage
test_manners() {
	ctl status
	expect_no_out $'\033'
	ctl status --color=always
	expect_out $'\033'
	NO_COLOR=1 ctl status --color=always
	expect_out $'\033'
	ctl status --color=sometimes
	expect_rc 2
	ctl status -o xml
	expect_rc 2
	ctl sessions -o name
	expect_rc 2
	ctl no-such-command
	expect_rc 2
	ctl status extra
	expect_rc 2
	ctl flows --since yesterday
	expect_rc 2
	"$CTL" endpoints --color=always -o json | head -n 1 >/dev/null
	[ "${PIPESTATUS[0]}" -eq 0 ] || fail "endpoints | head is a failure"
	rc=0
	"$CTL" help >/dev/full 2>"$SANDBOX_TMP/err" || rc=$?
	[ "$rc" -eq 1 ] || fail "a full disk is no failure"
	grep -q "No space left" "$SANDBOX_TMP/err" || fail "it does not say that the disk is full"
	for command in status endpoints policies rules sessions flows lint version completion help; do
		ctl "$command" --help
		expect_rc 0
		expect_out "Example:"
		ctl help "$command"
		expect_rc 0
		expect_out "Example:"
	done
}

#: -w shows it again, JSON one document a line
test_watch() {
	rc=0
	timeout 2 "$CTL" endpoints -o json -w --interval 100ms >"$SANDBOX_TMP/out" || rc=$?
	[ "$rc" -eq 124 ] || fail "it ends by itself with $rc"
	jq -se 'length > 3 and all(.endpoints | length == 3)' "$SANDBOX_TMP/out" >/dev/null || fail "no stream of documents"
	"$CTL" endpoints -w --interval 100ms | head -n 3 >/dev/null
	[ "${PIPESTATUS[0]}" -eq 0 ] || fail "a reader that goes away is a failure"
}

#: version, completion and the name kubectl-berm
test_version_and_completion() {
	ctl version -o json
	expect_rc 0
	expect_json '.abi == '"${PINS##*v}"' and (.bermctl | startswith("'"$(cat "$TOP/VERSION")"'")) and .agent == .bermctl'
	ctl --version
	expect_out "$(cat "$TOP/VERSION")"
	"$CTL" completion bash | diff - "$TOP/deploy/completions/bermctl.bash" || fail "deploy/completions is out of date"
	"$CTL" completion zsh | diff - "$TOP/deploy/completions/_bermctl" || fail "deploy/completions is out of date"
	"$CTL" completion fish | diff - "$TOP/deploy/completions/bermctl.fish" || fail "deploy/completions is out of date"
	bash -c '. "$1"; COMP_WORDS=(bermctl sess) COMP_CWORD=1; _bermctl; [ "${COMPREPLY[*]}" = sessions ]' - \
		"$TOP/deploy/completions/bermctl.bash" || fail "bash does not complete"
	ln -s "$CTL" "$SANDBOX_TMP/kubectl-berm"
	[[ $("$SANDBOX_TMP/kubectl-berm" help) == *"usage: kubectl berm"* ]] || fail "it does not know its other name"
}

run_tests "$@"
