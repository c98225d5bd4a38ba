#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_oracle.sh - the third way: documents that nobody has thought of, on a node with an agent, and connections
# between its pods. BERM_SEED replays, BERM_WORLDS says how many worlds, BERM_LONG=1 many.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# The blocks of tests/oracle/worlds.py are about these addresses.
collide() {
	net_conf bridge >/dev/null
	sed -e 's|10\.88\.0\.0/24|10.0.0.0/27|' -e 's|fd88::/112|fd00::/123|' /run/nets/bridge.conflist >/run/nets/oracle.conflist
}

local_pod() {
	pod_add "$1" "ns=$2" "uid=uid-$2-$1" net=/run/nets/oracle.conflist
	echo "$2 $1 ${POD_IP4[$1]} ${POD_IP6[$1]}" >>"$SANDBOX_TMP/pods"
}

real() { python3 -B "$TOP/tests/oracle/real.py" "$1" "$2" "$SANDBOX_TMP/pods" "$3"; }

#: random documents between real pods: what gets through is what another reading of them says, and by the rule that it names
test_oracle() {
	local seed=${BERM_SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')} worlds=${BERM_WORLDS:-5} pod i

	[ -z "${BERM_LONG:-}" ] || worlds=${BERM_WORLDS:-200}
	note "BERM_SEED=$seed runs the same worlds again"
	collide
	local_pod local0 red
	local_pod local1 blue
	local_pod local2 red
	for pod in local0 local1 local2; do listen "$pod" 53 80 443 8080; done
	real write "$seed" "$MANIFESTS"
	curtain_up --node-name=here
	for ((i = 0; i < worlds; i++)); do
		[ "$i" = 0 ] || settle real write $((seed + i)) "$MANIFESTS"
		real ask $((seed + i)) "$TRAFFIC" || fail "world $((seed + i))"
	done
}

# shellcheck disable=SC2034 # of sandbox.sh
TEST_TIMEOUT_S=1200
run_tests "$@"
