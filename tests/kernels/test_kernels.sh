#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 3900
#
# test_kernels.sh - the data path, plugin and agent on Debian's kernels, each started by qemu under software
# emulation with an initramfs of this machine's programs. What a guest prints is TAP; here it becomes one.
set -euo pipefail

usage() {
	cat <<-TEXT
	usage: test_kernels.sh [PART...] [KERNEL...]

	  load     every program is verified; prints instructions per program (seconds)
	  packets  verdicts, sessions, events, explain: programs of tests/bpf
	  pods     plugin, agent and bermctl with real traffic
	  rest     the other programs of tests/bpf; slow

	Without a PART: load packets pods, with BERM_LONG=1 rest too. Without a KERNEL (hack/kernels --list):
	every one. BERM_BUILD is the build folder, default build/. BERM_GUEST_S is how long a guest may take
	(1800), BERM_GUEST_CPUS how many CPUs it has (1), BERM_GUEST_JOBS how many run side by side (2).
	TEXT
}

cd "$(dirname "$0")/../.."
BUILD=$(realpath "${BERM_BUILD:-build}")
GUEST_S=${BERM_GUEST_S:-1800}
JOBS=${BERM_GUEST_JOBS:-2}

# shellcheck source=tests/kernels/image.sh
. tests/kernels/image.sh

n=0 bad=0
GUEST_PID=() GUEST_DIR=() # those that run, oldest first

is() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}

skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# qemu ends when the guest turns itself off or panics. In the background: guests run side by side. The check of
# the timer at boot panics where a loaded machine emulates it late. No cmpxchg16b: an interrupt behind it finds
# a pointer in the flags (qemu 7.2), and kernels that allocate memory with it (6.12) die of that.
boot() {
	local dir=$1 kernel=$2
	shift 2

	timeout --kill-after=5 "$GUEST_S" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-M pc -accel tcg -cpu max,-cx16 -m 1536 -smp "${BERM_GUEST_CPUS:-1}" \
		-kernel "$kernel/vmlinuz" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 no_timer_check -- $*" \
		-serial "file:$dir/console" -serial "file:$dir/tap" </dev/null >"$dir/qemu" 2>&1 &
	GUEST_PID+=($!) GUEST_DIR+=("$dir")
}

# Lines of a guest's programs, numbered on, with the kernel's and the program's name. Ends with the counts:
# "COUNTS tests bad".
relay() {
	awk -v kernel="$1" -v n="$2" '
	function is_not(text) { printf "not ok %d - %s: %s\n", ++n, kernel, text; bad++ }
	/^=== done$/ { done = 1; next }
	/^=== .* ends with / {
		if (plans != 1 || plan != seen) is_not(name ": the plan says " plan + 0 " tests, " seen + 0 " were seen")
		else if ($5 != 0 && !failed) is_not(name ": all is ok, yet the status is " $5)
		print "# " kernel ": " substr($0, 5)
		name = ""
		next
	}
	/^=== / { name = $2; seen = failed = plan = plans = 0; next }
	/^(not )?ok / {
		seen++
		if (/^not /) { failed++; bad++ }
		word = /^not / ? "not ok" : "ok"
		sub(/^(not )?ok [0-9]+( - )?/, "")
		printf "%s %d - %s %s: %s\n", word, ++n, kernel, name, $0
		next
	}
	/^1\.\.[0-9]+$/ { plan = substr($0, 4) + 0; plans++; next }
	{ print "# " kernel ": " $0 }
	END {
		if (name != "") is_not(name " does not end")
		else if (!done) is_not("the guest ends before its time")
		print "COUNTS " n " " bad + 0
	}' <(tr -d '\r' <"$3")
}

start_guest() {
	local name=$1 dir=$work/$1 kernel rc=0
	shift

	mkdir "$dir"
	kernel=$(hack/kernels "$name") || rc=$?
	[ "$rc" -ne 3 ] || { skip "$name" "kernel: this distribution has no package of it"; return; }
	[ "$rc" -eq 0 ] || { is 1 "$name: the kernel is there (hack/kernels $name)"; return; }
	cp "$kernel/release" "$dir/"
	image_modules "$kernel" "$dir/modules.cpio"
	cat "$work/base.cpio" "$dir/modules.cpio" >"$dir/initrd"
	: >"$dir/tap"
	boot "$dir" "$kernel" "$@"
}

# Where a kernel complains, its first complaint matters.
last_words() {
	local line

	line=$({ grep -nE 'BUG:|Oops|general protection|Kernel panic|traps:|invalid opcode' "$1" || true; } | head -n 1 | cut -d: -f1)
	if [ -n "$line" ]; then tail -n "+$line" "$1" | head -n 60; else tail -n 60 "$1"; fi
}

# Waits for the guest that was started first, and says how it went.
end_guest() {
	local dir=${GUEST_DIR[0]} release failures out rc=0

	wait "${GUEST_PID[0]}" || rc=$?
	GUEST_PID=("${GUEST_PID[@]:1}") GUEST_DIR=("${GUEST_DIR[@]:1}")
	[ "$rc" -ne 0 ] || grep -q 'reboot: Power down' "$dir/console" || rc=1 # it has panicked
	release=$(cat "$dir/release")
	out=$(relay "$release" "$n" "$dir/tap")
	sed '$d' <<<"$out"
	read -r _ n failures <<<"${out##*$'\n'}"
	[ "$failures" -eq 0 ] || bad=1
	is "$rc" "$release starts, runs and turns itself off"
	[ "$rc" -ne 124 ] || echo "# $release: killed after $GUEST_S s"
	[ "$rc" -eq 0 ] && [ "$failures" -eq 0 ] ||
		{ cat "$dir/qemu"; last_words "$dir/console"; } | tr -d '\r' | sed "s/^/# $release console: /"
	rm -rf "$dir"
}

stop() {
	local pid

	for pid in "${GUEST_PID[@]}"; do kill "$pid" 2>/dev/null || true; done # or it has ended by itself
	rm -rf "$work"
}

parse() {
	local word

	for word in "$@"; do
		case $word in
		-h | --help) usage; exit 0 ;;
		load | packets | rest | pods) parts+=("$word") ;;
		*) hack/kernels --list | grep -qxF "$word" || { usage >&2; exit 2; }
			kernels+=("$word") ;;
		esac
	done
	[ ${#parts[@]} -gt 0 ] || parts=(load packets pods ${BERM_LONG:+rest})
	[ ${#kernels[@]} -gt 0 ] || mapfile -t kernels < <(hack/kernels --list)
}

main() {
	local word name parts=() kernels=()

	parse "$@"
	for word in qemu-system-x86_64 busybox; do
		command -v "$word" >/dev/null || image_die "no $word here; run hack/setup kernels"
	done
	work=$(mktemp -d "${TMPDIR:-/tmp}/berm-kernels.XXXXXX")
	trap stop EXIT
	trap 'exit 143' TERM INT HUP
	image_base "$work/base.cpio"
	for name in "${kernels[@]}"; do
		[ ${#GUEST_PID[@]} -lt "$JOBS" ] || end_guest
		start_guest "$name" "${parts[@]}"
	done
	while [ ${#GUEST_PID[@]} -gt 0 ]; do end_guest; done
	echo "1..$n"
	return "$bad"
}

main "$@"
