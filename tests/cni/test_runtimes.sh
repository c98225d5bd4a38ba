#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_runtimes.sh - the real container runtimes, each started here with folders of its own and an image made
# here, call the plugin; nothing comes from a registry.
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/plugin.sh"

OPEN='"waitForPolicy":"100ms","fallback":"allow","bootFallback":"allow"'
SHUT='"waitForPolicy":"100ms","fallback":"deny","bootFallback":"deny","exemptNamespaces":["open"]'
RT=/run/rt

# A root file system that holds one program: it sleeps until it is told to end.
rootfs_make() {
	mkdir -p $RT/rootfs/{bin,etc,proc,sys,dev,tmp}
	cat >$RT/pause.c <<-C
	#include <signal.h>
	#include <unistd.h>
	static void end(int s) { (void)s; _exit(0); }
	int main(void) { signal(SIGTERM, end); signal(SIGINT, end); for (;;) pause(); }
	C
	"${CC:-cc}" -static -O1 -o $RT/rootfs/bin/pause $RT/pause.c || fail "cannot build a static program"
}

# A docker archive of it, as `ctr images import` takes it.
image_make() {
	local layer
	tar -C $RT/rootfs -cf $RT/layer.tar .
	layer=$(sha256sum <$RT/layer.tar | cut -d' ' -f1)
	printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["/bin/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
		"$layer" | sed "s/amd64/$(dpkg --print-architecture)/" >$RT/config.json
	printf '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' >$RT/manifest.json
	tar -C $RT -cf $RT/image.tar config.json manifest.json layer.tar
}

# The conflist where the runtimes look for it, the plugins too.
node_conf() {
	mount -t tmpfs tmpfs /opt
	mkdir -p /opt/cni /etc/cni/net.d
	cp -rL "$CNI_BIN" /opt/cni/bin
	rm -f /run/nets/bridge.conflist
	BERM_CONF=$1 net_conf bridge >/dev/null
	jq '.cniVersion = "0.4.0" | .name = "walled"' /run/nets/bridge.conflist >/etc/cni/net.d/10-net.conflist
}

containerd_start() {
	command -v containerd >/dev/null || fail "no containerd; run hack/setup test"
	mkdir -p $RT/ctd
	cat >$RT/ctd.toml <<-TOML
	version = 2
	root = "$RT/ctd/root"
	state = "$RT/ctd/state"
	[grpc]
	  address = "$RT/ctd/sock"
	[plugins."io.containerd.grpc.v1.cri"]
	  sandbox_image = "localhost/pause:1"
	  restrict_oom_score_adj = true
	  disable_apparmor = true
	[plugins."io.containerd.grpc.v1.cri".containerd]
	  snapshotter = "native"
	[plugins."io.containerd.grpc.v1.cri".cni]
	  bin_dir = "/opt/cni/bin"
	  conf_dir = "/etc/cni/net.d"
	TOML
	containerd --config $RT/ctd.toml >"$SANDBOX_TMP/containerd.log" 2>&1 &
	wait_until ctr_ version >/dev/null
	ctr_ -n k8s.io images import --snapshotter native $RT/image.tar >/dev/null || fail "image import"
	ctr_ -n default images import --snapshotter native $RT/image.tar >/dev/null || fail "image import"
}

ctr_() { ctr --address $RT/ctd/sock "$@" 2>>"$SANDBOX_TMP/ctr.log"; }
cri() { "$TOP/tests/cni/cri.py" $RT/ctd/sock "$@"; }
runtime_failed() { tail -n 20 "$SANDBOX_TMP/containerd.log" "$SANDBOX_TMP/ctr.log" 2>/dev/null; fail "$*"; }

only_record() {
	[ "$(entries_in /run/berm/endpoints | wc -l)" = 1 ] || fail "records: $(entries_in /run/berm/endpoints)"
	cat /run/berm/endpoints/*.json
}

#: containerd through CRI: pods started, guarded as their namespace says, stopped, removed [cni.real_runtimes]
test_containerd_cri() {
	local open shut ip
	rootfs_make
	image_make
	node_conf "$SHUT"
	pod_prepare probe ns=open # makes /run/netns a mount of its own, before there is anything below it
	containerd_start
	open=$(cri run web open uid-1) || runtime_failed "RunPodSandbox"
	only_record | jq -e --arg id "$open" '.container_id == $id and .namespace == "open" and .name == "web" and
		.uid == "uid-1" and .fallback == "exempt" and .mode != ""' >/dev/null || fail "record: $(only_record)"
	is_guarded_dev "$(only_record | jq -r .host_ifname)"
	shut=$(cri run web shop uid-2) || runtime_failed "RunPodSandbox"
	ip=$(cri ip "$open")
	pod_cni ADD probe >/dev/null || fail "ADD"
	in_pod probe ping -c 1 -W 3 "$ip" >/dev/null || fail "the open pod $ip does not answer"
	! in_pod probe ping -c 1 -W 1 "$(cri ip "$shut")" >/dev/null || fail "the shut pod answers"
	pod_cni DEL probe || fail "DEL"
	for pod in "$open" "$shut"; do
		cri stop "$pod" || runtime_failed "StopPodSandbox"
		cri stop "$pod" || runtime_failed "StopPodSandbox again"
		cri remove "$pod" || runtime_failed "RemovePodSandbox"
	done
	must_leave_nothing
}

#: ctr run --cni: started, guarded, stopped [cni.real_runtimes]
test_ctr_cni() {
	local run
	rootfs_make
	image_make
	node_conf "$OPEN"
	containerd_start
	ctr_ run --snapshotter native --cni localhost/pause:1 c1 & # in the foreground it removes the network itself
	run=$!
	wait_until task_runs
	is_guarded_dev "$(only_record | jq -r .host_ifname)"
	ctr_ task kill --signal SIGTERM c1 || runtime_failed "ctr task kill"
	wait "$run" || runtime_failed "ctr run"
	must_leave_nothing
}

task_runs() { ctr_ task ls | grep 'c1 .*RUNNING' >/dev/null; }

podman_() {
	podman --root $RT/pm/root --runroot $RT/pm/run --tmpdir $RT/pm/tmp --storage-driver vfs --cgroup-manager cgroupfs \
		--events-backend none "$@"
}

# podman leaves its parent control groups behind.
podman_groups_remove() {
	find /sys/fs/cgroup -depth -type d -path '*/libpod_parent*' -exec rmdir {} + 2>/dev/null || :
}

#: podman with its CNI back end: started, guarded, removed [cni.real_runtimes]
test_podman() {
	trap podman_groups_remove EXIT
	rootfs_make
	node_conf "$OPEN"
	mkdir -p $RT/pm /etc/containers
	cat >/etc/containers/containers.conf <<-TOML
	[network]
	network_backend = "cni"
	cni_plugin_dirs = ["/opt/cni/bin"]
	network_config_dir = "/etc/cni/net.d"
	[engine]
	runtime = "runc"
	TOML
	podman_ run -d --name My_Pod --network walled --security-opt seccomp=unconfined \
		--security-opt apparmor=unconfined --rootfs $RT/rootfs /bin/pause >"$OUT" 2>&1 || fail "podman run: $(cat "$OUT")"
	is_guarded_dev "$(only_record | jq -r .host_ifname)"
	only_record | jq -e '.name == "My_Pod"' >/dev/null || fail "record: $(only_record)"
	podman_ rm -f -t 1 My_Pod >"$OUT" 2>&1 || fail "podman rm: $(cat "$OUT")"
	must_leave_nothing
}

run_tests "$@"
