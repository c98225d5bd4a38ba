# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# installed.sh - Berm on the cluster of bed.sh, as a user installs it. Source it after bed.sh.
#
#   berm_image                 makes the image and gives it to the nodes
#   berm_on [NAME=VALUE...]    kubectl apply -k, with these settings in the agents' ConfigMap; returns when all are ready
#   berm_removed               kubectl apply -k manifests/uninstall; returns when the nodes are clean
#   berm_off                   all of it away, whatever state it is in
#   installed_tests [WORD...]  instead of bed_tests: one installation for all functions (setup calls berm_there)
#   berm_there [NAME=VALUE...] berm_on, unless it is there
#   agents / agent_pod N / kubectl_berm ARG... / agent_rest N PATH [JQ] / agent_log N

MANIFESTS=$TOP/manifests
APPLY_S=120

berm_image() {
	"$TOP/hack/image" "$BUILD" >"$SANDBOX_TMP/image" || fail "no image: $(cat "$SANDBOX_TMP/image")"
	cluster load "$BUILD/berm-image.tar" || fail "the image is not taken"
}

berm_off() {
	kube apply -k "$MANIFESTS/uninstall" >/dev/null 2>&1 && rolled_out >/dev/null 2>&1 || :
	kube delete -k "$MANIFESTS" --ignore-not-found --timeout=60s >/dev/null 2>&1 || :
	rm -f "$BERM_BED_DIR/berm-is-on"
}

rolled_out() { kube -n berm-system rollout status daemonset/berm-agent --timeout=${APPLY_S}s; }
agents() { kube -n berm-system get pods -l app.kubernetes.io/name=berm-agent -o wide; }

# manifests/ with other settings, as a user's own overlay has them.
overlay() {
	local dir=$SANDBOX_TMP/overlay setting

	mkdir -p "$dir"
	{
		echo "resources: ['$(realpath --relative-to="$dir" "$MANIFESTS")']"
		printf 'patches:\n- patch: |\n    {apiVersion: v1, kind: ConfigMap, metadata: {name: berm-agent, namespace: berm-system}, data: {'
		for setting in "$@"; do printf '%s: "%s", ' "${setting%%=*}" "${setting#*=}"; done
		echo '}}'
	} >"$dir/kustomization.yaml"
	echo "$dir"
}

berm_on() {
	local from=$MANIFESTS

	[ $# -eq 0 ] || from=$(overlay "$@")
	kube apply -k "$from" >"$SANDBOX_TMP/apply" 2>&1 || fail "apply: $(cat "$SANDBOX_TMP/apply")"
	rolled_out >"$SANDBOX_TMP/rollout" 2>&1 ||
		fail "no roll-out: $(agents; kube -n berm-system logs daemonset/berm-agent --all-containers --tail=20)"
}

berm_removed() {
	kube apply -k "$MANIFESTS/uninstall" >"$SANDBOX_TMP/apply" 2>&1 || fail "apply: $(cat "$SANDBOX_TMP/apply")"
	rolled_out >"$SANDBOX_TMP/rollout" 2>&1 || fail "nodes do not become clean: $(agents; kube -n berm-system logs daemonset/berm-agent --tail=20)"
}

# For functions that run at the same time, too.
berm_there() {
	local lock

	exec {lock}>"$BERM_BED_DIR/berm-lock"
	flock "$lock"
	if [ "$BERM_BED_DIR/berm-is-on" -ot "$BUILD/berm-agent" ]; then
		berm_image
		kube -n berm-system delete pods -l app.kubernetes.io/name=berm-agent --ignore-not-found >/dev/null # the new image has the old name
		berm_on "$@"
		touch "$BERM_BED_DIR/berm-is-on"
	fi
	exec {lock}>&-
}

# Whatever happened, the next test program finds nodes without Berm.
installed_tests() {
	local rc=0

	if [ -n "${BERM_TEST:-}" ] || [ -z "${BERM_BED_DIR:-}" ]; then bed_tests "$@"; fi # ends here; a cluster of our own goes
	(bed_tests "$@") || rc=$?
	[ "${BERM_BED_KEEP:-0}" = 1 ] || berm_off
	exit $rc
}

# As a user's kubectl finds the plugin: on the PATH.
kubectl_berm() {
	mkdir -p "$SANDBOX_TMP/bin"
	ln -sf "$BUILD/bermctl" "$SANDBOX_TMP/bin/kubectl-berm"
	outside env KUBECONFIG="$(cluster kubeconfig)" PATH="$SANDBOX_TMP/bin:$PATH" kubectl berm "$@"
}

agent_pod() {
	kube -n berm-system get pods -l app.kubernetes.io/name=berm-agent --field-selector "spec.nodeName=node$1" -o 'jsonpath={.items[0].metadata.name}'
}

# Without the API server: straight from the node.
agent_rest() { node "$1" curl -sS --max-time 10 --unix-socket /run/berm/agent.sock "http://localhost$2" | jq -r "${3:-.}"; }
agent_log() { node "$1" sh -c 'cat /var/log/pods/berm-system_berm-agent-*/agent/*.log' | cut -d ' ' -f 4-; }
