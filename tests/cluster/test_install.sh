#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 900
#
# Berm as a user installs it: the image, kubectl apply -k, walls, kubectl berm, and off the nodes again.
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"

EXAMPLE=$TOP/manifests/examples/shop.yaml

setup() {
	berm_image
	trap berm_off EXIT # whatever happened, the next test finds nodes without Berm
}

# The shop of the example, under its own namespace name: the document says so.
shop_open() {
	local pod

	# shellcheck disable=SC2034,SC2154 # bed.sh reads them
	NS["shop"]=shop NS["other"]=other
	kube create namespace shop >/dev/null && kube create namespace other >/dev/null || fail "namespaces of an earlier run"
	printf 'shop\nother\n' >>"$SANDBOX_TMP/namespaces"
	wait_until has_account shop
	wait_until has_account other
	pod_run web ns=shop node=1
	pod_run api ns=shop node=2 ports=8080
	pod_run db ns=shop node=1 ports="5432 80"
	pod_run stranger ns=other node=2
	pods_ready web api db stranger
	for pod in web stranger; do reach $pod db 5432; done
}

# At once, for the next test.
shop_close() {
	kube delete namespace "${@:-shop}" --timeout=60s >/dev/null || fail "namespaces stay"
	: >"$SANDBOX_TMP/namespaces"
}

is_silent() { [ "$(try "$1" "$2" "$3")" = silent ]; }

shop_is_walled() {
	wait_until is_silent web db 5432
	wait_until is_silent stranger api 8080
	reach web api 8080
	reach api db 5432
	block stranger db 5432
	block web db 5432
	block api db 80
}

names_the_rule() {
	kubectl_berm flows --pod "$1" --last 50 -o json >"$SANDBOX_TMP/flows" 2>"$SANDBOX_TMP/flows.err" &&
		jq -es "any(.[]; $2)" "$SANDBOX_TMP/flows" >/dev/null
}

config_of() { node "$1" cat /etc/cni/net.d/10-pods.conflist; }

must_be_clean() {
	local n left

	for n in 1 2; do
		[ "$(config_of $n)" = "$(cat "$SANDBOX_TMP/conf.$n")" ] || fail "node $n: another configuration: $(config_of $n)"
		left=$(node $n find /opt/cni/bin -name '*berm*'
			node $n find /sys/fs/bpf/berm /run/berm /var/lib/berm /var/log/berm -mindepth 1 2>/dev/null || :)
		left=$(grep -v '^/run/berm/agent.lock$' <<<"$left" || :)
		[ -z "$left" ] || fail "node $n: left: $left"
		left=$(node $n sh -c 'for d in $(ls /sys/class/net); do tc filter show dev $d ingress; tc filter show dev $d egress; done' 2>/dev/null |
			grep -i 'berm\|from_pod\|to_pod' || :)
		[ -z "$left" ] || fail "node $n: filters: $left"
	done
}

#: apply, running pods adopted, the shop walled, the deciding rule shown, removed without a trace [cni.pods_before_install] [cni.pods_after_uninstall] [uninstall.clean]
test_life() {
	local n

	for n in 1 2; do config_of $n >"$SANDBOX_TMP/conf.$n"; done
	shop_open # before Berm is there
	berm_on
	for n in 1 2; do
		config_of $n | jq -e '.plugins[-1].type == "berm-cni"' >/dev/null || fail "node $n: $(config_of $n)"
	done
	for pod in web stranger; do reach $pod db 5432; done # adopted, and open: there is no policy
	kube apply -f "$EXAMPLE" >/dev/null || fail "the example is not taken"
	shop_is_walled
	wait_until names_the_rule shop/db '.verdict == "DROPPED" and .source.pod == "stranger" and .reason == "default-deny"'
	wait_until names_the_rule shop/db '.verdict == "FORWARDED" and .source.pod == "api" and .rule.rule == "api"'
	kubectl_berm status >"$SANDBOX_TMP/status" || fail "kubectl berm status: $(cat "$SANDBOX_TMP/status")"
	[ "$(grep -c '^enforcing' "$SANDBOX_TMP/status")" = 2 ] || fail "not both nodes: $(cat "$SANDBOX_TMP/status")"
	pod_run late ns=other node=1 # made by way of the plugin
	pods_ready late
	block late db 5432
	berm_removed
	must_be_clean
	for pod in web stranger late; do reach $pod db 5432; done
	pod_run after ns=shop node=2 # starts and ends without Berm
	pods_ready after
	reach stranger after 80
	pod_stop after late web # those of before, too
	kube delete -k "$MANIFESTS/uninstall" >/dev/null && kube delete -k "$MANIFESTS" --ignore-not-found >/dev/null || fail "delete"
	shop_close shop other
	must_be_clean
}

