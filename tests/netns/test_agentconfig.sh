#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_agentconfig.sh - AgentConfig: what the essentials open to isolated pods, and settings of a running agent.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

config() { # NAME, the rest on stdin
	{
		printf 'kind: AgentConfig\nname: %s\n' "$1"
		cat
	} | policy "config-$1" berm-system
}

problem_says() { [ "$(status "[.problems[].message] | any(contains(\"$1\"))")" = true ]; }
nothing_said() { [ "$(status '.problems | length')" = 0 ]; }

isolate_web() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: web
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	YAML
}

names_by_pods() { # LABEL
	config cluster <<-YAML
	essentials: {dns: {pods: [{namespace: default, podSelector: {matchLabels: {app: $1}}}]}}
	YAML
}

names_by_address() { # POD PORT
	config cluster <<-YAML
	essentials: {dns: {addresses: [{address: $(addr_of "$1" 4), port: $2}, {address: "$(addr_of "$1" 6)", port: $2}]}}
	YAML
}

by() { rest GET /v1/policies | jq -r ".config.essentials.dns.$1"; }

#: what dns opens to isolated pods is what the AgentConfig says; a broken one leaves the last good one in force, over a restart too; without it the default is back
test_essentials() {
	cast web app=web -- names app=names -- other app=other
	listen names 53
	listen other 53
	listen names 80
	listen other 5353
	isolate_web
	curtain_up
	block web names 53
	block web other 53
	[ "$(by by)" = default ] || fail "by $(by by)"
	settle names_by_pods names
	reach web names 53
	reach web names 53 tcp 6
	block web other 53
	block web names 80
	[ "$(by by)" = AgentConfig ] || fail "by $(by by)"
	config cluster <<-YAML
	essentials: {dns: {pods: [{namespace: default}]}}
	YAML
	wait_until problem_says "the field 'podSelector' is missing" || fail "a broken one is not told"
	agent_stop
	agent_start
	wait_until problem_says "the field 'podSelector' is missing" || fail "a broken one is not told after a restart"
	reach web names 53
	block web other 53
	settle names_by_address other 5353
	reach web other 5353
	reach web other 5353 tcp 6
	block web other 53
	block web names 53
	[ "$(by 'opens | length')" = 4 ] || fail "opens $(by opens)"
	settle unapply config-cluster.yaml
	block web other 5353
	[ "$(by by)" = default ] || fail "by $(by by)"
}

has_setting() { [ "$(status ".config.settings.$1")" = "$2" ]; }

#: settings change while the agent runs and come back with the command line's; those of a restart are refused with the option's name; a tenant's is refused
test_settings() {
	cast web app=web -- db app=db
	listen db 80
	curtain_up --log-level=warning
	has_setting log_level warning || fail "$(status .config)"
	has_setting missing_state drop || fail "$(status .config)"
	config cluster <<-YAML
	settings: {logLevel: debug, missingState: pass}
	YAML
	wait_until has_setting log_level debug
	wait_until has_setting missing_state pass
	config zebra <<-YAML
	settings: {logLevel: error}
	YAML
	wait_until problem_says "AgentConfig cluster comes before it by name: this one does nothing"
	has_setting log_level debug || fail "$(status .config)"
	[ "$(status .config.by)" = "AgentConfig berm-system/cluster" ] || fail "$(status .config)"
	unapply config-zebra.yaml
	wait_until nothing_said
	config cluster <<-YAML
	settings: {logLevel: error, strictTCP: true}
	YAML
	wait_until problem_says "cannot be changed while the agent runs"
	has_setting log_level debug || fail "$(status .config)"
	printf 'kind: AgentConfig\nname: mine\nsettings: {logLevel: error}\n' | policy mine default
	wait_until problem_says "an AgentConfig is not for namespace default"
	has_setting log_level debug || fail "$(status .config)"
	unapply mine.yaml
	unapply config-cluster.yaml
	wait_until has_setting log_level warning
	wait_until has_setting missing_state drop
	reach web db 80
}

has_entry() { "$BUILD/tools/nodectl" endpoint "$(cat "/sys/class/net/${POD_HOSTIF[$1]}/ifindex")" >/dev/null 2>&1; }

lose_entry() { # POD: while no agent is there
	agent_stop KILL
	"$BUILD/tools/nodectl" forget-iface "$(cat "/sys/class/net/${POD_HOSTIF[$1]}/ifindex")"
}

#: missingState of an AgentConfig opens an interface that has lost its entry, and shuts it again without it, also while no agent is there [start.missing_state]
test_missing_state() {
	cast web app=web -- db app=db
	listen db 80
	printf 'settings: {missingState: pass}\n' | config cluster
	curtain_up
	wait_until has_setting missing_state pass
	lose_entry db
	reach web db 80
	agent_start
	wait_until has_entry db
	unapply config-cluster.yaml
	wait_until has_setting missing_state drop
	lose_entry db
	block web db 80
	agent_start
	wait_until has_entry db
	wait_until is_enforcing
	wait_until is_settled
	reach web db 80
}


run_tests "$@"
