#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_install.sh - berm-install and the agent's keeper among those who write the same directories: a runtime, the
# cluster's own plugin, people. timeout: 600
. "$(dirname "$0")/../lib/sandbox.sh"
. "$(dirname "$0")/plugin.sh"

INSTALL=$BUILD/berm-install
CONF=/etc/cni/net.d
BIN=/opt/cni/bin
LIST=$CONF/10-net.conflist
PRISTINE=/run/pristine

setup() {
	mount -t tmpfs tmpfs /opt
	mkdir -p $BIN
	primary_write >$PRISTINE
	cp $PRISTINE $LIST
}

# What the cluster's own plugin writes.
primary_write() {
	printf '{\n  "cniVersion": "0.4.0",\n  "name": "net", "big": 12345678901234567890,\n  "plugins": [\n    {"type": "bridge"}\n  ]\n}\n'
}

berm_install() { "$INSTALL" "$@" >>"$SANDBOX_TMP/install.log" 2>&1; }
must_install() { berm_install "$@" || fail "berm-install $*: $(tail -n 3 "$SANDBOX_TMP/install.log")"; }
has_entry() { jq -e '.plugins[-1].type == "berm-cni"' "$1" >/dev/null 2>&1; }
lacks_entry() { ! grep -q berm-cni "$1"; }
is_pristine() { cmp -s $PRISTINE $LIST; }
has_maps() { [ -n "$(find /sys/fs/bpf/berm -name berm_node)" ]; }
says() { grep -qF -- "$1" "$SANDBOX_TMP/install.log"; }

keeper_start() { agent_start --install --plugin="$BUILD/berm-cni"; }
keeper_number() { rest GET /v1/status | jq -r ".install.$1"; }
agent_told() { grep -q "$1" "$AGENT_LOG"; }

