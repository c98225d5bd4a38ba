#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_sctp.sh - associations between pods, made by hand chunk by chunk (sctp.py), in both families.
# shellcheck disable=SC2154 # sandbox.sh fills the arrays
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# db: isolated both ways; web may open associations to its port 3868, nobody else anything.
stage() {
	cast db app=db -- web app=web -- spy app=spy
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: diameter, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{protocol: SCTP, port: 3868}]}
	YAML
	curtain_up
}

# talk FROM SPORT PORT 4|6 STEP...: a is FROM, b is db
talk() {
	local from=$1 sport=$2 port=$3 family=$4 out
	shift 4
	out=$("$TOP/tests/netns/sctp.py" "$from" "$(addr_of "$from" "$family")" "$sport" db "$(addr_of db "$family")" "$port" "$@") ||
		fail "$from:$sport -> db:$port, IPv$family: $out"
}

# state SPORT FAMILY: of db's session with web's port
state() {
	"$BUILD/bermctl" sessions --pod db -o json |
		jq -r --arg addr "$(addr_of web "$2")" --argjson port "$1" \
			'[.sessions[] | select(.protocol == "SCTP" and .peer.ip == $addr and .peer.port == $port)][0].state // "none"'
}
state_is() { [ "$(state "$1" "$2")" = "$3" ]; }

OPEN=(a+init b+init-ack a+cookie-echo b+cookie-ack)

#: an association opens, carries data both ways, and closes; its answers pass a pod that may open nothing
test_association() {
	local family

	stage
	for family in 4 6; do
		talk web 5000 3868 $family "${OPEN[@]}" a+data b+sack b+data a+sack b+heartbeat a+heartbeat-ack
		state_is 5000 $family established || fail "IPv$family: the session is $(state 5000 $family)"
		talk web 5000 3868 $family a+shutdown
		state_is 5000 $family half-closed || state_is 5000 $family closing || fail "IPv$family: after SHUTDOWN: $(state 5000 $family)"
		talk web 5000 3868 $family b+shutdown-ack a+shutdown-complete
		state_is 5000 $family reset || fail "IPv$family: after SHUTDOWN COMPLETE: $(state 5000 $family)"
		talk web 5001 3868 $family "${OPEN[@]}" a+data b+abort
		state_is 5001 $family reset || fail "IPv$family: after ABORT: $(state 5001 $family)"
		talk web 5001 3868 $family "${OPEN[@]}" # and opened again
		state_is 5001 $family established || fail "IPv$family: opened again: $(state 5001 $family)"
	done
}

#: others open none, nor do answers that nobody has asked for; an association is cut when the rule goes
test_denied() {
	local family

	stage
	for family in 4 6; do
		# What answers is judged by the rule and opens nothing that db might answer.
		talk web 5000 3868 $family a+init-ack b-data a+cookie-ack b-data a+abort b-data a+shutdown-complete b-data b-init
		talk web 5000 3868 $family "${OPEN[@]}" a+data b+data
		talk web 5000 3869 $family a-init a-data
		counted default-deny talk spy 5000 3868 $family a-init a-cookie-echo a-data
	done
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	YAML
	for family in 4 6; do talk web 5000 3868 $family a-data b-data; done
}

run_tests "$@"
