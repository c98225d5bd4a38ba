#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_service.sh - Services, nodePorts and hostPorts in traffic: the node leads packets elsewhere after they have
# left the pod, as kube-proxy and the portmap plugin do, and the pod's wall judges where to.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

NODE4=192.0.2.9 NODE6=2001:db8::9
VIP4=10.96.0.10 VIP6=fd96::10

setup() {
	ip addr add $NODE4/32 dev lo
	ip addr add $NODE6/128 dev lo
	echo 1 >/proc/sys/net/ipv4/ip_forward
	echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	iptables -t nat -N probe 2>"$SANDBOX_TMP/nat" || skip "kernel: no NAT: $(cat "$SANDBOX_TMP/nat")"
	apply - cidr.yaml <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: ServiceCIDR
	metadata: {name: kubernetes}
	spec: {cidrs: [10.96.0.0/16, "fd96::/112"]}
	YAML
}

# service NAME ADDR4 ADDR6 [FIELD: VALUE...]: one port, http, 80
service() {
	local name=$1 four=$2 six=$3 field
	shift 3
	{
		printf '%s\n' 'apiVersion: v1' 'kind: Service' "metadata: {name: $name}" 'spec:' \
			"  clusterIP: $four" "  clusterIPs: [$four, '$six']"
		for field in "$@"; do echo "  $field"; done
		case "$*" in *ports:*) ;; *) echo '  ports: [{name: http, port: 80}]' ;; esac
	} | apply - "service-$name.yaml"
}

# One slice of each family: slices SERVICE ID PORT POD[@NODE]...; a pod may be an address too, of IPv4
slices() {
	local service=$1 id=$2 port=$3 family pod where
	shift 3
	for family in 4 6; do
		cat <<-YAML
		---
		apiVersion: discovery.k8s.io/v1
		kind: EndpointSlice
		addressType: IPv$family
		metadata: {name: $service-$id-$family, labels: {kubernetes.io/service-name: $service}}
		ports: [{name: http, port: $port, protocol: TCP}]
		endpoints:
		YAML
		for pod in "$@"; do
			where=${pod#"${pod%%@*}"}
			printf -- "- {addresses: ['%s'], conditions: {ready: true}%s}\n" "$(end_of "${pod%%@*}" $family)" "${where:+, nodeName: ${where#@}}"
		done
	done | apply - "slices-$service-$id.yaml"
}

end_of() {
	case $1 in
	*.*) if [ "$2" = 6 ]; then echo "2001:db8:1::${1##*.}"; else echo "$1"; fi ;;
	*) addr_of "$1" "$2" ;;
	esac
}

# What kube-proxy does: lead ADDR4 ADDR6 PORT POD:TARGET..., one after the other
lead() {
	local four=$1 six=$2 port=$3 end left pod
	shift 3
	left=$#
	for end in "$@"; do
		pod=${end%%:*}
		iptables -t nat -A PREROUTING -d "$four" -p tcp --dport "$port" -m statistic --mode nth --every $left --packet 0 \
			-j DNAT --to-destination "$(addr_of "$pod" 4):${end#*:}"
		ip6tables -t nat -A PREROUTING -d "$six" -p tcp --dport "$port" -m statistic --mode nth --every $left --packet 0 \
			-j DNAT --to-destination "[$(addr_of "$pod" 6)]:${end#*:}"
		left=$((left - 1))
	done
}

# asks POD ADDR PORT: "open SERVER", "silent"...
asks() { in_pod "$1" "$TRAFFIC" try tcp "$2" "$3" "${4:-$REACH_MS}" || :; }

# finds POD ADDR4 ADDR6 PORT SERVER...: every one of the servers answers in turn, in both families
finds() {
	local pod=$1 addr port=$4 addrs=("$2" "$3") got i
	shift 4
	for addr in "${addrs[@]}"; do
		for ((i = 0; i < $#; i++)); do
			got=$(asks "$pod" "$addr" "$port")
			[[ " $* " == *" ${got#open } "* && $got == open* ]] || fail "$pod -> $addr:$port: $got, want one of: $*"
		done
	done
}

misses() {
	local addr got

	for addr in "$2" "$3"; do
		got=$(asks "$1" "$addr" "$4" "$BLOCK_MS")
		[ "$got" = silent ] || fail "$1 -> $addr:$4: $got, want silence"
	done
}

# Pods of which each is reached through the host, never over a bridge: the node sees both ways of a connection.
crew() {
	local pod words=()
	for pod in "$@"; do words+=("$pod:net=ptp" "app=$pod" --); done
	cast "${words[@]}"
	listen db 80 8080
}

# walls [PORT]: web may go to db's port 8080 (or that one), and nowhere else; spy to nobody; free is not isolated.
# shellcheck disable=SC2120 # through settle it is given one
walls() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress: [{name: to-db, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: ${1:-8080}}]}]
	---
	kind: SegmentationPolicy
	name: spy
	subject: {podSelector: {matchLabels: {app: spy}}}
	isolate: [Egress]
	YAML
}

