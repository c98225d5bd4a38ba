# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # the arrays are read by tests
#
# sandbox.sh - a node of its own for every test function, its pods wired by real CNI
# plugins. Source it, write functions, end with run_tests:
#
#   #: one line that TAP shows [scenario.name]
#   test_something() { ... }
#
# TEST_JOBS=N in front of run_tests: so many tests at the same time (3: they mostly wait).
#
# Each test_* function runs in fresh net, mount and pid namespaces: /run, /var/lib,
# /var/log empty, /etc writable (an overlay), an own bpffs. setup() runs before it, if
# there is one. When the function ends, everything it made is gone with the namespaces.
#
#   pod_add NAME [net=bridge|ptp|FILE] [ns=default] [uid=...]   a pod; see the arrays below
#   pod_del NAME            the runtime's DEL, then its namespace goes
#   pod_cni CMD NAME        CHECK, DEL, ... as the runtime would call it
#   in_pod NAME CMD...      run there
#   apply FILE [AS]         put a document (or stdin: -) among the agent's manifests, at once
#   unapply AS              remove it
#   agent_start [ARG...]    berm-agent --manifests; returns when it answers on its socket
#   agent_stop [SIGNAL]     default TERM; returns when it is gone
#   rest METHOD PATH [BODY] one call to the agent
#   listen POD PORT...      a server, TCP and UDP, both families, that says its pod's name
#   reach FROM TO PORT [tcp|udp] [4|6]   must be answered, by that very pod
#   block FROM TO PORT [tcp|udp] [4|6]   must stay silent, though TO does listen there
#   stream_open NAME FROM TO PORT [4|6]  a TCP connection that keeps talking
#   stream_runs NAME / stream_stalls NAME   it makes progress / makes none for 1 s
#   wait_until CMD...       until CMD succeeds, for at most WAIT_S (10) seconds
#   fail TEXT / skip "kernel: TEXT" / note TEXT
#
# Arrays by pod name: POD_ID POD_NS POD_UID POD_NET POD_IP4 POD_IP6 POD_HOSTIF.
set -euo pipefail

SANDBOX_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$SANDBOX_LIB/../.." && pwd)
BUILD=${BERM_BUILD:-$TOP/build}
CNI_PLUGIN_DIRS=${BERM_CNI_PLUGINS:-/usr/lib/cni:/opt/cni/bin}
WAIT_S=${WAIT_S:-10}
BLOCK_MS=${BLOCK_MS:-600}
REACH_MS=${REACH_MS:-4000}
TEST_JOBS=${TEST_JOBS:-3}
POLL_S=0.05 # between two questions of wait_until
WATCH_S=1   # how long a stalled stream is looked at

declare -A POD_ID POD_NS POD_UID POD_NET POD_IP4 POD_IP6 POD_HOSTIF LISTENING STREAM_FILE
AGENT_PID=
MANIFESTS=/run/manifests
PINS=/sys/fs/bpf/berm/v$(sed -n "s/^#define BERM_ABI_VERSION //p" "$TOP/bpf/abi.h") # lib/paths.h
CNI_BIN=/run/cni-bin

# --- outcome of a test ------------------------------------------------------------------

note() { printf '# %s\n' "$*"; }

