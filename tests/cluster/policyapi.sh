# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# policyapi.sh - the Network Policy API as its own Go module ships it (tests/cluster/policyapi pins the version); nothing
# of it is in this tree. Sourced by tests and by hack/cluster. Needs Go, and a module proxy or the module in its cache.
#
#   policyapi_dir              prints the module's folder
#   policyapi_crd [CHANNEL]    prints the file of the CRD; CHANNEL standard or experimental
#   policyapi_tests FILE       builds its conformance tests

POLICYAPI=sigs.k8s.io/network-policy-api
POLICYAPI_MODULE=$TOP/tests/cluster/policyapi

policyapi_go() { (cd "$POLICYAPI_MODULE" && CGO_ENABLED=0 GOFLAGS="-mod=readonly -buildvcs=false" go "$@"); }

policyapi_dir() {
	policyapi_go mod download $POLICYAPI >&2 || return 1
	policyapi_go list -m -f '{{.Dir}}' $POLICYAPI
}

policyapi_crd() { echo "$(policyapi_dir)/config/crd/${1:-standard}/policy.networking.k8s.io_clusternetworkpolicies.yaml"; }

policyapi_tests() { policyapi_go test -c -trimpath -o "$1" $POLICYAPI/conformance; }

# --- its conformance tests: hack/cluster policyapi ------------------------------------------

# The first three connect by SCTP, for which the kernel must have its module; nodes as peers are not supported.
POLICYAPI_SKIP='SCTP|InlineCIDRPeers|TierGress|NodePeers'

policyapi_usage() {
	cat <<-TEXT
	usage: hack/cluster policyapi [--run=REGEX] [--skip=REGEX] [--channel=CHANNEL] [--report=DIR]

	Runs the conformance tests of ClusterNetworkPolicy (built from their module, unmodified) against Berm on this
	cluster. A TAP line for each test as it ends; exit 0 if all passed.

	  --run=REGEX        which (all)
	  --skip=REGEX       which of them not ($POLICYAPI_SKIP)
	  --channel=CHANNEL  of the CRD: standard or experimental, which has more tests (experimental)
	  --report=DIR       where the whole output goes ($DIR/policyapi)
	TEXT
}

policyapi_parse() {
	local option

	run=. skip=$POLICYAPI_SKIP channel=experimental report=$DIR/policyapi
	for option in "$@"; do
		case $option in
		--run=*) run=${option#*=} ;;
		--skip=*) skip=${option#*=} ;;
		--channel=*) channel=${option#*=} ;;
		--report=*) report=$(realpath -m "${option#*=}") ;;
		-h | --help) policyapi_usage; exit 0 ;;
		*) policyapi_usage >&2; exit 2 ;;
		esac
	done
}

# The image that the tests name, made here: their programs, and a shell that starts them.
policyapi_image() {
	local name

	name=$(sed -n 's/^ *image: *//p' "$(policyapi_dir)/conformance/base/manifests.yaml" | sort -u)
	[ "$(wc -l <<<"$name")" = 1 ] || die "policyapi: the tests want more than one image: $name"
	cc -Os -s -static -Wall -Wextra -o "$report/shell" "$TOP/tests/cluster/shell.c" || die "shell.c does not build"
	"$TOP/tests/cluster/image.py" "$report/image.tar" --tag "$name" --command pause "$TOOLS/agnhost:/agnhost" "$report/shell:/bin/bash"
	load "$report/image.tar"
}

policyapi_tap() {
	awk '/^ *--- (PASS|FAIL|SKIP): TestConformance\/[^\/]* / {
		n++; split($3, path, "/"); bad = $2 == "FAIL:"; failed += bad
		printf "%sok %d - %s %s%s\n", bad ? "not " : "", n, path[2], $4, $2 == "SKIP:" ? " # SKIP by the test itself" : ""
		fflush()
	}
	END { print "1.." n + 0; exit failed || !n }'
}

policyapi() {
	local run skip channel report crd

	policyapi_parse "$@"
	must_be_up
	e2e_needs_berm
	mkdir -p "$report"
	say "building the conformance tests"
	policyapi_tests "$report/policyapi.test" || die "policyapi: they do not build"
	policyapi_image
	crd=$(policyapi_crd "$channel")
	kube apply --server-side --force-conflicts -f "$crd" >/dev/null || die "policyapi: the CRD is not taken"
	kube wait --for=condition=Established "crd/clusternetworkpolicies.policy.networking.k8s.io" --timeout=30s >/dev/null || die "policyapi: the CRD is not served"
	say "the tests run; all they print is in $report/policyapi.log"
	in_net node1 env KUBECONFIG="$DIR/kubeconfig" "$report/policyapi.test" -test.v -test.timeout=2h -test.run="^TestConformance\$/$run" \
		-test.skip="^TestConformance\$/($skip)" -all-features -debug=false 2>&1 | tee "$report/policyapi.log" | policyapi_tap
}
