# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2054,SC2154 # DIR and TOOLS are hack/cluster's; it reads COMMAND
#
# component.sh - the programs of a test cluster: their settings, command lines and how one
# asks whether they serve. Sourced by hack/cluster; knows nothing of namespaces or processes.
#
# Nothing is weaker than in a user's cluster: RBAC and the Node authorizer, NodeRestriction,
# bound ServiceAccount tokens, certificates verified in every direction.

CONTROL_PLANE=(etcd apiserver controller-manager scheduler)
NODE_COMPONENTS=(containerd kubelet proxy)

# The name a component goes by may be that of its program.
component_name() {
	local name=${1#kube-}

	case " ${CONTROL_PLANE[*]} ${NODE_COMPONENTS[*]} " in
	*" $name "*) echo "$name" ;;
	*) die "no component '$1'; there are: ${CONTROL_PLANE[*]} ${NODE_COMPONENTS[*]}" ;;
	esac
}

is_of_control_plane() { case " ${CONTROL_PLANE[*]} " in *" $1 "*) return 0 ;; *) return 1 ;; esac; }

# --- settings files -----------------------------------------------------------------------

write_cni() {
	local n=$1 primary

	case ${CNI[$((n - 1))]} in
	bridge) primary='"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true' ;;
	ptp) primary='"type": "ptp", "ipMasq": false' ;;
	esac
	cat >"$DIR/node$n/10-pods.conflist" <<-JSON
	{"cniVersion": "1.0.0", "name": "pods", "plugins": [
	  {$primary,
	   "ipam": {"type": "host-local", "dataDir": "/var/lib/cni/networks",
	            "ranges": [[{"subnet": "$(pod_net4 "$n")"}], [{"subnet": "$(pod_net6 "$n")"}]],
	            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}},
	  {"type": "portmap", "capabilities": {"portMappings": true}}
	]}
	JSON
}