# The line of the test itself, whatever helper noticed.
fail() {
	local i

	for ((i = 1; i < ${#BASH_SOURCE[@]}; i++)); do
		[ "${BASH_SOURCE[i]}" = "$0" ] && break
	done
	note "$(basename "$0"):${BASH_LINENO[i - 1]:-?}: $*"
	exit 1
}

# The reason begins with "kernel:" or "hardware:"; anything else counts as a failure.
skip() {
	printf '%s\n' "$*" >"$SANDBOX_TMP/skip"
	exit 77
}

wait_until() {
	local deadline=$((SECONDS + WAIT_S))

	until "$@"; do
		[ "$SECONDS" -lt "$deadline" ] || fail "waited $WAIT_S s in vain for: $*"
		sleep "$POLL_S"
	done
}

# --- node -------------------------------------------------------------------------------

node_mounts() {
	local dir

	mount -t tmpfs -o mode=755 tmpfs /run
	mkdir -p /run/etc.up /run/etc.work /run/cgroup /run/lock
	if [ -d /sys/fs/cgroup ]; then
		mount --rbind /sys/fs/cgroup /run/cgroup
	fi
	mount -t sysfs sysfs /sys
	mount -t bpf bpf /sys/fs/bpf
	mount --rbind /run/cgroup /sys/fs/cgroup
	mount -t overlay -o lowerdir=/etc,upperdir=/run/etc.up,workdir=/run/etc.work overlay /etc
	for dir in /var/lib /var/log; do
		mount -t tmpfs -o mode=755 tmpfs "$dir"
	done
	rm -f /etc/cni/net.d/* # in the overlay
	mkdir -p /etc/cni/net.d /var/lib/cni /var/lib/berm /var/log/berm "$MANIFESTS" "$CNI_BIN" /run/nets
}

node_plugins() {
	local dir file

	for dir in ${CNI_PLUGIN_DIRS//:/ }; do
		for file in "$dir"/*; do
			[ -x "$file" ] && ln -sf "$file" "$CNI_BIN/"
		done
	done
	[ ! -x "$BUILD/berm-cni" ] || ln -sf "$BUILD/berm-cni" "$CNI_BIN/berm-cni"
	[ -e "$CNI_BIN/bridge" ] || fail "no CNI plugins in $CNI_PLUGIN_DIRS; run hack/setup test"
}

# Duplicate address detection costs seconds per address, and nothing here depends on it.
no_dad() {
	local conf=/proc/sys/net/ipv6/conf

	[ ! -d "$conf" ] || "$@" sh -c "echo 0 >$conf/all/accept_dad; echo 0 >$conf/default/accept_dad"
}

node_up() {
	node_mounts
	node_plugins
	no_dad
	ip link set lo up
}

# --- networks ---------------------------------------------------------------------------

# The entry of our plugin in a conflist; a test may set BERM_CONF to other settings.
berm_entry() {
	local settings=${BERM_CONF:-'"waitForPolicy": "5s"'}
	printf '{"type": "berm-cni"%s}' "${settings:+, $settings}"
}

ipam_entry() {
	cat <<-JSON
	{"type": "host-local", "dataDir": "/var/lib/cni/networks",
	 "ranges": [[{"subnet": "$1.0/24"}], [{"subnet": "$2/112"}]],
	 "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
	JSON
}

# Writes /run/nets/NAME.conflist for one of the real primary plugins and prints its path.
# NET_VERSION is the cniVersion; WITH_BERM=0 leaves our plugin out.
net_conf() {
	local name=$1 file=/run/nets/$1.conflist primary

	case $name in
	bridge) primary='"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
		"hairpinMode": true, "ipam": '$(ipam_entry 10.88.0 fd88::) ;;
	ptp) primary='"type": "ptp", "ipMasq": false, "ipam": '$(ipam_entry 10.89.0 fd89::) ;;
	*) fail "no network '$name': bridge, ptp or the path of a conflist" ;;
	esac
	[ -e "$file" ] || cat >"$file" <<-JSON
	{"cniVersion": "${NET_VERSION:-1.0.0}", "name": "$name", "plugins": [
	 {$primary}$([ "${WITH_BERM:-1}" = 0 ] || echo ", $(berm_entry)")
	]}
	JSON
	echo "$file"
}

# --- pods -------------------------------------------------------------------------------

pod_args() {
	local name=$1
	printf 'IgnoreUnknown=1;K8S_POD_NAMESPACE=%s;K8S_POD_NAME=%s;K8S_POD_INFRA_CONTAINER_ID=%s;K8S_POD_UID=%s' \
		"${POD_NS[$name]}" "$name" "${POD_ID[$name]}" "${POD_UID[$name]}"
}

# What the runtime would do for this pod; prints the plugins' answer.
pod_cni() {
	local command=$1 name=$2
	shift 2
	"$SANDBOX_LIB/cni.py" "$command" --conf "${POD_NET[$name]}" --id "${POD_ID[$name]}" \
		--netns "/run/netns/$name" --args "$(pod_args "$name")" --path "$CNI_BIN" "$@"
}

new_uid() { cat /proc/sys/kernel/random/uuid; }

# Fills the arrays; makes the namespace; does not call CNI.
pod_prepare() {
	local name=$1 option net=bridge ns=default uid
	shift
	uid=$(new_uid)
	for option in "$@"; do
		case $option in
		net=*) net=${option#net=} ;;
		ns=*) ns=${option#ns=} ;;
		uid=*) uid=${option#uid=} ;;
		*) fail "pod_add: what is '$option'?" ;;
		esac
	done
	POD_NS[$name]=$ns
	POD_UID[$name]=$uid
	POD_ID[$name]=$(printf '%s' "$name $uid" | sha256sum | cut -c1-64)
	case $net in
	/*) POD_NET[$name]=$net ;;
	*) POD_NET[$name]=$(net_conf "$net") ;;
	esac
	ip netns add "$name"
	no_dad in_pod "$name"
	ip -n "$name" link set lo up
}

pod_add() {
	local name=$1 answer

	pod_prepare "$@"
	answer=$(pod_cni ADD "$name") || fail "ADD of pod $name: $answer"
	pod_learn "$name"
}

# Addresses from the pod's own side, not from what anybody claims.
pod_learn() {
	local name=$1 link

	POD_IP4[$name]=$(ip -n "$name" -j addr show dev eth0 | jq -r '[.[0].addr_info[] |
		select(.family == "inet")][0].local // ""')
	POD_IP6[$name]=$(ip -n "$name" -j addr show dev eth0 | jq -r '[.[0].addr_info[] |
		select(.family == "inet6" and .scope == "global")][0].local // ""')
	link=$(ip -n "$name" -j link show dev eth0 | jq -r '.[0].link_index')
	POD_HOSTIF[$name]=$(ip -j link show | jq -r ".[] | select(.ifindex == $link).ifname")
	[ -z "${POD_IP6[$name]}" ] || wait_until v6_is_ready "$name"
}

v6_is_ready() { [ -z "$(ip -n "$1" -6 addr show dev eth0 tentative)" ]; }

pod_del() {
	local name=$1

	pod_cni DEL "$name" || fail "DEL of pod $name"
	ip netns del "$name"
	unset "POD_ID[$name]" "POD_IP4[$name]" "POD_IP6[$name]" "POD_HOSTIF[$name]" "LISTENING[$name]"
}

in_pod() {
	local name=$1
	shift
	ip netns exec "$name" "$@"
}

# --- documents and agent ------------------------------------------------------------------

# Renamed into place, as kubectl-like tools and editors do it.
apply() {
	local file=$1 as=${2:-}

	[ -n "$as" ] || as=$(basename "$file")
	mkdir -p "$(dirname "$MANIFESTS/$as")"
	cat "$([ "$file" = - ] && echo /dev/stdin || echo "$file")" >"$MANIFESTS/.$as.new"
	mv "$MANIFESTS/.$as.new" "$MANIFESTS/$as"
}

unapply() { rm -f "$MANIFESTS/$1"; }

# Prints a Pod object for a pod of this node: NAME [label=value]...
pod_object() {
	local name=$1 label
	shift
	cat <<-YAML
	apiVersion: v1
	kind: Pod
	metadata:
	  name: $name
	  namespace: ${POD_NS[$name]}
	  uid: ${POD_UID[$name]}
	  labels:
	YAML
	for label in "$@"; do
		printf '    %s: "%s"\n' "${label%%=*}" "${label#*=}"
	done
}

# Prints the body; 1: the agent refuses, 2: it does not answer.
rest() {
	local code out

	out=$(curl -sS --max-time 10 --unix-socket /run/berm/agent.sock -X "$1" -w '\n%{http_code}' ${3:+--data-binary "$3"} \
		"http://localhost$2" 2>&1) || { printf '%s\n' "$out"; return 2; }
	code=${out##*$'\n'}
	printf '%s\n' "${out%$'\n'*}"
	[ "$code" -lt 400 ]
}

agent_answers() {
	kill -0 "$AGENT_PID" 2>/dev/null || { cat "$AGENT_LOG"; fail "the agent died while starting"; }
	[ -S /run/berm/agent.sock ] && rest GET /v1/status >/dev/null 2>&1
}

agent_start() {
	AGENT_LOG=$SANDBOX_TMP/agent.log
	"$BUILD/berm-agent" --manifests "$MANIFESTS" "$@" >>"$AGENT_LOG" 2>&1 &
	AGENT_PID=$!
	wait_until agent_answers
}

agent_stop() {
	kill -"${1:-TERM}" "$AGENT_PID"
	wait "$AGENT_PID" 2>/dev/null || true # its status after a signal is not what is tested here
	AGENT_PID=
}

# --- traffic ------------------------------------------------------------------------------

TRAFFIC=$BUILD/tools/traffic

serves() { [ "$(head -n 1 "$1" 2>/dev/null)" = ready ]; }

listen() {
	local pod=$1 out=$SANDBOX_TMP/serve.$1.$RANDOM
	shift
	in_pod "$pod" "$TRAFFIC" serve "$pod" "$@" >"$out" 2>&1 &
	wait_until serves "$out"
	LISTENING[$pod]+=" $* "
}

addr_of() {
	local addr

	if [ "$2" = 6 ]; then addr=${POD_IP6[$1]:-}; else addr=${POD_IP4[$1]:-}; fi
	[ -n "$addr" ] || fail "pod $1 has no IPv$2 address"
	echo "$addr"
}

# One attempt: what happened, as traffic says it.
try() {
	local from=$1 to=$2 port=$3 proto=${4:-tcp} family=${5:-4} ms=${6:-$BLOCK_MS} addr

	addr=$(addr_of "$to" "$family")
	in_pod "$from" "$TRAFFIC" try "$proto" "$addr" "$port" "$ms" || true # the word counts
}

must_listen() {
	[[ ${LISTENING[$1]:-} == *" $2 "* ]] || fail "nobody listens on $1:$2, so nothing can be said about it"
}

reach() {
	local got

	must_listen "$2" "$3"
	got=$(try "$1" "$2" "$3" "${4:-tcp}" "${5:-4}" "$REACH_MS")
	[ "$got" = "open $2" ] || fail "$1 -> $2:$3 ${4:-tcp} v${5:-4}: $got, want it open"
}

block() {
	local got

	must_listen "$2" "$3"
	got=$(try "$1" "$2" "$3" "${4:-tcp}" "${5:-4}")
	[ "$got" = silent ] || fail "$1 -> $2:$3 ${4:-tcp} v${5:-4}: $got, want silence"
}

stream_open() {
	local name=$1 from=$2 to=$3 port=$4 family=${5:-4} addr

	must_listen "$to" "$port"
	addr=$(addr_of "$to" "$family")
	STREAM_FILE[$name]=$SANDBOX_TMP/stream.$name
	: >"${STREAM_FILE[$name]}"
	in_pod "$from" "$TRAFFIC" stream "$addr" "$port" "${STREAM_FILE[$name]}" &
	stream_runs "$name"
}

stream_count() { wc -l <"${STREAM_FILE[$1]}"; }
stream_is_past() { [ "$(stream_count "$1")" -gt "$2" ]; }
stream_runs() { wait_until stream_is_past "$1" "$(stream_count "$1")"; }

# Nothing more comes back during a second, though the client keeps sending every 20 ms.
stream_stalls() {
	local before deadline=$((SECONDS + WAIT_S))

	while [ "$SECONDS" -lt "$deadline" ]; do
		before=$(stream_count "$1")
		sleep "$WATCH_S"
		[ "$(stream_count "$1")" -ne "$before" ] || return 0
	done
	fail "stream $1 still makes progress after $WAIT_S s"
}

# --- running --------------------------------------------------------------------------------

# name<TAB>text of every test function of the script, in file order.
test_list() {
	awk '/^#: /  { text = substr($0, 4) }
	     /^test_[a-z0-9_]+\(\)/ { name = $1; sub(/\(.*/, "", name); print name "\t" (text ? text : name); text = "" }' "$0"
}

run_inside() {
	node_up
	if declare -F setup >/dev/null; then setup; fi
	"$BERM_TEST"
}

# One sandbox. The status says how it went; what it left in a file says why it was skipped.
run_sandboxed() {
	BERM_TEST=$1 SANDBOX_TMP=$2 timeout --foreground --kill-after=5 "${TEST_TIMEOUT_S:-120}" \
		unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc bash "$0"
}

run_one() {
	local n=$1 name=$2 text=$3 tmp rc=0

	tmp=$(mktemp -d "${TMPDIR:-/tmp}/berm-sandbox.XXXXXX")
	# shellcheck disable=SC2064 # this one
	trap "rm -rf '$tmp'" EXIT
	run_sandboxed "$name" "$tmp" >"$tmp/output" 2>&1 || rc=$?
	sed 's/^[^#]/# &/' "$tmp/output"
	[ "$rc" -eq 0 ] || [ "$rc" -eq 77 ] || [ ! -s "$tmp/agent.log" ] || sed 's/^/# agent: /' "$tmp/agent.log" | tail -n 40
	case $rc in
	0) echo "ok $n - $text" ;;
	77) echo "ok $n - $text # SKIP $(cat "$tmp/skip" 2>/dev/null)"; rc=0 ;;
	124 | 137) echo "# $name: not done after ${TEST_TIMEOUT_S:-120} s"; echo "not ok $n - $text" ;;
	*) echo "not ok $n - $text" ;;
	esac
	rm -rf "$tmp"
	return "$rc"
}

