/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loader.c - bring the data path into the kernel and pin it, or find it there.
 *
 * node->abi is written last: while it is 0 the pins are those of a loader that was killed, and the next one
 * completes them. Attaches nothing and knows no pods.
 */
#include "loader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_ether.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>

#include "berm.skel.h"
#include "cleanup.h"
#include "fsutil.h"
#include "jiffies.h"
#include "netdev.h"
#include "paths.h"
#include "version.h"

#define BERM_PIN_SESSIONS BERM_PIN_MAPS "/berm_sessions"
#define DEFAULT_LOCK_MS	  5000
#define MAX_BUCKETS	  (1u << 24) /* 8 GiB of sessions: more is a typing error */

enum prog_id { PROG_FROM_POD, PROG_TO_POD, PROG_SWEEP, PROG_COUNT };
_Static_assert(PROG_COUNT == BERM_PROG_COUNT, "loader.h says how many");
static const char *const prog_pins[] = {
	[PROG_FROM_POD] = BERM_PIN_PROGS "/from_pod",
	[PROG_TO_POD] = BERM_PIN_PROGS "/to_pod",
	[PROG_SWEEP] = BERM_PIN_PROGS "/sweep",
};
static const char *const prog_names[] = {
	[PROG_FROM_POD] = "berm_from_pod",
	[PROG_TO_POD] = "berm_to_pod",
	[PROG_SWEEP] = "berm_sweep",
};

/* ---- what libbpf says while it works -------------------------------------------------------------- */

static _Thread_local char libbpf_says[256]; /* its first complaint: the later ones follow from it */

__attribute__((format(printf, 2, 0))) static int keep_complaint(enum libbpf_print_level level,
								const char *fmt, va_list ap)
{
	if (level == LIBBPF_WARN && !libbpf_says[0]) {
		vsnprintf(libbpf_says, sizeof(libbpf_says), fmt, ap);
		libbpf_says[strcspn(libbpf_says, "\n")] = '\0';
	}
	return 0;
}

static int load_failed(int rc, struct berm_err *err)
{
	struct utsname u = { .release = "?" };

	(void)uname(&u); /* only for the message */
	if (rc == -EPERM || rc == -EACCES)
		return berm_fail(err, rc,
				 "load the data path: needs root or CAP_BPF, CAP_NET_ADMIN and "
				 "CAP_PERFMON (%s)",
				 libbpf_says);
	if (rc == -ENOMEM || rc == -E2BIG)
		return berm_fail(err, rc, "load the data path: %s", libbpf_says);
	return berm_fail(err, -ENOSYS,
			 "kernel %s did not take the data path; Berm needs Linux 5.10 or newer with "
			 "CONFIG_BPF_SYSCALL (%d; %s)",
			 u.release, rc, libbpf_says);
}

/* ---- the pinned state ------------------------------------------------------------------------------- */

static void map_pin_path(enum berm_map_id id, char out[PATH_MAX])
{
	snprintf(out, PATH_MAX, BERM_PIN_MAPS "/%s", berm_map_name(id));
}

static bool has_progs(void)
{
	for (int i = 0; i < PROG_COUNT; i++)
		if (access(prog_pins[i], F_OK))
			return false;
	return true;
}

/* The warm path. 0: complete and opened; -EPROTO: complete and not ours; else load. */
static int find_loaded(struct berm_maps *out, struct berm_err *err)
{
	struct berm_err why = { 0 };
	int rc = has_progs() ? berm_maps_open(out, false, &why) : -ENOENT;

	if (rc == -EPROTO && err)
		*err = why;
	return !rc || rc == -EPROTO ? rc : -ENOENT;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return !statfs(path, &fs) && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int bpffs_ensure(bool may_mount, struct berm_err *err)
{
	if (is_bpffs(BERM_BPFFS))
		return 0;
	if (!may_mount)
		return berm_refuse(err, -ENOTDIR,
				   "no bpffs at " BERM_BPFFS ": mount -t bpf bpf " BERM_BPFFS);
	if (mount("bpf", BERM_BPFFS, "bpf", 0, "mode=0700"))
		return berm_fail(err, -errno,
				 "no bpffs at " BERM_BPFFS " and mounting one failed; "
				 "by hand: mount -t bpf bpf " BERM_BPFFS);
	return 0;
}

static int pin_dirs_ensure(struct berm_err *err)
{
	static const char *const dirs[] = { BERM_PIN_MAPS, BERM_PIN_PROGS, BERM_PIN_LINKS };
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(dirs); i++)
		rc = berm_mkdirs(dirs[i], 0700, err);
	return rc;
}

