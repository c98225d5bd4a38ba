#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# bench_traffic.sh - what a pod's TCP feels of the wall: a stream, a request and its answer, a connection for each
# request; beside it what 1,000 iptables rules, an nftables set (both with connection tracking) and a hop through
# user space cost. Real pods behind veths, routed by a node of their own (sandbox.sh).
#
# Each figure of a variant stands between two of the same way without anything, taken within a second: what counts is the
# median of the ratios of such pairs ("ratio"), not the figures themselves; "nothing" tells what two of the same differ by.
# "best" is the ratio of the best figure with to the best without, which bears more noise. BERM_BENCH_ROUNDS (9),
# BERM_BENCH_MS (300), BERM_BENCH_KINDS (stream rr crr), BERM_BENCH_VARIANTS (wall nothing iptables nft hop).
# shellcheck disable=SC2119 # words of the scene take arguments, or none
# shellcheck source-path=SCRIPTDIR/../lib
. "$(dirname "$0")/../lib/sandbox.sh"
# shellcheck source-path=SCRIPTDIR/../netns
. "$(dirname "$0")/../netns/scene.sh"

ROUNDS=${BERM_BENCH_ROUNDS:-9}
MS=${BERM_BENCH_MS:-300}
KINDS=${BERM_BENCH_KINDS:-stream rr crr}
VARIANTS=${BERM_BENCH_VARIANTS:-wall nothing iptables nft hop}
[ -z "${BERM_BENCH_SMOKE:-}" ] || ROUNDS=1 MS=20
TEST_TIMEOUT_S=900
WAIT_S=30
PORT=7000
RULES=1000
METER=$BUILD/tools/meter
HOP_PID=

# --- ways from one pod to another ---------------------------------------------------------

serve() {
	local out=$SANDBOX_TMP/meter.$1

	in_pod "$1" "$METER" serve $PORT >"$out" 2>&1 &
	wait_until serves "$out"
}

# web and db have a wall, in which one rule lets them talk; plain1 and plain2 have none.
walled() {
	cast db:net=ptp app=db -- web:net=ptp app=web
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: $PORT, endPort: $((PORT + 2))}]}
	---
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Ingress, Egress]
	egress:
	- {name: db, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: $PORT, endPort: $((PORT + 2))}]}
	YAML
	curtain_up
}

plain() { cast_wild plain1 ptp; cast_wild plain2 ptp; }

# Two pods and a process that carries each frame from one to the other.
hopping() {
	local i

	for i in 1 2; do
		ip netns add hop$i
		ip link add hop_$i type veth peer name eth0 netns hop$i
		ip link set hop_$i up
		ip -n hop$i addr add 10.77.0.$i/24 dev eth0
		ip -n hop$i link set eth0 up
		ip -n hop$i link set lo up
	done
	POD_IP4[hop2]=10.77.0.2
	"$METER" hop hop_1 hop_2 >"$SANDBOX_TMP/hop" 2>&1 &
	HOP_PID=$!
	wait_until serves "$SANDBOX_TMP/hop"
}

# What comes before the rule that lets plain1 talk to plain2, and behind it.
iptables_rules() {
	local i from=${POD_IP4[plain1]} to=${POD_IP4[plain2]}

	echo '*filter'
	echo ':FORWARD DROP'
	echo '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT'
	for ((i = 1; i < RULES; i++)); do
		echo "-A FORWARD -s 10.200.$((i / 250)).$((i % 250))/32 -d $to/32 -p tcp --dport $((1000 + i)) -j ACCEPT"
	done
	echo "-A FORWARD -s $from/32 -d $to/32 -p tcp --dport $PORT:$((PORT + 2)) -j ACCEPT"
	echo COMMIT
}

nft_rules() {
	local i set=() from=${POD_IP4[plain1]} to=${POD_IP4[plain2]}

	for ((i = 1; i < RULES - 2; i++)); do
		set+=("10.200.$((i / 250)).$((i % 250)) . $to . $((1000 + i))")
	done
	for i in 0 1 2; do set+=("$from . $to . $((PORT + i))"); done
	cat <<-NFT
	table inet bench {
	 set may { type ipv4_addr . ipv4_addr . inet_service; elements = { $(IFS=,; echo "${set[*]}") }; }
	 chain forward {
	  type filter hook forward priority 0; policy drop;
	  ct state established,related accept
	  ip saddr . ip daddr . tcp dport @may accept
	 }
	}
	NFT
}

with_iptables() { iptables-legacy-restore <"$SANDBOX_TMP/iptables"; }
without_iptables() { iptables-legacy -P FORWARD ACCEPT; iptables-legacy -F FORWARD; }
with_nft() { nft -f "$SANDBOX_TMP/nft"; }
without_nft() { nft delete table inet bench; }

# --- measuring --------------------------------------------------------------------------------

