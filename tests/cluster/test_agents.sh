#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1100
#
# The agents of two nodes and their API server: what they write and how seldom, who is elected, and bad days.
# shellcheck disable=SC2034,SC2154 # bed.sh reads and fills the arrays
. "$(dirname "$0")/bed.sh"
. "$(dirname "$0")/installed.sh"
. "$(dirname "$0")/told.sh"

DOWN_S=${BERM_LONG:+600} # of the API server
DOWN_S=${DOWN_S:-75}

setup() { berm_there BERM_FEEDBACK=2; }

policy() { # LABEL: the pods of that app may
	cat <<-YAML
	kind: SegmentationPolicy
	name: wall
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress:
	- {name: in, from: [{podSelector: {matchLabels: {app: $1}}}], ports: [{port: 5001}]}
	YAML
}

start_walled() {
	shop_open 5001
	policy web | carrier wall
	becomes_walled
	learn_nets
}

# --- without the API server -----------------------------------------------------------------------------------------

declare -A NET # by pod: "NODE NETNS", to try from it without asking anybody

learn_nets() {
	local pod where sandbox

	for pod in web spy; do
		where=$(kube -n "${POD_NS[$pod]}" get pod "$pod" -o 'jsonpath={.spec.nodeName}')
		sandbox=$(node "${where#node}" crictl pods -q --state ready --namespace "${POD_NS[$pod]}" --name "^$pod\$")
		NET[$pod]="${where#node} $(node "${where#node}" crictl inspectp "$sandbox" | jq -r '.info.runtimeSpec.linux.namespaces[] | select(.type == "network").path')"
	done
}

# As in bed.sh, but straight from the node.
try_direct() {
	local at

	read -r -a at <<<"${NET[$1]}"
	node "${at[0]}" nsenter "--net=${at[1]}" "$BUILD/tools/traffic" try tcp "${POD_IP4[$2]}" "$3" "${4:-$BLOCK_MS}" || true # the word counts
}

still_walled() {
	equal "web -> db" "$(try_direct web db 5001 "$REACH_MS")" "open db"
	equal "spy -> db" "$(try_direct spy db 5001)" silent
}

# --- what the agents say -----------------------------------------------------------------------------------------------

log_lines() { agent_log "$1" | grep -cE "$2" || true; }
has_logged_past() { [ "$(log_lines "$1" "$2")" -gt "$3" ]; }
restarts() { kube -n berm-system get pods -l app.kubernetes.io/name=berm-agent -o json | jq -r '[.items[] | .metadata.name + " " + (.status.containerStatuses[0].restartCount | tostring)] | sort | join(" ")'; }
api_serves() { kube get --raw /readyz >/dev/null 2>&1; }
watches_are_well() { [ "$(agent_rest "$1" /v1/status '[.watches[] | select(.error or .state == "waiting")] | length')" = 0 ]; }

change_is_enforced() {
	policy spy | carrier wall
	wait_until is_open spy db 5001
	block web db 5001
}

leader_of() { agent_rest "$1" /v1/status .feedback.leader; }
leaders() { printf '%s%s' "$([ "$(leader_of 1)" != true ] || echo 1)" "$([ "$(leader_of 2)" != true ] || echo 2)"; }
holder() { kube -n berm-system get lease berm-leader -o 'jsonpath={.spec.holderIdentity}'; }
holder_is() { [ "$(holder)" = "$1" ]; }
one_leads() { [[ $(leaders) == [12] ]]; }

versions() { kube -n berm-system get configmaps berm-status-node1 berm-status-node2 berm-rollup-0 -o json | jq -r '[.items[].metadata.resourceVersion] | join(" ")'; }
is_settled() {
	local before

	before=$(versions)
	rounds 6 # a write may wait for 10 s
	[ "$(versions)" = "$before" ]
}

#: each node has its status, its own and small; without a change nothing is written; one agent leads
test_status() {
	local n before

	start_walled
	wait_until one_leads
	wait_until rollup_is '.[] | "\(.phase) \(.realised)/\(.desired)"' "Enforced 2/2"
	for n in 1 2; do
		kube -n berm-system get configmap "berm-status-node$n" -o json >"$SANDBOX_TMP/status" || fail "no status of node$n"
		[ "$(jq -c . "$SANDBOX_TMP/status" | wc -c)" -le 8192 ] || fail "it has more than 8 KiB"
		equal owner "$(jq -r '.metadata.ownerReferences[] | "\(.kind) \(.name) \(.uid)"' "$SANDBOX_TMP/status")" \
			"Node node$n $(kube get node "node$n" -o 'jsonpath={.metadata.uid}')"
		equal enforcing "$(jq -r '.data["status.json"] | fromjson.enforcing' "$SANDBOX_TMP/status")" true
	done
	WAIT_S=90 wait_until is_settled
	before=$(versions)
	rounds 5 # 10 s
	equal "statuses and roll-up after 10 s without a change" "$(versions)" "$before"
}

# COMMAND SIGNAL of the agent on node N
agent_signal() { node "$2" sh -c 'kill -"$0" $(pgrep -x berm-agent)' "$1" || fail "no agent on node $2"; }

#: a leader that hangs loses the Lease to the other one, which goes on telling; back, it follows; killed, it comes back
test_leader() {
	local old new

	start_walled
	wait_until one_leads
	old=$(leaders)
	new=$((3 - old))
	trap 'agent_signal CONT "$old"' EXIT
	agent_signal STOP "$old"
	WAIT_S=30 wait_until holder_is "node$new"
	equal "the other leads" "$(leader_of "$new")" true
	printf 'oops' | carrier wall
	WAIT_S=20 wait_until is_told PolicyInvalid wall '^key policy.yaml, line 1'
	still_walled
	agent_signal CONT "$old"
	trap - EXIT
	wait_until one_leads
	rounds 2
	equal "who leads" "$(leaders)" "$new"
	equal "Events about it" "$(events shop PolicyInvalid .count)" 1
	agent_signal KILL "$new"
	still_walled
	WAIT_S=40 wait_until one_leads
	equal "Events about it" "$(events shop PolicyInvalid .count)" 1
	policy spy | carrier wall
	WAIT_S=20 wait_until is_open spy db 5001
}

# Everybody who watches waits for longer and longer while it is down, up to a minute: those of the cluster begin anew.
api_back() {
	local part

	cluster start apiserver
	WAIT_S=30 wait_until api_serves
	for part in controller-manager scheduler proxy; do cluster restart "$part"; done
}

#: the API server is down for minutes: the walls stand, a line a minute says so, and it goes on without a restart [api.down_later]
test_api_down() {
	local n lines before start unreachable=() recovered=() failed=()

	start_walled
	before=$(restarts)
	for n in 1 2; do
		unreachable[n]=$(log_lines $n '^api-unreachable ')
		recovered[n]=$(log_lines $n '^api-recovered ')
		failed[n]=$(log_lines $n '^feedback-failed ')
	done
	trap api_back EXIT
	cluster stop apiserver
	for n in 1 2; do WAIT_S=20 wait_until has_logged_past $n '^api-unreachable ' "${unreachable[n]}"; done
	start=$SECONDS
	while [ $((SECONDS - start)) -lt "$DOWN_S" ]; do
		still_walled
		for n in 1 2; do equal enforcing "$(agent_rest $n /v1/status .enforcing)" true; done
	done
	trap - EXIT
	api_back
	for n in 1 2; do
		WAIT_S=90 wait_until has_logged_past $n '^api-recovered ' "${recovered[n]}"
		WAIT_S=90 wait_until watches_are_well $n
		lines=$(($(log_lines $n '^api-unreachable ') - unreachable[n]))
		[ "$lines" -le $((1 + (SECONDS - start) / 60 + 1)) ] || fail "node $n says it $lines times in $((SECONDS - start)) s: once a minute would do"
		equal "writes that are complained of twice" "$(agent_log $n | grep '^feedback-failed ' | tail -n +$((failed[n] + 1)) | grep -o 'what="[^"]*"' | sort | uniq -d)" ""
	done
	change_is_enforced
	equal restarts "$(restarts)" "$before"
	WAIT_S=90 wait_until rollup_is '.[] | "\(.phase) \(.realised)/\(.desired)"' "Enforced 2/2" # writing goes on, too
}

# On a slow machine the API server itself may end when its store goes.
api_outlives_its_store() {
	local deadline=$((SECONDS + 60))

	until api_serves; do
		[ "$SECONDS" -lt "$deadline" ] || return 1
		sleep "$POLL_S"
	done
}

#: etcd is restarted under the API server: nothing changes, and the next policy is enforced
test_etcd() {
	local before

	start_walled
	before=$(restarts)
	cluster restart etcd
	still_walled
	api_outlives_its_store || { note "the API server has ended with etcd, and is started again"; api_back; }
	still_walled
	change_is_enforced
	equal restarts "$(restarts)" "$before"
}

# The kubelet's own way: a new folder, and a link that is renamed.
token_write() {
	local n=$1 pod uid

	pod=$(agent_pod "$n")
	uid=$(kube -n berm-system get pod "$pod" -o 'jsonpath={.metadata.uid}')
	kube -n berm-system create token berm-agent --bound-object-kind=Pod --bound-object-name="$pod" --bound-object-uid="$uid" |
		node "$n" sh -e -c 'cd /var/lib/kubelet/pods/'"$uid"'/volumes/kubernetes.io~projected/kube-api-access-*
			new=..$$.new && cp -a "$(readlink -f ..data)" "$new" && cat >"$new/token" && ln -s "$new" ..data_tmp && mv -T ..data_tmp ..data'
}

# The kubelet, which knows nothing of this, may have put the old one back.
is_well_with_new_token() {
	[ $((SECONDS - WRITTEN)) -lt 15 ] || { token_write "$1"; WRITTEN=$SECONDS; }
	watches_are_well "$1"
}

# Tokens of an account that was made anew are worth nothing; watches that run are asked again by a new server.
account_renew() {
	kube -n berm-system get serviceaccount berm-agent -o json | jq 'del(.metadata.uid, .metadata.resourceVersion, .metadata.creationTimestamp)' >"$SANDBOX_TMP/account"
	kube -n berm-system delete serviceaccount berm-agent >/dev/null && kube create -f "$SANDBOX_TMP/account" >/dev/null || fail "ServiceAccount"
	cluster restart apiserver
	cluster restart proxy # which else takes a minute to see that the server is there again
}

#: the token is not worth anything any more, then there is a new one: the walls stand, and the next request has it [api.token_rotated]
test_token() {
	local n unauthorized=() before

	start_walled
	before=$(restarts)
	for n in 1 2; do unauthorized[n]=$(log_lines $n '^api-unauthorized '); done
	trap agents_renew EXIT
	account_renew
	for n in 1 2; do WAIT_S=60 wait_until has_logged_past $n '^api-unauthorized ' "${unauthorized[n]}"; done
	still_walled
	for n in 1 2; do
		WRITTEN=-15
		WAIT_S=60 wait_until is_well_with_new_token $n
	done
	change_is_enforced
	equal restarts "$(restarts)" "$before"
}

# With tokens of the kubelet's again.
agents_renew() {
	kube -n berm-system delete pods -l app.kubernetes.io/name=berm-agent --wait >/dev/null && rolled_out >/dev/null
}

TEST_TIMEOUT_S=$((DOWN_S + 300)) # it waits for a kube-proxy and for back-offs
installed_tests "$@"