#: a plain delete keeps the walls; applying again finds everything in place [install.sigterm_removes_nothing]
test_delete_keeps_walls() {
	shop_open
	berm_on
	kube apply -f "$EXAMPLE" >/dev/null || fail "the example is not taken"
	shop_is_walled
	kube -n berm-system delete daemonset berm-agent --timeout=60s >/dev/null || fail "delete"
	block stranger db 5432
	reach api db 5432
	berm_on
	block stranger db 5432
	reach api db 5432
	shop_close shop other
}

# may VERB RESOURCE [ARG...]: does the cluster let an agent do it
may() { kube auth can-i "$@" --as=system:serviceaccount:berm-system:berm-agent >/dev/null 2>&1; }

# Of the Network Policy API, which kubectl knows only where its CRD is.
may_there() {
	[ "$(jq -n --arg verb "$1" --arg resource "$2" '{apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec: {
		user: "system:serviceaccount:berm-system:berm-agent",
		resourceAttributes: {verb: $verb, group: "policy.networking.k8s.io", resource: $resource}}}' |
		kube create -f - -o 'jsonpath={.status.allowed}')" = true ]
}

#: an agent may what it needs and no more
test_permissions() {
	local resource verb

	kube apply -k "$MANIFESTS" >/dev/null || fail apply
	for resource in configmaps namespaces nodes pods services endpointslices.discovery.k8s.io \
		networkpolicies.networking.k8s.io servicecidrs.networking.k8s.io; do
		may list "$resource" -A && may watch "$resource" -A || fail "may not read $resource"
		! may create "$resource" -n default && ! may delete "$resource" -n default || fail "may write $resource"
	done
	for verb in list watch; do
		may_there $verb clusternetworkpolicies || fail "may not $verb ClusterNetworkPolicies"
		may $verb customresourcedefinitions/clusternetworkpolicies.policy.networking.k8s.io || fail "may not $verb the CRD"
		! may $verb customresourcedefinitions || fail "may $verb all CRDs"
	done
	! may_there delete clusternetworkpolicies || fail "may delete ClusterNetworkPolicies"
	may create events -n default || fail "may not tell"
	for resource in secrets serviceaccounts pods/exec; do
		! may get "$resource" -A && ! may create "$resource" -n berm-system || fail "may touch $resource"
	done
	may update configmaps -n berm-system && ! may update configmaps -n default || fail configmaps
}

# without VERB GROUP/RESOURCE: the role lacks it, an agent that starts then never becomes ready
role_without() {
	kube get clusterrole berm-agent -o json |
		jq --arg verb "$1" --arg resource "$2" '.rules |= map(if (.resources | index($resource))
			then (.resources - [$resource] | length) as $n | [{apiGroups, resources: [$resource], verbs: (.verbs - [$verb])}] +
				(if $n > 0 then [.resources -= [$resource]] else [] end) else [.] end) | .rules |= add' | kube replace -f - >/dev/null
}

agent_complains() { kube -n berm-system logs daemonset/berm-agent --tail=50 2>/dev/null | grep -q "$1"; }

