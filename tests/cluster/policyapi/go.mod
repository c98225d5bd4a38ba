module berm.dev/cluster-policyapi

go 1.26.2

require sigs.k8s.io/network-policy-api v0.2.0
