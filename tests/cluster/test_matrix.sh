#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
#
# Who reaches whom: every pair of nine pods on two nodes, of nodes and a stranger, under each case of
# tests/cluster/matrix. Words as arguments choose cases. With BERM_BED_KEEP=1 Berm and the cluster stay.
. "$(dirname "$0")/bed.sh"

ROLLOUT_S=120

gives_up() { sed 's/^/# /' "$BERM_BED_DIR.log"; echo "1..0"; exit 1; }
rolled_out() { kube -n berm-system rollout status daemonset/berm-agent --timeout=${ROLLOUT_S}s; }

berm_on() {
	"$TOP/hack/image" "$BUILD" && cluster load "$BUILD/berm-image.tar" && kube apply -k "$TOP/manifests" && rolled_out
}

# The next test finds nodes without Berm.
berm_off() {
	[ "${BERM_BED_KEEP:-0}" != 1 ] || return 0
	{ kube apply -k "$TOP/manifests/uninstall" && rolled_out
		kube delete -k "$TOP/manifests" --ignore-not-found --timeout=60s; } >/dev/null 2>&1 || :
}

# shellcheck disable=SC2034 # bed.sh reads it
ON_EXIT=berm_off
bed_open
berm_on >"$BERM_BED_DIR.log" 2>&1 || gives_up
python3 "$TOP/tests/cluster/matrix/run.py" "$BERM_BED_DIR" "$TOP" "$BUILD/tools/traffic" "$@"
