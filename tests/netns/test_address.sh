#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_address.sh - an address, a name or an index says nothing of who had it before.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

PORT=5000

web_only() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	YAML
}

# The next pod on the bridge gets the lowest free address.
forget_last_address() { rm -f /var/lib/cni/networks/bridge/last_reserved_ip.*; }

same_addresses() { [ "$1" = "${POD_IP4[$3]} ${POD_IP6[$3]}" ] || fail "pod $3 has other addresses than $2 had: the test tests nothing"; }

# heir NAME APP: a pod that inherits the addresses of the one deleted last; ADD has just returned
heir() {
	forget_last_address
	cast "$1" "app=$2"
	same_addresses "$HERITAGE" web "$1"
}

bequeath() {
	HERITAGE="${POD_IP4[$1]} ${POD_IP6[$1]}"
	pod_del "$1"
}

#: another pod with the same addresses inherits no permission and no connection, from its first packet on [ident.ip_reuse]
test_reuse_by_stranger() {
	cast db app=db -- web app=web
	listen db 80
	web_only
	curtain_up
	BERM_SPORT=$PORT reach web db 80 udp
	BERM_SPORT=$PORT reach web db 80 udp 6
	BERM_SPORT=$PORT reach web db 80 tcp
	unapply pod-web.yaml
	bequeath web
	heir spy spy
	lost spy db "udp:sport=$PORT,dport=80" "udp:v=6,sport=$PORT,dport=80" "tcp:sport=$PORT,dport=80,flags=A" "tcp:sport=$PORT,dport=80,flags=S"
	BERM_SPORT=$PORT block spy db 80 udp
	block spy db 80
	pod_del spy
	unapply pod-spy.yaml
	heir again web # the control: the same addresses with the right labels
	reach again db 80
	reach again db 80 udp 6
}

#: the former pod's object lingers on: the address belongs to who has it now [ident.ip_reuse]
test_reuse_while_object_lingers() {
	cast db app=db -- web app=web
	listen db 80
	web_only
	curtain_up
	reach web db 80
	bequeath web # pod-web.yaml stays, as a finished pod's object does
	heir spy spy
	lost spy db "udp:dport=80" "tcp:dport=80,flags=S" "udp:v=6,dport=80"
	block spy db 80
	settle relabel spy app=web
	reach spy db 80
}

#: the new pod has its addresses before the old one's DEL comes: late DELs take nothing from it [ident.same_name_replaced]
test_replaced() {
	local old_id old_uid new_id new_uid
	cast db app=db -- web app=web
	listen db 80
	web_only
	curtain_up
	reach web db 80
	# The same name in a new sandbox, while the old one is still there.
	old_id=${POD_ID[web]} old_uid=${POD_UID[web]}
	ip netns add web-2
	no_dad in_pod web-2
	mount --bind /run/netns/web /run/netns/web-1 2>/dev/null || { touch /run/netns/web-1 && mount --bind /run/netns/web /run/netns/web-1; }
	umount /run/netns/web
	mount --bind /run/netns/web-2 /run/netns/web
	POD_UID[web]=$(new_uid)
	POD_ID[web]=$(printf '%s' "${POD_UID[web]}" | sha256sum | cut -c1-64)
	new_id=${POD_ID[web]} new_uid=${POD_UID[web]}
	relabel web app=web
	pod_cni ADD web >/dev/null || fail "ADD of the second web"
	pod_learn web
	reach web db 80
	POD_ID[web]=$old_id POD_UID[web]=$old_uid
	"$SANDBOX_LIB/cni.py" DEL --conf "${POD_NET[web]}" --id "$old_id" --netns /run/netns/web-1 --args "$(pod_args web)" \
		--path "$CNI_BIN" || fail "DEL of the first web"
	POD_ID[web]=$new_id POD_UID[web]=$new_uid
	reach web db 80
	reach web db 80 udp 6
	pod_cni CHECK web || fail "CHECK of the second web"
	[ "$(endpoint web .uid)" = "$new_uid" ] || fail "the agent shows another web: $(endpoint web .)"
	settle relabel web app=former
	block web db 80 # it is this one that its object's labels count for
}

# names_apart ONE OTHER: of two pods whose names could be taken for one another only ONE may reach db
names_apart() {
	cast db app=db -- "$1" app=web -- "$2" app=spy
	listen db 80
	web_only
	curtain_up
	reach "$1" db 80
	block "$2" db 80
	block "$2" db 80 udp 6
	settle relabel "$2" app=web
	reach "$2" db 80
	settle relabel "$1" app=spy
	block "$1" db 80
	reach "$2" db 80
	pod_del "$1"
	pod_cni CHECK "$2" || fail "CHECK after the other one's DEL"
	reach "$2" db 80 udp 6
}

#: one name is the beginning of another [ident.same_prefix]
test_same_prefix() { names_apart web-7 web-77; }

#: names that differ after many characters only [ident.truncated]
test_truncated() {
	local long
	long=$(printf 'n%.0s' {1..220})
	names_apart "${long}a" "${long}b"
}

#: one name in two namespaces is two pods [ident.same_prefix]
test_same_name() {
	cast db app=db -- web app=web
	listen db 80
	web_only
	curtain_up
	reach web db 80
	# The namespace of the sandbox has another name, the pod has not.
	pod_prepare stranger ns=other
	POD_NS[web]=other
	POD_UID[web]=${POD_UID[stranger]} POD_ID[web]=${POD_ID[stranger]}
	pod_object web app=web | apply - pod-other-web.yaml
	"$SANDBOX_LIB/cni.py" ADD --conf "${POD_NET[web]}" --id "${POD_ID[web]}" --netns /run/netns/stranger \
		--args "$(pod_args web)" --path "$CNI_BIN" >/dev/null || fail "ADD of other/web"
	pod_learn stranger
	block stranger db 80
	block stranger db 80 udp 6
	reach web db 80
}

run_tests "$@"
