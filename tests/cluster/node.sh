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

# Everything that a kubelet, a runtime or a CNI plugin writes to is the node's own; folders
# that may lack on this machine are made in overlays.
mount_own_folders() {
	local folder

	mount -t proc proc /proc
	mount -t tmpfs -o mode=755 tmpfs /run
	for folder in /var/lib /var/log; do
		mount -t tmpfs -o mode=755 tmpfs "$folder"
	done
	for folder in etc opt; do
		[ -d "/$folder" ] || continue
		mkdir -p "/run/overlay/$folder.up" "/run/overlay/$folder.work"
		mount -t overlay -o "lowerdir=/$folder,upperdir=/run/overlay/$folder.up,workdir=/run/overlay/$folder.work" \
			overlay "/$folder"
	done
	rm -rf /etc/cni /opt/cni /etc/kubernetes
	mkdir -p /etc/cni/net.d /opt/cni/bin /etc/kubernetes/manifests /run/netns /run/lock /run/cluster /run/berm \
		/var/lib/kubelet /var/lib/cni /var/lib/berm /var/lib/containerd /var/log/pods /var/log/containers
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

# What the runtime keeps is large: it lives on the disk that DIR is on.
mount_runtime_folder() {
	mkdir -p "$1/containerd"
	mount --bind "$1/containerd" /var/lib/containerd
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
	mount --make-rprivate /
	mount_own_folders
	mount_sys
	mount_runtime_folder "$dir/$name"
	hide_kernel_settings
	set_net_settings
	mount --make-rshared / # what pods mount with propagation is seen here and there
	hostname "$name"
	ip link set lo up
	echo "$HOST_PID" >"$dir/$name/pid.new"
	mv "$dir/$name/pid.new" "$dir/$name/pid"
	trap 'exit 0' TERM
	while :; do
		sleep infinity &
		wait $! || :
	done
}

main "$@"
