#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 2400
#
# test_kernels.sh - the data path, plugin and agent on Debian's kernels, each started by qemu under software
# emulation with an initramfs of this machine's programs. What a guest prints is TAP; here it becomes one.
set -euo pipefail

usage() {
	cat <<-TEXT
	usage: test_kernels.sh [PART...] [KERNEL...]

	  load     every program is verified; prints instructions per program (seconds)
	  packets  the programs of tests/bpf
	  pods     plugin, agent and bermctl with real traffic

	Without a PART all of them, without a KERNEL (hack/kernels --list) every one. BERM_BUILD is the build
	folder, default build/. BERM_GUEST_S is how long a guest may take (default 900), BERM_GUEST_CPUS how
	many CPUs it has (1).
	TEXT
}

cd "$(dirname "$0")/../.."
BUILD=$(realpath "${BERM_BUILD:-build}")
GUEST_S=${BERM_GUEST_S:-900}
PARTS=(load packets pods)

# shellcheck source=tests/kernels/image.sh
. tests/kernels/image.sh

n=0 bad=0 guest=

is() {
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}

skip() {
	n=$((n + 1))
	echo "ok $n - $1 # SKIP $2"
}

# qemu ends when the guest turns itself off or panics. In the background, because a signal must reach us.
boot() {
	local dir=$1 kernel=$2 rc=0
	shift 2

	timeout --kill-after=5 "$GUEST_S" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
		-M pc -accel tcg -cpu max -m 1536 -smp "${BERM_GUEST_CPUS:-1}" \
		-kernel "$kernel/vmlinuz" -initrd "$dir/initrd" \
		-append "console=ttyS0 quiet panic=-1 -- $*" \
		-serial "file:$dir/console" -serial "file:$dir/tap" </dev/null >"$dir/qemu" 2>&1 &
	guest=$!
	wait "$guest" || rc=$?
	guest=
	return "$rc"
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

run_guest() {
	local name=$1 dir=$work/$1 kernel rc=0 release counts out
	shift

	mkdir "$dir"
	kernel=$(hack/kernels "$name") || rc=$?
	[ "$rc" -ne 3 ] || { skip "$name" "kernel: this distribution has no package of it"; return; }
	[ "$rc" -eq 0 ] || { is 1 "$name: the kernel is there (hack/kernels $name)"; return; }
	release=$(cat "$kernel/release")
	image_modules "$kernel" "$dir/modules.cpio"
	cat "$work/base.cpio" "$dir/modules.cpio" >"$dir/initrd"
	: >"$dir/tap"
	boot "$dir" "$kernel" "$@" || rc=$?
	out=$(relay "$release" "$n" "$dir/tap")
	sed '$d' <<<"$out"
	read -r _ n counts <<<"${out##*$'\n'}"
	[ "$counts" -eq 0 ] || bad=1
	is "$rc" "$release starts, runs and turns itself off"
	if [ "$rc" -ne 0 ] || [ "$counts" -ne 0 ]; then
		[ "$rc" -ne 124 ] || echo "# $release: killed after $GUEST_S s"
		{ cat "$dir/qemu"; tail -n 40 "$dir/console"; } | tr -d '\r' | sed "s/^/# $release console: /"
	fi
	rm -rf "$dir"
}

stop() {
	[ -z "$guest" ] || kill "$guest" 2>/dev/null || true # it has ended by itself
	rm -rf "$work"
}

main() {
	local word name parts=() kernels=()

	for word in "$@"; do
		case $word in
		-h | --help) usage; return 0 ;;
		load | packets | pods) parts+=("$word") ;;
		*) hack/kernels --list | grep -qxF "$word" || { usage >&2; return 2; }
			kernels+=("$word") ;;
		esac
	done
	[ ${#parts[@]} -gt 0 ] || parts=("${PARTS[@]}")
	[ ${#kernels[@]} -gt 0 ] || mapfile -t kernels < <(hack/kernels --list)
	for word in qemu-system-x86_64 busybox; do
		command -v "$word" >/dev/null || image_die "no $word here; run hack/setup kernels"
	done
	work=$(mktemp -d "${TMPDIR:-/tmp}/berm-kernels.XXXXXX")
	trap stop EXIT
	trap 'exit 143' TERM INT HUP
	image_base "$work/base.cpio"
	for name in "${kernels[@]}"; do run_guest "$name" "${parts[@]}"; done
	echo "1..$n"
	return "$bad"
}

main "$@"
