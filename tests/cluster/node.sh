#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# node.sh - the first process of a node of the test cluster: makes the node's view of the
# file system, says that it is ready, then takes over orphans until it is killed. Runs in
# fresh net, mount, pid, uts and ipc namespaces. Knows nothing of Kubernetes' programs.
#
#   node.sh DIR NAME    DIR/NAME/pid appears when the node is ready
set -euo pipefail

# As the kernel of a host that runs a kubelet has them. They are files of this node alone:
# the real ones belong to everybody on this machine and stay as they are.
KERNEL_SETTINGS=(
	vm/overcommit_memory=1
	vm/panic_on_oom=0
	kernel/panic=10
	kernel/panic_on_oops=1
	kernel/keys/root_maxkeys=1000000
	kernel/keys/root_maxbytes=25000000
)

# Needs /proc as the host has it: the pid by which the host knows this process.
read_host_pid() { read -r HOST_PID _ </proc/self/stat; }

# Everything that a kubelet, a runtime or a CNI plugin writes to is the node's own. Overlays
# keep the rest readable, and take the folders that this machine lacks.
mount_own_folders() {
	local folder layer

	mount -t proc proc /proc
	mount -t tmpfs -o mode=755 tmpfs /run
	mount -t tmpfs -o mode=755 tmpfs /var/log
	for folder in /etc /opt /var/lib; do
		layer=/run/overlay$folder
		mkdir -p "$layer/up" "$layer/work"
		mount -t overlay -o "lowerdir=$folder,upperdir=$layer/up,workdir=$layer/work" overlay "$folder"
	done
	for folder in /etc/cni /etc/kubernetes /opt/cni /var/lib/kubelet /var/lib/cni /var/lib/berm /var/lib/containerd; do
		mkdir -p "$folder"
		mount -t tmpfs -o mode=755 tmpfs "$folder"
	done
	mkdir -p /etc/cni/net.d /opt/cni/bin /etc/kubernetes/manifests /run/netns /run/lock /run/cluster /run/berm \
		/var/log/pods /var/log/containers
}

# /sys shows the links of the namespace in which it was mounted; the control groups stay as they are.
mount_sys() {
	mkdir /run/cgroup
	mount --rbind /sys/fs/cgroup /run/cgroup
	mount -t sysfs sysfs /sys
	mount --rbind /run/cgroup /sys/fs/cgroup
	umount -l /run/cgroup
	mount -t bpf bpf /sys/fs/bpf
}

# DIR may be below a folder that is the node's own by now: the current folder is still the
# machine's. What the runtime keeps is large, it lives on the disk that DIR is on.
mount_cluster_folder() {
	mkdir -p "$1"
	mount --no-canonicalize --bind .. "$1"
	mount --bind "$1/$2/containerd" /var/lib/containerd
}

hide_kernel_settings() {
	local setting file

	mkdir -p /run/cluster/sys
	for setting in "${KERNEL_SETTINGS[@]}"; do
		file=/proc/sys/${setting%%=*}
		[ -e "$file" ] || continue
		echo "${setting#*=}" >"/run/cluster/sys/$(basename "$file")"
		mount --bind "/run/cluster/sys/$(basename "$file")" "$file"
	done
}

# Those under net/ belong to the network namespace. Waiting for duplicate addresses costs
# seconds a link and there are none.
set_net_settings() {
	local conf=/proc/sys/net/ipv6/conf

	echo 1 >/proc/sys/net/ipv4/ip_forward
	[ -d "$conf" ] || return 0
	echo 1 >$conf/all/forwarding
	echo 0 >$conf/all/accept_dad
	echo 0 >$conf/default/accept_dad
}

main() {
	local dir=$1 name=$2

	read_host_pid
	cd "$dir/$name"
	mount --make-rprivate /
	mount_own_folders
	mount_sys
	mount_cluster_folder "$dir" "$name"
	hide_kernel_settings
	set_net_settings
	mount --make-rshared / # what pods mount with propagation is seen here and there
	hostname "$name"
	ip link set lo up
	cd /
	echo "$HOST_PID" >"$dir/$name/pid.new"
	mv "$dir/$name/pid.new" "$dir/$name/pid"
	trap 'exit 0' TERM
	while :; do
		sleep infinity &
		wait $! || :
	done
}

main "$@"
