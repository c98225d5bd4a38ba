#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034 # bed.sh and installed.sh read what is set here
# timeout: 900
#
# Who reaches whom: every pair of nine pods on two nodes, of nodes and a stranger, under each case of
# tests/cluster/matrix. Words as arguments choose cases. With BERM_BED_KEEP=1 Berm and the cluster stay.
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"

SANDBOX_TMP=$(mktemp -d)

leave() {
	[ "${BERM_BED_KEEP:-0}" = 1 ] || berm_off # the next test finds nodes without Berm
	rm -rf "$SANDBOX_TMP"
}

ON_EXIT=leave
bed_open
berm_there
python3 "$TOP/tests/cluster/matrix/run.py" "$BERM_BED_DIR" "$TOP" "$BUILD/tools/traffic" "$@"
