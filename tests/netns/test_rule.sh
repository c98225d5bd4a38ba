#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_rule.sh - what rules mean, seen in traffic: blocks, ports, names, the node and those who look like it.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

#: an except takes out of its own block only: another rule may still let them in [semantics.union_except]
test_union_except() {
	local web4 spy4
	cast db app=db -- web app=web -- spy app=spy
	listen db 80 81 82
	web4=${POD_IP4[web]} spy4=${POD_IP4[spy]}
	apply - np.yaml <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: db, namespace: default}
	spec:
	  podSelector: {matchLabels: {app: db}}
	  ingress:
	  - from: [{ipBlock: {cidr: 10.88.0.0/16, except: [$spy4/32, $web4/32]}}]
	    ports: [{port: 80}, {port: 82}]
	  - from: [{ipBlock: {cidr: $web4/32}}, {ipBlock: {cidr: 10.64.0.0/10, except: [$web4/32]}}]
	    ports: [{port: 81}, {port: 82}]
	YAML
	curtain_up
	block web db 80 # taken out of the only rule for this port
	block spy db 80
	reach web db 81 # by its own block, though the other one excepts it
	reach spy db 81 # the wide block excepts somebody else
	reach web db 82
	reach spy db 82
	block spy db 81 tcp 6 # IPv4 blocks say nothing of IPv6
}

#: a thousand ports, as single ones and as ranges: each is its own, no more and no less [semantics.ports_1000]
test_ports_1000() {
	local port
	cast db app=db -- web app=web
	listen db 10001 10002 10501 10999 11000 11001 20000 20001 29998 30000 30001 40000 65535
	{
		printf '%s\n' 'kind: SegmentationPolicy' 'name: many' 'subject: {podSelector: {matchLabels: {app: db}}}' \
			'isolate: [Ingress]' 'ingress:' '- name: odd' '  from: [{podSelector: {matchLabels: {app: web}}}]' '  ports:'
		seq -f '  - {port: %.0f}' 10001 2 10999
		seq -f '  - {protocol: UDP, port: %.0f}' 10000 2 10998
		printf '%s\n' '- name: ranges' '  from: [{podSelector: {matchLabels: {app: web}}}]' '  ports:' \
			'  - {port: 20001, endPort: 29999}' '  - {port: 25000, endPort: 30000}' '  - {port: 65535}'
	} | policy many
	curtain_up
	[ "$(status .policies.invalid)" = 0 ] || fail "the policy is invalid: $(status .problems)"
	for port in 10001 10501 10999 20001 29998 30000 65535; do reach web db $port; done
	for port in 10002 11000 11001 20000 30001 40000; do block web db $port; done
	reach web db 10002 udp 6
	block web db 10001 udp 6
}

# A pod with containers of which one has the port NAME.
pod_with_port() {
	{ pod_object "$1" "app=$1"; printf 'spec:\n  containers:\n  - {name: c, ports: [{name: %s, containerPort: %s}]}\n' "$2" "$3"; } |
		apply - "pod-$1.yaml"
}

#: a named port is what the destination calls so, each pod for itself [semantics.named_ports]
test_named_ports() {
	cast one app=one -- two app=two -- web app=web
	pod_with_port one http 80
	pod_with_port two http 8080
	listen one 80 8080
	listen two 80 8080
	policy named <<-YAML
	kind: SegmentationPolicy
	name: in
	subject: {podSelector: {matchExpressions: [{key: app, operator: In, values: [one, two]}]}}
	isolate: [Ingress]
	ingress: [{name: http, ports: [{port: http}]}]
	YAML
	curtain_up
	reach web one 80
	block web one 8080
	reach web two 8080
	block web two 80
	settle policy named <<-YAML
	kind: SegmentationPolicy
	name: out
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress: [{name: http, to: [{podSelector: {}}], ports: [{port: http}]}]
	YAML
	reach web one 80
	block web one 8080
	reach web two 8080
	block web two 80
	settle pod_with_port two http 80
	reach web two 80
	block web two 8080
}

# What traffic from the node itself to ADDR says.
from_node() { "$TRAFFIC" try "$1" "$2" "$3" "$BLOCK_MS" || :; }

#: the node's probes reach its pods whatever isolates them, with every address and both families [probes.kubelet]
test_probes() {
	local net addr
	cast db app=db -- far:net=ptp app=db -- spy app=spy
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: all
	subject: {podSelector: {}}
	isolate: [Ingress, Egress]
	essentials: []
	YAML
	curtain_up
	ip addr add 192.0.2.9/32 dev lo # an address of the node that comes later
	for net in db far; do
		listen $net 80
		for addr in "${POD_IP4[$net]}" "${POD_IP6[$net]}"; do
			wait_until node_reaches tcp "$addr" $net
			node_reaches udp "$addr" $net || fail "the node's datagram does not reach $net at $addr"
			ping -n -c 1 -W 2 "$addr" >/dev/null || fail "the node's ping does not reach $net at $addr"
		done
		wait_until ping -n -c 1 -W 1 -I 192.0.2.9 "${POD_IP4[$net]}" >/dev/null
		block spy $net 80
		block spy $net 80 tcp 6
	done
	[ "$(counter host)" -gt 0 ] || fail "no packet was counted as the node's own"
}

node_reaches() { [ "$(from_node "$1" "$2" 80)" = "open $3" ]; }

# The way of a NodePort: DNAT before the wall of db, the client's address gone behind it.
node_port() {
	iptables -t nat -A PREROUTING -p tcp --dport 30080 -j DNAT --to-destination "${POD_IP4[db]}:80" 2>"$SANDBOX_TMP/nat" ||
		skip "kernel: no NAT: $(cat "$SANDBOX_TMP/nat")"
	iptables -t nat -A POSTROUTING -p tcp -d "${POD_IP4[db]}" --dport 80 -j MASQUERADE
	ip6tables -t nat -A PREROUTING -p tcp --dport 30080 -j DNAT --to-destination "[${POD_IP6[db]}]:80"
	ip6tables -t nat -A POSTROUTING -p tcp -d "${POD_IP6[db]}" --dport 80 -j MASQUERADE
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
}

# through_node POD ADDR WANT
through_node() {
	local got
	got=$(in_pod "$1" "$TRAFFIC" try tcp "$2" 30080 "$([ "$3" = silent ] && echo "$BLOCK_MS" || echo "$REACH_MS")" || :)
	[ "$got" = "$3" ] || fail "$1 -> $2:30080: $got, want $3"
}

#: a client whose address the node has taken is not the node [semantics.masquerade_not_host]
test_masquerade() {
	local client
	cast db app=db -- web app=web -- far:net=ptp app=web
	listen db 80
	node_port
	curtain_up
	for client in web far; do
		through_node $client 10.88.0.1 "open db"
		through_node $client fd88::1 "open db"
	done
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	YAML
	for client in web far; do
		through_node $client 10.88.0.1 silent
		through_node $client fd88::1 silent
	done
	node_reaches tcp "${POD_IP4[db]}" db || fail "the node itself is shut out"
	node_reaches tcp "${POD_IP6[db]}" db || fail "the node itself is shut out, IPv6"
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: node, from: [{ipBlock: {cidr: 10.88.0.1/32}}, {ipBlock: {cidr: "fd88::1/128"}}]}]
	YAML
	through_node web 10.88.0.1 "open db" # an ordinary peer with the address that it shows
	through_node web fd88::1 "open db"
}

run_tests "$@"
