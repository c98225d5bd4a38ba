#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
#
# test_restart.sh - the agent dies under load, again and again, at moments it cannot choose.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

KILLS=${BERM_LONG:+60}
KILLS=${KILLS:-6}
TEST_TIMEOUT_S=${BERM_LONG:+900}

walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	essentials: []
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}, {port: ${1:-90}}]}
	YAML
}

# web may use db's port 80, far (on ptp) too; spy may not, and nobody port 81. All of that all the time.
stage() {
	cast db app=db -- web app=web -- far:net=ptp app=web -- spy app=spy
	listen db 80 81
	listen spy 80
	walls
	curtain_up
	load_start web web "ok=${POD_IP4[db]}:80" "ok=[${POD_IP6[db]}]:80" "no=${POD_IP4[db]}:81"
	load_start far far "ok=${POD_IP4[db]}:80" "ok=[${POD_IP6[db]}]:80" "no=[${POD_IP6[db]}]:81"
	load_start spy spy "no=${POD_IP4[db]}:80" "no=[${POD_IP6[db]}]:80"
	load_start db db "no=${POD_IP4[spy]}:80" "no=[${POD_IP6[spy]}]:80"
	stream_open talk web db 80
}

all_is_well() {
	local name
	stream_runs talk
	for name in web far spy db; do load_stop $name; done
	for name in web far; do
		load_is $name '.udp_sent > 100 and .udp_back == .udp_sent and .tcp_ok == .tcp_tried and .tcp_late == 0 and .tcp_failed == 0'
		load_is $name '.no_sent > 50 and .no_back == 0'
	done
	load_is spy '.no_sent > 100 and .no_back == 0'
	load_is db '.no_sent > 100 and .no_back == 0'
}

epochs() { rest GET /v1/endpoints | jq -c '[.endpoints[] | [.pod, .epoch, .sets]] | sort'; }
ticks_past() { [ "$(stream_count talk)" -gt "$1" ]; }
sleep_a_little() { wait_until ticks_past $(($(stream_count talk) + 1 + RANDOM % 20)); } # 20 ms each

#: kill -9 and start again under load: no packet lost, none let through, no session judged again [restart.agent_kill9]
test_kill9_load() {
	local i before
	stage
	before=$(epochs)
	for i in $(seq 1 "$KILLS"); do
		agent_stop KILL
		sleep_a_little
		agent_start
		wait_until is_enforcing
		[ "$(epochs)" = "$before" ] || fail "restart $i: epochs or sets have changed: $before -> $(epochs)"
		[ "$(status .last_apply.writes)" = 0 ] || fail "restart $i writes $(status .last_apply.writes) entries"
	done
	[ "$(status .stats.session_rejudged)" = 0 ] || fail "sessions were judged again"
	all_is_well
}

#: kill -9 in the middle of starting or of changing something: what is allowed before and after never suffers [restart.agent_kill9]
test_kill9_anywhere() {
	local i
	stage
	for i in $(seq 1 "$KILLS"); do
		walls $((100 + i)) # another port is opened, while
		sleep "0.0$((RANDOM % 30))" # not a wait for anything: any moment will do
		agent_stop KILL
		"$BUILD/berm-agent" --manifests "$MANIFESTS" >>"$AGENT_LOG" 2>&1 &
		AGENT_PID=$!
		sleep "0.0$((RANDOM % 60))"
		agent_stop KILL
		agent_start
	done
	wait_until is_enforcing
	all_is_well
	listen db $((100 + KILLS))
	reach web db $((100 + KILLS)) # and the last change is in force
	block spy db $((100 + KILLS))
}

#: a rule that goes while no agent runs goes when it is back, an established connection with it [restart.agent_kill9] [revoke.existing]
test_change_while_dead() {
	cast db app=db -- web app=web
	listen db 80
	walls
	curtain_up
	stream_open talk web db 80
	agent_stop KILL
	unapply walls.yaml
	policy nobody <<-YAML
	kind: SegmentationPolicy
	name: nobody
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	YAML
	stream_runs talk
	reach web db 80
	agent_start
	stream_stalls talk
	block web db 80
}

run_tests "$@"
