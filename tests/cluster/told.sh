# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154 # bed.sh reads and fills the arrays
#
# told.sh - words for tests of what Berm tells the API server. Source it after installed.sh.
#
#   shop_open "PORT..."        namespace shop with pods web and spy on node1, db with these ports on node2
#   carrier NAME [NS]          the text on stdin as the one document text of a ConfigMap
#   events NS REASON JQ        of each such Event; is_told REASON OBJECT REGEX: of namespace shop
#   rollup JQ / rollup_is JQ WANT      policies of namespace shop in the roll-up
#   rounds N                   waits for so many renewals of the Lease: the clock of who tells
#   is_open / is_silent FROM TO PORT; becomes_walled / becomes_open   of db port 5001, with its control
#   equal WHAT IS WANT

equal() { [ "$2" = "$3" ] || fail "$1: '$2', want '$3'"; }

shop_open() {
	pod_run web ns=shop node=1
	pod_run spy ns=shop node=1
	pod_run db ns=shop node=2 ports="$1"
	pods_ready web spy db
}

# By the server itself: a client-side apply would keep a copy in an annotation, which has a quarter of the room.
carrier() {
	jq -Rs --arg name "$1" --arg ns "${NS[${2:-shop}]:-${2:-}}" '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: $name, namespace: $ns,
		labels: {"berm.dev/policy": "v1"}}, data: {"policy.yaml": .}}' |
		kube apply --server-side --force-conflicts -f - >"$SANDBOX_TMP/carrier" 2>&1 || fail "ConfigMap $1: $(cat "$SANDBOX_TMP/carrier")"
}

events() { kube -n "${NS[$1]:-$1}" get events -o json | jq -r --arg reason "$2" ".items[] | select(.reason == \$reason) | $3"; }
is_told() { events shop "$1" "select(.involvedObject.name == \"$2\") | .message" | grep -qE "$3"; }

rollup() {
	kube -n berm-system get configmaps -l berm.dev/status=rollup -o json |
		jq -r --arg ns " ${NS[shop]:-}/" "[.items[].data[\"policies.json\"] | fromjson[] | select(.policy | contains(\$ns))] | $1"
}
rollup_is() { [ "$(rollup "$1" 2>/dev/null)" = "$2" ]; }

renewed() { kube -n berm-system get lease berm-leader -o 'jsonpath={.spec.renewTime}'; }
is_renewed() { [ "$(renewed)" != "$1" ]; }
rounds() {
	local i

	for ((i = 0; i < $1; i++)); do wait_until is_renewed "$(renewed)"; done
}

is_open() { [ "$(try "$1" "$2" "$3")" = "open $2" ]; }
is_silent() { [ "$(try "$1" "$2" "$3")" = silent ]; }
becomes_walled() {
	wait_until is_silent spy db 5001
	reach web db 5001
}
becomes_open() {
	wait_until is_open spy db 5001
	reach web db 5001
}
