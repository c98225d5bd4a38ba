/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maps.c - open what is pinned, and the small maps: node addresses, isolated namespaces, counters.
 * Slots are in slot.c, policy tables in tables.c. Knows no order of updates.
 */
#include "maps.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "cleanup.h"
#include "paths.h"
#include "version.h"

#define GRACE_US 100000 /* without membarrier: longer than any program runs, tick included */

const char *berm_map_name(enum berm_map_id id)
{
	static const char *const names[] = {
#define X(name) [BERM_MAP_##name] = "berm_" #name,
		BERM_MAPS(X)
#undef X
	};

	return names[id];
}

static size_t page_round(size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (size + page - 1) & ~(page - 1);
}

static size_t endpoints_bytes(void)
{
	return page_round(sizeof(struct berm_endpoint) * BERM_MAX_ENDPOINTS);
}

static int open_pin(enum berm_map_id id, bool readonly, int *ret_fd, struct berm_err *err)
{
	/* A read-only descriptor cannot be mapped as shared memory (mm/mmap.c drops VM_SHARED). */
	bool is_mapped = id == BERM_MAP_node || id == BERM_MAP_endpoints;
	LIBBPF_OPTS(bpf_obj_get_opts, opts,
		    .file_flags = readonly && !is_mapped ? BPF_F_RDONLY : 0);
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), BERM_PIN_MAPS "/%s", berm_map_name(id));
	fd = bpf_obj_get_opts(path, &opts);
	if (fd == -ENOENT)
		return berm_refuse(err, fd,
				   "%s does not exist: the data path is not loaded on this node",
				   path);
	if (fd < 0)
		return berm_fail(err, fd, "open %s", path);
	*ret_fd = fd;
	return 0;
}

static int map_info(int fd, struct bpf_map_info *info)
{
	__u32 len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len);
}

/* Sizes are part of the ABI: look before mapping memory of another layout. */
static int check_layout(const struct berm_maps *maps, struct berm_err *err)
{
	static const struct {
		enum berm_map_id id;
		__u32 value_size, max_entries; /* 0 = any */
	} want[] = {
		{ BERM_MAP_node, sizeof(struct berm_node), 1 },
		{ BERM_MAP_endpoints, sizeof(struct berm_endpoint), BERM_MAX_ENDPOINTS },
		{ BERM_MAP_sessions, sizeof(struct berm_bucket), 0 },
	};
	struct bpf_map_info info;
	int rc;

	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		if (maps->fd[want[i].id] < 0)
			continue;
		rc = map_info(maps->fd[want[i].id], &info);
		if (rc)
			return berm_fail(err, rc, "look at the map %s", berm_map_name(want[i].id));
		if (info.value_size != want[i].value_size ||
		    (want[i].max_entries && info.max_entries != want[i].max_entries))
			return berm_refuse(
				err, -EPROTO,
				"map %s has %u entries of %u bytes, this program expects %u bytes: "
				"it was made by another version; upgrade agent and plugin together",
				berm_map_name(want[i].id), info.max_entries, info.value_size,
				want[i].value_size);
	}
	return 0;
}

