#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 400
#
# test_identity.sh - who is who while pods come and go: names, addresses and interface indexes are used again.
# shellcheck disable=SC2034 # settings that sandbox.sh reads
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/plugin.sh"

TEST_TIMEOUT_S=200
OPEN='"waitForPolicy":"100ms","fallback":"allow","bootFallback":"allow"'
SHUT='"waitForPolicy":"100ms","fallback":"deny","bootFallback":"deny"'

one_of_many() { OUT=$SANDBOX_TMP/out.$2 LOG=$SANDBOX_TMP/log.$2 call_ok "$1" "$2" conf='"waitForPolicy":"100ms"'; }

many() {
	local command=$1 name jobs=()
	for name in "${MANY[@]}"; do
		one_of_many "$command" "$name" &
		jobs+=($!)
	done
	for job in "${jobs[@]}"; do
		wait "$job" || fail "$command failed"
	done
}

#: 100 ADDs at once on a node that has nothing yet, then 100 DELs at once [cni.parallel_100]
test_parallel_100() {
	local name
	mapfile -t MANY < <(seq -f 'm%g' 100)
	for name in "${MANY[@]}"; do
		veth_add "$name"
	done
	many ADD
	for name in "${MANY[@]}"; do
		is_guarded "$name"
	done
	[ "$(nodectl usage)" = "ifaces=100 slots=100" ] || fail "$(nodectl usage)"
	[ "$(jq .slot /run/berm/endpoints/*.json | sort -u | wc -l)" = 100 ] || fail "slots are shared"
	many DEL
	must_leave_nothing
}

#: 1,000 pods of one name replaced, DEL old and ADD new in random orders [ident.same_name_replaced]
test_same_name_replaced() {
	nodectl load
	"$TOP/tests/cni/churn.py" same-name 1000 "$PLUGIN" "$BUILD/tools/nodectl" || fail "see above"
	must_leave_nothing
}

# hand_pod NAME INDEX: a routed pod with address 10.1.0.9 whose host side has that index
hand_pod() {
	ip netns add "$1"
	ip link add index "$2" name "h-$1" type veth peer name eth0 netns "$1"
	ip link set "h-$1" up
	ip addr add 169.254.1.1/32 dev "h-$1"
	ip -n "$1" addr add 10.1.0.9/32 dev eth0
	ip -n "$1" link set eth0 up
	ip -n "$1" route add 169.254.1.1 dev eth0
	ip -n "$1" route add default via 169.254.1.1
	ip route replace 10.1.0.9/32 dev "h-$1"
}

# ask POD ADDRESS: one UDP question from the same port each time; says answered or silent
ask() {
	in_pod "$1" python3 - "$2" <<-'PY'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind(("10.1.0.9", 5555))
	s.settimeout(0.7)
	s.sendto(b"hello", (sys.argv[1], 80))
	try:
	    s.recv(100)
	    print("answered")
	except OSError:
	    print("silent")
	PY
}

#: an interface index used again: no session inherited, the old DEL leaves the stranger alone [ident.ifindex_reuse]
test_ifindex_reuse() {
	BERM_CONF=$OPEN
	pod_add server
	listen server 80
	hand_pod old 500
	call_ok ADD old conf="$OPEN"
	[ "$(ask old "${POD_IP4[server]}")" = answered ] || fail "the control does not work"
	ip link del h-old # and no DEL
	hand_pod new 500
	call_ok ADD new conf="$SHUT"
	[ "$(ask new "${POD_IP4[server]}")" = silent ] || fail "the new pod talks through the old one's session"
	call_ok DEL old
	is_guarded new
	[ "$(ask new "${POD_IP4[server]}")" = silent ] || fail "the old DEL has opened the new pod"
	nodectl sets 500 0 0
	[ "$(ask new "${POD_IP4[server]}")" = answered ] || fail "it was not the guard that kept it silent"
	call_ok DEL new
	is_not_guarded new
}

#: the same while the new pod is only being added, and with GC instead of DEL [ident.ifindex_reuse]
test_ifindex_reuse_gc() {
	hand_pod old 600
	call_ok ADD old conf="$OPEN"
	ip link del h-old
	hand_pod new 600
	call_ok GC x version=1.1.0 conf='"cni.dev/valid-attachments":[{"containerID":"old","ifname":"eth0"}]'
	call_ok ADD new conf="$OPEN"
	call_ok GC x version=1.1.0 conf='"cni.dev/valid-attachments":[{"containerID":"new","ifname":"eth0"}]'
	is_guarded new
	[ ! -e /run/berm/endpoints/old@eth0.json ] || fail "the old record is still there"
	call_ok DEL old
	is_guarded new
	call_ok DEL new
	must_leave_nothing
}

