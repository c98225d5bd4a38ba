# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2154 # hack/cluster sets what is read here
#
# e2e.sh - the end-to-end tests of Kubernetes itself, unmodified, on the cluster of hack/cluster: what they need
# there, how they are called, what became of each. Sourced by hack/cluster; knows nothing of how nodes are made.

E2E_FOCUS='\[sig-network\] Netpol'
E2E_SKIP='Feature:SCTPConnectivity' # the kernel module sctp must be there for them

e2e_usage() {
	cat <<-TEXT
	usage: hack/cluster e2e [--focus=REGEX] [--skip=REGEX] [--report=DIR]

	Runs the end-to-end tests of Kubernetes (built from its module, unmodified) against Berm on this cluster.
	A TAP line for each test as it ends; exit 0 if all passed.

	  --focus=REGEX  which ($E2E_FOCUS)
	  --skip=REGEX   which of them not ($E2E_SKIP)
	  --report=DIR   where the whole output and the JUnit file go ($DIR/e2e)
	TEXT
}

e2e_parse() {
	local option

	focus=$E2E_FOCUS skip=$E2E_SKIP report=$DIR/e2e
	for option in "$@"; do
		case $option in
		--focus=*) focus=${option#*=} ;;
		--skip=*) skip=${option#*=} ;;
		--report=*) report=$(realpath -m "${option#*=}") ;;
		-h | --help) e2e_usage; exit 0 ;;
		*) e2e_usage >&2; exit 2 ;;
		esac
	done
}

e2e_needs_berm() {
	kube -n berm-system rollout status daemonset/berm-agent --timeout=60s >/dev/null 2>&1 ||
		die "e2e: Berm is not ready here; 'make image', 'hack/cluster load build/berm-image.tar', 'hack/cluster kubectl apply -k manifests'"
}

# Under the names that the tests have for them: nothing is pulled.
e2e_images() {
	local name n

	for name in $("$TOOLS/e2e.test" --list-images 2>/dev/null | grep -E '/(agnhost|pause):'); do
		for n in $(node_numbers); do
			case $name in
			*/agnhost:*) in_node "$n" ctr -n k8s.io images tag --force "$AGNHOST_IMAGE" "$name" ;;
			*/pause:*) in_node "$n" ctr -n k8s.io images tag --force "$PAUSE_IMAGE" "$name" ;;
			esac >>"$DIR/log/images.log" 2>&1 || die "e2e: node$n cannot call an image $name: $(tail -n 3 "$DIR/log/images.log")"
		done
	done
}

e2e() {
	local focus skip report

	e2e_parse "$@"
	must_be_up
	e2e_needs_berm
	"$TOP/hack/cluster-tools" --e2e >/dev/null
	e2e_images
	mkdir -p "$report"
	say "the tests run; all they print is in $report/e2e.log"
	in_net node1 "$TOOLS/e2e.test" --provider=skeleton --kubeconfig="$DIR/kubeconfig" --report-dir="$report" \
		--dump-logs-on-failure=false -ginkgo.focus="$focus" -ginkgo.skip="$skip" -ginkgo.no-color -ginkgo.v \
		-ginkgo.timeout=6h 2>&1 | tee "$report/e2e.log" | "$TOP/tests/cluster/e2e_tap.py"
}