#: a Service is where its backends are: their port counts, and the flow names their rule
test_backends() {
	crew db web spy free
	service db $VIP4 $VIP6
	slices db a 8080 db
	lead $VIP4 $VIP6 80 db:8080
	walls
	curtain_up
	finds free $VIP4 $VIP6 80 db
	finds web $VIP4 $VIP6 80 db
	misses spy $VIP4 $VIP6 80
	reach web db 8080
	block web db 80 # the Service's own number means nothing there
	[ "$(rule_hits to-db)" -gt 0 ] || fail "the rule that let it through was not counted"
	settle walls 80 # the Service's number is not the backends'
	misses web $VIP4 $VIP6 80
	reach web db 80
	settle walls 8080
	finds web $VIP4 $VIP6 80 db
}

#: a block about the Service's address says nothing of the Service; one about its backends does
test_blocks() {
	crew db web free
	service db $VIP4 $VIP6
	slices db a 8080 db
	lead $VIP4 $VIP6 80 db:8080
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress: [{name: vips, to: [{ipBlock: {cidr: 10.96.0.0/12}}, {ipBlock: {cidr: "fd96::/16"}}]}]
	YAML
	curtain_up
	misses web $VIP4 $VIP6 80
	finds free $VIP4 $VIP6 80 db
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress: [{name: ends, to: [{ipBlock: {cidr: 10.89.0.0/16}}, {ipBlock: {cidr: "fd89::/16"}}], ports: [{port: 8080}]}]
	YAML
	finds web $VIP4 $VIP6 80 db
}

#: one backend that is not allowed closes the Service, for new connections only [semantics.service_mixed]
test_mixed() {
	crew db web spy free other
	listen other 8080
	service db $VIP4 $VIP6
	slices db a 8080 db
	lead $VIP4 $VIP6 80 db:8080 # kube-proxy never leads web to other here: only who is behind it counts
	walls
	curtain_up
	finds web $VIP4 $VIP6 80 db
	open_stream four web $VIP4 80
	open_stream six web $VIP6 80
	settle slices db b 8080 other
	counted service-mixed misses web $VIP4 $VIP6 80
	finds free $VIP4 $VIP6 80 db
	stream_runs four
	stream_runs six
	settle slices db b 8080 # the other backend has gone
	finds web $VIP4 $VIP6 80 db
	stream_runs four
	settle slices db b 8080 other
	settle policy more <<-YAML
	kind: SegmentationPolicy
	name: more
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: []
	egress: [{name: to-other, to: [{podSelector: {matchLabels: {app: other}}}], ports: [{port: 8080}]}]
	YAML
	finds web $VIP4 $VIP6 80 db # all are allowed
	settle walls 81 # none of db's is: mixed again, by a policy
	stream_stalls four
}

# open_stream NAME POD ADDR PORT
open_stream() {
	STREAM_FILE[$1]=$SANDBOX_TMP/stream.$1
	: >"${STREAM_FILE[$1]}"
	in_pod "$2" "$TRAFFIC" stream "$3" "$4" "${STREAM_FILE[$1]}" &
	stream_runs "$1"
}

#: an address of Services that is none is nobody; only a rule about everyone means it [semantics.service_unknown]
test_unknown() {
	crew db web spy free
	lead $VIP4 $VIP6 80 db:8080 # kube-proxy knows a Service that we do not, yet
	walls
	curtain_up
	counted service-unknown misses web $VIP4 $VIP6 80
	finds free $VIP4 $VIP6 80 db
	settle service db $VIP4 $VIP6
	counted service-unknown misses web $VIP4 $VIP6 80 # without backends
	settle slices db a 8080 db
	finds web $VIP4 $VIP6 80 db
	counted service-unknown misses web $VIP4 $VIP6 81 # a port that it has not
	settle unapply service-db.yaml
	misses web $VIP4 $VIP6 80
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress: [{name: anywhere, to: [{any: true}], ports: [{port: 80}]}]
	YAML
	finds web $VIP4 $VIP6 80 db
}

#: internalTrafficPolicy Local: only this node's backends count [semantics.service_local]
test_local() {
	crew db web free
	service db $VIP4 $VIP6 'internalTrafficPolicy: Local'
	slices db a 8080 db@here 198.51.100.7@there
	lead $VIP4 $VIP6 80 db:8080
	walls
	curtain_up --node here
	finds web $VIP4 $VIP6 80 db
	settle service db $VIP4 $VIP6
	counted service-mixed misses web $VIP4 $VIP6 80
	finds free $VIP4 $VIP6 80 db
	settle service db $VIP4 $VIP6 'internalTrafficPolicy: Local'
	finds web $VIP4 $VIP6 80 db
}

