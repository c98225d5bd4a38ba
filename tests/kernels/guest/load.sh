#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# load.sh - does this kernel take every program, and at what cost for its verifier?
set -u

TOP=$(cd "$(dirname "$0")/../../.." && pwd)
LOG=$(mktemp)
trap 'rm -f "$LOG"' EXIT
n=0 bad=0

is() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}

# The last line of tests/kernels/ceilings that fits: VARIANT PROGRAM LIMIT, * fits all.
ceiling_of() {
	awk -v v="$1" -v p="$2" '!/^#/ && NF == 3 && ($1 == v || $1 == "*") && ($2 == p || $2 == "*") { limit = $3 }
		END { print limit + 0 }' "$TOP/tests/kernels/ceilings"
}

rc=0
costs=$("$BERM_BUILD/tools/verify" 2>"$LOG") || rc=$?
tail -n 100 "$LOG" | sed 's/^/# /'
is "$rc" "this kernel verifies every program"
while read -r variant program insns; do
	[ -n "$variant" ] || continue
	limit=$(ceiling_of "$variant" "$program")
	is "$((insns > limit))" "$program ($variant): $insns instructions verified, at most $limit"
done <<<"$costs"
echo "1..$n"
exit $bad