/* ---- which build made the programs -------------------------------------------------------------------- */

/* Says all that makes programs what they are: the object, and what is configured into it. */
static void build_name(const struct berm_session_opts *sessions, __u32 buckets, char out[64])
{
	size_t size = 0;
	const unsigned char *elf = berm_bpf__elf_bytes(&size);
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ elf[i]) * 0x100000001b3u;
	for (enum berm_timeout i = 0; i < BERM_TIMEOUT_COUNT; i++)
		hash = (hash ^ berm_timeout_of(sessions, i)) * 0x100000001b3u;
	hash = (hash ^ sessions->strict_tcp) * 0x100000001b3u;
	hash = (hash ^ sessions->report_ended) * 0x100000001b3u;
	hash = (hash ^ sessions->apps) * 0x100000001b3u;
	snprintf(out, 64, "%016llx-%u-%u", (unsigned long long)hash, buckets, berm_jiffies_hz());
}

static int build_write(const struct berm_session_opts *sessions, __u32 buckets,
		       struct berm_err *err)
{
	char name[64];

	build_name(sessions, buckets, name);
	return symlink(name, BERM_PIN_BUILD) ? berm_fail(err, -errno, "link " BERM_PIN_BUILD) : 0;
}

static bool build_is(const struct berm_session_opts *sessions, __u32 buckets)
{
	char name[64], have[64];
	ssize_t n = readlink(BERM_PIN_BUILD, have, sizeof(have));

	build_name(sessions, buckets, name);
	return n == (ssize_t)strlen(name) && !memcmp(have, name, (size_t)n);
}

/* A program goes with maps by their ids, whatever is pinned beside it. */
static bool prog_uses(const char *pin, __u32 map_id)
{
	auto_close int fd = bpf_obj_get(pin);
	__u32 ids[2 * BERM_MAP_COUNT] = { 0 }, len;
	struct bpf_prog_info info = { .map_ids = (uintptr_t)ids, .nr_map_ids = ARRAY_SIZE(ids) };

	len = sizeof(info);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < ARRAY_SIZE(ids); i++)
		if (ids[i] == map_id)
			return true;
	return false;
}

/* While sessions still move from the table before, this one stays what it is: one at a time. */
static bool is_wanted_size(const struct berm_load_opts *opts, __u32 buckets)
{
	return !opts->replace_progs || !opts->buckets || opts->buckets == buckets ||
	       !access(BERM_PIN_OLD_SESSIONS, F_OK);
}

/* Are the pinned programs this binary's, over the maps that are pinned? Then a start loads nothing. */
static bool progs_are_ours(const struct berm_load_opts *opts, const struct berm_maps *maps)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (!is_wanted_size(opts, maps->buckets) || !build_is(&opts->sessions, maps->buckets) ||
	    bpf_obj_get_info_by_fd(maps->fd[BERM_MAP_sessions], &info, &len))
		return false;
	for (int i = 0; i < PROG_COUNT; i++)
		if (!prog_uses(prog_pins[i], info.id))
			return false;
	return true;
}

/* ---- loading ------------------------------------------------------------------------------------------ */

struct load {
	struct berm_bpf *skel;
	bool was_complete;	     /* somebody has written node->abi already */
	bool is_set_aside;	     /* by us: the table before, of another size */
	bool reused[BERM_MAP_COUNT]; /* pinned before us */
	bool pinned[BERM_MAP_COUNT]; /* pinned by us: taken back if loading fails */
};

static struct bpf_map *map_of(const struct load *l, int id)
{
	/* ".data.node" in the object; bpffs refuses dots in names (kernel/bpf/inode.c, bpf_lookup). */
	return bpf_object__find_map_by_name(l->skel->obj,
					    id == BERM_MAP_node
						    ? ".data.node"
						    : berm_map_name((enum berm_map_id)id));
}

