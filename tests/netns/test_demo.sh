#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_demo.sh - hack/demo as a user runs it, on a host of its own: exit status, and what is left.
# shellcheck source=tests/lib/sandbox.sh
. "$(dirname "$0")/../lib/sandbox.sh"

# All a demo could leave: processes, mounts, links, namespaces, pins, files.
traces() {
	ps -eo stat=,args= >"$SANDBOX_TMP/ps" # of this sandbox; without a pipe it sees nobody but itself
	sed -n '/^Z/!s/^[^ ]* *//p' "$SANDBOX_TMP/ps" | sort # an ended one that nobody has asked about yet is not left
	sort /proc/self/mounts
	ip -o link | awk -F': ' '{ print $2 }'
	ip netns list
	find /sys/fs/bpf /run /var/lib /var/log /etc/cni -mindepth 1 -not -path '/run/cgroup/*' 2>/dev/null | sort
	find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'berm-demo*' | sort
}

demo() { "$TOP/hack/demo" --no-build --build-dir="$BUILD" "$@"; }

is_as_before() {
	traces >"$SANDBOX_TMP/after"
	cmp -s "$SANDBOX_TMP/before" "$SANDBOX_TMP/after"
}

# What is killed takes a moment to go.
expect_nothing_left() {
	local deadline=$((SECONDS + WAIT_S))

	until is_as_before || [ "$SECONDS" -ge "$deadline" ]; do sleep "$POLL_S"; done
	diff "$SANDBOX_TMP/before" "$SANDBOX_TMP/after" >&2 || fail "the demo left something behind"
}

#: the demo tells its story, exits with 0 and leaves nothing
test_story() {
	local started=$SECONDS

	traces >"$SANDBOX_TMP/before"
	demo >"$SANDBOX_TMP/told" 2>&1 || { cat "$SANDBOX_TMP/told"; fail "the demo does not exit with 0"; }
	[ $((SECONDS - started)) -lt 60 ] || fail "the story takes $((SECONDS - started)) s, more than a minute"
	grep -q 'shop/db-in:api' "$SANDBOX_TMP/told" || fail "no rule is named for what is allowed"
	grep -q 'isolated by shop/db-in' "$SANDBOX_TMP/told" || fail "no policy is named for what is denied"
	! grep -q $'\033' "$SANDBOX_TMP/told" || fail "colours without a terminal"
	expect_nothing_left
}

# An nc that is always answered: then what should be denied seems to be allowed.
#: the demo fails when the story is not as told, and leaves nothing either
test_story_not_as_told() {
	local rc=0

	mkdir "$SANDBOX_TMP/bin"
	printf '#!/bin/sh\ncat\n' >"$SANDBOX_TMP/bin/nc"
	chmod 755 "$SANDBOX_TMP/bin/nc"
	traces >"$SANDBOX_TMP/before"
	PATH=$SANDBOX_TMP/bin:$PATH demo >"$SANDBOX_TMP/told" 2>&1 || rc=$?
	[ "$rc" -eq 1 ] || { cat "$SANDBOX_TMP/told"; fail "the demo exits with $rc, want 1"; }
	grep -q 'NOT AS TOLD' "$SANDBOX_TMP/told" || fail "it does not say that something is wrong"
	expect_nothing_left
}

#: --keep leaves pods for play, down removes them
test_keep() {
	local rc=0

	traces >"$SANDBOX_TMP/before"
	timeout 60 bash -o pipefail -c '"$@" 2>&1 | cat' - "$TOP/hack/demo" --no-build --build-dir="$BUILD" --keep >"$SANDBOX_TMP/told" || # a pipe ends with it
		{ cat "$SANDBOX_TMP/told"; fail "the demo does not exit with 0"; }
	grep -q 'The connection of act 4 is still' "$SANDBOX_TMP/told" || fail "the story is not told to its end"
	demo ctl status >/dev/null || fail "the kept node does not enforce"
	[ "$(echo hi | demo exec web nc -N -w 2 api 8080)" = hi ] || fail "web cannot talk to api by its name"
	! echo hi | demo exec stranger nc -N -w 1 db 5432 || fail "the stranger talks to db"
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: extra}\n' >"$SANDBOX_TMP/extra.yaml"
	demo apply "$SANDBOX_TMP/extra.yaml" || fail "apply of a file"
	demo exec web test -s /run/manifests/extra.yaml || fail "the file did not arrive among the manifests"
	demo rm extra.yaml
	! demo --keep >/dev/null 2>&1 || fail "a second kept demo starts beside the first"
	demo down || fail "down"
	expect_nothing_left
	demo down >/dev/null 2>&1 || rc=$?
	[ "$rc" -eq 1 ] || fail "down without a demo exits with $rc, want 1"
}

#: help and wrong usage of the demo
test_usage() {
	local rc=0

	"$TOP/hack/demo" --help | grep -q -- --keep || fail "--help does not tell of --keep"
	"$TOP/hack/demo" nonsense >/dev/null 2>&1 || rc=$?
	[ "$rc" -eq 2 ] || fail "an unknown command exits with $rc, want 2"
}

TEST_JOBS=1 # each looks for what is left on the machine
run_tests "$@"
