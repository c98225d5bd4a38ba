#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_tenancy.sh - what those who may write ConfigMaps in one namespace can do to another: nothing.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

# The shop lets web in; its neighbour may write what it likes, in its own namespace.
stage() {
	cast db:ns=shop app=db -- web:ns=shop app=web -- spy:ns=evil app=web -- nosy:ns=evil app=nosy
	listen db 80 81
	listen nosy 80
	listen spy 80
	policy shop shop <<-YAML
	kind: SegmentationPolicy
	name: db
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]
	YAML
	curtain_up
}

shop_stands() {
	reach web db 80
	block spy db 80
	block web db 81
}

# What a tenant's ConfigMap says rightly counts, whatever else is in it.
own_part() {
	cat <<-YAML
	---
	kind: SegmentationPolicy
	name: own
	subject: {podSelector: {matchLabels: {app: nosy}}}
	isolate: [Ingress]
	YAML
}

problem_says() { [ "$(status "[.problems[].message] | any(contains(\"$1\"))")" = true ]; }

must_be_refused() {
	wait_until problem_says "$1" || fail "nobody said '$1': $(status .problems)"
	shop_stands
	wait_until is_walled nosy
}

is_walled() { [ "$(endpoint "$1" '.isolated | join(" ")')" = ingress ]; }

#: a tier above the shop's is not for tenants; from berm-system it is [tenant.admin_tier]
test_admin_tier() {
	local tier
	stage
	for tier in emergency admin baseline; do
		{
			printf '%s\n' "kind: SegmentationPolicy" "name: high" "tier: $tier" \
				"subject: {podSelector: {}}" \
				"ingress: [{name: in, action: Allow, from: [{namespaceSelector: {}}]}]"
			own_part
		} | settle policy evil evil
		must_be_refused "tier $tier is not for namespace evil"
		block web nosy 80
	done
	settle policy high berm-system <<-YAML
	kind: SegmentationPolicy
	name: high
	tier: admin
	subject: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}
	ingress: [{name: in, action: Allow, from: [{namespaceSelector: {}}]}]
	YAML
	reach spy db 80
	reach web db 81
}

cluster_policy() {
	cat <<-YAML
	apiVersion: policy.networking.k8s.io/v1alpha2
	kind: ClusterNetworkPolicy
	metadata: {name: high}
	spec:
	  tier: $1
	  priority: 0
	  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
	  ingress:
	  - {name: in, action: Accept, from: [{namespaces: {}}]}
	  - {name: late, action: Deny, from: [{namespaces: {}}]}
	YAML
}

#: a ClusterNetworkPolicy is not for tenants, not even about their own pods; from berm-system, and by itself, it is
test_cluster_policy() {
	stage
	for tier in Admin Baseline; do
		{ cluster_policy $tier; own_part; } | settle policy evil evil
		must_be_refused "a ClusterNetworkPolicy is not for namespace evil"
	done
	cluster_policy Admin | settle policy high berm-system
	reach spy db 80
	reach web db 81
	cluster_policy Baseline | settle policy high berm-system
	shop_stands # a Baseline has no say where somebody isolates
	cluster_policy Admin | sed 's/Accept/Deny/' | settle apply - high.yaml # by itself in that file
	block web db 80
	cluster_policy Admin | sed 's/Accept/Pass/' | settle policy high berm-system
	shop_stands
}

network_policy() {
	cat <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: open, namespace: shop}
	spec: {podSelector: {}, ingress: [{}]}
	YAML
}

#: pods of another namespace are nobody's subject but that namespace's and berm-system's [tenant.foreign_namespace]
test_foreign_namespace() {
	stage
	{ network_policy; own_part; } | settle policy evil evil
	must_be_refused "a ConfigMap in namespace evil has no say in namespace shop"
	{
		printf '%s\n' "kind: SegmentationPolicy" "name: open" "namespace: shop" "subject: {podSelector: {}}" \
			"isolate: [Ingress]" "ingress: [{name: all}]"
		own_part
	} | settle policy evil evil
	must_be_refused "a document belongs to the namespace of its ConfigMap, here 'evil', not to 'shop'"
	{
		printf '%s\n' "kind: SegmentationPolicy" "name: far" "isolate: [Ingress]" \
			"subject: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}"
		own_part
	} | settle policy evil evil
	must_be_refused "the subject is always in namespace evil"
	network_policy | settle apply - open.yaml # the control: the same words, from the shop itself
	reach spy db 80
	reach web db 81
}

#: labels that others' pods have do not make a pod one of them: namespaces are not the tenants' to name [tenant.dress_up]
test_dress_up() {
	stage
	settle policy team shop <<-YAML
	kind: SegmentationPolicy
	name: team
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: team, from: [{namespaceSelector: {matchLabels: {team: shop}}}], ports: [{port: 81}]}]
	YAML
	block spy db 81
	settle relabel spy app=web team=shop kubernetes.io/metadata.name=shop
	block spy db 80
	block spy db 81
	settle apply - ns.yaml <<-YAML
	apiVersion: v1
	kind: Namespace
	metadata: {name: evil, labels: {team: shop}}
	YAML
	reach spy db 81 # the control: who may label namespaces may say so
	block spy db 80
}

evil_namespace() { # LABELS
	apply - ns.yaml <<-YAML
	apiVersion: v1
	kind: Namespace
	metadata: {name: evil, labels: {$1}}
	YAML
}

