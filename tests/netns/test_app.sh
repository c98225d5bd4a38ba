#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_app.sh - what connections are found to carry, with programs that really speak it.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

SPEAK=$TOP/tests/netns/speak.py
PORT=7000 SSH_PORT=7022

equal() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }

scene() {
	cast db app=db -- web app=web
	in_pod db "$SPEAK" serve $PORT $SSH_PORT >"$SANDBOX_TMP/speak" 2>&1 &
	wait_until serves "$SANDBOX_TMP/speak"
	policy db <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- name: web
	  from: [{podSelector: {matchLabels: {app: web}}}]
	  ports: [{port: $PORT}, {port: $SSH_PORT}, {port: $PORT, protocol: UDP}]
	YAML
}

# web says KIND to db by FAMILY; SPORT is where it has spoken from.
speak() {
	local port=$PORT

	[ "$1" != ssh-server ] || port=$SSH_PORT
	SPORT=$(in_pod web "$SPEAK" "$1" "$(addr_of db "$2")" $port) || fail "nobody answers $1"
}

# What db's session from SPORT says of JQ.
session() {
	"$BUILD/bermctl" sessions --pod db --port "$SPORT" -o json |
		jq -r --argjson port "$SPORT" "[.sessions[] | select(.peer.port == \$port)][0] | $1 // \"-\""
}

# Of db's flows from SPORT those that say what they carry, as words.
told() {
	"$BUILD/bermctl" flows --pod db --port "$SPORT" --rule web -o json |
		jq -r 'select(.app) | [.app, .host // "-", .rule.rule] | join(" ")'
}
tells() { [ "$(told)" = "$1" ]; }

tells_soon() {
	local deadline=$((SECONDS + 2))

	until tells "$1"; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep "$POLL_S"
	done
}

# Not each of several in a second is told of, the others are counted as suppressed: then it is said again.
expect_app() { # KIND FAMILY APP HOST
	local _

	for _ in 1 2 3 4 5; do
		speak "$1" "$2"
		equal "what $1 over IPv$2 is" "$(session .app)" "$3"
		! tells_soon "$3 $4 web" || return 0
	done
	fail "$1 over IPv$2 was said five times: $(told)"
}

#: what a connection carries is in its session and, once, in the flows, in both families [pkt.apps]
test_apps() {
	local family
	scene
	curtain_up --apps
	equal "the setting" "$(status .session_settings.apps)" true
	for family in 4 6; do
		expect_app http $family http shop.example
		expect_app tls $family tls shop.example
		expect_app h2 $family h2 -
		expect_app dns $family dns -
		expect_app dns-tcp $family dns -
		expect_app ssh-client $family ssh -
		expect_app other $family unknown -
		expect_app other-udp $family unknown -
		speak split $family
		session .app | grep -qx 'unknown\|http' || fail "a request in two pieces is $(session .app)"
	done
	expect_app tls 4 tls shop.example
	"$BUILD/bermctl" sessions --pod db --port "$SPORT" | grep -q 'TCP/tls ' || fail "the table does not say what it carries"
	"$BUILD/bermctl" flows --pod db --port "$SPORT" | grep -q '  tls shop.example$' || fail "the line does not say so either"
}

#: an SSH server that speaks first, towards a client that says nothing
test_ssh_server() {
	scene
	curtain_up --apps
	speak ssh-server 4
	equal "what it is" "$(session .app)" ssh
	wait_until tells "ssh - web"
}

#: switched off nothing is said; switched on by a restart new connections are looked at, and off again
test_off() {
	scene
	curtain_up
	equal "the setting" "$(status .session_settings.apps)" false
	speak http 4
	equal "what it is" "$(session .app)" -
	equal "whose it is" "$(session .rule.label)" default/db:web
	"$BUILD/bermctl" flows --pod db --port "$SPORT" -o json | jq -e 'has("app")' >/dev/null && fail "the flows say what it carries"
	agent_stop
	BERM_APPS=true agent_start
	wait_until is_enforcing
	speak http 4
	equal "what it is" "$(session .app)" http
	equal "whose it is" "$(session .rule.label)" default/db:web
	agent_stop
	agent_start
	wait_until is_enforcing
	equal "whose it still is" "$(session .rule.label)" default/db:web
	speak http 4
	equal "what it is" "$(session .app)" -
}

run_tests "$@"