# restrict_oom_score_adj: where root may not lower a score, runc would die of it.
# AppArmor profiles would be loaded for the whole machine and stay.
write_containerd() {
	cat >"$DIR/node$1/containerd.toml" <<-TOML
	version = 2
	root = "/var/lib/containerd"
	state = "/run/containerd"
	[grpc]
	  address = "/run/containerd/containerd.sock"
	[plugins."io.containerd.grpc.v1.cri"]
	  sandbox_image = "$PAUSE_IMAGE"
	  restrict_oom_score_adj = true
	  disable_apparmor = true
	[plugins."io.containerd.grpc.v1.cri".containerd]
	  snapshotter = "$(snapshotter "$1")"
	[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
	  runtime_type = "io.containerd.runc.v2"
	[plugins."io.containerd.grpc.v1.cri".cni]
	  bin_dir = "/opt/cni/bin"
	  conf_dir = "/etc/cni/net.d"
	[plugins."io.containerd.internal.v1.opt"]
	  path = "/var/lib/containerd/opt"
	TOML
}

write_kubelet() {
	local n=$1

	cat >"$DIR/node$n/kubelet.yaml" <<-YAML
	apiVersion: kubelet.config.k8s.io/v1beta1
	kind: KubeletConfiguration
	authentication:
	  anonymous: {enabled: false}
	  webhook: {enabled: true}
	  x509: {clientCAFile: $DIR/pki/ca.crt}
	authorization: {mode: Webhook}
	tlsCertFile: $DIR/pki/kubelet$n.crt
	tlsPrivateKeyFile: $DIR/pki/kubelet$n.key
	containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
	cgroupDriver: cgroupfs
	cgroupRoot: /$GROUP/node$n
	failCgroupV1: false
	failSwapOn: false
	protectKernelDefaults: true
	enforceNodeAllocatable: []
	evictionHard: {memory.available: 1Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
	imageGCHighThresholdPercent: 100
	imageGCLowThresholdPercent: 99
	localStorageCapacityIsolation: false
	maxPods: 500
	oomScoreAdj: 0
	clusterDomain: cluster.local
	clusterDNS: [$SERVICE_DNS_IP4]
	resolvConf: ""
	staticPodPath: /etc/kubernetes/manifests
	volumePluginDir: /var/lib/kubelet/plugins
	nodeStatusUpdateFrequency: 5s
	syncFrequency: 30s
	fileCheckFrequency: 2s
	podPidsLimit: 4096
	YAML
}

write_settings() {
	local n

	for n in $(node_numbers); do
		write_cni "$n"
		write_containerd "$n"
		write_kubelet "$n"
		echo 'runtime-endpoint: unix:///run/containerd/containerd.sock' >"$DIR/node$n/crictl.yaml"
	done
}

# The address ranges of the nodes are in their Node objects, as a cloud would put them there.
node_objects() {
	local n

	for n in $(node_numbers); do
		cat <<-YAML
		---
		apiVersion: v1
		kind: Node
		metadata:
		  name: node$n
		  labels: {kubernetes.io/hostname: node$n}
		spec:
		  podCIDR: $(pod_net4 "$n")
		  podCIDRs: ["$(pod_net4 "$n")", "$(pod_net6 "$n")"]
		YAML
	done
}

# --- command lines ------------------------------------------------------------------------

command_etcd() {
	COMMAND=(etcd --data-dir /run/etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379
		--listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380
		--initial-cluster default=http://127.0.0.1:2380 --logger zap --log-level warn)
}

command_apiserver() {
	COMMAND=("$TOOLS/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --bind-address=::
		"--advertise-address=$(node_ip4 1)" --allow-privileged=true
		--authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction
		"--client-ca-file=$DIR/pki/ca.crt" "--tls-cert-file=$DIR/pki/apiserver.crt" "--tls-private-key-file=$DIR/pki/apiserver.key"
		"--kubelet-certificate-authority=$DIR/pki/ca.crt" "--kubelet-client-certificate=$DIR/pki/apiserver-kubelet.crt"
		"--kubelet-client-key=$DIR/pki/apiserver-kubelet.key" --kubelet-preferred-address-types=InternalIP
		--service-account-issuer=https://kubernetes.default.svc.cluster.local
		"--service-account-signing-key-file=$DIR/pki/sa.key" "--service-account-key-file=$DIR/pki/sa.pub"
		"--service-cluster-ip-range=$SERVICE_NET4,$SERVICE_NET6" --profiling=false)
}

command_controller-manager() {
	COMMAND=("$TOOLS/kube-controller-manager" "--kubeconfig=$DIR/pki/controller-manager.kubeconfig" --leader-elect=false
		"--authentication-kubeconfig=$DIR/pki/controller-manager.kubeconfig"
		"--authorization-kubeconfig=$DIR/pki/controller-manager.kubeconfig"
		--bind-address=127.0.0.1 --use-service-account-credentials "--service-account-private-key-file=$DIR/pki/sa.key"
		"--root-ca-file=$DIR/pki/ca.crt" "--cluster-signing-cert-file=$DIR/pki/ca.crt" "--cluster-signing-key-file=$DIR/pki/ca.key"
		--allocate-node-cidrs=false "--cluster-cidr=$POD_NET4,$POD_NET6" "--service-cluster-ip-range=$SERVICE_NET4,$SERVICE_NET6"
		--flex-volume-plugin-dir=/var/lib/kubelet/plugins --profiling=false)
}

command_scheduler() {
	COMMAND=("$TOOLS/kube-scheduler" "--kubeconfig=$DIR/pki/scheduler.kubeconfig" --leader-elect=false --bind-address=127.0.0.1
		"--authentication-kubeconfig=$DIR/pki/scheduler.kubeconfig" "--authorization-kubeconfig=$DIR/pki/scheduler.kubeconfig")
}

command_containerd() { COMMAND=(containerd --config "$DIR/node$1/containerd.toml" --log-level warn); }

command_kubelet() {
	COMMAND=("$TOOLS/kubelet" "--config=$DIR/node$1/kubelet.yaml" "--kubeconfig=$DIR/pki/node$1.kubeconfig"
		"--hostname-override=node$1" "--node-ip=$(node_ip4 "$1"),$(node_ip6 "$1")" --root-dir=/var/lib/kubelet
		--cert-dir=/var/lib/kubelet/pki)
}

# Its conntrack settings are global ones of the kernel: it is told to leave them alone.
command_proxy() {
	COMMAND=("$TOOLS/kube-proxy" "--kubeconfig=$DIR/pki/proxy.kubeconfig" "--hostname-override=node$1" --proxy-mode=iptables
		"--cluster-cidr=$POD_NET4,$POD_NET6" --conntrack-max-per-core=0 --conntrack-min=0
		--conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s --oom-score-adj=0)
}

# --- does it serve ------------------------------------------------------------------------

serves_etcd() { in_node 1 curl -sf -o /dev/null http://127.0.0.1:2379/health; }
serves_apiserver() { kube get --raw /readyz >/dev/null 2>&1; }
serves_containerd() { in_node "$1" ctr version >/dev/null 2>&1; }
serves_kubelet() { in_node "$1" curl -sf -o /dev/null http://127.0.0.1:10248/healthz; }
serves_proxy() { in_node "$1" curl -sf -o /dev/null http://127.0.0.1:10256/healthz; }
serves_scheduler() { in_node 1 curl -skf -o /dev/null https://127.0.0.1:10259/healthz; }
serves_controller-manager() { in_node 1 curl -skf -o /dev/null https://127.0.0.1:10257/healthz; }
