#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test_image.sh - the container image: the same bytes each time, whole, small, what the manifests name; and the manifests.
. "$(dirname "$0")/../lib/sandbox.sh"

IMAGE=localhost/berm:$(cat "$TOP/VERSION")

# What hack/image reads of a build folder, in another place, as another umask and clock would leave it.
copy_build() {
	mkdir -p "$1"
	(umask 077 && cd "$BUILD" && cp berm-agent bermctl berm-install berm-cni "$1")
	touch -d '2001-01-01' "$1"/*
	chmod 755 "$1"/*
}

#: two runs in different folders give the same bytes; another time gives others
test_reproducible() {
	copy_build /run/one
	copy_build /run/elsewhere/two
	"$TOP/hack/image" /run/one >"$SANDBOX_TMP/out" || fail "$(cat "$SANDBOX_TMP/out")"
	note "$(cut -d' ' -f1-4 "$SANDBOX_TMP/out")"
	(umask 027 && "$TOP/hack/image" /run/elsewhere/two >/dev/null) || fail "the second"
	cmp /run/one/berm-image.tar /run/elsewhere/two/berm-image.tar || fail "two images of the same programs differ"
	SOURCE_DATE_EPOCH=1 "$TOP/hack/image" /run/one >/dev/null || fail "the third"
	! cmp -s /run/one/berm-image.tar /run/elsewhere/two/berm-image.tar || fail "SOURCE_DATE_EPOCH has no effect"
}

#: every blob is what its name says, every program runs with the image's libraries alone
test_whole() {
	local file program
	copy_build /run/one
	"$TOP/hack/image" /run/one >/dev/null || fail "no image"
	mkdir /run/layout /run/root
	tar -C /run/layout -xf /run/one/berm-image.tar
	for file in /run/layout/blobs/sha256/*; do
		[ "$(sha256sum <"$file" | cut -d' ' -f1)" = "$(basename "$file")" ] || fail "$file"
	done
	[ "$(jq -r '.manifests[0].annotations["io.containerd.image.name"]' /run/layout/index.json)" = "$IMAGE" ] || fail "another name"
	[ "$(jq -r '.[0].RepoTags[0]' /run/layout/manifest.json)" = "$IMAGE" ] || fail "another name for docker"
	tar -C /run/root -xzf "/run/layout/$(jq -r '.[0].Layers[0]' /run/layout/manifest.json)"
	for program in berm-agent bermctl berm-install berm-cni; do
		chroot /run/root "/usr/bin/$program" --version >"$SANDBOX_TMP/out" 2>&1 || fail "$program: $(cat "$SANDBOX_TMP/out")"
	done
	[ "$(readlink /run/root/usr/bin/kubectl-berm)" = bermctl ] || fail "no kubectl-berm"
	[ -z "$(find /run/root \( -perm /7000 -o -perm /022 -o ! -user 0 \) ! -type l)" ] || fail "modes: $(find /run/root -perm /7022 ! -type l)"
}

#: everything under manifests/ renders, and names one image: that one
test_manifests() {
	local dir
	command -v kubectl >/dev/null || skip "hardware: no kubectl here"
	while read -r dir; do
		kubectl kustomize "$(dirname "$dir")" >"$SANDBOX_TMP/out" 2>&1 || fail "$dir: $(cat "$SANDBOX_TMP/out")"
		[ "$(grep -c 'image:' "$SANDBOX_TMP/out")" -gt 0 ] || fail "$dir: no image"
		! grep 'image:' "$SANDBOX_TMP/out" | grep -vF "image: $IMAGE" || fail "$dir: another image"
	done < <(find "$TOP/manifests" -name kustomization.yaml ! -path '*/components/*' ! -path '*/examples/*')
}

run_tests "$@"
