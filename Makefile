# SPDX-License-Identifier: Apache-2.0
#
# One Makefile for the whole tree: no recursion, so dependencies are never wrong.
# Everything goes by wildcards: adding a file is enough. `make help` lists the
# targets, `make doctor` says what this machine lacks. Nothing here calls sudo.

SAN     ?=# SAN=1 builds with address and undefined-behaviour sanitizers
O       ?= $(if $(SAN),build-san,build)
V       ?= 0
CLANG   ?= $(firstword $(foreach v,clang clang-21 clang-20 clang-19 clang-18 clang-16 clang-14,$(shell command -v $v)) clang)
BPFTOOL ?= $(firstword $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool) \
	     $(wildcard /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool) bpftool)
PKGCONF ?= pkg-config
PYTHON  ?= python3

PREFIX       ?= /usr/local
CNI_BIN_DIR  ?= /opt/cni/bin
STATIC_CACHE  = $(or $(BERM_STATIC_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/berm)

VERSION := $(shell cat VERSION)
GIT_REV := $(shell git rev-parse --short HEAD 2>/dev/null)

, := ,
ifeq ($V,1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s %s\n' $(1) $(2)
endif

# --- flags -----------------------------------------------------------------------

cc_has = $(if $(shell $(CC) -Werror $(1) -E -x c /dev/null -o /dev/null 2>/dev/null && echo y),$(1))

WERROR ?= -Werror
WARN   := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(WERROR)
HARDEN := -fstack-protector-strong $(call cc_has,-fstack-clash-protection) $(call cc_has,-fcf-protection)
ifeq ($(SAN),)
  HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else
  SANFLAGS := -fsanitize=address$(,)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
  # gcc's flow warnings trip over the instrumentation; the ordinary build has them all.
  WARN += $(call cc_has,-Wno-stringop-overflow) $(call cc_has,-Wno-stringop-overread) \
	  $(call cc_has,-Wno-maybe-uninitialized) $(call cc_has,-Wno-format-truncation)
endif

CFLAGS   ?= -O2 -g
SMARTCOLS := $(shell $(PKGCONF) --cflags smartcols 2>/dev/null)
C_FLAGS   = -std=gnu11 -D_GNU_SOURCE $(WARN) $(HARDEN) $(SANFLAGS) -fPIE -ffunction-sections -fdata-sections \
	    -MMD -MP -Ilib -Ibpf -I$O $(SMARTCOLS) $(CFLAGS)
LD_FLAGS  = -pie -Wl,-z,relro,-z,now -Wl,--gc-sections $(SANFLAGS) $(LDFLAGS)
AGENT_LIBS  = -lbpf -lelf -lz -lcjson -lyaml -luv -lmicrohttpd -lsmartcols -lcurl
CNI_LIBS    = -lbpf -lelf -lz -lcjson
BPF_FLAGS = -g -O2 -Wall -Wextra $(WERROR) -target bpf -mcpu=v3 -MMD -MP -Ibpf \
	    $(addprefix -idirafter /usr/include/,$(shell $(CC) -print-multiarch 2>/dev/null || gcc -print-multiarch 2>/dev/null))

# --- what there is to build ------------------------------------------------------

objs = $(patsubst %.c,$O/%.o,$(1))
bins = $(patsubst tests/%.c,$O/$(if $(3),$(3),tests)/%,$(1))
has_main = $(if $(1),$(shell grep -lE '^int main\>' $(1) /dev/null))

lib_src   := $(wildcard lib/*.c)
cni_src   := $(wildcard cni-plugin/*.c)
agent_src := $(wildcard node-agent/*.c)
ctl_src   := $(wildcard node-agent/ctl/*.c)
deploy_src := $(wildcard deploy/*.c)
tlib_src  := $(wildcard tests/lib/*.c)
bpf_src   := $(wildcard bpf/*.bpf.c tests/bpf/*.bpf.c tests/bench/*.bpf.c)
skels     := $(patsubst %.bpf.c,$O/%.skel.h,$(notdir $(bpf_src)))

suites    := unit bpf oracle cni netns api
test_src  := $(foreach s,$(suites),$(wildcard tests/$s/test_*.c))
# Other sources of a suite are shared by its programs.
more_src  := $(filter-out %.bpf.c $(test_src),$(foreach s,$(suites),$(wildcard tests/$s/*.c)))
bench_all := $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))
bench_src := $(call has_main,$(bench_all))
tool_src  := $(wildcard tests/tools/*.c)
fuzz_src  := $(wildcard tests/fuzz/fuzz_*.c)

tests     := $(test_src:tests/%.c=$O/tests/%)
benches   := $(bench_src:tests/bench/%.c=$O/bench/%)
tools     := $(tool_src:tests/tools/%.c=$O/tools/%)
fuzzers   := $(fuzz_src:tests/fuzz/%.c=$O/fuzz/%)
mans      := $(patsubst docs/man/%.scd,$O/man/%,$(wildcard docs/man/*.scd))
programs  := $(if $(wildcard cni-plugin/main.c),$O/berm-cni) \
	     $(if $(wildcard node-agent/main.c),$O/berm-agent) \
	     $(if $(wildcard node-agent/ctl/main.c),$O/bermctl) \
	     $(if $(wildcard deploy/main.c),$O/berm-install)

c_src     := $(lib_src) $(cni_src) $(agent_src) $(ctl_src) $(deploy_src) $(tlib_src) $(test_src) $(more_src) $(bench_all) $(tool_src)
c_hdr     := $(wildcard bpf/*.h lib/*.h cni-plugin/*.h node-agent/*.h node-agent/ctl/*.h deploy/*.h tests/*/*.h)

all: $(programs) man ## build the programs and their man pages

# --- compiling -------------------------------------------------------------------

# Objects are stale when the flags that made them are.
flags_now := $(strip $(CC) $(C_FLAGS) $(LD_FLAGS) $(CLANG) $(BPF_FLAGS))
ifneq ($(flags_now),$(strip $(file <$O/.flags)))
  $(shell mkdir -p $O)
  $(file >$O/.flags,$(flags_now))
endif

$O/%.o: %.c $O/.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$Q$(CC) $(C_FLAGS) $(EXTRA) -c $< -o $@

$O/%.bpf.o: %.bpf.c $O/.flags
	@mkdir -p $(@D)
	$(call say,BPF,$<)
	$Q$(CLANG) $(BPF_FLAGS) -c $< -o $@

define skel_cmd
	$(call say,SKEL,$@)
	$Q$(BPFTOOL) gen skeleton $< name $(subst -,_,$*)_bpf > $@
endef
$O/%.skel.h: $O/bpf/%.bpf.o
	$(skel_cmd)
$O/%.skel.h: $O/tests/bpf/%.bpf.o
	$(skel_cmd)
$O/%.skel.h: $O/tests/bench/%.bpf.o
	$(skel_cmd)

# Who includes a skeleton waits for it; later builds know from the .d files.
skel_users := $(shell grep -oE '"[a-z0-9_-]+\.skel\.h"' $(c_src) $(c_hdr) $(fuzz_src) /dev/null | tr -d '"')
define skel_use
$(if $(filter %.h,$(1)),$(call objs,$(c_src)),$(call objs,$(1)) $O/fuzz/$(1:.c=.o)): | $O/$(2)
endef
$(foreach u,$(skel_users),$(eval $(call skel_use,$(firstword $(subst :, ,$u)),$(lastword $(subst :, ,$u)))))

$(call objs,$(agent_src) $(ctl_src)): EXTRA += -Inode-agent
$(call objs,$(tlib_src) $(test_src) $(more_src) $(bench_all) $(tool_src)): \
	EXTRA += -Inode-agent -Inode-agent/ctl -Icni-plugin -Itests/lib -Wno-missing-field-initializers
$(call objs,$(ctl_src)): EXTRA += -Inode-agent/ctl

# The version string is compiled into the few files that print it.
version_src := $(if $(c_src),$(shell grep -lw BERM_VERSION $(c_src) /dev/null))
version_now := $(VERSION)$(if $(GIT_REV),+g$(GIT_REV))
ifneq ($(version_now),$(strip $(file <$O/.version)))
  $(shell mkdir -p $O)
  $(file >$O/.version,$(version_now))
endif
$(call objs,$(version_src)): EXTRA += -DBERM_VERSION='"$(version_now)"'
$(call objs,$(version_src)): $O/.version

# --- linking ---------------------------------------------------------------------

define ar_cmd
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$Qrm -f $@ && $(AR) rcs $@ $(filter %.o,$^)
endef
$O/libberm.a: $(call objs,$(lib_src))
	$(ar_cmd)
$O/libcni.a: $(call objs,$(filter-out cni-plugin/main.c,$(cni_src)))
	$(ar_cmd)
$O/libagent.a: $(call objs,$(filter-out node-agent/main.c,$(agent_src)))
	$(ar_cmd)
$O/libctl.a: $(call objs,$(filter-out node-agent/ctl/main.c,$(ctl_src)))
	$(ar_cmd)
$O/libtest.a: $(call objs,$(tlib_src))
	$(ar_cmd)

define link_cmd
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$Q$(CC) $(C_FLAGS) $(LD_FLAGS) $(filter %.o,$^) $(filter %.a,$^) $(AGENT_LIBS) -o $@
endef
$O/berm-agent: $O/node-agent/main.o $O/libagent.a $O/libberm.a
	$(link_cmd)
$O/bermctl: $O/node-agent/ctl/main.o $O/libctl.a $O/libagent.a $O/libberm.a
	$(link_cmd)
$O/berm-install: $(call objs,$(deploy_src)) $O/libberm.a
	$(call say,LINK,$@)
	$Q$(CC) $(C_FLAGS) $(LD_FLAGS) $^ $(CNI_LIBS) -o $@

# The plugin runs on hosts that have none of our libraries: it is static, and
# archives that the distribution does not ship are built from its own sources.
ifeq ($(SAN),)
$O/static/.done: hack/static-libs hack/private-apt.sh
	$(call say,STATIC,$(@D))
	$QBERM_STATIC_CACHE='$(STATIC_CACHE)' hack/static-libs $(@D)
	$Qtouch $@
$O/berm-cni: $O/static/.done
$O/berm-cni: private CNI_LINK = -static-pie -L$O/static
static_libs = $(CNI_LIBS) $(filter-out $(CNI_LIBS),$(shell $(PKGCONF) --static --libs-only-l libelf 2>/dev/null)) -lm -lpthread
else
static_libs = $(CNI_LIBS)
endif
$O/berm-cni: $O/cni-plugin/main.o $O/libcni.a $O/libberm.a
	$(call say,LINK,$@)
	$Q$(CC) $(C_FLAGS) $(filter-out $(if $(CNI_LINK),-pie),$(LD_FLAGS)) $(filter %.o,$^) $(filter %.a,$^) $(CNI_LINK) $(static_libs) -o $@

# $(1) = source folder under tests/, $(2) = folder of the programs
define test_rule
$O/$(2)/%: $O/tests/$(1)/%.o $(call objs,$(filter tests/$(1)/%,$(more_src) $(filter-out $(bench_src),$(bench_all)))) \
		$O/libtest.a $O/libcni.a $O/libctl.a $O/libagent.a $O/libberm.a
	$$(link_cmd)
endef
$(foreach s,$(suites),$(eval $(call test_rule,$s,tests/$s)))
$(eval $(call test_rule,bench,bench))
$O/tools/%: $O/tests/tools/%.o $O/libberm.a
	$(link_cmd)

# --- the image and what is applied to a cluster ---------------------------------------

image: $(programs) ## $(O)/berm-image.tar, for `ctr images import`; reproducible, no daemon
	$Qhack/image $O
image-root: $(programs)
	$Qhack/image $O --rootfs
manifests: ## $(O)/berm.yaml: manifests/ as one file (needs kubectl)
	@mkdir -p $O
	$Qkubectl kustomize manifests > $O/berm.yaml.new && mv $O/berm.yaml.new $O/berm.yaml

# --- fuzzing: the same sources again, with clang's sanitizers -----------------------

FUZZ_FLAGS = $(filter-out -fPIE -Wl%,$(C_FLAGS)) -U_FORTIFY_SOURCE -Inode-agent -Icni-plugin -Itests/lib \
	     -Wno-missing-field-initializers -DBERM_VERSION='"fuzz"' \
	     -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
$O/fuzz/tests/fuzz/%.o: tests/fuzz/%.c $O/.flags
	@mkdir -p $(@D)
	$(call say,FUZZCC,$<)
	$Q$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c $< -o $@
$O/fuzz/%.o: %.c $O/.flags
	@mkdir -p $(@D)
	$(call say,FUZZCC,$<)
	$Q$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -c $< -o $@

fuzz_objs = $(patsubst %.c,$O/fuzz/%.o,$(1))
$O/fuzz/libcni.a: $(call fuzz_objs,$(filter-out cni-plugin/main.c,$(cni_src)))
	$(ar_cmd)
$O/fuzz/libagent.a: $(call fuzz_objs,$(filter-out node-agent/main.c,$(agent_src)))
	$(ar_cmd)
$O/fuzz/libberm.a: $(call fuzz_objs,$(lib_src))
	$(ar_cmd)
$(call fuzz_objs,$(shell grep -lE '"berm\.skel\.h"' $(c_src) $(fuzz_src) /dev/null)): | $O/berm.skel.h

# A fuzzer may #include the .c under test: the archive's copy is then never pulled in.
$(fuzzers): $O/fuzz/%: $O/fuzz/tests/fuzz/%.o $O/fuzz/libcni.a $O/fuzz/libagent.a $O/fuzz/libberm.a
	$(call say,FUZZLD,$@)
	$Q$(CLANG) $(FUZZ_FLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) $(AGENT_LIBS) -o $@

# --- testing ---------------------------------------------------------------------

build-tests: all $(tests) $(tools) ## build the programs and their tests, run nothing
unit-tests: $(filter $O/tests/unit/%,$(tests))
build-bench: all $(benches) $(tools)
build-fuzz: $(fuzzers)

check: unit-tests ## unit tests: no root, no kernel, seconds
	$Qhack/test --no-build --build-dir=$O unit
check-bpf: build-tests ## data path through BPF_PROG_TEST_RUN: needs CAP_BPF
	$Qhack/test --no-build --build-dir=$O bpf
check-cni: build-tests ## the plugin behind real CNI plugins and runtimes: needs root
	$Qhack/test --no-build --build-dir=$O cni
check-netns: build-tests ## real traffic between pods out of namespaces: needs root
	$Qhack/test --no-build --build-dir=$O netns
check-kernels: build-tests ## the core on other kernels, in qemu: needs root
	$Qhack/test --no-build --build-dir=$O kernels
check-cluster: build-tests ## two nodes of real Kubernetes: needs root and Go
	$Qhack/test --no-build --build-dir=$O cluster
fuzz: build-fuzz ## each fuzzer for some seconds (FUZZ_SECONDS=5)
	$Qhack/test --no-build --build-dir=$O fuzz
bench: build-bench ## measure; one JSON object a line
	$Qhack/bench $O
bench-cluster: build-tests ## the same on two nodes of real Kubernetes, with 10,000 pods: needs root and Go
	$QBERM_BUILD=$(abspath $O) tests/cluster/bench_cluster.sh

# --- the rest --------------------------------------------------------------------

man: $(mans)
$O/man/%: docs/man/%.scd
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$Qscdoc < $< > $@

doctor: ## say what this machine has and lacks
	@ok() { printf '  %-12s %s\n' "$$1" "$${2:-MISSING: $$3}"; }; \
	lib() { ok "$$1" "$$($(PKGCONF) --modversion "$$1" 2>/dev/null)" "apt install $$2"; }; \
	ok compiler  "$$($(CC) --version 2>/dev/null | head -1)" 'apt install gcc'; \
	ok clang     "$$($(CLANG) --version 2>/dev/null | head -1)" 'apt install clang'; \
	ok bpftool   "$$($(BPFTOOL) version 2>/dev/null | head -1)" 'apt install bpftool (Ubuntu: linux-tools-generic)'; \
	lib libbpf libbpf-dev; lib libelf libelf-dev; lib zlib zlib1g-dev; lib libcjson libcjson-dev; \
	lib yaml-0.1 libyaml-dev; lib libuv libuv1-dev; lib libmicrohttpd libmicrohttpd-dev; \
	lib smartcols libsmartcols-dev; lib libcurl libcurl4-gnutls-dev; \
	ok uthash    "$$([ -e /usr/include/uthash.h ] && echo yes)" 'apt install uthash-dev'; \
	ok scdoc     "$$(scdoc -v 2>/dev/null)" 'apt install scdoc'; \
	ok packages  "$$(hack/setup --print >/dev/null 2>&1 && echo 'all there')" "hack/setup, for: $$(hack/setup --print | xargs)"; \
	ok kernel    "$$(uname -r)"; \
	ok btf       "$$([ -r /sys/kernel/btf/vmlinux ] && echo yes)" 'this kernel has no CONFIG_DEBUG_INFO_BTF'; \
	ok bpffs     "$$(grep -qw bpf /proc/filesystems && echo yes)" 'this kernel has no CONFIG_BPF_SYSCALL'; \
	ok go        "$$(hack/cluster-tools --check-go 2>/dev/null && go version)" 'only the cluster suite needs it: hack/cluster-tools --check-go'; \
	ok root      "$$([ $$(id -u) -eq 0 ] && echo yes)" 'the bpf, cni, netns and cluster suites need it'

lint: $(skels) compile_commands.json ## formatters, analysers, house rules
	$Qhack/lint $O
FMT ?= $(c_src) $(c_hdr) $(bpf_src) $(fuzz_src)
fmt: ## format the C sources in place (FMT="a.c b.h" for some)
	$Qclang-format -i $(FMT)

install: all ## copy to $(DESTDIR)$(PREFIX) and $(DESTDIR)$(CNI_BIN_DIR)
	$Qinstall -d $(DESTDIR)$(CNI_BIN_DIR) $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin
	$Qinstall -m 755 $O/berm-agent $(DESTDIR)$(PREFIX)/sbin/berm-agent
	$Qinstall -m 755 $O/berm-install $(DESTDIR)$(PREFIX)/sbin/berm-install
	$Qinstall -m 755 $O/bermctl $(DESTDIR)$(PREFIX)/bin/bermctl
	$Qln -sf bermctl $(DESTDIR)$(PREFIX)/bin/kubectl-berm
	$Qinstall -m 755 $O/berm-cni $(DESTDIR)$(CNI_BIN_DIR)/.berm-cni.new
	$Qmv -f $(DESTDIR)$(CNI_BIN_DIR)/.berm-cni.new $(DESTDIR)$(CNI_BIN_DIR)/berm-cni
	$Qfor m in $(mans); do \
		d=$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}; install -d $$d && install -m 644 $$m $$d/ || exit 1; done
	$Qfor f in $(completion_bash); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/bermctl || exit 1; done
	$Qfor f in $(completion_zsh); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_bermctl || exit 1; done
	$Qfor f in $(completion_fish); do \
		install -D -m 644 $$f $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/bermctl.fish || exit 1; done
completion_bash := $(wildcard deploy/completions/bermctl.bash)
completion_zsh  := $(wildcard deploy/completions/_bermctl)
completion_fish := $(wildcard deploy/completions/bermctl.fish)

uninstall: ## remove what install copied
	$Qrm -f $(DESTDIR)$(CNI_BIN_DIR)/berm-cni $(DESTDIR)$(PREFIX)/sbin/berm-agent $(DESTDIR)$(PREFIX)/sbin/berm-install \
		$(DESTDIR)$(PREFIX)/bin/bermctl $(DESTDIR)$(PREFIX)/bin/kubectl-berm \
		$(foreach m,$(mans),$(DESTDIR)$(PREFIX)/share/man/man$(lastword $(subst ., ,$m))/$(notdir $m)) \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/bermctl \
		$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_bermctl \
		$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/bermctl.fish

compile_commands.json: ## for clangd and clang-tidy
	$Q$(MAKE) --no-print-directory -Bnk V=1 O=$O $(call objs,$(c_src)) | $(PYTHON) hack/compile-commands > $@

clean: ## remove build products
	$Qrm -rf $O

help: ## this text
	@echo 'Targets:'
	@sed -n 's/^\([a-z_.-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'
	@echo 'Variables: O= build folder, V=1 show commands, SAN=1 sanitizers, CC=, CLANG=, DESTDIR=, PREFIX=, CNI_BIN_DIR='

.PHONY: all build-tests unit-tests build-bench build-fuzz check check-bpf check-cni check-netns check-kernels check-cluster fuzz bench bench-cluster man doctor lint fmt \
	image image-root manifests install uninstall clean help compile_commands.json
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $O \( -path $O/image -o -path $O/bed -o -path $O/bed2 \) -prune -o -type f -name '*.d' -print 2>/dev/null)
