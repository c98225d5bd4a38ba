#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The agent's life: documents that are written badly, restarts, what others break, what is lost.
. "$(dirname "$0")/../lib/sandbox.sh"

# db listens; web and spy want to talk to it.
setup() {
	local pod

	for pod in web db spy; do
		pod_prepare "$pod" ns=shop
	done
	pod_objects | apply - pods.yaml
}

pod_objects() {
	local pod

	for pod in web db spy; do
		pod_object "$pod" "app=$pod"
		echo ---
	done
}

pod_objects_with_addresses() {
	local pod

	for pod in web db spy; do
		pod_object "$pod" "app=$pod"
		printf 'status: {podIPs: [{ip: "%s"}, {ip: "%s"}]}\n---\n' "${POD_IP4[$pod]}" "${POD_IP6[$pod]}"
	done
}

pods_start() {
	local pod

	for pod in web db spy; do
		pod_cni ADD "$pod" >/dev/null || fail "ADD of pod $pod"
		pod_learn "$pod"
	done
	listen db 5432
}

# wall LABEL [NAME]: only pods with app=LABEL may reach db
wall() {
	cat <<-YAML
	apiVersion: v1
	kind: ConfigMap
	metadata: {name: ${2:-wall}, namespace: shop, labels: {berm.dev/policy: v1}}
	data:
	  policy.yaml: |
	    kind: SegmentationPolicy
	    name: ${2:-wall}
	    subject: {podSelector: {matchLabels: {app: db}}}
	    isolate: [Ingress]
	    ingress:
	    - {name: allowed, from: [{podSelector: {matchLabels: {app: $1}}}], ports: [{port: 5432}]}
	YAML
}