static bool is_compatible(const struct bpf_map *want, const struct bpf_map_info *have,
			  bool any_size)
{
	return have->type == bpf_map__type(want) && have->key_size == bpf_map__key_size(want) &&
	       have->value_size == bpf_map__value_size(want) &&
	       have->map_flags == bpf_map__map_flags(want) &&
	       (any_size || have->max_entries == bpf_map__max_entries(want));
}

static int map_reuse(struct load *l, int id, const char *path, int fd, struct berm_err *err)
{
	struct bpf_map_info info = { 0 };
	struct bpf_map *map = map_of(l, id);
	__u32 len = sizeof(info);
	int rc = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (rc)
		return berm_fail(err, rc, "look at %s", path);
	if (!is_compatible(map, &info, id == BERM_MAP_sessions)) {
		if (l->was_complete)
			return berm_refuse(err, -EPROTO,
					   "%s was made by another version of Berm; upgrade agent and "
					   "plugin together, or remove " BERM_PIN_DIR
					   " while no pod runs",
					   path);
		return unlink(path) ? berm_fail(err, -errno, "remove the unusable %s", path) : 0;
	}
	rc = bpf_map__reuse_fd(map, fd);
	if (rc)
		return berm_fail(err, rc, "take over %s", path);
	l->reused[id] = true;
	return 0;
}

static int maps_reuse(struct load *l, struct berm_err *err)
{
	char path[PATH_MAX];
	int rc = 0;

	for (int id = 0; !rc && id < BERM_MAP_COUNT; id++) {
		auto_close int fd = -1;

		map_pin_path((enum berm_map_id)id, path);
		fd = bpf_obj_get(path);
		if (fd >= 0)
			rc = map_reuse(l, id, path, fd, err);
		else if (fd != -ENOENT)
			rc = berm_fail(err, fd, "open %s", path);
	}
	return rc;
}

/* 0 = none, or half made. */
static int node_abi_read(__u32 *ret, struct berm_err *err)
{
	auto_close int fd = bpf_obj_get(BERM_PIN_MAPS "/berm_node");
	const struct berm_node *node;

	*ret = 0;
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return berm_fail(err, fd, "open " BERM_PIN_MAPS "/berm_node");
	node = mmap(NULL, sizeof(*ret), PROT_READ, MAP_SHARED, fd, 0);
	if (node == MAP_FAILED)
		return berm_fail(err, -errno, "map the memory of berm_node");
	*ret = __atomic_load_n(&node->abi, __ATOMIC_ACQUIRE);
	munmap((void *)node, sizeof(*ret));
	return 0;
}

static int look_for_others(struct load *l, struct berm_err *err)
{
	__u32 abi;
	int rc = node_abi_read(&abi, err);

	if (rc)
		return rc;
	if (abi && abi != BERM_ABI_VERSION)
		return berm_refuse(err, -EPROTO,
				   "maps in " BERM_PIN_MAPS
				   " say ABI %u: somebody has moved them there",
				   abi);
	l->was_complete = abi;
	return 0;
}

static int configure(struct load *l, const struct berm_load_opts *opts, struct berm_err *err)
{
	__u32 buckets = opts->buckets ? opts->buckets : BERM_BUCKETS_DEFAULT;
	struct bpf_map *sessions = map_of(l, BERM_MAP_sessions);

	if (buckets > MAX_BUCKETS)
		return berm_refuse(err, -EINVAL, "a session table of %u buckets: at most %u",
				   buckets, MAX_BUCKETS);
	if (l->reused[BERM_MAP_sessions])
		buckets = bpf_map__max_entries(sessions);
	else if (bpf_map__set_max_entries(sessions, buckets))
		return berm_refuse(err, -EINVAL, "a session table of %u buckets", buckets);
	bpf_program__set_autoload(l->skel->progs.berm_move, false);
	l->skel->rodata->cfg_buckets = buckets;
	l->skel->rodata->cfg_hz = berm_jiffies_hz();
	l->skel->rodata->cfg_strict_tcp = opts->sessions.strict_tcp;
	l->skel->rodata->cfg_ended = opts->sessions.report_ended;
	l->skel->rodata->cfg_apps = opts->sessions.apps;
	for (enum berm_timeout i = 0; i < BERM_TIMEOUT_COUNT; i++)
		l->skel->rodata->cfg_timeout_s[i] = berm_timeout_of(&opts->sessions, i);
	l->skel->data_node->berm_node.abi = 0;
	return 0;
}