#: with one verb less the agent is not ready and says what it lacks
test_least_privilege() {
	local resource

	for resource in pods namespaces configmaps networkpolicies; do
		kube apply -k "$MANIFESTS" >/dev/null || fail apply
		role_without list $resource
		kube -n berm-system delete pods -l app.kubernetes.io/name=berm-agent --wait >/dev/null || fail "restart"
		WAIT_S=60 wait_until agent_complains "403.*cannot list resource.*$resource"
		! kube -n berm-system wait --for=condition=Ready pods -l app.kubernetes.io/name=berm-agent --timeout=3s >/dev/null 2>&1 ||
			fail "ready without list of $resource"
	done
	for resource in pods clusternetworkpolicies; do # of the latter also where there is no CRD: to watch is the first that is tried
		kube apply -k "$MANIFESTS" >/dev/null || fail apply
		role_without watch $resource
		kube -n berm-system delete pods -l app.kubernetes.io/name=berm-agent --wait >/dev/null || fail "restart"
		WAIT_S=60 wait_until agent_complains "403.*cannot watch resource.*$resource"
	done
	kube apply -k "$MANIFESTS" >/dev/null || fail apply
	rolled_out >/dev/null || fail "not ready again with all of them"
}

as_agent() { kube --as=system:serviceaccount:berm-system:berm-agent --as-user-extra="authentication.kubernetes.io/node-name=$1" "${@:2}"; }
as_tenant() { kube --as=tenant "$@"; }
says_no() { ! "$@" >"$SANDBOX_TMP/out" 2>&1 && grep -qiE "$WANT" "$SANDBOX_TMP/out"; }

policy_is_enforced() { WANT='may write berm-status-node1' says_no as_agent node1 create -n berm-system configmap berm-status-node2; }

#: an agent writes the status of its own node only; walls need the verb 'segment'
test_admission() {
	kube apply -k "$MANIFESTS" >/dev/null || fail apply
	wait_until policy_is_enforced # the API server takes a moment
	as_agent node1 create -n berm-system configmap berm-status-node1 >/dev/null || fail "may not write its own status"
	as_agent node1 create -n berm-system configmap berm-rollup-0 >/dev/null || fail "may not write the roll-up"
	WANT='may write berm-status-node2' says_no as_agent node2 delete -n berm-system configmap berm-status-node1 || fail "deletes: $(cat "$SANDBOX_TMP/out")"
	WANT='writes no policies|verb "segment"' says_no as_agent node1 label -n berm-system configmap berm-status-node1 berm.dev/policy=v1 ||
		fail "an agent writes policy: $(cat "$SANDBOX_TMP/out")"
	# Not even with that verb.
	kube create rolebinding agents -n berm-system --clusterrole=berm-segment --serviceaccount=berm-system:berm-agent >/dev/null || fail "rolebinding"
	WANT='writes no policies' wait_until says_no as_agent node1 label -n berm-system configmap berm-status-node1 berm.dev/policy=v1
	kube delete rolebinding agents -n berm-system >/dev/null || fail "rolebinding stays"
	kube create namespace shop >/dev/null || fail "namespace"
	echo shop >>"$SANDBOX_TMP/namespaces"
	kube create rolebinding edit --clusterrole=edit --user=tenant -n shop >/dev/null || fail "rolebinding"
	as_tenant create configmap plain -n shop >/dev/null || fail "a ConfigMap that is no policy"
	WANT='verb "segment"' says_no as_tenant apply -f "$EXAMPLE" || fail "without segment: $(cat "$SANDBOX_TMP/out")"
	kube create rolebinding segment --clusterrole=berm-segment --user=tenant -n shop >/dev/null || fail "rolebinding"
	wait_until as_tenant apply -f "$EXAMPLE" >/dev/null
	kube delete rolebinding segment -n shop >/dev/null
	WANT='verb "segment"' wait_until says_no as_tenant delete -n shop configmap shop-segmentation
	WANT='verb "segment"' says_no as_tenant label -n shop configmap shop-segmentation berm.dev/policy- || fail "takes the label off"
	shop_close # a namespace that holds a policy can be deleted, by the cluster's own collectors
}

# shellcheck disable=SC2034 # bed.sh reads it
TEST_TIMEOUT_S=240 # an agent starts anew for each permission that it lacks
bed_tests "$@"
