#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# guest.sh - what is run inside a guest, one program after the other. Frames each one's output by lines
# "=== NAME" and "=== NAME ends with STATUS in S s", so that the host can tell them apart.
#
#   guest.sh PART...   load: the verifier; packets, rest: tests/bpf; pods: real traffic
set -u

TOP=/berm
export BERM_BUILD=$TOP/build TERM=dumb TMPDIR=/tmp
# Emulation is some 20 times slower than the machine itself, and it gets what other suites leave of that.
export WAIT_S=60 BLOCK_MS=1000 REACH_MS=10000 TEST_TIMEOUT_S=1200 CNI_TIMEOUT_S=300 BERM_TEST_SHARED=1

run() {
	local name=$1 seconds=$2 rc=0 start=$SECONDS
	shift 2

	echo "=== $name"
	timeout --kill-after=10 "$seconds" "$@" </dev/null 2>&1 || rc=$?
	echo "=== $name ends with $rc in $((SECONDS - start)) s"
}

part_load() { run load 1200 "$TOP/tests/kernels/guest/load.sh"; }

# Those in which a kernel's helpers matter.
PACKETS=(explain verdict packets session event wire)

part_packets() {
	local name

	for name in "${PACKETS[@]}"; do run "test_$name" 1200 "$BERM_BUILD/tests/bpf/test_$name"; done
}

part_rest() {
	local file

	for file in "$BERM_BUILD"/tests/bpf/test_*; do
		[[ " ${PACKETS[*]} " == *" ${file##*/test_} "* ]] || run "$(basename "$file")" 600 "$file"
	done
}

part_pods() {
	run pods 2400 "$TOP/tests/kernels/guest/pods.sh"
}

for part in "$@"; do "part_$part"; done
echo "=== done"
