#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1500
#
# The first moments of pods that a kubelet starts: what their very first process may do.
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"

JUDGE_IMAGE=localhost/judge:1
PORT=7000
STARTS=${BERM_LONG:+1000}
STARTS=${BERM_STARTS:-${STARTS:-100}}
AT_ONCE=${BERM_STARTS_AT_ONCE:-8} # on each node
TEST_TIMEOUT_S=1200

setup() {
	berm_there
	judge_image
}

judge_image() {
	cc -std=gnu11 -Os -static -D_GNU_SOURCE -o "$SANDBOX_TMP/judge" "$TOP/tests/cluster/judge.c" || fail "judge.c does not build"
	"$TOP/tests/cluster/image.py" "$SANDBOX_TMP/judge.tar" --tag $JUDGE_IMAGE "$SANDBOX_TMP/judge:/judge"
	cluster load "$SANDBOX_TMP/judge.tar" || fail "the image is not taken"
}

# On each node a friend that lets the new pods in, and a foe that would let everybody in.
stage() {
	local n

	for n in 1 2; do
		pod_run friend$n node=$n ports=$PORT role=friend
		pod_run foe$n node=$n ports=$PORT role=foe
	done
	pods_ready friend1 friend2 foe1 foe2
	apply_yaml "${NS[test]}" <<-YAML
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: walls, labels: {berm.dev/policy: v1}}
	data:
	  policy.yaml: |
	    kind: SegmentationPolicy
	    name: new
	    subject: {podSelector: {matchLabels: {role: new}}}
	    isolate: [Ingress, Egress]
	    essentials: []
	    egress: [{name: out, to: [{podSelector: {matchLabels: {role: friend}}}]}]
	    ---
	    kind: SegmentationPolicy
	    name: friends
	    subject: {podSelector: {matchLabels: {app: friend1}}}
	    isolate: [Ingress]
	    ingress: [{name: new, from: [{podSelector: {matchLabels: {role: new}}}]}]
	YAML
	for n in 1 2; do wait_until knows_policies $n; done
}

knows_policies() { [ "$(agent_rest "$1" /v1/policies '[.policies[] | select(.namespace == "'"${NS[test]}"'" and .state == "enforced")] | length')" = 2 ]; }

# job NAME NODE COUNT ROLE +POD|-POD...: pods that judge those, one start each
job() {
	local name=$1 node=$2 count=$3 role=$4 word args=""
	shift 4
	for word in "$@"; do args+=", \"${word:0:1}${POD_IP4[${word:1}]}\", \"${word:0:1}${POD_IP6[${word:1}]}\""; done
	apply_yaml "${NS[test]}" <<-YAML
	apiVersion: batch/v1
	kind: Job
	metadata: {name: $name}
	spec:
	  completions: $count
	  parallelism: $AT_ONCE
	  backoffLimit: 5
	  template:
	    metadata: {labels: {role: $role}}
	    spec:
	      nodeName: node$node
	      restartPolicy: Never
	      terminationGracePeriodSeconds: 0
	      automountServiceAccountToken: false
	      containers: [{name: main, image: $JUDGE_IMAGE, args: ["$PORT"$args]}]
	YAML
}

job_is_over() { kube -n "${NS[test]}" get job "$1" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}' | grep -qE 'Complete|Failed'; }
job_says() { kube -n "${NS[test]}" get job "$1" -o "jsonpath={.status.$2}"; }

# job_result NAME: "GOOD BAD", once it is over
job_result() {
	WAIT_S=$TEST_TIMEOUT_S wait_until job_is_over "$1"
	printf '%d %d\n' "$(job_says "$1" succeeded)" "$(job_says "$1" failed)"
}

faults_of() { kube -n "${NS[test]}" logs -l "job-name=$1" --tail=5 --max-log-requests=50 2>&1 | grep -v '^fine$' | sort | uniq -c | head -n 10; }

#: the first packets of pods' first processes are judged by the final policy, on both nodes [start.first_packet]
test_first_packet() {
	local half=$((STARTS / 2)) n result begin=$SECONDS

	stage
	# That of the other node learns of a new pod's address from the API only: friend2 is open, friend1 is not.
	job new1 1 $half new +friend1 +friend2 -foe1 -foe2
	job new2 2 $half new +friend2 -foe1 -foe2
	for n in 1 2; do
		result=$(job_result new$n)
		[ "$result" = "$half 0" ] || fail "node $n: of $half pods (good bad): $result: $(faults_of new$n)"
	done
	note "$STARTS pods in $((SECONDS - begin)) s"
}

#: the control: pods without a wall reach the foe, and the judge says so
test_judge() {
	stage
	AT_ONCE=2
	job plain 2 2 plain +friend2 +foe1 +foe2
	[ "$(job_result plain)" = "2 0" ] || fail "plain pods: $(job_result plain): $(faults_of plain)"
	job wrong 2 2 plain -foe1
	[ "$(job_result wrong | cut -d ' ' -f 2)" -ge 1 ] || fail "nobody saw that plain pods reach the foe"
	faults_of wrong | grep -q 'foe .*a datagram came back' || fail "other faults: $(faults_of wrong)"
}

installed_tests "$@"