# Nothing in a runtime's directory but whole files and what a killed writer may leave.
only_whole_files() {
	local file
	for file in "$CONF"/*.conf "$CONF"/*.conflist "$CONF"/*.json; do
		[ ! -e "$file" ] || jq -e .name "$file" >/dev/null || fail "$file is not whole: $(cat "$file")"
	done
}

#: installed and checked; a second time changes nothing; removal leaves the very bytes that were there
test_install() {
	local before
	! berm_install check || fail "check says that it is installed"
	must_install install
	has_entry $LIST || fail "no entry: $(cat $LIST)"
	cmp -s "$BUILD/berm-cni" $BIN/berm-cni || fail "another program"
	must_install check
	before=$(stat -c '%i %z' $LIST $BIN/berm-cni)
	must_install install
	[ "$before" = "$(stat -c '%i %z' $LIST $BIN/berm-cni)" ] || fail "written again"
	BERM_CNI_SETTINGS='{"waitForPolicy":"7s"}' must_install install
	jq -e '.plugins[1].waitForPolicy == "7s" and (.plugins | length == 2)' $LIST >/dev/null || fail "settings: $(cat $LIST)"
	must_install uninstall --reload-wait=0
	is_pristine || fail "not as before: $(cat $LIST)"
	must_install check --clean
}

#: a .conf becomes a .conflist and comes back; its neighbour stays; versions are looked at
test_convert() {
	rm $LIST
	printf '{"cniVersion":"0.3.0","name":"old","type":"bridge","n":12345678901234567890}\n' >$CONF/10-old.conf
	cp $CONF/10-old.conf /run/orig
	primary_write >$CONF/20-net.conflist
	must_install install
	jq -e '.cniVersion == "0.3.1" and .name == "old" and .plugins[1].type == "berm-cni"' $CONF/10-old.conflist >/dev/null ||
		fail "list: $(cat $CONF/10-old.conflist)"
	[ ! -e $CONF/10-old.conf ] || fail "the .conf would be taken first"
	cmp -s /run/orig $CONF/10-old.conf.berm-orig || fail "original not kept"
	cmp -s $PRISTINE $CONF/20-net.conflist || fail "the neighbour was changed"
	must_install uninstall --reload-wait=0
	cmp -s /run/orig $CONF/10-old.conf || fail "not restored: $(ls $CONF)"
	[ "$(ls -A $CONF)" = $'10-old.conf\n20-net.conflist' ] || fail "left: $(ls -A $CONF)"
	printf '{"name":"old","type":"bridge"}\n' >$CONF/10-old.conf
	! berm_install install || fail "a version that cannot chain was taken"
	says 'set 0.3.1 or newer' || fail "no hint"
}

#: the program is replaced while it runs, and those who run it do not notice [install.busy_binary]
test_busy_binary() {
	cp "$(command -v tail)" $BIN/berm-cni # something that runs as long as it is wanted
	$BIN/berm-cni -f /dev/null &
	! cp "$BUILD/berm-cni" $BIN/berm-cni 2>/dev/null || fail "not busy: nothing is proven"
	must_install install
	cmp -s "$BUILD/berm-cni" $BIN/berm-cni || fail "not replaced"
	[ "$(stat -c %a $BIN/berm-cni)" = 755 ] || fail "mode"
	kill -0 $! || fail "the running one has died"
	kill $!
}

#: the primary writes its list anew, 100 times: each time the plugin is back within a second [install.conflist_rewritten]
test_conflist_rewritten() {
	local i start took worst=0
	keeper_start
	wait_until has_entry $LIST
	for ((i = 0; i < 100; i++)); do
		primary_write >$CONF/.primary.tmp
		mv $CONF/.primary.tmp $LIST
		start=$(now_ms)
		wait_until has_entry $LIST
		took=$(($(now_ms) - start))
		[ "$took" -lt 1000 ] || fail "round $i: back after $took ms"
		[ "$took" -le "$worst" ] || worst=$took
	done
	note "the slowest of 100 took $worst ms"
	[ "$(keeper_number reinserted)" = 100 ] || fail "counted: $(keeper_number reinserted)"
	[ "$(grep -c conflist-reinserted "$AGENT_LOG")" -le 3 ] || fail "the log: $(grep -c conflist-reinserted "$AGENT_LOG") lines"
}

cpu_ms() { awk -v hz="$(getconf CLK_TCK)" '{ sub(/.*\) /, ""); print ($12 + $13) * 1000 / hz }' "/proc/$1/stat"; }

#: somebody takes it out as soon as it is there: it keeps coming back, at little cost [install.conflist_fight]
test_conflist_fight() {
	local start before cost times
	keeper_start
	wait_until has_entry $LIST
	before=$(cpu_ms "$AGENT_PID")
	start=$SECONDS
	while [ $((SECONDS - start)) -lt 10 ]; do
		if has_entry $LIST; then
			primary_write >$CONF/.primary.tmp
			mv $CONF/.primary.tmp $LIST
		fi
	done
	cost=$(($(cpu_ms "$AGENT_PID") - before))
	times=$(keeper_number reinserted)
	note "10 s: back $times times, $cost ms of CPU"
	[ "$times" -ge 10 ] && [ "$times" -le 60 ] || fail "back $times times in 10 s"
	[ "$cost" -lt 500 ] || fail "$cost ms of CPU in 10 s"
	wait_until has_entry $LIST
}

#: a list that is still being written is waited for; nothing is put into half of it or into the next file [install.half_written]
test_half_written() {
	primary_write >$CONF/20-other.conflist
	exec 7>$LIST # emptied and open
	head -c 40 $PRISTINE >&7
	"$INSTALL" install >>"$SANDBOX_TMP/install.log" 2>&1 &
	wait_until test -e $BIN/berm-cni
	sleep "$POLL_S"
	lacks_entry $CONF/20-other.conflist || fail "the file that comes after was taken"
	tail -c +41 $PRISTINE >&7
	exec 7>&-
	wait $! || fail "install: $(tail -n 2 "$SANDBOX_TMP/install.log")"
	has_entry $LIST || fail "no entry in the list: $(cat $LIST)"
	lacks_entry $CONF/20-other.conflist || fail "the other one was changed"
	is_sane_without_entry
}

is_sane_without_entry() {
	must_install uninstall --reload-wait=0
	is_pristine || fail "a part is lost: $(cat $LIST)"
}

#: a broken file stays broken: the next usable one is taken, and it is said
test_broken_file() {
	echo '{"name":' >$CONF/05-broken.conflist
	touch -d '1 minute ago' $CONF/05-broken.conflist
	must_install install --wait=20
	has_entry $LIST || fail "not in the first usable one"
	says 05-broken.conflist || fail "not said"
}

#: a list that comes by a rename from another directory is seen by the agent [install.other_dir_rename]
test_other_dir_rename() {
	keeper_start
	wait_until has_entry $LIST
	primary_write >/etc/cni/elsewhere
	mv /etc/cni/elsewhere $LIST # the same file system: a rename, no write in the directory
	WAIT_S=1 wait_until has_entry $LIST
	mkdir /etc/cni/new.d
	primary_write >/etc/cni/new.d/10-net.conflist
	mv $CONF /etc/cni/old.d
	mv /etc/cni/new.d $CONF # the whole directory is another one
	wait_until has_entry $LIST
}

#: the program is removed: it is back within a second [install.binary_missing]
test_binary_missing() {
	keeper_start
	wait_until has_entry $LIST
	rm $BIN/berm-cni
	WAIT_S=1 wait_until cmp -s "$BUILD/berm-cni" $BIN/berm-cni
	mv $BIN/berm-cni $BIN/elsewhere
	WAIT_S=1 wait_until cmp -s "$BUILD/berm-cni" $BIN/berm-cni
	: >$BIN/berm-cni # emptied: as good as gone
	WAIT_S=1 wait_until cmp -s "$BUILD/berm-cni" $BIN/berm-cni
	[ "$(keeper_number replaced)" -ge 3 ] || fail "counted: $(keeper_number replaced)"
	WAIT_S=2 wait_until agent_told plugin-replaced
}

# install_killed SYSCALL N: killed at its N-th call; fails if it was not
install_killed() {
	! { strace -qq -o /dev/null -e trace="$1" -e inject="$1:signal=KILL:when=$2" "$INSTALL" "${@:3}"; } >/dev/null 2>&1
}

node_reset() {
	rm -rf "${CONF:?}"/* "$CONF"/.berm* "${BIN:?}"/* "$BIN"/.berm*
	if [ "$1" = conf ]; then
		printf '{"cniVersion":"0.3.0","name":"old","type":"bridge"}\n' >$CONF/10-old.conf
	else
		cp $PRISTINE $LIST
	fi
}

# Old and whole or new and whole; the program is whole once a list names it.
must_be_whole() {
	only_whole_files
	if grep -q berm-cni "$CONF"/*.conflist 2>/dev/null; then
		cmp -s "$BUILD/berm-cni" $BIN/berm-cni || fail "$1: a list names what is not there"
	fi
	[ ! -e $BIN/berm-cni ] || cmp -s "$BUILD/berm-cni" $BIN/berm-cni || fail "$1: half a program"
	[ -e $LIST ] || [ -e $CONF/10-old.conf ] || [ -e $CONF/10-old.conflist ] || fail "$1: the network is gone"
}

#: killed at every call that changes something: old or new and whole, and the next run completes it [install.power_loss]
test_power_loss() {
	local kind call n killed=0
	for kind in list conf; do
		for call in openat write fchmod fsync renameat unlinkat; do
			for ((n = 1; n < 200; n++)); do
				node_reset $kind
				install_killed $call $n install || break
				killed=$((killed + 1))
				must_be_whole "install, $kind, $call $n"
				must_install install
				must_install check
				must_be_whole "second install, $kind, $call $n"
			done
		done
	done
	note "killed $killed times"
	[ "$killed" -gt 60 ] || fail "only $killed times: the calls have other names"
}

#: what a name stands for is on disk before it gets it, and the name itself after [install.power_loss]
test_fsync_order() {
	strace -qq -y -o "$SANDBOX_TMP/trace" -e trace=fsync,renameat "$INSTALL" install >/dev/null 2>&1
	awk '/^fsync/ { if ($0 ~ /\.berm-cni\.new|\.berm-new/) temp = 1; else dir = 1; if (renamed && dir) renamed = 0 }
	     /^renameat/ { if (!temp || renamed) bad = 1; temp = dir = 0; renamed = 1; n++ }
	     END { exit bad || renamed || n != 2 }' "$SANDBOX_TMP/trace" || fail "order: $(cat "$SANDBOX_TMP/trace")"
}

#: directories that cannot be written get a message that says which and what to do
test_read_only() {
	mount -o bind $CONF $CONF
	mount -o remount,bind,ro $CONF
	! berm_install install || fail "installed into a read-only directory"
	says "$CONF: it is read-only. Mount" || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	mount -o bind $BIN $BIN
	mount -o remount,bind,ro $BIN
	rm -f "$SANDBOX_TMP/install.log"
	umount $CONF
	must_not_install_program
}

must_not_install_program() {
	mount -t tmpfs -o ro tmpfs $BIN
	! berm_install install || fail "installed into a read-only directory"
	says "$BIN: it is read-only. Mount" || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	lacks_entry $LIST || fail "a list names what is not there"
}

#: no network configuration yet: --later is content, and the agent puts it in when it comes
test_later() {
	rm $LIST
	! berm_install install --wait=0 || fail "no configuration, yet no failure"
	says 'no network configuration' || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	must_install install --wait=0 --later
	keeper_start
	wait_until agent_told plugin-not-in-place
	primary_write >$LIST
	WAIT_S=1 wait_until has_entry $LIST
	[ "$(keeper_number reinserted)" = 0 ] || fail "nobody took it out"
	wait_until agent_told plugin-in-place
}

#: the agent's end takes nothing away: list, program, pins and the wall stay [install.sigterm_removes_nothing]
test_sigterm() {
	local signal
	must_install install
	pod_add a
	pod_add b
	listen b 80
	agent_start --install --plugin="$BUILD/berm-cni"
	shut_pod b
	block a b 80
	for signal in TERM INT; do
		agent_stop $signal
		has_entry $LIST && [ -x $BIN/berm-cni ] || fail "after SIG$signal the plugin is gone"
		has_maps || fail "after SIG$signal the maps are gone"
		block a b 80
		agent_start --install --plugin="$BUILD/berm-cni"
	done
	unapply shut.yaml
	wait_until answers
}

shut_pod() {
	pod_object a | apply - a.yaml # or it had its boot fallback
	pod_object "$1" app=shut | apply - pod.yaml
	wait_until answers # the control: without the policy it does
	apply - shut.yaml <<-YAML
	apiVersion: networking.k8s.io/v1
	kind: NetworkPolicy
	metadata: {name: shut, namespace: default}
	spec: {podSelector: {matchLabels: {app: shut}}, policyTypes: [Ingress]}
	YAML
	wait_until is_shut
}
is_shut() { rest GET /v1/policies | jq -e '.policies[0].state == "enforced"' >/dev/null; }
answers() { [ "$(try a b 80)" = "open b" ]; }

#: removal: list, reload, kernel, state, program, in this order; a running agent is waited for [uninstall.order]
test_uninstall_order() {
	local got
	must_install install
	agent_start
	! berm_install uninstall --wait=0 --reload-wait=0 || fail "removed under a running agent"
	says 'stop it first' || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	has_entry $LIST || fail "it had begun already"
	agent_stop
	! berm_install uninstall --reload-wait=1 || fail "nobody has read the list, yet it went on"
	says 'has not read' || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	[ -x $BIN/berm-cni ] && has_maps || fail "it went on without the runtime"
	must_install install
	"$INSTALL" uninstall >"$SANDBOX_TMP/uninstall.log" 2>&1 &
	wait_until lacks_entry $LIST
	wait_until list_is_read $!
	wait $! || fail "uninstall: $(cat "$SANDBOX_TMP/uninstall.log")"
	got=$(cut -d' ' -f1 "$SANDBOX_TMP/uninstall.log" | xargs)
	[ "$got" = 'conflist-restored runtime-reloaded datapath-removed state-removed plugin-removed' ] || fail "order: $got"
	must_install check --clean
}

# Somebody else's look at the list, again until it has been noticed.
list_is_read() { cat $LIST >/dev/null; grep -q runtime-reloaded "$SANDBOX_TMP/uninstall.log"; }

#: removal leaves no pin, filter or file, in both ways of attaching, and pods keep their connections [uninstall.clean]
test_uninstall_clean() {
	local mode
	for mode in tcx clsact; do
		# shellcheck disable=SC2034  # read by the sandbox
		BERM_CONF="\"waitForPolicy\":\"5s\",\"attach\":\"$mode\""
		rm -f /run/nets/bridge.conflist
		must_install install
		agent_start --attach=$mode
		pod_add a-$mode
		pod_add b-$mode
		listen b-$mode 80
		stream_open $mode a-$mode b-$mode 80
		agent_stop
		! berm_install check --clean || fail "$mode: clean before anything was removed"
		must_install uninstall --reload-wait=0
		must_install check --clean
		[ ! -e /sys/fs/bpf/berm ] || fail "$mode: pins: $(find /sys/fs/bpf)"
		no_programs "${POD_HOSTIF[a-$mode]}" || fail "$mode: filters are left"
		[ ! -e $BIN/berm-cni ] && [ -z "$(ls -A /run/berm /var/lib/berm /var/log/berm 2>/dev/null)" ] || fail "$mode: files are left"
		is_pristine || fail "$mode: list: $(cat $LIST)"
		stream_runs $mode
	done
}

no_programs() {
	[ -z "$(tc filter show dev "$1" ingress; tc filter show dev "$1" egress)" ] &&
		! "${BPFTOOL:-bpftool}" net show dev "$1" 2>/dev/null | grep -q tcx
}

#: a removal that is broken off at any call is completed by the next one [uninstall.clean]
test_uninstall_killed() {
	local call n killed=0
	for call in unlink unlinkat renameat fsync sendto; do
		for ((n = 1; n < 200; n++)); do
			node_reset list
			must_install install
			nodectl load
			mkdir -p /run/berm/endpoints /var/lib/berm/documents
			: >/run/berm/rules
			install_killed $call $n uninstall --reload-wait=0 || break
			killed=$((killed + 1))
			only_whole_files
			must_install uninstall --reload-wait=0
			must_install check --clean
			is_pristine || fail "$call $n: $(cat $LIST)"
		done
	done
	note "killed $killed times"
	[ "$killed" -gt 15 ] || fail "only $killed times: the calls have other names"
}

#: settings in the environment go through the same checks as those on the command line
test_settings() {
	! BERM_CNI_SETTINGS='[]' berm_install install || fail "settings that are no object"
	says 'want a JSON object' || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	! BERM_LATER=maybe berm_install install || fail "BERM_LATER=maybe"
	says 'BERM_LATER=maybe: want true or false' || fail "said: $(tail -n 1 "$SANDBOX_TMP/install.log")"
	! BERM_LOG_LEVEL=loud "$BUILD/berm-agent" --manifests=/run/manifests 2>"$OUT" || fail "BERM_LOG_LEVEL=loud"
	grep -q 'want error, warning, info or debug' "$OUT" || fail "said: $(cat "$OUT")"
	! berm_install remove || fail "no such command"
}

run_tests "$@"
