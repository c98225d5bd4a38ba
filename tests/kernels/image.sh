# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# image.sh - what a guest boots from, as initramfs: programs of this machine with the libraries they need,
# the product and its tests from $BUILD, a kernel's modules. Sourced. Knows nothing of what a test does.
#
#   image_base FILE           everything but the kernel's own
#   image_modules DIR FILE    the modules that hack/kernels left in DIR; the kernel takes both, one behind the other

IMAGE_PROGRAMS=(bash sh env echo cat cp mv rm ln ls mkdir mktemp touch chmod head tail wc sort uniq cut tr tee paste seq
	date sleep timeout dirname basename readlink realpath sha256sum base64 stat id uname sync true false nproc
	sed grep awk find xargs flock mount umount unshare nsenter setsid ip tc ping sysctl curl jq python3 ps kill od)
IMAGE_CNI=(bridge ptp host-local loopback)
IMAGE_TREE=(tests/lib tests/netns tests/kernels bpf/abi.h)

image_die() { echo "kernels: $*" >&2; exit 1; }

# A file at its own path, and the libraries it asks for.
image_take() {
	local root=$1 file lib
	shift

	for file in "$@"; do
		[ ! -e "$root$file" ] || continue
		mkdir -p "$root$(dirname "$file")"
		cp -L "$file" "$root$file"
		while read -r lib; do
			[ -e "$root$lib" ] || { mkdir -p "$root$(dirname "$lib")" && cp -L "$lib" "$root$lib"; }
		done < <(ldd "$file" 2>/dev/null | grep -oE '/[^ ]+' || true) # none: it is static
	done
}

image_skeleton() {
	local root=$1 name

	mkdir -p "$root"/{usr/bin,usr/sbin,usr/lib,usr/lib64,dev,proc,sys,run,tmp,etc,root,var/lib,var/log,modules}
	for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
	echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
	echo 'root:x:0:' >"$root/etc/group"
	echo '127.0.0.1 localhost' >"$root/etc/hosts"
}

image_programs() {
	local root=$1 name path lib

	for name in "${IMAGE_PROGRAMS[@]}"; do
		path=$(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v "$name" || true)
		[ "${path#/}" != "$path" ] || path=/usr/bin/$name # a builtin of this shell
		[ -x "$path" ] || image_die "no program '$name' on this machine; run hack/setup test kernels"
		image_take "$root" "$path"
	done
	image_take "$root" /usr/bin/busybox
	for name in "${IMAGE_CNI[@]}"; do
		path=$(image_plugin "$name") || image_die "no CNI plugin '$name'; run hack/setup test"
		mkdir -p "$root/usr/lib/cni" && cp -L "$path" "$root/usr/lib/cni/"
	done
	lib=$(ldconfig -p | awk '$1 == "libgcc_s.so.1" { print $NF; exit }') # loaded when a thread is cancelled
	image_take "$root" "$lib"
}

image_plugin() {
	local dir dirs

	IFS=: read -ra dirs <<<"${BERM_CNI_PLUGINS:-/usr/lib/cni:/opt/cni/bin}"
	for dir in "${dirs[@]}"; do
		[ ! -x "$dir/$1" ] || { echo "$dir/$1"; return; }
	done
	return 1
}

# Those modules of python that the scripts in the guest import, and what these import.
image_python() {
	local root=$1 names

	names=$(sed -n 's/^import \([a-z0-9_]*\)$/\1/p' tests/lib/cni.py tests/netns/*.py | sort -u | paste -sd ,)
	while read -r file; do image_take "$root" "$file"; done < <(/usr/bin/python3 -I -c "
import $names, encodings.idna, site, sys
for m in list(sys.modules.values()):
    if getattr(m, '__file__', None):
        print(m.__file__)
print(__import__('os').__file__)")
}

image_product() {
	local root=$1 file
	local at=$root/berm/build

	mkdir -p "$at/tools" "$at/tests/bpf"
	for file in berm-agent bermctl berm-cni berm-install tools/traffic tools/load tools/nodectl tools/verify; do
		[ -x "$BUILD/$file" ] || image_die "no $BUILD/$file; make O=$BUILD build-tests builds it"
		image_take "$root" "$BUILD/$file"
	done
	for file in tests/bpf/test_*.c; do image_take "$root" "$BUILD/${file%.c}"; done
	cp -r "$root$BUILD/." "$at/"
	rm -rf "${root:?}/$(cut -d/ -f2 <<<"$BUILD")/${BUILD#/*/}"
	strip --strip-unneeded "$at"/berm-* "$at/bermctl" "$at"/tools/* "$at"/tests/bpf/*
	tar -cf - "${IMAGE_TREE[@]}" | tar -xf - -C "$root/berm"
	install -m 755 tests/kernels/guest/init "$root/init"
}

image_pack() { (cd "$1" && find . | busybox cpio -o -H newc 2>/dev/null) >"$2"; }

image_base() {
	local root

	root=$(mktemp -d "$(dirname "$1")/root.XXXXXX")
	image_skeleton "$root"
	image_programs "$root"
	image_python "$root"
	image_product "$root"
	image_pack "$root" "$1"
	rm -rf "$root"
}

image_modules() {
	local root

	root=$(mktemp -d "$(dirname "$2")/root.XXXXXX")
	mkdir "$root/modules"
	cp "$1"/modules/* "$root/modules/"
	image_pack "$root" "$2"
	rm -rf "$root"
}