#: a nodePort of the own node is a Service first, the own node otherwise [semantics.nodeport_from_pod]
test_node_port() {
	crew db web spy free
	service db $VIP4 $VIP6 'type: NodePort' 'ports: [{name: http, port: 80, nodePort: 30080}]'
	slices db a 8080 db
	lead $NODE4 $NODE6 30080 db:8080
	"$TRAFFIC" serve node 9000 >"$SANDBOX_TMP/node" 2>&1 &
	wait_until serves "$SANDBOX_TMP/node"
	walls
	curtain_up
	finds free $NODE4 $NODE6 30080 db
	finds web $NODE4 $NODE6 30080 db
	misses spy $NODE4 $NODE6 30080 # though its own node is never denied implicitly
	finds spy $NODE4 $NODE6 9000 node
	ip addr add 192.0.2.10/32 dev lo # every address of the node
	lead 192.0.2.10 2001:db8::a 30080 db:8080
	wait_until is_silent spy 192.0.2.10 30080
	wait_until is_open_to web 192.0.2.10 30080 db
	settle unapply service-db.yaml
	iptables -t nat -F PREROUTING
	ip6tables -t nat -F PREROUTING
	"$TRAFFIC" serve node 30080 >"$SANDBOX_TMP/node2" 2>&1 &
	wait_until serves "$SANDBOX_TMP/node2"
	finds spy $NODE4 $NODE6 30080 node # the port is the node's own again
}

is_silent() { [ "$(asks "$1" "$2" "$3" "$BLOCK_MS")" = silent ]; }
is_open_to() { [ "$(asks "$1" "$2" "$3")" = "open $4" ]; }

# host_port POD HOSTPORT PORT [HOSTIP]
host_port() {
	{ pod_object "$1" "app=$1"; printf 'spec:\n  containers:\n  - {name: c, ports: [{containerPort: %s, hostPort: %s%s}]}\n' "$3" "$2" "${4:+, hostIP: $4}"; } |
		apply - "pod-$1.yaml"
}

#: a hostPort is the pod behind it [semantics.hostport]
test_host_port() {
	crew db web spy free
	host_port db 8088 8080
	lead $NODE4 $NODE6 8088 db:8080
	walls
	curtain_up
	finds free $NODE4 $NODE6 8088 db
	finds web $NODE4 $NODE6 8088 db
	misses spy $NODE4 $NODE6 8088
	settle host_port db 8088 8080 192.0.2.77 # another address of the node: this one is the node's own again
	ip addr add 192.0.2.77/32 dev lo
	iptables -t nat -A PREROUTING -d 192.0.2.77 -p tcp --dport 8088 -j DNAT --to-destination "${POD_IP4[db]}:8080"
	wait_until is_silent spy 192.0.2.77 8088
	wait_until is_open_to web 192.0.2.77 8088 db
	finds spy $NODE4 $NODE6 8088 db # nobody's hostPort: as the node
}

#: a pod reaches itself through its Service, whatever closes it to others [semantics.hairpin]
test_hairpin() {
	local four six
	crew db web
	service db $VIP4 $VIP6
	slices db a 8080 db
	lead $VIP4 $VIP6 80 db:8080
	iptables -t nat -A POSTROUTING -s "${POD_IP4[db]}" -d "${POD_IP4[db]}" -j MASQUERADE
	ip6tables -t nat -A POSTROUTING -s "${POD_IP6[db]}" -d "${POD_IP6[db]}" -j MASQUERADE
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress, Egress]
	egress: [{name: self, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: 8080}]}]
	YAML
	curtain_up
	counted hairpin finds db $VIP4 $VIP6 80 db
	misses web $VIP4 $VIP6 80
	# On the way out it is judged as any other backend: the Service may have more of them.
	settle policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Egress]
	YAML
	misses db $VIP4 $VIP6 80
	finds web $VIP4 $VIP6 80 db
}

#: a port by its name, with another number on each pod behind the Service [semantics.named_ports]
test_named_ports() {
	crew db web free other
	listen other 9090
	named db 8080
	named other 9090
	service db $VIP4 $VIP6 'ports: [{name: http, port: 80, targetPort: web}]'
	slices db a 8080 db
	slices db b 9090 other
	lead $VIP4 $VIP6 80 db:8080 other:9090
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress: [{name: by-name, to: [{podSelector: {}}], ports: [{port: web}]}]
	YAML
	curtain_up
	finds free $VIP4 $VIP6 80 db other
	finds web $VIP4 $VIP6 80 db other
	settle named other 9091 # its 9090 is not called so any more
	counted service-mixed misses web $VIP4 $VIP6 80
	finds free $VIP4 $VIP6 80 db other
}

named() {
	{ pod_object "$1" "app=$1"; printf 'spec:\n  containers:\n  - {name: c, ports: [{name: web, containerPort: %s}]}\n' "$2"; } |
		apply - "pod-$1.yaml"
}

run_tests "$@"
