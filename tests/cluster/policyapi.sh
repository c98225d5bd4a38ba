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
