#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 1800
#
# test_change.sh - what traffic sees when policies and labels change under it.
# shellcheck disable=SC2034 # sandbox.sh reads them
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/scene.sh"

TEST_TIMEOUT_S=${BERM_LONG:+1000}

# only PEER TO SUBJECT (by app): may reach port 80, both protocols
only() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: in
	subject: {podSelector: {matchLabels: {app: $3}}}
	isolate: [Ingress]
	ingress:
	- {name: peer, from: [{podSelector: {matchLabels: {app: $1}}}], ports: [{port: 80}, {protocol: UDP, port: 80}]}
	YAML
}

web_only() { only web to db; }

nobody() {
	policy walls <<-YAML
	kind: SegmentationPolicy
	name: in
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	YAML
}

#: established TCP and UDP stop when the rule goes, new ones fail at once, and all come back with it [revoke.existing]
test_revoke() {
	cast db app=db -- web app=web -- far:net=ptp app=web -- spy app=spy
	listen db 80
	web_only
	curtain_up
	stream_open four web db 80 4
	stream_open six web db 80 6
	stream_open routed far db 80 4
	BERM_SPORT=5000 reach web db 80 udp
	block spy db 80
	settle nobody
	block web db 80 # at once
	BERM_SPORT=5000 block web db 80 udp 4 # the same flow as before
	stream_stalls four
	stream_stalls six
	stream_stalls routed
	settle web_only
	reach web db 80
	BERM_SPORT=5000 reach web db 80 udp
	stream_runs four
	stream_runs six
	stream_runs routed
	block spy db 80
}

#: the reply direction dies with the rule too: egress rules are taken back like ingress ones [revoke.existing]
test_revoke_egress() {
	cast db app=db -- web app=web
	listen db 80
	web_out 80
	curtain_up
	stream_open talk web db 80
	settle web_out 81
	stream_stalls talk
	block web db 80
	settle web_out 80
	stream_runs talk
	reach web db 80
}

web_out() {
	policy out <<-YAML
	kind: SegmentationPolicy
	name: web-out
	subject: {podSelector: {matchLabels: {app: web}}}
	isolate: [Egress]
	egress:
	- {name: db, to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: $1}]}
	YAML
}

#: churn of other policies and pods does not touch a connection: nothing is judged again [update.atomic]
test_bystanders() {
	local epoch i
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	web_only
	curtain_up
	stream_open talk web db 80
	epoch=$(endpoint db .epoch)
	for i in 1 2 3; do
		settle policy other <<-YAML
		kind: SegmentationPolicy
		name: other
		subject: {podSelector: {matchLabels: {app: spy}}}
		isolate: [Ingress]
		ingress: [{name: r$i, from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8$i}]}]
		YAML
	done
	[ "$(endpoint db .epoch)" = "$epoch" ] || fail "db was judged again for spy's policy"
	[ "$(status .stats.session_rejudged)" = 0 ] || fail "sessions were judged again"
	stream_runs talk
	settle nobody # the control: its own policy does
	[ "$(endpoint db .epoch)" != "$epoch" ] || fail "db was not judged again for its own policy"
}

#: the last policy of a pod goes, and it is open again [update.delete_last]
test_delete_last() {
	cast db app=db -- spy app=spy
	listen db 80
	web_only
	curtain_up
	block spy db 80
	block spy db 80 udp 6
	settle unapply walls.yaml
	reach spy db 80
	reach spy db 80 udp 6
	[ "$(endpoint db '.isolated | length')" = 0 ] || fail "db is still said to be isolated"
	settle web_only
	block spy db 80
}

#: labels of pods decide as they are now: of the peer, of the subject, of the namespace [update.label_change]
test_label_change() {
	cast db app=db -- web app=web -- spy app=spy -- guest:ns=other app=web
	listen db 80
	web_only
	namespace other team=blue
	curtain_up
	reach web db 80
	block spy db 80
	stream_open talk web db 80
	settle relabel web app=former
	block web db 80
	stream_stalls talk
	settle relabel spy app=web
	reach spy db 80
	settle relabel db app=plain
	reach web db 80
	stream_runs talk
	settle relabel db app=db
	block web db 80
	block guest db 80
	settle policy blue <<-YAML
	kind: SegmentationPolicy
	name: blue
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [Ingress]
	ingress: [{name: blue, from: [{namespaceSelector: {matchLabels: {team: blue}}}]}]
	YAML
	reach guest db 80
	settle namespace other team=red
	block guest db 80
	settle namespace other team=blue
	reach guest db 80
}

