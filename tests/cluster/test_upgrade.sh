#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# Agents that are restarted and replaced by kubectl, with traffic on both nodes all the while.
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"

LIVE=${BERM_UPGRADE_LIVE:-2000}
TEST_TIMEOUT_S=400
declare -A LOAD_PID NODE_OF=([db]=1 [web]=2 [spy]=1)

setup() { berm_there; }

# db on one node lets web of the other in, nobody else.
stage() {
	pod_run db node="${NODE_OF[db]}" ports="80 81"
	pod_run web node="${NODE_OF[web]}"
	pod_run spy node="${NODE_OF[spy]}"
	pods_ready db web spy
	apply_yaml "${NS[test]}" <<-YAML
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: walls, labels: {berm.dev/policy: v1}}
	data:
	  policy.yaml: |
	    kind: SegmentationPolicy
	    name: db
	    subject: {podSelector: {matchLabels: {app: db}}}
	    isolate: [Ingress]
	    ingress: [{name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}]
	    ---
	    kind: SegmentationPolicy
	    name: web
	    subject: {podSelector: {matchLabels: {app: web}}}
	    isolate: [Egress]
	    egress: [{name: db, to: [{podSelector: {matchLabels: {app: db}}}]}]
	YAML
	wait_until is_silent spy db 80
	reach web db 80
}

is_silent() { [ "$(try "$1" "$2" "$3")" = silent ]; }

# load_start POD KEY=VALUE...: tests/tools/load.c in the network of the pod
load_start() {
	local pod=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	in_pod_net "$pod" sh -c 'echo $$ >"/run/load.$0"; exec "$@"' "$pod" "$BUILD/tools/load" "$@" >"$SANDBOX_TMP/load.$pod" 2>&1 &
	LOAD_PID[$pod]=$!
	wait_until test -s "$SANDBOX_TMP/load.$pod"
}

load_all() {
	load_start web live="$LIVE" tick=2 "ok=${POD_IP4[db]}:80" "no=${POD_IP4[db]}:81"
	load_start spy "no=${POD_IP4[db]}:80" "no=[${POD_IP6[db]}]:80"
}

load_stop() {
	# shellcheck disable=SC2016 # for the inner shell
	node "${NODE_OF[$1]}" sh -c 'kill -TERM "$(cat "/run/load.$0")"' "$1" || fail "the load of $1 has ended: $(cat "$SANDBOX_TMP/load.$1")"
	wait "${LOAD_PID[$1]}" || fail "load of $1: $(cat "$SANDBOX_TMP/load.$1")"
	note "load of $1: $(tail -n 1 "$SANDBOX_TMP/load.$1")"
}

load_is() { jq -se "last | $2" "$SANDBOX_TMP/load.$1" >/dev/null || fail "load of $1: not $2"; }

nothing_lost_nothing_through() {
	load_stop web
	load_stop spy
	load_is web ".live == $LIVE and .live_ok == $LIVE and .tcp_failed == 0 and .udp_sent == .udp_back and .tcp_tried == .tcp_ok"
	load_is web '.tcp_ok > 200 and .no_sent > 200 and .no_back == 0'
	load_is spy '.no_sent > 200 and .no_back == 0'
}

restart() {
	kube -n berm-system rollout restart daemonset/berm-agent >/dev/null || fail "rollout restart"
	rolled_out >"$SANDBOX_TMP/rollout" || fail "no roll-out: $(agents)"
}

#: kubectl rollout restart under load: nothing is lost, nothing gets through
test_rollout_restart() {
	stage
	load_all
	restart
	nothing_lost_nothing_through
}

version_of() { agent_rest "$1" /v1/status .version; }

# versions are DIR: image and agents of the programs there
upgrade_to() {
	local n

	"$TOP/hack/image" "$1" >"$SANDBOX_TMP/image" || fail "no image: $(cat "$SANDBOX_TMP/image")"
	cluster load "$1/berm-image.tar" || fail "the image is not taken"
	restart
	for n in 1 2; do note "node $n: $(version_of $n)"; done
}

# other KIND: a folder with the programs of another version (hack/other-version)
other() {
	local dir=$SANDBOX_TMP/other.$1 from

	from=$("$TOP/hack/other-version" "$1" "$BUILD/others" 2>"$SANDBOX_TMP/make") || fail "other-version: $(tail -n 5 "$SANDBOX_TMP/make")"
	mkdir -p "$dir"
	cp "$BUILD/bermctl" "$BUILD/berm-install" "$from/berm-agent" "$from/berm-cni" "$dir"
	echo "$dir"
}

there_and_back() {
	local dir

	dir=$(other "$1") || fail "$dir"
	stage
	load_all
	upgrade_to "$dir"
	[[ "$(version_of 1)" == *-other-* ]] || fail "not upgraded: $(version_of 1)"
	upgrade_to "$BUILD"
	[[ "$(version_of 2)" != *-other-* ]] || fail "not downgraded: $(version_of 2)"
	nothing_lost_nothing_through
}

#: other programs, and back, under load: nothing is lost, nothing gets through [upgrade.swap]
test_upgrade_programs() { there_and_back code; }

#: another ABI, and back, under load: nothing is lost, nothing gets through [upgrade.schema]
test_upgrade_abi() { there_and_back abi; }

installed_tests "$@"
