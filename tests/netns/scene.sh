# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# scene.sh - words for stories about pods, their labels and the policies between them. Sourced after
# sandbox.sh by the tests of this folder.
#
#   cast POD[:net=...,ns=...] [LABEL=VALUE...] -- POD ...   pods with their Pod objects, ADDed before the agent knows
#   cast_wild NAME [NET]              a pod of the same network that has no wall
#   mac_of POD / link_local POD
#   relabel POD LABEL=VALUE...        writes the Pod object anew
#   policy NAME [NS]                  SegmentationPolicy documents on stdin, as ConfigMap NAME
#   curtain_up [ARG...]               agent_start, and every pod is judged
#   settle CMD...                     runs it; returns when the agent has judged what it changed
#   status JQ / endpoint POD JQ / rule_hits NAME
#   counter REASON / counted REASON CMD...   packets with it so far, both directions / CMD adds to them
#   frames FROM TO FRAME...           frames.py: "NAME arrived" or "NAME lost" of each
#   arrives / lost FROM TO FRAME...   every one of them
#   ping_ok / ping_silent FROM TO [4|6] [ping's options]
#   load_start NAME FROM KEY=ADDR:PORT... / load_stop NAME / load_is NAME JQ   tests/tools/load.c

declare -A LOAD_PID LOAD_FILE

cast() {
	local words=() word

	for word in "$@" --; do
		[ "$word" = -- ] || { words+=("$word"); continue; }
		[ ${#words[@]} -eq 0 ] || cast_one "${words[@]}"
		words=()
	done
}

cast_one() {
	local name=${1%%:*} options=() rest=${1#"${1%%:*}"}
	shift
	rest=${rest#:}
	IFS=, read -ra options <<<"$rest"
	pod_prepare "$name" "${options[@]}"
	relabel "$name" "$@"
	pod_cni ADD "$name" >"$SANDBOX_TMP/add.$name" 2>&1 || fail "ADD of $name: $(cat "$SANDBOX_TMP/add.$name")"
	pod_learn "$name"
}

# The same bridge and addresses, without our plugin.
cast_wild() {
	local file=/run/nets/wild-${2:-bridge}.conflist
	jq '.plugins |= map(select(.type != "berm-cni"))' "$(net_conf "${2:-bridge}")" >"$file"
	pod_add "$1" net="$file"
}

mac_of() { ip -n "$1" -j link show dev eth0 | jq -r '.[0].address'; }
link_local() { ip -n "$1" -j -6 addr show dev eth0 scope link | jq -r '[.[].addr_info[]?.local | strings][0]'; }

relabel() {
	local name=$1
	pod_object "$@" | apply - "pod-$name.yaml"
}

policy() {
	{
		cat <<-YAML
		apiVersion: v1
		kind: ConfigMap
		metadata: {name: $1, namespace: ${2:-default}, labels: {berm.dev/policy: v1}}
		data:
		  policy.yaml: |
		YAML
		sed 's/^/    /'
	} | apply - "$1.yaml"
}

curtain_up() {
	agent_start "$@"
	wait_until is_enforcing
	wait_until is_settled
}

status() { rest GET /v1/status | jq -r "$1"; }
is_settled() { [ "$(status .pending)" = false ]; }
is_enforcing() { [ "$(status .enforcing)" = true ]; }
read_is_past() { [ "$(status .sources_read)" -gt "$1" ]; }
endpoint() { rest GET /v1/endpoints | jq -r ".endpoints[] | select(.pod == \"$1\") | $2"; }
rule_hits() { rest GET /v1/rules | jq -r "[.rules[] | select(.rule == \"$1\").hits] | add // 0"; }
counter() { "$BUILD/tools/nodectl" counter "$1"; }

# counted REASON CMD...: CMD's packets, or some of them, are counted so
counted() {
	local reason=$1 before
	shift
	before=$(counter "$reason")
	"$@"
	[ "$(counter "$reason")" -gt "$before" ] || fail "no packet was counted as $reason: $*"
}

# What CMD writes has been read and is in force, if it changes anything at all.
settle() {
	local before

	wait_until is_settled # or what is waited for is something before
	before=$(status .sources_read)
	"$@"
	wait_until read_is_past "$before"
	wait_until is_settled
}

frames() { "$TOP/tests/netns/frames.py" "$@"; }

# frames_all WORD FROM TO FRAME...
frames_all() {
	local want=$1 got
	shift
	got=$(frames "$@") || fail "frames $*: $got"
	! grep -v " $want\$" <<<"$got" >"$SANDBOX_TMP/odd" || fail "$1 -> $2: $(paste -sd ' ' "$SANDBOX_TMP/odd"), want: $want"
}

arrives() { frames_all arrived "$@"; }
lost() { frames_all lost "$@"; }

ping_once() {
	local from=$1 to=$2 family=${3:-4}
	shift 3 || shift 2
	in_pod "$from" ping "-$family" -n -c 1 -W "$PING_S" "$@" "$(addr_of "$to" "$family")" >"$SANDBOX_TMP/ping" 2>&1
}

PING_S=2
ping_ok() { ping_once "$@" || fail "ping $*: $(paste -sd ' ' "$SANDBOX_TMP/ping")"; }
ping_silent() {
	local PING_S=0.6
	! ping_once "$@" || fail "ping $*: an answer came"
	grep -q '100% packet loss' "$SANDBOX_TMP/ping" || fail "ping $*: $(paste -sd ' ' "$SANDBOX_TMP/ping")"
}

load_counts() { [ "$(wc -l <"${LOAD_FILE[$1]}")" -gt 0 ]; }

load_start() {
	local name=$1 from=$2
	shift 2
	LOAD_FILE[$name]=$SANDBOX_TMP/load.$name
	: >"${LOAD_FILE[$name]}"
	ip netns exec "$from" "$BUILD/tools/load" "$@" >"${LOAD_FILE[$name]}" 2>&1 & # no function: its pid is wanted
	LOAD_PID[$name]=$!
	wait_until load_counts "$name" # its first line: it runs
}

load_stop() {
	kill -TERM "${LOAD_PID[$1]}"
	wait "${LOAD_PID[$1]}" || fail "load $1: $(cat "${LOAD_FILE[$1]}")"
	note "load $1: $(tail -n 1 "${LOAD_FILE[$1]}")"
}

load_is() { jq -se "last | $2" "${LOAD_FILE[$1]}" >/dev/null || fail "load $1: not $2: $(tail -n 1 "${LOAD_FILE[$1]}")"; }
