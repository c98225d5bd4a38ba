#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_attach.sh - the same walls in both ways of attaching them: tcx, and clsact for kernels that have no tcx.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

web_only() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	essentials: []
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	YAML
}

# What every mode must do. Pods on both kinds of network.
core() {
	local mode=$1 BERM_CONF="\"waitForPolicy\": \"5s\", \"attach\": \"$1\"" v

	cast db app=db -- web app=web -- far:net=ptp app=web -- spy:net=ptp app=spy
	listen db 80 81
	listen spy 80
	web_only
	curtain_up --attach="$mode"
	attached "$mode" db web far spy
	for v in 4 6; do
		reach web db 80 tcp $v
		reach far db 80 udp $v
		block spy db 80 tcp $v
		block web db 81 udp $v
		block db spy 80 tcp $v
	done
	lost web db udp:src=10.88.0.200,dport=80
	arrives web db udp:dport=80
	changes
	restarts "$mode"
	leaves "$mode"
}

attached() {
	local mode=$1 pod
	shift
	for pod in "$@"; do
		[ "$(endpoint "$pod" .mode)" = "$mode" ] || fail "$pod is attached by $(endpoint "$pod" .mode), want $mode"
		pod_cni CHECK "$pod" || fail "CHECK of $pod"
	done
}

changes() {
	stream_open talk web db 80
	settle unapply walls.yaml
	reach spy db 80
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	YAML
	stream_stalls talk
	block web db 80
	settle web_only
	stream_runs talk
}

restarts() {
	load_start web web "ok=${POD_IP4[db]}:80" "ok=[${POD_IP6[db]}]:80" "no=${POD_IP4[db]}:81"
	agent_stop KILL
	block spy db 80
	agent_start --attach="$1"
	wait_until is_enforcing
	load_stop web
	load_is web '.udp_back == .udp_sent and .tcp_ok == .tcp_tried and .tcp_late == 0 and .no_back == 0'
	attached "$1" db web far spy
}

# A pod that starts and goes while others run leaves them alone.
leaves() {
	local BERM_CONF="\"waitForPolicy\": \"5s\", \"attach\": \"$1\""
	cast late app=web
	reach late db 80
	attached "$1" late
	pod_del late
	reach web db 80
	stream_runs talk
}

#: tcx: walls, changes, restarts, DEL
test_tcx() {
	has_tcx || skip "kernel: no tcx before 6.6"
	core tcx
}

has_tcx() { printf '%s\n6.6\n' "$(uname -r | grep -oE '^[0-9]+\.[0-9]+')" | sort -CVr; }

#: clsact: walls, changes, restarts, DEL
test_clsact() { core clsact; }

#: pods attached both ways on one node, and an agent that prefers the other one
test_mixed() {
	local BERM_CONF='"waitForPolicy": "5s", "attach": "clsact"'
	has_tcx || skip "kernel: no tcx before 6.6"
	cast db app=db -- spy app=spy
	rm /run/nets/bridge.conflist
	BERM_CONF='"waitForPolicy": "5s", "attach": "tcx"'
	cast web app=web
	listen db 80
	web_only
	curtain_up --attach=tcx
	reach web db 80
	block spy db 80
	attached tcx web
	block spy db 80 udp 6
	reach web db 80 udp 6
	pod_del spy
	pod_del web
	rm /run/nets/bridge.conflist
	cast web2 app=web
	reach web2 db 80
}

run_tests "$@"