static int fill_random(void *to, size_t size, struct berm_err *err)
{
	if (getrandom(to, size, 0) !=
	    (ssize_t)size) /* up to 256 bytes cannot be interrupted; more can */
		return berm_fail(err, -errno, "get random numbers");
	return 0;
}

static int node_init(struct berm_node *node, struct berm_err *err)
{
	size_t step = 256;
	char *epochs = (char *)node->epoch;
	int rc = fill_random(node->hash_seed, sizeof(node->hash_seed), err);

	for (size_t i = 0; i < ARRAY_SIZE(node->hash_seed); i++)
		if (!node->hash_seed[i])
			node->hash_seed[i] = 1;
	if (!rc)
		rc = fill_random(&node->mark, sizeof(node->mark), err);
	if (!node->mark)
		node->mark = 1;
	for (size_t at = 0; !rc && at < sizeof(node->epoch); at += step)
		rc = fill_random(epochs + at, step, err);
	return rc;
}

static int maps_pin(struct load *l, struct berm_err *err)
{
	char path[PATH_MAX];
	int rc;

	for (int id = 0; id < BERM_MAP_COUNT; id++) {
		if (l->reused[id])
			continue;
		map_pin_path((enum berm_map_id)id, path);
		rc = bpf_obj_pin(bpf_map__fd(map_of(l, id)), path);
		if (rc)
			return berm_fail(err, rc, "pin %s", path);
		l->pinned[id] = true;
	}
	return 0;
}

static int local_seed(const struct load *l, struct berm_err *err)
{
	struct berm_maps maps = BERM_MAPS_CLOSED;
	auto_free struct berm_addr *addrs = NULL;
	size_t count = 0;
	int rc = berm_netdev_local(&addrs, &count, err);

	maps.fd[BERM_MAP_local] = bpf_map__fd(map_of(l, BERM_MAP_local));
	for (size_t i = 0; !rc && i < count && i < BERM_MAX_LOCAL; i++)
		rc = berm_local_add(&maps, &addrs[i], err);
	return rc;
}

/* A new pin beside the old one, then rename over it: bpffs knows rename within a directory, so there is
 * always a program under the name. */
static int prog_pin(int fd, const char *path, struct berm_err *err)
{
	char temp[PATH_MAX];
	int rc;

	snprintf(temp, sizeof(temp), "%s_new", path);
	(void)unlink(temp); /* left by a loader that was killed */
	rc = bpf_obj_pin(fd, temp);
	if (rc)
		return berm_fail(err, rc, "pin %s", temp);
	if (rename(temp, path)) {
		rc = -errno;
		(void)unlink(temp); /* the first error is the one to report */
		return berm_fail(err, rc, "pin %s", path);
	}
	return 0;
}

static int progs_pin(const struct load *l, struct berm_err *err)
{
	struct bpf_program *prog;
	int rc = 0;

	for (int i = 0; !rc && i < PROG_COUNT; i++) {
		prog = bpf_object__find_program_by_name(l->skel->obj, prog_names[i]);
		if (!prog)
			return berm_refuse(err, -ENOENT, "the data path lacks the program %s",
					   prog_names[i]);
		rc = prog_pin(bpf_program__fd(prog), prog_pins[i], err);
	}
	return rc;
}

static int pin_all(struct load *l, const struct berm_load_opts *opts, struct berm_err *err)
{
	struct berm_node *node =
		&l->skel->data_node->berm_node; /* since loading: the map's memory */
	int rc = 0;

	if (!l->was_complete || !l->reused[BERM_MAP_node])
		rc = node_init(node, err);
	if (!rc)
		rc = maps_pin(l, err);
	if (!rc)
		rc = local_seed(l, err);
	(void)unlink(BERM_PIN_BUILD); /* what is being pinned is no build's yet */
	if (!rc)
		rc = progs_pin(l, err);
	if (!rc)
		rc = build_write(&opts->sessions, l->skel->rodata->cfg_buckets, err);
	if (!rc)
		__atomic_store_n(&node->abi, BERM_ABI_VERSION, __ATOMIC_RELEASE);
	return rc;
}

