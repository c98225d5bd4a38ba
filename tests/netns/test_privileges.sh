#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_privileges.sh - agent, installer and bermctl with exactly what the DaemonSet gives them: these capabilities, no new
# privileges, a root file system that cannot be written.
. "$(dirname "$0")/../lib/sandbox.sh"

AGENT_CAPS=+bpf,+net_admin,+perfmon # of manifests/base/daemonset.yaml; a test compares

# Root without privileges but these; /run/berm, /var/lib/berm, bpffs and the CNI directories stay writable.
confine_exec() {
	local caps=$1
	shift
	exec unshare --mount bash -c '
		for dir in /run/berm /var/lib/berm /sys/fs/bpf /etc/cni/net.d /opt; do
			mkdir -p "$dir" && mount --bind "$dir" "$dir"
		done
		mount -o remount,bind,ro / && mount -o remount,bind,ro /run && mount -o remount,bind,ro /etc || exit 99
		exec setpriv --no-new-privs --bounding-set "$@"' - "-all${caps:+,$caps}" --inh-caps "-all${caps:+,$caps}" "$@"
}
confined() { (confine_exec "$@"); }

# The agent of sandbox.sh, confined.
confined_agent() {
	local caps=$1
	shift
	AGENT_LOG=$SANDBOX_TMP/agent.log
	mkdir -p /run/berm
	confine_exec "$caps" "$BUILD/berm-agent" --manifests "$MANIFESTS" "$@" >>"$AGENT_LOG" 2>&1 &
	AGENT_PID=$!
}

caps_of() { awk '/^CapEff/ { print $2 }' "/proc/$1/status"; }

#: with CAP_BPF, NET_ADMIN and PERFMON alone and a read-only root: adopts, loads, enforces, answers bermctl
test_enforces() {
	WITH_BERM=0 pod_add a
	WITH_BERM=0 pod_add b
	listen b 80 81
	reach a b 80
	for name in a b; do pod_object $name app=$name | sed "\$a\\status: {podIP: ${POD_IP4[$name]}, podIPs: [{ip: ${POD_IP4[$name]}}]}" | apply - $name.yaml; done
	confined_agent $AGENT_CAPS
	wait_until agent_answers
	[ "$(caps_of "$AGENT_PID")" = 000000c000001000 ] || fail "it has other capabilities: $(caps_of "$AGENT_PID")"
	! nsenter -t "$AGENT_PID" -m touch /var/tmp/x 2>/dev/null || fail "its root can be written"
	apply - policy.yaml <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: only-80, namespace: default}
	spec:
	  podSelector: {matchLabels: {app: b}}
	  ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]
	YAML
	wait_until is_silent a b 81
	reach a b 80
	block a b 81
	confined $AGENT_CAPS "$BUILD/bermctl" probe live || fail "not alive"
	confined $AGENT_CAPS "$BUILD/bermctl" probe ready || fail "not ready"
	confined $AGENT_CAPS "$BUILD/bermctl" status >"$SANDBOX_TMP/status" || fail "status: $(cat "$SANDBOX_TMP/status")"
	agent_stop
	! confined $AGENT_CAPS "$BUILD/bermctl" probe live 2>/dev/null || fail "alive without an agent"
	block a b 81
}

is_silent() { [ "$(try "$1" "$2" "$3")" = silent ]; }

ended() { ! kill -0 "$AGENT_PID" 2>/dev/null; }

#: with one capability less it ends and says which one it lacks
test_lacks_one() {
	local lacking caps
	for lacking in perfmon bpf net_admin; do
		caps=$(sed "s/+$lacking,\?//; s/,\$//" <<<$AGENT_CAPS)
		: >"$SANDBOX_TMP/agent.log"
		confined_agent "$caps"
		wait_until ended
		grep -i "cap_$lacking" "$SANDBOX_TMP/agent.log" >/dev/null || fail "without $lacking: $(cat "$SANDBOX_TMP/agent.log")"
		rm -rf /sys/fs/bpf/berm
	done
}

#: the installer needs no capability at all
test_installer() {
	mount -t tmpfs tmpfs /opt
	mkdir -p /opt/cni/bin
	cp "$(net_conf_bare)" /etc/cni/net.d/10-net.conflist
	confined "" "$BUILD/berm-install" install 2>"$SANDBOX_TMP/log" || fail "install: $(cat "$SANDBOX_TMP/log")"
	jq -e '.plugins[-1].type == "berm-cni"' /etc/cni/net.d/10-net.conflist >/dev/null || fail "no entry"
	cmp -s "$BUILD/berm-cni" /opt/cni/bin/berm-cni || fail "no program"
}

net_conf_bare() { WITH_BERM=0 net_conf bridge; }

#: the manifests ask for these capabilities and no others, of nobody
test_manifests() {
	local want
	want=$(sed 's/+//g; s/,/ /g' <<<$AGENT_CAPS | tr a-z A-Z | xargs -n1 | sort | xargs)
	python3 - "$TOP/manifests/base/daemonset.yaml" "$want" <<-'PY' || fail "other capabilities"
	import sys, yaml
	spec = yaml.safe_load(open(sys.argv[1]))["spec"]["template"]["spec"]
	def added(c):
	    s = c["securityContext"]
	    assert s["capabilities"]["drop"] == ["ALL"] and s["readOnlyRootFilesystem"] and not s["allowPrivilegeEscalation"]
	    assert not s.get("privileged")
	    return " ".join(sorted(s["capabilities"].get("add", [])))
	assert [added(c) for c in spec["containers"]] == [sys.argv[2]], spec
	assert [added(c) for c in spec["initContainers"]] == [""]
	PY
}

run_tests "$@"
