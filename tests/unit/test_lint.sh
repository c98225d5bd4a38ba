#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_lint.sh - bermctl lint as its users see it: exit status, JSON, --with, codes. What it finds is tested in test_advice.c.
set -euo pipefail

TOP=$(cd "$(dirname "$0")/../.." && pwd)
CTL=${BERM_BUILD:-$TOP/build}/bermctl
TMP=$(mktemp -d)
trap 'rm -rf "$TMP"' EXIT
number=0

# Runs a function; what it prints is the reason of its failure.
check() {
	local what=$1 why

	shift
	number=$((number + 1))
	if why=$("$@" 2>&1); then
		echo "ok $number - $what"
	else
		sed 's/^/# /' <<<"$why"
		echo "not ok $number - $what"
	fi
}

# exits_with STATUS ARGUMENT...
exits_with() {
	local want=$1 rc=0

	shift
	"$CTL" lint "$@" >"$TMP/out" 2>&1 || rc=$?
	[ "$rc" -eq "$want" ] || { echo "lint $*: $rc, want $want"; cat "$TMP/out"; return 1; }
}

# holds FILTER ARGUMENT...: of what it prints as JSON
holds() {
	local filter=$1

	shift
	"$CTL" lint -o json "$@" >"$TMP/out" || true
	jq -e "$filter" "$TMP/out" >/dev/null || { echo "not: $filter"; cat "$TMP/out"; return 1; }
}

write_files() {
	cat >"$TMP/clean.yaml" <<-YAML
	kind: SegmentationPolicy
	name: db
	namespace: shop
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}]}
	YAML
	sed 's/name: db/name: twice/; $p' "$TMP/clean.yaml" | sed '$s/name: web/name: again/' >"$TMP/warned.yaml"
	sed 's/isolate/isolat/' "$TMP/clean.yaml" >"$TMP/wrong.yaml"
	cat >"$TMP/pods.yaml" <<-YAML
	{apiVersion: v1, kind: Pod, metadata: {name: db-0, namespace: shop, labels: {app: db}}, spec: {}}
	---
	{apiVersion: v1, kind: Pod, metadata: {name: broken, namespace: shop, labels: [app]}, spec: {}}
	YAML
}

exit_statuses() {
	exits_with 0 -f "$TMP/clean.yaml" && exits_with 0 --strict -f "$TMP/clean.yaml" &&
		exits_with 0 -f "$TMP/warned.yaml" && exits_with 1 --strict -f "$TMP/warned.yaml" &&
		exits_with 1 -f "$TMP/wrong.yaml" && exits_with 1 -f "$TMP/absent.yaml" && exits_with 2 --no-such-option &&
		exits_with 2 --with "$TMP/pods.yaml" && exits_with 0 --codes
}

json_of_warning() {
	holds '.documents == 1 and .errors == 0 and .warnings == 1 and (.problems[0] | .severity == "warning" and
		.code == "shadowed-rule" and (.file | endswith("/warned.yaml")) and .line == 8 and .column == 3 and
		.document == "SegmentationPolicy shop/twice" and .field == "ingress[1]" and (.message | test("web")) and
		(.hint | length > 0))' -f "$TMP/warned.yaml" &&
		holds '.problems == []' -f "$TMP/clean.yaml"
}

json_of_error() {
	holds '[.problems[] | .code] == ["unknown-field", "missing-field"] and (.problems[0] | .severity == "error" and
		.line == 5 and .column == 1 and .hint == "did you mean '"'isolate'"'?")' -f "$TMP/wrong.yaml"
}

pods_of_with() {
	holds '.problems == []' -f "$TMP/clean.yaml" &&
		holds '[.problems[] | .code] == ["selects-nothing"] and .problems[0].field == "ingress[0].from[0]" and .documents == 1' \
			-f "$TMP/clean.yaml" --with "$TMP/pods.yaml" &&
		"$CTL" lint -f "$TMP/clean.yaml" --with "$TMP/pods.yaml" 2>&1 | grep -q 'pods.yaml has 1 error: not all of it counts'
}

codes_in_docs() {
	local code missing=0

	for code in $("$CTL" lint --codes -o json | jq -r '.codes[].code'); do
		grep -q "^| \`$code\` |" "$TOP/docs/policy.md" || { echo "docs/policy.md lacks $code"; missing=1; }
		grep -q "^\*$code\* " "$TOP/docs/man/bermctl-lint.1.scd" || { echo "the man page lacks $code"; missing=1; }
	done
	return $missing
}

# What the schemas leave to lint is said where people read it.
limits_in_docs() {
	local code

	for code in $(cd "$TOP" && python3 -B -c '
from importlib.machinery import SourceFileLoader
import types
loader = SourceFileLoader("table", "hack/schema")
table = types.ModuleType("table")
table.__file__ = "hack/schema"
exec(compile(loader.get_data("hack/schema"), "hack/schema", "exec"), table.__dict__)
print(*table.CANNOT)'); do
		sed -n '/^What a schema cannot say\|what a schema cannot say/I,/^Warnings/p' "$TOP/docs/policy.md" | grep -q "\`$code\`" ||
			{ echo "docs/policy.md does not say that schemas leave $code to lint"; return 1; }
	done
}

echo 1..6
write_files
check "exit status 0, 1 and 2, and --strict" exit_statuses
check "a warning as JSON: code, file, line, column, hint; none in the control" json_of_warning
check "an error as JSON has its code" json_of_error
check "--with: pods count, what is wrong there is not judged" pods_of_with
check "every code is in docs/policy.md and bermctl-lint(1)" codes_in_docs
check "what schemas leave to lint is in docs/policy.md" limits_in_docs