static int map_memory(int fd, size_t size, bool readonly, void **ret)
{
	void *mem =
		mmap(NULL, size, readonly ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return -errno;
	*ret = mem;
	return 0;
}

static int map_shared(struct berm_maps *maps, bool readonly, struct berm_err *err)
{
	void *mem = NULL;
	int rc = map_memory(maps->fd[BERM_MAP_node], page_round(sizeof(struct berm_node)), readonly,
			    &mem);

	if (rc)
		return berm_fail(err, rc, "map the memory of berm_node");
	maps->node = mem;
	rc = map_memory(maps->fd[BERM_MAP_endpoints], endpoints_bytes(), readonly, &mem);
	if (rc)
		return berm_fail(err, rc, "map the memory of berm_endpoints");
	maps->endpoints = mem;
	return 0;
}

/* A loader writes node->abi last: until then the node is not ready (loader.c). */
static int check_abi(const struct berm_maps *maps, struct berm_err *err)
{
	__u32 abi = __atomic_load_n(&maps->node->abi, __ATOMIC_ACQUIRE);

	if (!abi)
		return berm_refuse(err, -ENOENT,
				   "the data path below " BERM_PIN_DIR " is only half loaded");
	if (abi != BERM_ABI_VERSION)
		return berm_refuse(err, -EPROTO,
				   "maps below " BERM_PIN_DIR
				   " have ABI %u, this program speaks ABI %u: "
				   "upgrade agent and plugin together",
				   abi, BERM_ABI_VERSION);
	return 0;
}

static int buckets_read(struct berm_maps *maps, struct berm_err *err)
{
	struct bpf_map_info info;
	int rc = map_info(maps->fd[BERM_MAP_sessions], &info);

	if (rc)
		return berm_fail(err, rc, "look at the map berm_sessions");
	maps->buckets = info.max_entries;
	return 0;
}

/* wanted: bit mask of 1 << enum berm_map_id; node and endpoints always belong to it. */
static int open_wanted(struct berm_maps *maps, uint32_t wanted, bool readonly, struct berm_err *err)
{
	int rc = 0;

	for (int id = 0; !rc && id < BERM_MAP_COUNT; id++)
		if (wanted & 1u << id)
			rc = open_pin((enum berm_map_id)id, readonly, &maps->fd[id], err);
	if (!rc)
		rc = check_layout(maps, err);
	if (!rc && maps->fd[BERM_MAP_sessions] >= 0)
		rc = buckets_read(maps, err);
	if (!rc)
		rc = map_shared(maps, readonly, err);
	return rc ? rc : check_abi(maps, err);
}

static int open_or_close(struct berm_maps *maps, uint32_t wanted, bool readonly,
			 struct berm_err *err)
{
	struct berm_maps opened = BERM_MAPS_CLOSED;
	int rc = open_wanted(&opened, wanted, readonly, err);

	if (rc) {
		berm_maps_close(&opened);
		return rc == -ENOENT && berm_version_check(err) ? -EPROTO : rc;
	}
	*maps = opened;
	return 0;
}

int berm_maps_open(struct berm_maps *maps, bool readonly, struct berm_err *err)
{
	_Static_assert(BERM_MAP_COUNT < 32, "a bit for each map");
	return open_or_close(maps, (1u << BERM_MAP_COUNT) - 1, readonly, err);
}

int berm_maps_open_slots(struct berm_maps *maps, struct berm_err *err)
{
	return open_or_close(maps,
			     1u << BERM_MAP_node | 1u << BERM_MAP_endpoints | 1u << BERM_MAP_ifaces,
			     false, err);
}

void berm_maps_close(struct berm_maps *maps)
{
	for (int id = 0; id < BERM_MAP_COUNT; id++)
		if (maps->fd[id] > 0) /* 0: a zeroed struct, not stdin */
			close(maps->fd[id]);
	if (maps->node)
		munmap(maps->node, page_round(sizeof(struct berm_node)));
	if (maps->endpoints)
		munmap(maps->endpoints, endpoints_bytes());
	*maps = (struct berm_maps)BERM_MAPS_CLOSED;
}

/* ---- the node's own addresses, isolated namespaces --------------------------------------------- */

int berm_local_add(const struct berm_maps *maps, const struct berm_addr *addr, struct berm_err *err)
{
	__u32 one = 1;
	int rc = bpf_map_update_elem(maps->fd[BERM_MAP_local], addr, &one, BPF_ANY);
	char text[BERM_ADDR_STRLEN];

	if (!rc)
		return 0;
	berm_addr_format(addr, text);
	return berm_fail(err, rc, "add node address %s to berm_local (room for %d)", text,
			 BERM_MAX_LOCAL);
}

int berm_local_delete(const struct berm_maps *maps, const struct berm_addr *addr,
		      struct berm_err *err)
{
	int rc = bpf_map_delete_elem(maps->fd[BERM_MAP_local], addr);
	char text[BERM_ADDR_STRLEN];

	if (!rc || rc == -ENOENT)
		return 0;
	berm_addr_format(addr, text);
	return berm_fail(err, rc, "remove node address %s from berm_local", text);
}

static int ns_key(const char *ns, struct berm_ns *key)
{
	size_t len = strnlen(ns, sizeof(key->name));

	if (len >= sizeof(key->name))
		return -ENAMETOOLONG;
	memset(key, 0, sizeof(*key));
	memcpy(key->name, ns, len);
	return 0;
}

int berm_ns_isolation_get(const struct berm_maps *maps, const char *ns, uint32_t *ret_dirs)
{
	struct berm_ns key;
	int rc = ns_key(ns, &key);

	return rc ? rc : bpf_map_lookup_elem(maps->fd[BERM_MAP_ns_isolation], &key, ret_dirs);
}

int berm_ns_isolation_set(const struct berm_maps *maps, const char *ns, uint32_t dirs,
			  struct berm_err *err)
{
	struct berm_ns key;
	int rc = ns_key(ns, &key);

	if (rc)
		return berm_fail(err, rc, "namespace %.80s", ns);
	if (dirs)
		rc = bpf_map_update_elem(maps->fd[BERM_MAP_ns_isolation], &key, &dirs, BPF_ANY);
	else
		rc = bpf_map_delete_elem(maps->fd[BERM_MAP_ns_isolation], &key);
	if (rc && !(rc == -ENOENT && !dirs))
		return berm_fail(err, rc, "record isolation of namespace %s (room for %d)", ns,
				 BERM_MAX_NAMESPACES);
	return 0;
}

/* ---- what happened ------------------------------------------------------------------------------- */

static void counters_sum(struct berm_counters *sum, const struct berm_counters *cpu)
{
	_Static_assert(sizeof(*sum) % sizeof(__u64) == 0, "only 64-bit counters");
	const __u64 *from = (const __u64 *)cpu;
	__u64 *to = (__u64 *)sum;

	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

int berm_counters_read(const struct berm_maps *maps, struct berm_counters *out,
		       struct berm_err *err)
{
	int cpus = libbpf_num_possible_cpus();
	auto_free struct berm_counters *per_cpu = NULL;
	__u32 zero = 0;
	int rc;

	if (cpus <= 0)
		return berm_fail(err, cpus ? cpus : -EIO, "count the CPUs");
	per_cpu = calloc((size_t)cpus, sizeof(*per_cpu));
	if (!per_cpu)
		return berm_fail(err, -ENOMEM, "read counters");
	rc = bpf_map_lookup_elem(maps->fd[BERM_MAP_counters], &zero, per_cpu);
	if (rc)
		return berm_fail(err, rc, "read berm_counters");
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < cpus; i++)
		counters_sum(out, &per_cpu[i]);
	return 0;
}

int berm_hits_read(const struct berm_maps *maps, uint32_t index, uint64_t *out)
{
	return bpf_map_lookup_elem(maps->fd[BERM_MAP_hits], &index, out);
}

void berm_grace_period(void)
{
	if (syscall(__NR_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		usleep(GRACE_US);
}
