#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1200
#
# test_start.sh - the first moments of a pod: what it may send and get in the instant ADD has returned.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

TEST_TIMEOUT_S=${BERM_LONG:+1000}
STARTS=${BERM_LONG:+1000}
STARTS=${STARTS:-100}

# friend and foe listen; app=new is walled and may talk with friend only.
stage() {
	cast friend:"$1" app=friend -- foe:"$1" app=foe
	listen friend 7000
	listen foe 7000
	new_walled
	curtain_up
}

new_walled() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: new
	subject: {podSelector: {matchLabels: {app: new}}}
	isolate: [Ingress, Egress]
	essentials: []
	ingress: [{name: in, from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: 7000}, {protocol: UDP, port: 7000}]}]
	egress: [{name: out, to: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: 7000}, {protocol: UDP, port: 7000}]}]
	YAML
}

# starts COUNT NET OPTION...: the figures in $SANDBOX_TMP/figures
starts() {
	local count=$1 net=$2
	shift 2
	"$TOP/tests/netns/first_packet.py" "$count" --conf "$(net_conf "$net")" --path "$CNI_BIN" --manifests "$MANIFESTS" "$@" \
		>"$SANDBOX_TMP/figures" 2>"$SANDBOX_TMP/faults" || fail "first_packet.py: $(tail -n 3 "$SANDBOX_TMP/faults")"
	note "$(cat "$SANDBOX_TMP/figures")"
}

figures_are() { jq -e "$1" "$SANDBOX_TMP/figures" >/dev/null || { head -n 20 "$SANDBOX_TMP/faults"; fail "not $1"; }; }

#: bridge: the first packet after ADD returns is judged, no leak, no false drop, both ways [start.first_packet] [start.early_flow]
test_first_packet_bridge() {
	stage net=bridge
	starts "$STARTS" bridge --label app=new
	figures_are ".starts == $STARTS and .leaks == 0 and .false_drops == 0 and .dead_flows == 0"
}

#: ptp: the same [start.first_packet]
test_first_packet_ptp() {
	stage net=ptp
	starts $((STARTS / 2)) ptp --label app=new
	figures_are ".leaks == 0 and .false_drops == 0 and .dead_flows == 0"
}

# The network has so few addresses that the next pod but one has those of this one.
few_addresses() {
	jq '.plugins[0].ipam.ranges = [[{"subnet": "10.88.0.0/24", "rangeEnd": "10.88.0.5"}],
		[{"subnet": "fd88::/112", "rangeEnd": "fd88::5"}]]' "$(net_conf bridge)" >/run/nets/few
	mv /run/nets/few /run/nets/bridge.conflist
}

#: addresses that come round in no time: each pod is judged as itself [start.first_packet] [ident.ip_reuse]
test_first_packet_reuse() {
	few_addresses
	stage net=bridge
	starts 4 bridge --label app=new
	figures_are ".leaks == 0 and .false_drops == 0 and .dead_flows == 0"
	starts 4 bridge --label app=plain --expect open
	figures_are ".leaks == 0 and .false_drops == 0 and .dead_flows == 0"
	starts 4 bridge --label app=new
	figures_are ".leaks == 0 and .false_drops == 0 and .dead_flows == 0"
}

#: a pod that nothing isolates loses nothing either; and the judge sees leaks where there is no wall [start.first_packet]
test_first_packet_open() {
	stage net=bridge
	starts $((STARTS / 4)) bridge --label app=plain --expect open
	figures_are ".leaks == 0 and .false_drops == 0 and .dead_flows == 0"
	starts 2 bridge --label app=plain --expect walled
	figures_are ".leaks > 0" # the control: these pods do reach foe, and that is noticed
}

#: a pod that the agent has not been told of, or without an agent: the fallback judges the first packet [start.first_packet] [start.agent_down]
test_first_packet_unjudged() {
	local BERM_CONF='"waitForPolicy": "50ms"'
	stage net=bridge
	starts 5 bridge --label app=new --no-object --expect shut
	figures_are ".leaks == 0"
	agent_stop KILL
	starts 5 bridge --label app=new --expect shut
	figures_are ".leaks == 0"
	BERM_CONF='"fallback": "allow", "bootFallback": "allow"'
	rm /run/nets/bridge.conflist
	starts 3 bridge --label app=new --expect open # the control: another fallback, and all of it gets through
	figures_are ".leaks == 0 and .false_drops == 0"
}

#: a flow of the first moment lives on under the policy that comes later, if that allows it, and else ends [start.early_flow]
test_early_flow() {
	local BERM_CONF='"waitForPolicy": "50ms", "fallback": "allow", "bootFallback": "allow"'
	stage net=bridge
	pod_add new
	stream_open good new friend 7000
	stream_open good6 new friend 7000 6
	stream_open bad new foe 7000
	settle relabel new app=new
	stream_stalls bad
	stream_runs good
	stream_runs good6
	block new foe 7000
	reach new friend 7000
}

run_tests "$@"
