#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_flow.sh - rules about one connection each, seen in traffic.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# try FROM SPORT TO DPORT [4|6]: what an attempt from that very port says
from_port() {
	in_pod "$1" python3 - "$2" "$(addr_of "$3" "${5:-4}")" "$4" <<-'PY'
	import socket, sys
	port, host, to = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
	s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind(("", port))
	s.settimeout(float(0.6))
	try:
	    s.connect((host, to))
	    print("open")
	except ConnectionRefusedError:
	    print("refused")
	except (TimeoutError, socket.timeout):
	    print("silent")
	PY
}

says() {
	local want=$1 got
	shift
	got=$(from_port "$@")
	[ "$got" = "$want" ] || fail "from $1:$2 to $3:$4 ${5:-}: $got, want $want"
}

flow() { # NAME ACTION DIRECTION FROM SPORT TO DPORT FAMILY
	printf '%s\n' "- {name: $1, action: $2, direction: $3, protocol: TCP, src: '$(addr_of "$4" "$8")', srcPort: $5, dst: '$(addr_of "$6" "$8")', dstPort: $7}"
}

wall() {
	policy wall <<-YAML
	kind: SegmentationPolicy
	name: wall
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]
	YAML
}

#: a flow opens or closes its one connection, in both families, and says so; taken away it is as before
test_exact() {
	local family
	cast db app=db -- web app=web -- spy app=spy
	listen db 80 81
	wall
	{
		printf '%s\n' 'kind: SegmentationPolicy' 'name: exact' 'subject: {podSelector: {matchLabels: {app: db}}}' 'isolate: []' 'flows:'
		for family in 4 6; do
			flow pinned Allow Ingress spy 45000 db 81 $family
			flow shut Deny Ingress web 45000 db 80 $family
			flow told Reject Ingress web 45001 db 80 $family
		done
	} | policy exact
	curtain_up
	[ "$(status .policies.invalid)" = 0 ] || fail "a policy is invalid: $(status .problems)"
	for family in 4 6; do
		says open spy 45000 db 81 $family
		says silent spy 45001 db 81 $family
		says silent spy 45000 db 80 $family
		says silent web 45000 db 80 $family
		says refused web 45001 db 80 $family
		says open web 45002 db 80 $family
	done
	[ "$(rule_hits flows/pinned)" -ge 2 ] || fail "nobody counted the connections of flows/pinned"
	"$BUILD/bermctl" why default/web default/db:80 --source-port 45000 >"$SANDBOX_TMP/why" 2>&1 || :
	grep -q 'flows/shut' "$SANDBOX_TMP/why" || fail "why does not name the flow: $(cat "$SANDBOX_TMP/why")"
	settle unapply exact.yaml
	says silent spy 45000 db 81
	says open web 45000 db 80
}

#: a tenant's flow neither opens nor shuts another's pod; its own it may [tenant.flows_beyond]
test_tenant() {
	cast db app=db -- web app=web -- nosy:ns=evil app=nosy
	listen db 80 81
	listen nosy 80
	wall
	{
		printf '%s\n' 'kind: SegmentationPolicy' 'name: beyond' 'isolate: []' 'flows:'
		flow open Allow Ingress nosy 45000 db 81 4
		flow shut Deny Ingress web 45000 db 80 4
		flow own Deny Ingress web 45000 nosy 80 4
	} | policy beyond evil
	curtain_up
	says silent nosy 45000 db 81
	says open web 45000 db 80
	says silent web 45000 nosy 80
	says open web 45001 nosy 80
}

run_tests "$@"