namespace() {
	apply - "ns-$1.yaml" <<-YAML
	apiVersion: v1
	kind: Namespace
	metadata: {name: $1, labels: {kubernetes.io/metadata.name: $1, ${2%%=*}: ${2#*=}}}
	YAML
}

#: a policy's own selector moves on: the wall moves with it [update.selector_change]
test_selector_change() {
	cast db app=db -- web app=web -- spy app=spy
	listen db 80
	listen web 80
	web_only
	curtain_up
	block spy db 80
	reach spy web 80
	settle only db to web
	reach spy db 80
	block spy web 80
	reach db web 80
	settle only spy to db
	reach spy db 80
	block web db 80
	reach spy web 80
}

#: one direction less to isolate: that one opens, the other one stays shut [update.remove_one_direction]
test_remove_one_direction() {
	cast db app=db -- web app=web
	listen db 80
	listen web 80
	isolating 'Ingress, Egress'
	curtain_up
	block web db 80
	block db web 80
	settle isolating Egress
	reach web db 80
	block db web 80
	settle isolating Ingress
	block web db 80
	reach db web 80
	settle isolating 'Ingress, Egress'
	block web db 80 udp 6
	block db web 80 udp 6
}

isolating() {
	policy both <<-YAML
	kind: SegmentationPolicy
	name: both
	subject: {podSelector: {matchLabels: {app: db}}}
	isolate: [$1]
	YAML
}

#: a file touched, copied, written again, reordered by its writer: nothing is written to the kernel [update.idempotent]
test_idempotent() {
	local generation epoch applied
	cast db app=db -- web app=web
	listen db 80
	web_only
	curtain_up
	stream_open talk web db 80
	generation=$(status .generation)
	epoch=$(endpoint db .epoch)
	applied=$(status '.last_apply | "\(.judged) \(.writes)"')
	settle web_only
	equal applied "$(status '.last_apply | "\(.judged) \(.writes)"')" "$applied"
	settle touch_up
	equal applied "$(status '.last_apply | "\(.judged) \(.writes)"')" "$applied"
	equal generation "$(status .generation)" "$generation"
	equal epoch "$(endpoint db .epoch)" "$epoch"
	equal "sessions judged again" "$(status .stats.session_rejudged)" 0
	stream_runs talk
	settle nobody # the control
	[ "$(status .last_apply.writes)" -gt 0 ] || fail "a change writes nothing"
	[ "$(status .generation)" -gt "$generation" ] || fail "a change is no generation"
}

# The same meaning, other bytes: a comment, a blank line, the pods in another order.
touch_up() {
	{ echo '# walls'; echo; cat "$MANIFESTS/walls.yaml"; } >"$SANDBOX_TMP/walls"
	apply "$SANDBOX_TMP/walls" walls.yaml
}

equal() { [ "$2" = "$3" ] || fail "$1 is $2, want $3"; }

# Rules for many peers, of which only the first in every version is real.
crowd() {
	local version=$1 size=${BERM_LONG:+10000}
	{
		printf '%s\n' 'kind: SegmentationPolicy' 'name: crowd' 'subject: {podSelector: {matchLabels: {app: db}}}' \
			'isolate: [Ingress]' 'ingress:' '- name: crowd' '  ports: [{port: 80}, {protocol: UDP, port: 80}]' '  from:' \
			"  - podSelector: {matchLabels: {app: web}}"
		awk -v v="$version" -v n="${size:-1000}" 'BEGIN { for (i = 0; i < n; i++)
			printf "  - ipBlock: {cidr: 172.%d.%d.%d/32}\n", 16 + v % 8, i / 250, i % 250 }'
	} | policy crowd
}

#: a policy of many peers replaced in a loop: who is in every version loses nothing, who is in none gets nothing [update.atomic]
test_atomic() {
	local version rounds=${BERM_LONG:+100}
	cast db app=db -- web app=web -- spy app=spy
	listen db 80 81
	crowd 0
	curtain_up
	load_start good web "ok=${POD_IP4[db]}:80" "ok=[${POD_IP6[db]}]:80" "no=${POD_IP4[db]}:81"
	load_start bad spy "no=${POD_IP4[db]}:80" "no=[${POD_IP6[db]}]:80"
	for version in $(seq 1 "${rounds:-8}"); do
		settle crowd "$version"
	done
	load_stop good
	load_stop bad
	load_is good '.udp_sent > 200 and .udp_back == .udp_sent and .tcp_ok == .tcp_tried and .tcp_late == 0'
	load_is good '.no_sent > 100 and .no_back == 0'
	load_is bad '.no_sent > 200 and .no_back == 0'
	[ "$(status .last_apply.failed)" = 0 ] || fail "generations failed"
}

run_tests "$@"
