#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_runner.sh - hack/test itself, on a tree with one test program that waits for ever: stopped by a signal, it
# leaves nothing behind.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd)
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT

# A line of its output is taken before it is stopped, so nothing here waits for a clock.
make_tree() {
	mkdir -p "$TMP/hack" "$TMP/tests/unit"
	cp "$TOP/hack/test" "$TMP/hack/test"
	mkfifo "$TMP/started"
	cat >"$TMP/tests/unit/test_endless.sh" <<-SH
	#!/usr/bin/env bash
	tail -f /dev/null &
	echo "\$\$ \$!" >"$TMP/started"
	wait
	SH
	chmod +x "$TMP/tests/unit/test_endless.sh"
}

is_running() { grep -qs '^State:[[:space:]]*[^ZX[:space:]]' "/proc/$1/status"; } # a zombie has only to be waited for

is_stopped() {
	local runner program child rc=0
	"$TMP/hack/test" --no-build --build-dir="$TMP/build" unit >"$TMP/out" 2>&1 &
	runner=$!
	read -r -t 20 program child <"$TMP/started"
	is_running "$program" && is_running "$child" || { echo "# the control: they do not run"; return 1; }
	kill "-$1" "$runner"
	wait "$runner" || rc=$?
	if is_running "$program" || is_running "$child"; then
		echo "# left behind: $program or $child"
		return 1
	fi
	[ "$rc" -eq 143 ] || { echo "# it ended with $rc"; return 1; }
	grep -q "stopped by SIG$1" "$TMP/out" || { sed 's/^/# /' "$TMP/out"; return 1; }
}

echo 1..2
make_tree
number=0
for signal in TERM HUP; do
	number=$((number + 1))
	is_stopped $signal && echo "ok $number - SIG$signal ends hack/test and what it runs" ||
		echo "not ok $number - SIG$signal ends hack/test and what it runs"
done
