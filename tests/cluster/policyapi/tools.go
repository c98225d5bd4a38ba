// SPDX-License-Identifier: Apache-2.0

// Package policyapi names what the cluster's tests want of the Network Policy API: its CRD and its conformance
// tests, so that go.mod pins them. A module of its own: it must not have a say in what Kubernetes is built from.

//go:build tools

package policyapi

import (
	_ "sigs.k8s.io/network-policy-api/conformance"
)