# Where the output of tests that run at the same time waits for its turn, in their order; FILE.rc: it has ended.
BESIDE_OUT=()

# All that need not wait for an older one any more.
show_ended() {
	local out rc=0

	while [ ${#BESIDE_OUT[@]} -gt 0 ] && [ -s "${BESIDE_OUT[0]}.rc" ]; do
		out=${BESIDE_OUT[0]}
		cat "$out"
		[ "$(<"$out.rc")" = 0 ] || rc=1
		rm -f "$out" "$out.rc"
		BESIDE_OUT=("${BESIDE_OUT[@]:1}")
	done
	return "$rc"
}

# Until fewer than so many run.
wait_for_room() {
	local rc=0

	while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do
		wait -n || true # it says in its file how it went
		show_ended || rc=1
	done
	return "$rc"
}

run_beside() {
	local out rc=0

	wait_for_room "$TEST_JOBS" || rc=1
	out=$(mktemp "${TMPDIR:-/tmp}/berm-sandbox.XXXXXX")
	{ if run_one "$@" >"$out" 2>&1 3<&-; then echo 0; else echo 1; fi >"$out.rc"; } &
	BESIDE_OUT+=("$out")
	return "$rc"
}

# Arguments of the script: only tests whose name or text has one of these words.
is_wanted() {
	local name=$1 text=$2 word
	shift 2
	[ $# -gt 0 ] || return 0
	for word in "$@"; do
		[[ $name == *"$word"* || $text == *"$word"* ]] && return 0
	done
	return 1
}

run_tests() {
	local name text n=0 bad=0

	if [ -n "${BERM_TEST:-}" ]; then
		run_inside
		exit
	fi
	if [ "$(id -u)" -ne 0 ]; then
		echo "# needs root: namespaces and BPF"
		echo "1..0"
		exit 1
	fi
	while IFS=$'\t' read -r name text <&3; do
		is_wanted "$name" "$text" "$@" || continue
		n=$((n + 1))
		if [ "$TEST_JOBS" -gt 1 ]; then
			run_beside "$n" "$name" "$text" || bad=1
		else
			run_one "$n" "$name" "$text" || bad=1
		fi
	done 3< <(test_list)
	wait_for_room 1 || bad=1
	show_ended || bad=1
	echo "1..$n"
	exit $bad
}
