#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Berm behind a real API server with many objects: policy to kernel, pod to kernel, memory, restart. On a cluster of its own
# (BERM_BED_DIR: one that is there). Prints one JSON object a line; what it does goes to stderr.
# shellcheck disable=SC2034,SC2154 # bed.sh reads and fills the arrays
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"

# The collectors would delete pods of nodes that no kubelet speaks for.
CONTROLLERS='*,-pod-garbage-collector-controller,-node-lifecycle-controller'

leave() {
	rm -rf "$SANDBOX_TMP"
	bed_down >&2
}

prepare() {
	bed_up || fail "no cluster"
	cluster restart controller-manager -- "--controllers=$CONTROLLERS"
	berm_image
	berm_on
	ns_make bench
	pod_run db1 ns=bench node=1 role=db
	pod_run db2 ns=bench node=2 role=db
	pods_ready db1 db2
}

export BERM_BED_DIR=${BERM_BED_DIR:-$BUILD/bed-bench}
SANDBOX_TMP=$(mktemp -d)
trap leave EXIT
trap 'exit 130' INT TERM
prepare >&2
outside "$TOP/tests/cluster/scale.py" --kubeconfig="$BERM_BED_DIR/pki/admin.kubeconfig" --namespace="${NS[bench]}" \
	--run="$TOP/hack/cluster --dir=$BERM_BED_DIR node" --tool="$BUILD/tools/generations" "$@"
