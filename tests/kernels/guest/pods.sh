#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pods.sh - plugin, agent and bermctl on the kernel of a guest: pods behind real CNI plugins, real packets.
# shellcheck disable=SC2034 # sandbox.sh reads them
# shellcheck source=tests/lib/sandbox.sh
. "$(dirname "$0")/../../lib/sandbox.sh"
# shellcheck source=tests/netns/scene.sh
. "$(dirname "$0")/../../netns/scene.sh"

PING_S=10

has_tcx() { printf '%s\n6.6\n' "$(uname -r | grep -oE '^[0-9]+\.[0-9]+')" | sort -CVr; }
best_mode() { if has_tcx; then echo tcx; else echo clsact; fi; }

# web and far may speak with db's port 80 and ping it; spy may nothing, and nobody port 81.
stage() {
	cast db app=db -- web app=web -- far:net=ptp app=web -- spy:net=ptp app=spy
	listen db 80 81
	listen spy 80
	walls
	curtain_up "$@"
}

walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	essentials: []
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	- {name: ping, from: [{podSelector: {matchLabels: {app: web}}}], icmp: [{type: echo-request}]}
	YAML
}

walls_stand() {
	local v

	for v in 4 6; do
		reach web db 80 tcp $v
		reach far db 80 udp $v
		block spy db 80 tcp $v
		block web db 81 tcp $v
		block db spy 80 udp $v
		ping_ok web db $v
		ping_silent spy db $v
	done
}

ctl_mode() { "$BUILD/bermctl" endpoints -o json | jq -r ".endpoints[] | select(.pod == \"$1\").mode"; }

# The kernel's own word, by a tool that is not ours: filters of tc on both hooks, or none because it is tcx.
tc_filters() {
	{ tc filter show dev "$1" ingress; tc filter show dev "$1" egress; } 2>/dev/null | grep -oE 'berm_(from|to)_pod' | sort -u | xargs
}

attached() {
	local mode=$1 pod want=
	shift
	[ "$mode" = tcx ] || want="berm_from_pod berm_to_pod"
	for pod in "$@"; do
		pod_cni CHECK "$pod" >"$SANDBOX_TMP/check" 2>&1 || fail "CHECK of $pod: $(cat "$SANDBOX_TMP/check")"
		[ "$(endpoint "$pod" .mode)" = "$mode" ] || fail "the agent says of $pod: $(endpoint "$pod" .mode), want $mode"
		[ "$(ctl_mode "$pod")" = "$mode" ] || fail "bermctl says of $pod: $(ctl_mode "$pod"), want $mode"
		[ "$(tc_filters "${POD_HOSTIF[$pod]}")" = "$want" ] || fail "tc shows of $pod: '$(tc_filters "${POD_HOSTIF[$pod]}")', want '$want'"
	done
}

# left_of ID IFINDEX: its record, its links
left_of() { find /run/berm/endpoints /sys/fs/bpf/berm/links -name "$1@eth0.json" -o -name "$2_*"; }

# The plugin's whole life beside the agent.
life() {
	local mode=$1 id index

	attached "$mode" db web far spy
	walls_stand
	counted default-deny block spy db 80
	id=${POD_ID[spy]} index=$(ip -j link show "${POD_HOSTIF[spy]}" | jq '.[0].ifindex')
	[ -n "$(left_of "$id" "$index")" ] || fail "the control: no trace of spy while it lives"
	pod_del spy
	[ -z "$(left_of "$id" "$index")" ] || fail "left of spy: $(left_of "$id" "$index")"
	reach web db 80
}

#: ADD, CHECK, DEL behind bridge and ptp; what is allowed passes, what is denied does not; tcx where there is one, else clsact
test_life() {
	stage
	life "$(best_mode)"
}

#: the same by clsact where tcx would be taken
test_life_clsact() {
	local BERM_CONF='"waitForPolicy": "5s", "attach": "clsact"'
	has_tcx || skip "kernel: no tcx before 6.6, so clsact is what the test before this one has"
	stage --attach=clsact
	life clsact
}

epochs() { rest GET /v1/endpoints | jq -c '[.endpoints[] | [.pod, .epoch, .sets]] | sort'; }

#: the agent starts, is killed with -9, takes over what it finds, follows a change, ends cleanly; walls stand all the time
test_agent() {
	local before
	stage
	before=$(epochs)
	agent_stop KILL
	reach web db 80
	block spy db 80
	agent_start
	wait_until is_enforcing
	[ "$(epochs)" = "$before" ] || fail "epochs or sets have changed: $before -> $(epochs)"
	[ "$(status .last_apply.writes)" = 0 ] || fail "it writes $(status .last_apply.writes) entries"
	"$BUILD/bermctl" status >"$SANDBOX_TMP/status" || fail "bermctl status: $(cat "$SANDBOX_TMP/status")"
	settle unapply walls.yaml
	reach spy db 80
	settle walls
	block spy db 80
	kill -TERM "$AGENT_PID"
	wait "$AGENT_PID" || fail "after SIGTERM its status is $?"
	[ ! -S /run/berm/agent.sock ] || fail "its socket is left"
	block spy db 80
	reach web db 80
}

is_on_uplink() { [ "$(status '.uplink.interfaces[0].attached')" = true ]; }

#: the block list gets onto an interface by a link, in the driver and before the stack, and off it again [uplink.kernels]
test_uplink() {
	local mode
	ip link add up0 type veth peer name up0p
	ip link set up0 up
	for mode in native generic; do
		if [ "$mode" = native ]; then stage --uplink=up0 --uplink-mode=$mode; else agent_start --uplink=up0 --uplink-mode=$mode; fi
		wait_until is_on_uplink
		[ "$(status '.uplink.interfaces[0].mode')" = $mode ] || fail "$(status .uplink)"
		agent_stop KILL
		[ -n "$(ls /sys/fs/bpf/berm/uplink)" ] || fail "the link went with its agent"
	done
	agent_start
	wait_until is_enforcing
	[ ! -e /sys/fs/bpf/berm/uplink ] || fail "the link stays without its option"
}

run_tests "$@"