static void pins_take_back(const struct load *l)
{
	char path[PATH_MAX];

	for (int id = 0; id < BERM_MAP_COUNT; id++) {
		if (!l->pinned[id])
			continue;
		map_pin_path((enum berm_map_id)id, path);
		(void)unlink(path); /* what stays is taken over by the next loader */
	}
	if (l->is_set_aside)
		(void)rename(BERM_PIN_OLD_SESSIONS, BERM_PIN_SESSIONS); /* as above */
}

/* Its pin goes out of the way, so that a new one is made. A plugin that looks now waits for our lock. */
static int table_set_aside(struct load *l, const struct berm_load_opts *opts, struct berm_err *err)
{
	auto_close int fd = bpf_obj_get(BERM_PIN_SESSIONS);
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	if (fd < 0 || !l->was_complete || bpf_obj_get_info_by_fd(fd, &info, &len) ||
	    is_wanted_size(opts, info.max_entries))
		return 0;
	if (rename(BERM_PIN_SESSIONS, BERM_PIN_OLD_SESSIONS))
		return berm_fail(err, -errno, "set " BERM_PIN_SESSIONS " aside");
	l->is_set_aside = true;
	return 0;
}

static int load_with(struct load *l, const struct berm_load_opts *opts, struct berm_err *err)
{
	int rc = look_for_others(l, err);

	if (!rc)
		rc = table_set_aside(l, opts, err);
	if (!rc)
		rc = maps_reuse(l, err);
	if (!rc)
		rc = configure(l, opts, err);
	if (!rc && berm_bpf__load(l->skel))
		rc = load_failed(-errno, err);
	if (!rc)
		rc = pin_all(l, opts, err);
	if (rc)
		pins_take_back(l);
	return rc;
}

static int load(const struct berm_load_opts *opts, struct berm_err *err)
{
	libbpf_print_fn_t before = libbpf_set_print(keep_complaint);
	struct load l = { 0 };
	int rc;

	libbpf_says[0] = '\0';
	l.skel = berm_bpf__open();
	rc = l.skel ? load_with(&l, opts, err) : load_failed(-errno, err);
	berm_bpf__destroy(l.skel);
	libbpf_set_print(before);
	return rc;
}

/* What is there and can stay: for a plugin whatever is complete, for the agent only this binary's programs. */
static int find_usable(const struct berm_load_opts *opts, struct berm_maps *out,
		       struct berm_err *err)
{
	int rc;

	if (!opts->replace_progs) {
		rc = berm_version_check(err);
		return rc ? rc : find_loaded(out, err);
	}
	rc = find_loaded(out, err);
	if (rc || progs_are_ours(opts, out))
		return rc == -EPROTO ? -ENOENT : rc; /* loading says what is wrong */
	berm_maps_close(out);
	return -ENOENT;
}

static int ensure_locked(const struct berm_load_opts *opts, struct berm_maps *out,
			 struct berm_err *err)
{
	auto_close int lock = -1;
	int rc = berm_flock_take(BERM_LOAD_LOCK, opts->lock_ms ? opts->lock_ms : DEFAULT_LOCK_MS,
				 &lock, err);

	if (rc)
		return berm_wrap(err, rc, "wait for another loader");
	rc = find_usable(opts, out, err); /* somebody may have done it while we waited */
	if (rc != -ENOENT)
		return rc;
	rc = bpffs_ensure(opts->mount_bpffs, err);
	if (!rc)
		rc = pin_dirs_ensure(err);
	if (!rc)
		rc = load(opts, err);
	return rc ? rc : berm_maps_open(out, false, err);
}

int berm_load_ensure(const struct berm_load_opts *opts, struct berm_maps *out, struct berm_err *err)
{
	int rc = find_usable(opts, out, err);

	return rc == -ENOENT ? ensure_locked(opts, out, err) : rc;
}

int berm_prog_open(int dir, int *ret_fd, struct berm_err *err)
{
	const char *path = prog_pins[dir == BERM_INGRESS ? PROG_TO_POD : PROG_FROM_POD];
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return berm_fail(err, fd, "open %s", path);
	*ret_fd = fd;
	return 0;
}

/* ---- pins that vanish ------------------------------------------------------------------------------------ */

