# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # DIR is hack/cluster's
#
# pki.sh - the certificates of a test cluster, as a careful installer would make them: one
# CA, a serving certificate for everybody who serves, a client certificate for everybody who
# calls, and the kubeconfig files with them. Sourced by hack/cluster; knows nothing of how
# the programs are started.

PKI_DAYS=365

pki_file() { echo "$DIR/pki/$1"; }

# openssl's own defaults would make every certificate one of a CA.
pki_request() {
	openssl req -x509 -config <(printf '[req]\ndistinguished_name=dn\n[dn]\n') -newkey ec \
		-pkeyopt ec_paramgen_curve:P-256 -nodes -sha256 -days $PKI_DAYS "$@" 2>>"$DIR/log/openssl.log" ||
		die "openssl fails: $(tail -n 3 "$DIR/log/openssl.log")"
}

pki_authority() {
	[ -e "$(pki_file ca.crt)" ] || pki_request -subj /CN=berm-test-cluster -keyout "$(pki_file ca.key)" \
		-out "$(pki_file ca.crt)" -addext basicConstraints=critical,CA:TRUE \
		-addext keyUsage=critical,keyCertSign,cRLSign
}

# NAME SUBJECT serverAuth|clientAuth [-addext subjectAltName=...]
pki_leaf() {
	local name=$1 subject=$2 usage=$3
	shift 3
	pki_request -CA "$(pki_file ca.crt)" -CAkey "$(pki_file ca.key)" -subj "$subject" \
		-keyout "$(pki_file "$name.key")" -out "$(pki_file "$name.crt")" \
		-addext basicConstraints=critical,CA:FALSE -addext "extendedKeyUsage=$usage" "$@"
}

pki_client() { pki_leaf "$1" "$2" clientAuth; }
pki_server() { pki_leaf "$1" "$2" serverAuth -addext "subjectAltName=$3"; }

# The key that signs ServiceAccount tokens.
pki_token_key() {
	openssl ecparam -name prime256v1 -genkey -noout -out "$(pki_file sa.key)"
	openssl ec -in "$(pki_file sa.key)" -pubout -out "$(pki_file sa.pub)" 2>>"$DIR/log/openssl.log"
}

# Everything inside, so that the file may be copied.
pki_kubeconfig() {
	local name=$1 server=$2

	cat >"$(pki_file "$name.kubeconfig")" <<-YAML
	apiVersion: v1
	kind: Config
	current-context: $CLUSTER_NAME
	contexts: [{name: $CLUSTER_NAME, context: {cluster: $CLUSTER_NAME, user: $name}}]
	clusters:
	- name: $CLUSTER_NAME
	  cluster:
	    server: $server
	    certificate-authority-data: $(base64 -w 0 "$(pki_file ca.crt)")
	users:
	- name: $name
	  user:
	    client-certificate-data: $(base64 -w 0 "$(pki_file "$name.crt")")
	    client-key-data: $(base64 -w 0 "$(pki_file "$name.key")")
	YAML
}

pki_make() {
	local n server

	server=https://$(node_ip4 1):6443
	pki_authority
	pki_token_key
	pki_server apiserver /CN=kube-apiserver "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,$(
		)DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:::1,IP:$(node_ip4 1),IP:$(node_ip6 1),$(
		)IP:$SERVICE_API_IP4,IP:$SERVICE_API_IP6"
	pki_client apiserver-kubelet /O=system:masters/CN=kube-apiserver-kubelet-client
	pki_client admin /O=system:masters/CN=admin
	pki_client controller-manager /CN=system:kube-controller-manager
	pki_client scheduler /CN=system:kube-scheduler
	pki_client proxy /CN=system:kube-proxy
	for n in admin controller-manager scheduler proxy; do pki_kubeconfig "$n" "$server"; done
	for n in $(node_numbers); do
		pki_server "kubelet$n" "/O=system:nodes/CN=system:node:node$n" "DNS:node$n,IP:$(node_ip4 "$n"),IP:$(node_ip6 "$n")"
		pki_client "node$n" "/O=system:nodes/CN=system:node:node$n"
		pki_kubeconfig "node$n" "$server"
	done
}