one_address_net() {
	cat >/run/nets/one.conflist <<-JSON
	{"cniVersion": "1.0.0", "name": "one", "plugins": [{"type": "ptp", "ipam": {"type": "host-local",
	 "dataDir": "/var/lib/cni/networks", "routes": [{"dst": "0.0.0.0/0"}],
	 "ranges": [[{"subnet": "10.66.0.0/24", "rangeStart": "10.66.0.9", "rangeEnd": "10.66.0.9"}]]}}, $(berm_entry)]}
	JSON
	echo /run/nets/one.conflist
}

#: an address used again: neither the sessions nor the permissions of its former pod [ident.ip_reuse]
test_ip_reuse() {
	BERM_CONF='"waitForPolicy":"5s"'
	agent_start
	apply - ns.yaml <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: only-friends, namespace: default}
	spec:
	  podSelector: {matchLabels: {app: db}}
	  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]
	YAML
	known_pod db app=db
	listen db 80
	known_pod friend net="$(one_address_net)" app=friend
	reach friend db 80
	stream_open talk friend db 80
	pod_del friend
	unapply friend.yaml
	known_pod stranger net=/run/nets/one.conflist app=stranger
	[ "${POD_IP4[stranger]}" = 10.66.0.9 ] || fail "another address: ${POD_IP4[stranger]}"
	block stranger db 80
	pod_del stranger
	unapply stranger.yaml
	known_pod friend2 net=/run/nets/one.conflist app=friend
	reach friend2 db 80
}

# known_pod NAME [net=...] label=value: its object is there before it is added, as with a kubelet
known_pod() {
	local name=$1 net=net=bridge
	shift
	case $1 in net=*) net=$1; shift ;; esac
	pod_prepare "$name" "$net"
	pod_object "$name" "$@" | apply - "$name.yaml"
	pod_cni ADD "$name" >"$OUT" || fail "ADD $name: $(cat "$OUT")"
	pod_learn "$name"
}

our_programs() { # loaded programs that use this node's maps, wherever they hang
	local node
	node=$(bpftool map show pinned "$PINS/maps/berm_node" -j | jq .id)
	bpftool prog show -j | jq --argjson id "$node" '[.[] | select((.map_ids // []) | index($id))] | length'
}

state_of_node() {
	nodectl usage
	entries_in /sys/fs/bpf
	entries_in /run/berm | grep -v -e agent.sock -e lock
	our_programs
}

#: 1,000 pods with every tenth DEL lost: GC finds them, and nothing is left [churn.leak]
test_churn_stub() {
	local before
	nodectl load
	before=$(state_of_node)
	"$TOP/tests/cni/churn.py" lossy 1000 "$PLUGIN" || fail "see above"
	must_leave_nothing
	same_state() { [ "$(state_of_node | grep -v '^/run/berm/')" = "$(grep -v '^/run/berm/' <<<"$before")" ]; }
	wait_until same_state
}

# Ten pods at once come and go; the last one's DEL is lost.
ten_pods() {
	local first=$1 i net jobs=()
	for ((i = first; i < first + 10; i++)); do
		net=bridge
		[ $((i % 2)) = 0 ] || net=ptp
		pod_prepare "p$i" net=$net
		pod_cni ADD "p$i" >"$OUT.$i" &
		jobs+=($!)
	done
	for i in "${jobs[@]}"; do
		wait "$i" || fail "ADD failed: $(cat "$OUT".*)"
	done
	for ((i = first; i < first + 9; i++)); do
		pod_cni DEL "p$i" || fail "DEL of p$i"
	done
	for ((i = first; i < first + 10; i++)); do
		ip netns del "p$i"
	done
}

agent_fds() { find "/proc/$AGENT_PID/fd" -type l | wc -l; }
agent_rss_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$AGENT_PID/status"; }

#: 100 pods behind real plugins with an agent, some DELs lost: all collected, no descriptor or memory kept [churn.leak]
test_churn_real() {
	local i fds rss
	BERM_CONF='"waitForPolicy":"20ms","fallback":"allow"' # no Pod objects, so nothing is judged
	agent_start
	for i in 1 2 3 4; do # warm up
		pod_add "w$i"
		pod_del "w$i"
	done
	wait_until nothing_is_left
	fds=$(agent_fds) rss=$(agent_rss_kb)
	for ((i = 0; i < 100; i += 10)); do
		ten_pods $i
	done
	WAIT_S=60
	wait_until nothing_is_left
	[ "$(rest GET /v1/status | jq .tampered)" = 0 ] || fail "churn counts as tampering: $(grep tampered "$AGENT_LOG")"
	[ "$(agent_fds)" -le "$((fds + 1))" ] || fail "the agent had $fds descriptors, now $(agent_fds)"
	[ "$(agent_rss_kb)" -le $((rss + 2048)) ] || fail "the agent had $rss KiB, now $(agent_rss_kb)"
	note "agent: $fds -> $(agent_fds) descriptors, $rss -> $(agent_rss_kb) KiB"
}

nothing_is_left() { (must_leave_nothing) >/dev/null 2>&1; }

run_tests "$@"
