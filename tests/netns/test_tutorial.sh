#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_tutorial.sh - docs/tutorial.md, command by command, as somebody who reads it types them.
# shellcheck disable=SC2016,SC2034 # no expansion is meant; sandbox.sh reads it
# shellcheck source=tests/lib/sandbox.sh
. "$(dirname "$0")/../lib/sandbox.sh"

# A checkout in which everything is built.
checkout() {
	mkdir -p "$SANDBOX_TMP/checkout/hack"
	cd "$SANDBOX_TMP/checkout" || fail "no folder"
	printf '#!/bin/sh\nexec "%s" --no-build --build-dir="%s" "$@"\n' "$TOP/hack/demo" "$BUILD" >hack/demo
	chmod 755 hack/demo
}

run_page() { "$TOP/tests/tools/tutorial.py" "$1" >"$SANDBOX_TMP/said" 2>&1; }

#: the tutorial says what happens
test_tutorial() {
	checkout
	run_page "$TOP/docs/tutorial.md" || { cat "$SANDBOX_TMP/said"; fail "the tutorial is wrong"; }
	cat "$SANDBOX_TMP/said"
}

#: a page that promises something else is told so
test_wrong_page() {
	checkout
	printf '```console\n$ echo 12 pods\n7 pods\n$ printf "a\\nb\\nc\\n"\n...\nc\n```\n' >good.md
	run_page good.md || { cat "$SANDBOX_TMP/said"; fail "a good page is taken for wrong"; }
	for want in 'b\n' 'a\nb\n' 'a\n' '...\nb\n' ''; do
		printf "\`\`\`console\n\$ echo a\n%b\`\`\`\n" "$want" >bad.md
		if [ "$want" != 'a\n' ]; then ! run_page bad.md || fail "taken for right: $want"; else run_page bad.md || fail "taken for wrong"; fi
	done
	echo "nothing to run" >none.md
	! run_page none.md || fail "a page without commands passes"
}

TEST_JOBS=1 # hack/demo keeps one node
run_tests "$@"