# measure FROM TO: what was asked for last, in $KIND
measure() {
	in_pod "$1" "$METER" "$KIND" "${POD_IP4[$2]}" $PORT "$MS" || fail "$KIND from $1 to $2: no answer"
}

declare -A FROM=([wall]=web [hop]=hop1) TO=([wall]=db [hop]=hop2)

# One line: KIND VARIANT, figures without, figures with, figures without
pair() {
	local variant=$1 before with after

	before=$(measure plain1 plain2)
	case $variant in iptables | nft) "with_$variant" ;; esac
	with=$(measure "${FROM[$variant]:-plain1}" "${TO[$variant]:-plain2}")
	case $variant in iptables | nft) "without_$variant" ;; esac
	after=$(measure plain1 plain2)
	echo "$KIND $variant $before $with $after"
}

measure_all() {
	local round variant

	for ((round = 0; round < ROUNDS; round++)); do
		for KIND in $KINDS; do
			for variant in $VARIANTS; do pair "$variant"; done
		done
	done
}

# Medians of the figures, and of the ratios to the mean of what stood before and behind.
report() {
	awk -v rounds="$ROUNDS" '
	function median(list, n,   i, j, t, a) {
		split(list, a, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] + 0 > a[j] + 0; j--) { t = a[j]; a[j] = a[j - 1]; a[j - 1] = t }
		return n % 2 ? a[(n + 1) / 2] : (a[n / 2] + a[n / 2 + 1]) / 2
	}
	function better(what, a, b) { return (what ~ /^rr/) == (a + 0 < b + 0) ? a : b }
	function take(what, variant, before, with, after,   key, base) {
		key = what " " variant
		base = (before + after) / 2
		if (!(key in count)) { order[++keys] = key; best[key] = with; least[key] = before }
		count[key]++
		value[key] = value[key] " " with
		bases[key] = bases[key] " " base
		ratio[key] = ratio[key] " " with / base
		best[key] = better(what, best[key], with)
		least[key] = better(what, better(what, least[key], before), after)
	}
	function passes(key, r) { return (key ~ /^rr/) ? r <= must[key] : r >= must[key] }
	$1 == "rr" { take("rr_p50", $2, $3, $5, $7); take("rr_p99", $2, $4, $6, $8); next }
	{ take($1, $2, $3, $4, $5) }
	END {
		unit["stream"] = "bit/s"; unit["rr_p50"] = unit["rr_p99"] = "us"; unit["crr"] = "1/s"
		must["stream wall"] = 0.97; must["rr_p50 wall"] = must["rr_p99 wall"] = 1.03; must["crr wall"] = 0.95
		for (i = 1; i <= keys; i++) {
			key = order[i]
			split(key, w, " ")
			r = median(ratio[key], count[key])
			printf "{\"bench\":\"traffic_%s_%s\",\"value\":%.1f,\"unit\":\"%s\",\"baseline\":%.1f,\"ratio\":%.3f,", \
				w[1], w[2], median(value[key], count[key]), unit[w[1]], median(bases[key], count[key]), r
			printf "\"best\":%.3f,\"note\":\"pod to pod, median of %d pairs; the baseline is the same way without\"", \
				best[key] / least[key], count[key]
			if (key in must) printf ",\"gate\":\"%s\",\"limit\":%.2f", passes(key, r) ? "pass" : "fail", must[key]
			print "}"
		}
	}'
}

bench() {
	plain
	walled
	hopping
	iptables_rules >"$SANDBOX_TMP/iptables"
	nft_rules >"$SANDBOX_TMP/nft"
	serve db
	serve plain2
	serve hop2
	wait_until in_pod hop1 "$METER" crr 10.77.0.2 $PORT 1 >/dev/null
	if [[ " $VARIANTS " == *' wall '* ]]; then
		counted session measure_all >"$SANDBOX_TMP/pairs" # so there is a wall in the way
	else
		measure_all >"$SANDBOX_TMP/pairs"
	fi
	agent_stop
	kill "$HOP_PID"
	report <"$SANDBOX_TMP/pairs"
}

main() {
	local tmp rc=0

	[ -z "${BERM_TEST:-}" ] || run_inside
	[ -z "${BERM_TEST:-}" ] || return 0
	[ "$(id -u)" -eq 0 ] || { echo "bench_traffic: needs root: namespaces and BPF" >&2; exit 1; }
	tmp=$(mktemp -d "${TMPDIR:-/tmp}/berm-bench.XXXXXX")
	# shellcheck disable=SC2064 # this one
	trap "rm -rf '$tmp'" EXIT
	run_sandboxed bench "$tmp" || rc=$?
	[ "$rc" -eq 0 ] || [ ! -s "$tmp/agent.log" ] || tail -n 20 "$tmp/agent.log" >&2
	return "$rc"
}

main