status() { rest GET /v1/status | jq -r "$1"; }
status_is() { [ "$(status "$1")" = "$2" ]; }
endpoint() { rest GET /v1/endpoints | jq -r ".endpoints[] | select(.pod == \"$1\") | $2"; }
epochs() { rest GET /v1/endpoints | jq -c '[.endpoints[] | [.slot, .epoch]]'; }
policy_is() { [ "$(rest GET /v1/policies | jq -r ".policies[] | select(.name == \"$1\") | .state")" = "$2" ]; }
is_judged() { [ "$(endpoint "$1" .judged)" = true ]; }
has_no_pod() { [ -z "$(endpoint "$1" .slot)" ]; }
has_logged() { grep -q "^$1 " "$AGENT_LOG"; }
judged_is_past() { [ "$(status .last_apply.judged)" -gt "$1" ]; }
generation_is_past() { [ "$(status .generation)" -gt "$1" ]; }
repaired_is_past() { [ "$(status .endpoints.repaired)" -gt "$1" ]; }
uptime_is_past() { [ "$(status .uptime_seconds)" -gt "$1" ]; }
links_are() { [ "$(find /sys/fs/bpf/berm/links -type f | wc -l)" -eq "$1" ]; }
ms() { date +%s%3N; }

# equal WHAT GOT WANT
equal() { [ "$2" = "$3" ] || fail "$1 is '$2', want '$3'"; }

# reach is final; these ask again until the agent has taken something in.
opens() { wait_until is_open "$1" "$2" "$3"; }
is_open() { [ "$(try "$1" "$2" "$3")" = "open $2" ]; }

# The wall stands: one way in, no other.
walled() {
	reach web db 5432
	block spy db 5432
}
walled_for_spy() {
	opens spy db 5432
	block web db 5432
}

start_walled() {
	agent_start
	pods_start
	reach spy db 5432
	wall web | apply - wall.yaml
	wait_until policy_is wall enforced
	walled
}

# Longer than any grace period of the agent, by the agent's own clock.
a_second_passes() { wait_until uptime_is_past "$(($(status .uptime_seconds) + 1))"; }

#: a file that is being written is not read before it is closed, however long that takes
test_half_written() {
	start_walled
	exec 9>"$MANIFESTS/wall.yaml" # truncated, and stays open
	wall spy | head -c 250 >&9
	a_second_passes
	walled
	equal problems "$(status '.problems | length')" 0
	exec 9>&- # the writer died half-way: now it is broken
	wait_until status_is '.policies.invalid' 1
	walled # the last good version stays
	wall spy >"$MANIFESTS/wall.yaml" # rewritten in place, whole
	wait_until status_is '.policies.invalid' 0
	walled_for_spy
}

#: rename over, delete and create again, rename away, delete: the wall stands until it is really gone [update.delete_last]
test_files() {
	start_walled
	wall spy | apply - wall.yaml
	walled_for_spy
	rm "$MANIFESTS/wall.yaml" # as an editor does it
	wall web >"$MANIFESTS/wall.yaml"
	opens web db 5432
	block spy db 5432
	mv "$MANIFESTS/wall.yaml" "$MANIFESTS/zz.yaml"
	a_second_passes
	walled
	unapply zz.yaml
	opens spy db 5432
	equal policies "$(status .policies.total)" 0
	equal isolated "$(endpoint db '.isolated | length')" 0
}

#: the directory itself may go and come back: until then nothing changes
test_directory_replaced() {
	start_walled
	mv "$MANIFESTS" "$MANIFESTS.old"
	wait_until has_logged manifests-lost
	walled
	equal problem "$(status '[.problems[].message] | any(contains("directory is gone"))')" true
	cp -r "$MANIFESTS.old" "$MANIFESTS.new"
	wall spy >"$MANIFESTS.new/wall.yaml"
	mv "$MANIFESTS.new" "$MANIFESTS"
	walled_for_spy
}

#: an object in two files: both are named, the first file's counts, after a restart too
test_twice() {
	start_walled
	wall spy | apply - xx.yaml # later by name
	wait_until status_is '[.problems[].message] | any(contains("is in wall.yaml and in xx.yaml"))' true
	walled
	agent_stop
	agent_start
	walled
	unapply wall.yaml
	walled_for_spy
}

#: kill -9 and restart with nothing changed: no gap, no map write, no epoch bump, flows go on [restart.agent_kill9]
test_kill9() {
	local generation before i

	start_walled
	stream_open talk web db 5432
	for i in 1 2 3; do
		generation=$(status .generation)
		before=$(epochs)
		agent_stop KILL
		walled
		stream_runs talk
		agent_start
		equal "writes of restart $i" "$(status .last_apply.writes)" 0
		equal generation "$(status .generation)" "$generation"
		equal epochs "$(epochs)" "$before"
		walled
		stream_runs talk
	done
}

#: the same documents again are 0 map writes [update.idempotent]
test_idempotent() {
	local judged generation before

	start_walled
	before=$(epochs)
	generation=$(status .generation)
	judged=$(status .last_apply.judged)
	wall web | apply - wall.yaml
	printf 'apiVersion: v1\nkind: Namespace\nmetadata: {name: marker}\n' | apply - zz-marker.yaml # which alone is something to judge
	wait_until judged_is_past "$judged"
	equal writes "$(status .last_apply.writes)" 0
	equal generation "$(status .generation)" "$generation"
	equal epochs "$(epochs)" "$before"
	wall spy | apply - wall.yaml # the control: a change is seen
	wait_until generation_is_past "$generation"
}

#: documents that change while no agent runs are in force after its start, and those deleted are gone
test_changed_while_away() {
	start_walled
	agent_stop
	wall spy >"$MANIFESTS/wall.yaml"
	walled # nobody has told the kernel
	agent_start
	walled_for_spy
	agent_stop KILL
	rm "$MANIFESTS/wall.yaml"
	agent_start
	reach web db 5432
	reach spy db 5432
}

#: SIGTERM ends the agent at once and removes nothing [install.sigterm_removes_nothing]
test_sigterm() {
	local before

	start_walled
	before=$(find /sys/fs/bpf | sort)
	agent_stop TERM
	has_logged stopped || fail "no clean end: $(tail -n 3 "$AGENT_LOG")"
	equal pins "$(find /sys/fs/bpf | sort)" "$before"
	[ ! -e /run/berm/agent.sock ] || fail "the socket is left"
	walled
}

#: a second agent is refused and says who runs; the first goes on
test_two_agents() {
	local out rc=0

	start_walled
	out=$("$BUILD/berm-agent" --manifests "$MANIFESTS" 2>&1) || rc=$?
	equal "exit status" "$rc" 1
	[[ $out == *"another berm-agent (pid $AGENT_PID)"* ]] || fail "it says: $out"
	equal pid "$(status .pid)" "$AGENT_PID"
	walled
}

# refused WORD ARG...: berm-agent does not start, and its message has the word
refused() {
	local word=$1 out
	shift

	if out=$("$BUILD/berm-agent" "$@" 2>&1); then fail "it starts with: $*"; fi
	[[ $out == *"$word"* ]] || fail "with '$*' it says: $out"
}

#: wrong options and places are refused with a sentence that names them
test_refused() {
	refused "/run/nowhere: No such file" --manifests /run/nowhere
	refused "--manifests"
	refused "loud" --manifests "$MANIFESTS" --log-level=loud
	refused "stray" --manifests "$MANIFESTS" stray
	refused "at most 107 characters" --manifests "$MANIFESTS" --socket="/run/$(printf 'x%.0s' {1..120})"
	agent_start # the control
}

#: pods that ran before Berm are walled in place, and their connections live on if allowed [cni.pods_before_install]
test_adopt() {
	local pod

	export WITH_BERM=0
	rm -f /run/nets/*
	for pod in web db spy; do
		net_conf bridge >/dev/null
	done
	pods_start
	stream_open good web db 5432
	stream_open bad spy db 5432
	pod_objects_with_addresses | apply - pods.yaml
	wall web | apply - wall.yaml
	agent_start
	for pod in web db spy; do
		wait_until is_judged "$pod"
		equal adopted "$(endpoint "$pod" .adopted)" true
	done
	wait_until status_is .enforcing true
	wait_until links_are 6
	walled
	stream_runs good
	stream_stalls bad
	agent_stop KILL # an adopted pod survives a restart like any other
	agent_start
	equal adopted "$(endpoint db .adopted)" true
	equal writes "$(status .last_apply.writes)" 0
	walled
}

#: a pod that goes without a DEL is collected: slot, sessions, record and links
test_lost_del() {
	start_walled
	links_are 6 || fail "$(find /sys/fs/bpf/berm/links -type f)"
	ip netns del web
	wait_until has_no_pod web
	wait_until links_are 4
	equal records "$(find /run/berm/endpoints -name '*.json' | wc -l)" 2
	has_logged endpoint-collected || fail "it is not in the log"
	block spy db 5432
	equal enforcing "$(status .enforcing)" true
	wall spy | apply - wall.yaml # the control: what is left follows policy
	opens spy db 5432
}

#: a pod that goes while no agent runs is collected by the next one
test_lost_del_while_away() {
	start_walled
	agent_stop KILL
	ip netns del web
	agent_start
	wait_until has_no_pod web
	wait_until links_are 4
	equal records "$(find /run/berm/endpoints -name '*.json' | wc -l)" 2
	block spy db 5432
}

# Take our programs off the pod's ingress hook, as somebody with root on the node could.
detach_in() {
	if [ "$(endpoint "$1" .mode)" = tcx ]; then
		rm "/sys/fs/bpf/berm/links/$(endpoint "$1" .ifindex)_in" # the last reference: the kernel detaches it
	else
		tc filter del dev "${POD_HOSTIF[$1]}" egress
	fi
}

# repaired_in_time N: the agent repairs db's hook in less than a second; N repairs were there before
repaired_in_time() {
	local start

	walled
	detach_in db
	start=$(ms)
	wait_until repaired_is_past "$1"
	note "repaired after $(($(ms) - start)) ms"
	[ "$(($(ms) - start))" -lt 1000 ] || fail "repaired only after $(($(ms) - start)) ms"
	walled
}

#: hooks that somebody took away are back in less than a second, tcx [tamper.detached]
test_detached() {
	start_walled
	[ "$(endpoint db .mode)" = tcx ] || skip "kernel: has no tcx (6.6)"
	repaired_in_time 0
	repaired_in_time 1
	has_logged hooks-repaired || fail "it is not in the log"
}

#: hooks that somebody took away are back in less than a second, clsact [tamper.detached]
test_detached_clsact() {
	export BERM_CONF='"waitForPolicy": "5s", "attach": "clsact"'
	rm -f /run/nets/*
	net_conf bridge >/dev/null
	start_walled
	equal mode "$(endpoint db .mode)" clsact
	repaired_in_time 0
	tc qdisc del dev "${POD_HOSTIF[db]}" clsact # both at once
	wait_until repaired_is_past 1
	walled
}

#: a broken first version isolates what it names and opens nothing [invalid.no_last_good]
test_no_last_good() {
	agent_start
	pods_start
	listen spy 80
	reach spy db 5432
	wall web | sed 's/ports: /prts: /' | apply - wall.yaml
	wait_until policy_is wall invalid-isolating
	block web db 5432 # its subject, without allows
	block spy db 5432
	reach web spy 80 # not its subject
	wall web | apply - wall.yaml
	wait_until policy_is wall enforced
	walled
}

#: a broken document of which nothing can be read isolates new pods of its namespace only [invalid.no_last_good]
test_no_last_good_unreadable() {
	agent_start
	pods_start
	printf '%s\n' 'apiVersion: v1' 'kind: ConfigMap' \
		'metadata: {name: broken, namespace: shop, labels: {berm.dev/policy: v1}}' \
		'data:' '  p.yaml: |' '    kind: [nonsense' | apply - broken.yaml
	wait_until status_is '.problems | length > 0' true
	reach spy db 5432 # running pods are untouched
	export BERM_CONF='"waitForPolicy": "100ms"'
	rm -f /run/nets/*
	pod_add late ns=shop # no source knows it: its fallback decides
	listen late 80
	block web late 80
	unapply broken.yaml
	wait_until status_is '.problems | length' 0
	pod_add later ns=shop
	listen later 80
	reach web later 80 # the control: without the broken document the fallback isolates nothing
}

# no_room DIR: a file system of its own, full
no_room() {
	mount -t tmpfs -o size=64k,mode=755 tmpfs "$1"
	head -c 65536 /dev/zero >"$1/.ballast" 2>/dev/null || true
}

#: a full disk under the state directory costs the last good versions, not the enforcement
test_state_full() {
	mkdir -p /var/lib/berm/documents
	no_room /var/lib/berm/documents
	start_walled
	wait_until status_is '[.problems[].message] | any(contains("No space left"))' true
	wall spy | apply - wall.yaml
	walled_for_spy
	equal enforcing "$(status .enforcing)" true
	rm /var/lib/berm/documents/.ballast # there is room again: it recovers by itself
	WAIT_S=30 wait_until status_is '[.problems[].message] | any(contains("No space left"))' false
}

#: a full disk under /run costs names, not the enforcement, and is seen
test_run_full() {
	start_walled
	mkdir "$SANDBOX_TMP/m"
	cp "$MANIFESTS"/*.yaml "$SANDBOX_TMP/m"
	mount --bind "$SANDBOX_TMP/m" "$MANIFESTS"
	mount -o remount,size="$(($(df -k --output=used /run | tail -n 1) + 256))k" /run
	head -c 1M /dev/zero >/run/filler 2>/dev/null || true
	if (echo x >/run/one) 2>/dev/null; then fail "there is still room in /run"; fi
	wall spy fence | apply - wall.yaml # other rules, so other names
	walled_for_spy
	wait_until status_is '[.problems[].message] | any(contains("No space left"))' true
	equal enforcing "$(status .enforcing)" true
	rm /run/filler
	mount -o remount,size=50% /run # there is room again: it recovers by itself
	WAIT_S=30 wait_until status_is '[.problems[].message] | any(contains("No space left"))' false
}

#: truncated, empty and foreign files among the records: named, and no pod is opened
test_bad_records() {
	local file

	start_walled
	for file in /run/berm/endpoints/*.json; do
		truncate -s 40 "$file"
	done
	: >/run/berm/endpoints/empty@eth0.json
	head -c 4096 /dev/urandom >/run/berm/endpoints/noise@eth0.json
	mkdir /run/berm/endpoints/dir@eth0.json
	wait_until status_is '[.problems[].message] | any(contains("records cannot be read"))' true
	walled
	agent_stop KILL
	agent_start # nobody knows any more whose these addresses are: closed, never open
	block spy db 5432
	equal endpoints "$(status .endpoints.total)" 3
	pod_objects_with_addresses | apply - pods.yaml # now the documents say it
	opens web db 5432
	block spy db 5432
	wait_until is_judged db
	wall spy | apply - wall.yaml
	walled_for_spy
}

#: a pod that the plugin was told to start without a guard is counted and named, not passed over
test_unguarded() {
	start_walled
	equal enforcing "$(status .enforcing)" true
	jq -n '{container_id: "bare", ifname: "eth0", namespace: "shop", name: "bare", problem: "not enforced: macvlan"}' \
		>/run/berm/endpoints/bare@eth0.json
	wait_until status_is .enforcing false
	equal pods "$(status '.endpoints.total')" 4
	equal judged "$(status '.endpoints.judged')" 3
	equal state "$(endpoint bare '.state + ", " + .problem')" 'problem, not enforced: macvlan'
	status_is '[.problems[].message] | any(contains("shop/bare"))' true || fail "it is not among the problems"
	rm /run/berm/endpoints/bare@eth0.json
	wait_until status_is .enforcing true
}

# follow_and_leave N: N followers one after the other, none of whom waits for a flow
follow_and_leave() {
	python3 - "$1" <<-'PY'
	import socket, sys
	for i in range(int(sys.argv[1])):
	    with socket.socket(socket.AF_UNIX) as s:
	        s.settimeout(5)
	        s.connect("/run/berm/agent.sock")
	        s.sendall(b"GET /v1/flows?follow=1&last=0 HTTP/1.1\r\nHost: berm\r\n\r\n")
	        assert s.recv(12) == b"HTTP/1.1 200", f"follower {i} has no answer"
	PY
}

#: followers that leave a quiet node do not keep their places: the agent stays within reach
test_leavers() {
	agent_start
	follow_and_leave 600 # more than may be connected at once
	equal answer "$(rest GET /v1/status | jq -r .endpoints.total)" 0
}

# Bytes from stdin to the socket; what comes back is thrown away.
to_socket() { timeout 3 socat -t1 - UNIX-CONNECT:/run/berm/agent.sock >/dev/null 2>&1 || true; }

#: garbage on the socket makes the agent neither unwell nor slow
test_garbage() {
	local i

	start_walled
	for i in 1 2 3 4 5 6; do
		head -c "$((i * 1500))" /dev/urandom | to_socket
	done
	printf 'GET /v1/status HTTP/1.1\r\nHost' | to_socket
	printf 'POST /v1/endpoints HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{' | to_socket
	printf 'POST /v1/endpoints HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n' | to_socket
	for i in '{' '[]' '{"container_id":"../../x","ifname":"eth0"}' '{"slot":4294967295,"ifindex":1}' \
		'{"container_id":"a","ifname":"eth0","ifindex":1,"slot":99999}' \
		'{"container_id":"a","ifname":"eth0","ifindex":1,"slot":1,"wait_ms":"x"}' \
		'{"container_id":7}' "$(head -c 70000 /dev/zero | tr '\0' x)"; do
		if rest POST /v1/endpoints "$i" >/dev/null; then fail "accepted: ${i:0:80}"; fi
	done
	if rest GET '/v1/flows?last=-1' >/dev/null; then fail "accepted last=-1"; fi
	if rest GET /v1/nothing >/dev/null; then fail "accepted /v1/nothing"; fi
	equal pid "$(status .pid)" "$AGENT_PID"
	equal endpoints "$(status .endpoints.total)" 3
	walled
	wall spy | apply - wall.yaml
	walled_for_spy
}

#: POST /v1/endpoints answers when the pod is judged, and waits for that no longer than it was told
test_post_waits() {
	local record start answer

	agent_start
	pods_start
	record=$(cat "/run/berm/endpoints/${POD_ID[web]}@eth0.json")
	answer=$(rest POST /v1/endpoints "$(jq -c '. + {wait_ms: 5000}' <<<"$record")")
	equal judged "$(jq -r .judged <<<"$answer")" true
	export BERM_CONF='"waitForPolicy": "100ms"'
	rm -f /run/nets/*
	pod_add late ns=shop
	record=$(cat "/run/berm/endpoints/${POD_ID[late]}@eth0.json")
	start=$(ms)
	answer=$(rest POST /v1/endpoints "$(jq -c '. + {wait_ms: 300}' <<<"$record")")
	equal judged "$(jq -r .judged <<<"$answer")" false
	[[ $(jq -r .reason <<<"$answer") == *"knows this pod"* ]] || fail "it says: $answer"
	[ "$(($(ms) - start))" -ge 300 ] || fail "waited only $(($(ms) - start)) ms"
	rest POST /v1/endpoints "$(jq -c '. + {wait_ms: 9000}' <<<"$record")" >"$SANDBOX_TMP/answer" &
	pod_object late app=late | apply - late.yaml
	wait "$!" || fail "no answer: $(cat "$SANDBOX_TMP/answer")"
	equal judged "$(jq -r .judged "$SANDBOX_TMP/answer")" true
}

has_flow() { jq -es "any(.[]; $1)" "$SANDBOX_TMP/flows" >/dev/null 2>&1; }

#: flows name pods and rules, live and from the past
test_flows() {
	local follower all=$SANDBOX_TMP/all

	start_walled
	curl -sN --max-time 60 --unix-socket /run/berm/agent.sock 'http://agent/v1/flows?follow=1&last=0' \
		>"$SANDBOX_TMP/flows" &
	follower=$!
	a_second_passes
	walled
	wait_until has_flow '.verdict == "DROPPED" and .source.pod == "spy" and .isolating[0] == "shop/wall"'
	wait_until has_flow '.verdict == "FORWARDED" and .rule.policy == "wall" and .rule.rule == "allowed"'
	rest GET '/v1/flows?last=1000' >"$all"
	equal source "$(jq -r 'select(.verdict == "DROPPED" and .protocol == "TCP") | .source.pod' "$all" | sort -u)" spy
	equal destination "$(jq -r 'select(.verdict == "DROPPED" and .protocol == "TCP") | .destination.labels.app' "$all" | sort -u)" db
	agent_stop # ends the followers
	wait "$follower" || fail "the follower was cut off, not ended"
}

has_entry() { "$BUILD/tools/nodectl" endpoint "$(cat "/sys/class/net/${POD_HOSTIF[$1]}/ifindex")" >/dev/null 2>&1; }

#: an interface that loses its entry is shut, and stays so without an agent; --missing-state=pass opens it [start.missing_state]
test_missing_state() {
	agent_start
	pods_start
	reach spy db 5432
	agent_stop KILL
	"$BUILD/tools/nodectl" forget-iface "$(cat "/sys/class/net/${POD_HOSTIF[db]}/ifindex")"
	block spy db 5432
	agent_start --missing-state=pass
	wait_until has_entry db
	wait_until is_judged db
	opens spy db 5432
	agent_stop KILL
	"$BUILD/tools/nodectl" forget-iface "$(cat "/sys/class/net/${POD_HOSTIF[db]}/ifindex")"
	reach spy db 5432
}

run_tests "$@"
