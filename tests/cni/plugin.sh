# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# plugin.sh - call berm-cni directly, with veths that stand in for what a primary plugin makes. Sourced by the
# tests of this folder after sandbox.sh.
#
#   veth_add NAME [IP]         a namespace NAME with eth0, its host side h-NAME
#   veth_del NAME
#   call CMD NAME [K=V...]     the plugin for container NAME; stdout in $OUT, logs in $LOG. K=V: ifname, netns,
#                              id, args, version, conf (more members), prev (prevResult; none = without), stdin
#   call_ok / call_fails CODE MSG CMD NAME [K=V...]
#   nodectl ...                tests/tools/nodectl.c
#   stub_agent MODE            stub_agent.py
#   ifindex_of DEV             of the host
#   must_leave_nothing         no pin of a link, no record, no owner, no slot
#   is_guarded NAME / is_not_guarded NAME / is_guarded_dev DEV
#   foreign DEV in|out NAME VERDICT   a foreign tcx program at the head of a hook, until foreign_stop; the
#                              hook as the pod sees it; verdict -1 go on, 2 drop

OUT=${SANDBOX_TMP:-}/out
LOG=${SANDBOX_TMP:-}/log
PLUGIN=$BUILD/berm-cni
STUB_PID=

nodectl() { "$BUILD/tools/nodectl" "$@"; }

veth_add() {
	local name=$1 ip=${2:-10.1.0.2}

	ip netns add "$name"
	ip link add "h-$name" type veth peer name eth0 netns "$name"
	ip link set "h-$name" up
	ip -n "$name" addr add "$ip/24" dev eth0
	ip -n "$name" link set eth0 up
}

veth_del() {
	ip link del "h-$1" 2>/dev/null || :
	ip netns del "$1"
}

prev_of() { printf '{"cniVersion":"%s","interfaces":[{"name":"%s"}],"ips":[]}' "$1" "$2"; }

# Sets the variables of a call from its K=V words.
call_words() {
	local name=$1 word
	shift
	call_id=$name call_ifname=eth0 call_netns=/run/netns/$name call_version=1.0.0 call_conf='' call_prev=default
	call_args="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=$name;K8S_POD_UID=uid-$name" call_stdin=
	for word in "$@"; do
		printf -v "call_${word%%=*}" '%s' "${word#*=}"
	done
	[ "$call_prev" != default ] || call_prev=$(prev_of "$call_version" "$call_ifname")
}

call_input() {
	if [ -n "$call_stdin" ]; then
		printf '%s' "$call_stdin"
		return
	fi
	printf '{"cniVersion":"%s","name":"net","type":"berm-cni"%s%s}' "$call_version" "${call_conf:+,$call_conf}" \
		"$([ "$call_prev" = none ] || printf ',"prevResult":%s' "$call_prev")"
}

# PLUGIN_RUNNER: words to run the plugin under, such as strace.
call() {
	local command=$1 rc=0
	shift
	call_words "$@"
	call_input >"$OUT.in"
	# shellcheck disable=SC2086 # words
	env -i PATH="$PATH" CNI_COMMAND="$command" CNI_CONTAINERID="$call_id" CNI_NETNS="$call_netns" \
		CNI_IFNAME="$call_ifname" CNI_ARGS="$call_args" CNI_PATH="$CNI_BIN" \
		${PLUGIN_RUNNER:-} "$PLUGIN" <"$OUT.in" >"$OUT" 2>"$LOG" || rc=$?
	return "$rc"
}

call_ok() { call "$@" || fail "$* failed: $(cat "$OUT" "$LOG")"; }

call_fails() {
	local code=$1 text=$2
	shift 2
	! call "$@" || fail "$* was expected to fail with $code: $(cat "$OUT")"
	[ "$(jq -r .code "$OUT")" = "$code" ] || fail "$*: want code $code, got: $(cat "$OUT")"
	grep -qF -- "$text" "$OUT" || fail "$*: want '$text' in: $(cat "$OUT")"
	jq -e '.cniVersion and .msg and .details' "$OUT" >/dev/null || fail "not a whole error object: $(cat "$OUT")"
}

ifindex_of() { cat "/sys/class/net/$1/ifindex"; }

is_guarded_dev() {
	local hooks
	hooks=$(nodectl hooks "$(ifindex_of "$1")")
	[ "$(grep -c 'attached=1 current=1 before=0' <<<"$hooks")" = 2 ] || fail "$1 is not guarded: $hooks"
	nodectl endpoint "$(ifindex_of "$1")" >/dev/null || fail "$1 has no endpoint"
}

is_guarded() { is_guarded_dev "h-$1"; }

# Links are freed by a work queue of the kernel, a moment after the pin goes.
hooks_are_free() { [ "$(nodectl hooks "$1" | grep -c 'attached=0 .* before=0')" = 2 ]; }

is_not_guarded() {
	wait_until hooks_are_free "$(ifindex_of "h-$1")"
	! nodectl endpoint "$(ifindex_of "h-$1")" 2>/dev/null || fail "$1 still has an endpoint"
}

entries_in() { [ ! -d "$1" ] || find "$1" -mindepth 1 | sort; }

must_leave_nothing() {
	local left
	left=$(entries_in /run/berm/endpoints; entries_in /run/berm/owners; entries_in /run/berm/left; entries_in /sys/fs/bpf/berm/links)
	[ -z "$left" ] || fail "left behind: $left"
	[ ! -e "$PINS/maps/berm_node" ] || [ "$(nodectl usage)" = "ifaces=0 slots=0" ] ||
		fail "left behind: $(nodectl usage)"
}

nothing_is_left() { (must_leave_nothing) >/dev/null; } # for wait_until

stub_agent() {
	stub_stop
	"$TOP/tests/cni/stub_agent.py" "$1" "$SANDBOX_TMP/asked" &
	STUB_PID=$!
	wait_until test -S /run/berm/agent.sock
}

stub_stop() {
	[ -n "$STUB_PID" ] || return 0
	kill "$STUB_PID"
	wait "$STUB_PID" 2>/dev/null || :
	STUB_PID=
	rm -f /run/berm/agent.sock
}

foreign() {
	local hook=46
	[ "$2" = out ] || hook=47
	coproc FOREIGN { nodectl foreign "$(ifindex_of "$1")" $hook "$3" "$4"; }
	read -r _ <&"${FOREIGN[0]}" || fail "cannot attach a foreign program"
}

foreign_stop() {
	local pid=$FOREIGN_PID fd=${FOREIGN[1]}
	exec {fd}>&-
	wait "$pid"
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# took_between MIN MAX CMD...: milliseconds
took_between() {
	local min=$1 max=$2 start took
	shift 2
	start=$(now_ms)
	"$@"
	took=$(($(now_ms) - start))
	[ "$took" -ge "$min" ] && [ "$took" -le "$max" ] || fail "$* took $took ms, want $min to $max"
}