#: nor do they make it another's workload: the app is the namespace's, unless a LabelMapping of berm-system trusts pods [tenant.dress_up]
test_dress_up_workload() {
	stage
	settle policy team shop <<-YAML
	kind: SegmentationPolicy
	name: team
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: team, from: [{workload: {role: web, app: shop}, namespaceSelector: {}}], ports: [{port: 81}]}]
	YAML
	block spy db 81
	settle relabel spy app=web berm.dev/role=web berm.dev/app=shop app.kubernetes.io/part-of=shop
	block spy db 81
	printf '%s\n' 'kind: LabelMapping' 'name: mine' 'app: [{pod: berm.dev/app}]' | policy evil evil
	wait_until problem_says "a LabelMapping is not for namespace evil" || fail "nobody refused it: $(status .problems)"
	block spy db 81
	settle evil_namespace 'berm.dev/app: shop'
	reach spy db 81 # the control: who may label namespaces may say so
	settle evil_namespace 'berm.dev/app: evil'
	block spy db 81
	printf '%s\n' 'kind: LabelMapping' 'name: trust' 'app: [{pod: berm.dev/app}]' | settle policy trust berm-system
	reach spy db 81
}

# 20,000 prefixes of their own: more than one namespace may have.
many_prefixes() {
	printf '%s\n' 'kind: SegmentationPolicy' 'name: noise' 'subject: {podSelector: {matchLabels: {app: web}}}' \
		'isolate: [Ingress]' 'ingress:' '- name: all' '  from:'
	seq 0 19999 | awk '{ printf "  - {ipBlock: {cidr: 100.%d.%d.%d/32}}\n", 64 + $1 / 65536, $1 / 256 % 256, $1 % 256 }'
}

#: documents without measure cost their own namespace, nobody else [tenant.noisy_documents]
test_noisy_documents() {
	stage
	reach nosy spy 80
	{ many_prefixes; own_part; } | settle policy evil evil
	must_be_refused "over the limit of"
	block nosy spy 80 # what the document selects is isolated instead
	settle policy later shop <<-YAML
	kind: SegmentationPolicy
	name: later
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: web, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 81}]}]
	YAML
	reach web db 81
	block spy db 81
	[ "$(status '.enforcing')" = true ] || fail "not enforcing: $(status .reasons)"
}

rule_is_there() { rest GET /v1/rules | jq -e --arg r "$1" '[.rules[].rule] | index($r)' >/dev/null; }

# How long until a change of the shop is in force, ms: the longest of some
shop_takes() { # FIRST LAST
	local i t worst=0
	for ((i = $1; i <= $2; i++)); do
		t=$(date +%s%3N)
		policy shop shop <<-YAML
		kind: SegmentationPolicy
		name: db
		subject: {podSelector: {matchLabels: {app: db}}}
		isolate: [Ingress]
		ingress: [{name: r$i, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 80}]}]
		YAML
		wait_until rule_is_there "r$i"
		t=$(($(date +%s%3N) - t))
		[ "$t" -le "$worst" ] || worst=$t
	done
	echo "$worst"
}

# A ConfigMap near its 1 MiB: broken | rules | documents | selectors
heap() {
	case $1 in
	documents) seq 1 4900 | awk '{printf "---\nkind: SegmentationPolicy\nname: p%d\nsubject: {podSelector: {matchLabels: {app: nosy}}}\nisolate: [Ingress]\ningress: [{from: [{podSelector: {}}], ports: [{port: %d}]}]\n", $1, $1}' ;;
	selectors) printf 'kind: SegmentationPolicy\nname: sel\nisolate: [Ingress]\ningress:\n'
		seq 1 350 | awk '{printf "- {from: [{podSelector: {matchExpressions: ["; for (k = 0; k < 40; k++) printf "%s{key: k%d, operator: In, values: [a, b, c, d, e, v%d]}", k ? ", " : "", k, $1; print "]}}]}"}' ;;
	*) printf 'kind: SegmentationPolicy\nname: big\nsubject: {podSelector: {}}\nisolate: [Ingress]\ningress:\n'
		seq 1 11000 | awk '{printf "- {from: [{ipBlock: {cidr: 10.9.%d.%d/32}}], ports: [{port: %d}]}\n", $1 / 250, $1 % 250, $1}'
		[ "$1" != broken ] || echo '- {from: [}]' ;;
	esac
}

#: a tenant that writes the heaviest ConfigMaps it can, broken and not, again and again: another's change still comes into force, measured beside one alone
test_noisy_apply() {
	local quiet kind took i=10 pid kinds=(rules)
	[ -z "${BERM_LONG:-}" ] || kinds=(broken rules documents selectors)
	stage
	quiet=$(shop_takes 1 3)
	for kind in "${kinds[@]}"; do
		heap $kind >"$SANDBOX_TMP/heap"
		(
			n=0
			while :; do # the documents change each time
				{ cat "$SANDBOX_TMP/heap" 2>/dev/null; printf '# %d\n' $((n++)); } | policy "noise-$kind" evil
				[ -e "$SANDBOX_TMP/heap" ] || exit 0
				timeout 0.3 tail -f /dev/null || : # a busy tenant
			done
		) &
		pid=$!
		took=$(shop_takes $i $((i + 2)))
		rm "$SANDBOX_TMP/heap" # it ends by itself, between two writes
		wait $pid 2>/dev/null || :
		unapply "noise-$kind.yaml"
		note "a change of the shop is in force after at most $took ms beside $kind, $quiet ms alone"
		[ "$took" -le $((10 * quiet + 3000)) ] || fail "the shop waits $took ms beside $kind, $quiet ms alone"
		i=$((i + 10))
	done
	shop_stands
}

run_tests "$@"
