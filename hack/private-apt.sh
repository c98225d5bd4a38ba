# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154 # work is the caller's
#
# private-apt.sh - apt with everything it writes in private folders: /etc/apt and apt's own lists stay as
# they are, and nothing is installed. Sourced; $work is the folder, entries go into $work/sources.d. apt
# itself verifies signatures and checksums, with the keys that the machine's own entries name.

private_apt() {
	local tool=$1
	shift
	"$tool" -q -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" \
		-o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$work/sources.d" \
		-o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
		-o Debug::NoLocking=1 -o APT::Update::Post-Invoke::= -o APT::Update::Post-Invoke-Success::= "$@"
}

# The Signed-By of the source entry at FILE:N: apt counts lines in a .list, stanzas in a
# .sources file. A path, or a whole key in lines that begin with a space; or nothing.
signed_by() {
	local file=${1%:*} n=${1##*:}

	case $file in
	*.sources)
		awk -v n="$n" '
		BEGIN { RS = ""; FS = "\n" }
		/^(#[^\n]*\n)*[A-Za-z-]+:/ && ++seen == n {
			for (i = 1; i <= NF; i++) {
				if ($i ~ /^Signed-By:/) take = 1
				else if ($i !~ /^[ #]/) take = 0
				if (take && $i !~ /^#/) print $i
			}
		}' "$file"
		;;
	*) sed -n "${n}s/.*\[[^]]*signed-by=\([^] ]*\).*/Signed-By: \1/p" "$file" ;;
	esac
}