int berm_pins_hold(int prog[BERM_PROG_COUNT], struct berm_err *err)
{
	for (int i = 0; i < PROG_COUNT; i++) {
		prog[i] = bpf_obj_get(prog_pins[i]);
		if (prog[i] < 0)
			return berm_fail(err, prog[i], "open %s", prog_pins[i]);
	}
	return 0;
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info = { 0 };
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

int berm_pins_check(const struct berm_maps *maps)
{
	auto_close int node = bpf_obj_get(BERM_PIN_MAPS "/berm_node");
	char path[PATH_MAX];

	if (node < 0)
		return node == -ENOENT || node == -EINVAL ? -ENOENT : 0; /* else nobody knows */
	if (map_id(node) != map_id(maps->fd[BERM_MAP_node]))
		return -ESTALE;
	for (int id = 0; id < BERM_MAP_COUNT; id++) {
		map_pin_path((enum berm_map_id)id, path);
		if (access(path, F_OK))
			return -ENOENT;
	}
	return has_progs() && !access(BERM_PIN_LINKS, F_OK) ? 0 : -ENOENT;
}

/* The node block comes last: without it nobody takes the rest for complete. */
static int maps_pin_again(const struct berm_maps *maps, struct berm_err *err)
{
	char path[PATH_MAX];
	int rc;

	for (int i = 1; i <= BERM_MAP_COUNT; i++) {
		int id = (BERM_MAP_node + i) % BERM_MAP_COUNT;

		map_pin_path((enum berm_map_id)id, path);
		rc = bpf_obj_pin(maps->fd[id], path);
		if (rc && rc != -EEXIST)
			return berm_fail(err, rc, "pin %s", path);
	}
	return 0;
}

int berm_pins_restore(const struct berm_maps *maps, const int prog[BERM_PROG_COUNT],
		      const struct berm_session_opts *sessions, struct berm_err *err)
{
	auto_close int lock = -1;
	int rc = berm_flock_take(BERM_LOAD_LOCK, DEFAULT_LOCK_MS / 10, &lock, err);

	if (!rc && berm_pins_check(maps) == -ESTALE)
		rc = berm_refuse(err, -ESTALE,
				 "another data path has been loaded below " BERM_PIN_DIR);
	if (!rc)
		rc = bpffs_ensure(true, err);
	if (!rc)
		rc = pin_dirs_ensure(err);
	for (int i = 0; !rc && i < PROG_COUNT; i++)
		if (access(prog_pins[i], F_OK))
			rc = prog_pin(prog[i], prog_pins[i], err);
	if (!rc && access(BERM_PIN_BUILD, F_OK) && !build_is(sessions, maps->buckets))
		rc = build_write(sessions, maps->buckets, err);
	return rc ? rc : maps_pin_again(maps, err);
}

/* ---- sweeping ------------------------------------------------------------------------------------------ */

#define SWEEP_STEP 256 /* buckets a run, by contract (abi.h) */

struct sweep_frame {
	struct ethhdr eth;
	struct berm_sweep_args args;
} __attribute__((packed));

static long sweep(const struct berm_sweep_args *args, uint32_t buckets, struct berm_err *err)
{
	auto_close int prog = bpf_obj_get(prog_pins[PROG_SWEEP]);
	struct sweep_frame in = { .args = *args }, out = in;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = &in, .data_size_in = sizeof(in),
		    .data_out = &out, .data_size_out = sizeof(out));
	int rc;

	if (prog < 0)
		return berm_fail(err, prog, "open %s", prog_pins[PROG_SWEEP]);
	/* The program moves args.first on and adds to args.freed, so one call walks the whole table. */
	opts.repeat = (int)((buckets + SWEEP_STEP - 1) / SWEEP_STEP);
	rc = bpf_prog_test_run_opts(prog, &opts);
	return rc ? berm_fail(err, rc, "sweep the session table") : (long)out.args.freed;
}

long berm_sweep(const struct berm_maps *maps, uint32_t ifindex, struct berm_err *err)
{
	const struct berm_sweep_args args = { .count = SWEEP_STEP, .ifindex = ifindex };

	return sweep(&args, maps->buckets, err);
}

long berm_sweep_expired(uint32_t first, uint32_t count, struct berm_err *err)
{
	const struct berm_sweep_args args = { .first = first, .count = SWEEP_STEP };

	return sweep(&args, count, err);
}
