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
	in_pod db env PATIENCE_S="${SERVER_PATIENCE_S:-10}" "$SPEAK" serve $PORT $SSH_PORT >"$SANDBOX_TMP/speak" 2>&1 &
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

# Rules of db that want what is spoken on each port; $1 is what becomes of others.
scene_wants() {
	local SERVER_PATIENCE_S=0.5 # of one that is cut it hears nothing more

	scene
	policy db <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- name: web
	  from: [{podSelector: {matchLabels: {app: web}}}]
	  ports: [{port: $PORT}]
	  app: {protocol: http, onMismatch: $1}
	- name: ssh
	  from: [{podSelector: {matchLabels: {app: web}}}]
	  ports: [{port: $SSH_PORT}]
	  app: {protocol: ssh}
	- name: names
	  from: [{podSelector: {matchLabels: {app: web}}}]
	  ports: [{port: $PORT, protocol: UDP}]
	  app: {protocol: dns}
	YAML
}

# web says KIND to db by FAMILY, and is not answered.
silent() {
	local port=$PORT

	[ "$1" != http-ssh ] || port=$SSH_PORT
	! in_pod web env PATIENCE_S=0.7 "$SPEAK" "${1%-ssh}" "$(addr_of db "$2")" "$port" >"$SANDBOX_TMP/silent" 2>&1 ||
		fail "$1 over IPv$2 was answered"
}

mismatches() {
	"$BUILD/bermctl" flows --pod db --rule "$1" -o json |
		jq -r 'select(.reason == "app-mismatch") | [.app, .verdict, .rule.rule] | join(" ")'
}
mismatch_says() { mismatches "$1" | grep -qx "$2"; }

#: a rule that wants one application lets it through and cuts others on the same port, in both families [app.rule]
test_wanted() {
	local family
	scene_wants Deny
	curtain_up --apps
	for family in 4 6; do
		speak http $family
		equal "what it is" "$(session .app)" http
		counted app-mismatch silent tls $family
		silent ssh-client $family
		silent other $family
		speak dns $family
		silent other-udp $family
		speak ssh-server $family
		equal "what it is" "$(session .app)" ssh
		speak http $family
	done
	wait_until mismatch_says web "tls DROPPED web" # not each of several in a second is told of
	wait_until mismatch_says names "unknown DROPPED names"
	equal "what the rule says" "$("$BUILD/bermctl" rules -o json | jq -r '.rules[] | select(.rule == "web") | .app + " " + .on_mismatch')" "http deny"
}

#: with Reject the client hears of it at once, and a policy that stops to want lets it through [app.change]
test_wanted_reject() {
	local before
	scene_wants Reject
	curtain_up --apps
	before=$SECONDS
	! in_pod web "$SPEAK" ssh-client "$(addr_of db 4)" $PORT >"$SANDBOX_TMP/reset" 2>&1 || fail "SSH was answered"
	grep -q ConnectionResetError "$SANDBOX_TMP/reset" || fail "no reset: $(tail -n 1 "$SANDBOX_TMP/reset")"
	[ $((SECONDS - before)) -lt 5 ] || fail "the reset took $((SECONDS - before)) s"
	speak http 4
	settle scene_forgets
	speak ssh-client 4
	settle scene_wants_again
	! in_pod web "$SPEAK" ssh-client "$(addr_of db 4)" $PORT >"$SANDBOX_TMP/reset" 2>&1 || fail "SSH was answered again"
	speak http 4
}
scene_forgets() { sed '/app: {protocol/d' "$MANIFESTS/db.yaml" | apply - db.yaml; }
scene_wants_again() { sed "s/ports: \\[{port: $PORT}\\]/&\n      app: {protocol: http, onMismatch: Reject}/" "$MANIFESTS/db.yaml" | apply - db.yaml; }

#: where nobody looks such a document is refused by the name of the option, and its last good version stays [app.off]
test_wanted_off() {
	scene
	curtain_up
	speak ssh-client 4
	wait_until is_settled
	scene_wants_off
	wait_until told_of_option
	speak ssh-client 4
	agent_stop
	BERM_APPS=true agent_start
	wait_until is_enforcing
	wait_until is_settled
	silent ssh-client 4
	speak http 4
	agent_stop
	agent_start
	wait_until is_enforcing
	wait_until is_settled
	wait_until told_of_option
	silent ssh-client 4
}
told_of_option() { status '.problems[].hint' | grep -q -- --apps; }
scene_wants_off() { sed "s/ports:.*/&\n      app: {protocol: http}/; s/, {port: $SSH_PORT}.*\\]/]/" "$MANIFESTS/db.yaml" | apply - db.yaml; }

run_tests "$@"
