/* SPDX-License-Identifier: Apache-2.0 */
/* datapath.c - loads the programs, fills their maps, runs packets. Knows no scenario. */
#include "datapath.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jiffies.h"
#include "preload.h"

#include "berm.skel.h" /* wants abi.h before it */

#define DEFAULT_MAC	"02:00:00:00:00:01"
#define DEFAULT_BUCKETS PRELOAD_BUCKETS
#define CELLS_PER_SET	256
#define OUTSIDE		4 /* device that packets into a pod come in by */

/* ---- loading -------------------------------------------------------------------------------------------- */

static int print_warnings(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

static void run_command(const char *command)
{
	int rc = system(command);

	if (rc)
		test_failed(__FILE__, __LINE__, "'%s' ended with %d", command, WEXITSTATUS(rc));
	ASSERT_EQ(rc, 0);
}

static void own_namespace(void)
{
	ASSERT_EQ(unshare(CLONE_NEWNET), 0);
	run_command(
		"ip link set lo up && ip link add dev2 index 2 type veth peer name dev3 index 3 &&"
		" ip link add dev4 index 4 type veth peer name dev5 index 5");
}

static void fds_fill(struct datapath *dp)
{
	int *fd = dp->maps.fd;

#define X(name) fd[BERM_MAP_##name] = bpf_object__find_map_fd_by_name(dp->skel->obj, "berm_" #name);
	BERM_MAPS(X)
#undef X
	fd[BERM_MAP_node] = bpf_map__fd(dp->skel->maps.data_node);
}

int datapath_map(const struct datapath *dp, const char *name)
{
	if (!strcmp(name, ".data.node"))
		return dp->maps.fd[BERM_MAP_node];
	for (enum berm_map_id id = 0; id < BERM_MAP_COUNT; id++)
		if (!strcmp(name, berm_map_name(id)))
			return dp->maps.fd[id];
	return -1;
}

static void memory_map(struct datapath *dp)
{
	size_t size = sizeof(struct berm_endpoint) * BERM_MAX_ENDPOINTS;

	dp->maps.node = &dp->skel->data_node->berm_node;
	dp->maps.endpoints = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
				  dp->maps.fd[BERM_MAP_endpoints], 0);
	ASSERT_TRUE(dp->maps.endpoints != MAP_FAILED);
}

static void randomize(struct berm_node *node)
{
	uint32_t x = (uint32_t)getpid() * 2654435761u | 1;

	for (size_t i = 0; i < ARRAY_SIZE(node->hash_seed); i++)
		node->hash_seed[i] = x = x * 1664525 + 1013904223;
	node->mark = x | 1;
	for (size_t i = 0; i < ARRAY_SIZE(node->epoch); i++)
		node->epoch[i] = x = x * 1664525 + 1013904223;
}

static int read_event(void *ctx, void *data, size_t size)
{
	struct datapath *dp = ctx;

	if (size == sizeof(dp->sample)) {
		memcpy(&dp->sample, data, sizeof(dp->sample));
		dp->samples++;
	} else {
		EXPECT_EQ(size, sizeof(dp->event));
	}
	memcpy(&dp->event, data, sizeof(dp->event));
	dp->events++;
	return 0;
}

static struct berm_bpf *load(const struct datapath *dp, const struct datapath_opts *opts)
{
	struct berm_bpf *skel = berm_bpf__open();

	ASSERT_TRUE(skel);
	ASSERT_EQ(bpf_map__set_max_entries(skel->maps.berm_sessions, dp->maps.buckets), 0);
	skel->rodata->cfg_buckets = dp->maps.buckets;
	skel->rodata->cfg_hz = dp->hz;
	skel->rodata->cfg_event_ms = dp->event_ms;
	skel->rodata->cfg_explain = opts->explain;
	skel->rodata->cfg_strict_tcp = opts->strict_tcp;
	skel->rodata->cfg_ended = opts->ended;
	skel->rodata->cfg_apps = opts->apps;
	ASSERT_EQ(berm_bpf__load(skel), 0);
	return skel;
}

struct datapath *datapath_load(const struct datapath_opts *opts)
{
	static const struct datapath_opts none;
	struct datapath *dp = calloc(1, sizeof(*dp));
	struct berm_err err = { 0 };
	uint32_t now;

	if (!opts)
		opts = &none;
	libbpf_set_print(print_warnings);
	own_namespace();
	ASSERT_OK(berm_jiffies_read(&now, &dp->hz, &err), &err);
	dp->event_ms = opts->event_ms;
	dp->apps = opts->apps;
	dp->strict_tcp = opts->strict_tcp;
	dp->maps.buckets = opts->buckets ? opts->buckets : DEFAULT_BUCKETS;
	dp->ended = opts->ended;
	if (!opts->explain && !opts->event_ms && !opts->strict_tcp && !opts->ended && !opts->apps &&
	    dp->maps.buckets == PRELOAD_BUCKETS)
		dp->skel = preload_take();
	if (!dp->skel)
		dp->skel = load(dp, opts);
	fds_fill(dp);
	memory_map(dp);
	randomize(dp->maps.node);
	dp->maps.node->flags = BERM_NODE_MISSING_DENY | BERM_NODE_EVENTS | BERM_NODE_EVENTS_ALLOW;
	dp->ring = ring_buffer__new(dp->maps.fd[BERM_MAP_events], read_event, dp, NULL);
	ASSERT_TRUE(dp->ring);
	dp->ingress_ifindex = OUTSIDE;
	dp->next_set = BERM_SET_FIRST;
	dp->next_rule = dp->next_port_class = 1;
	return dp;
}

void datapath_free(struct datapath *dp)
{
	ring_buffer__free(dp->ring);
	munmap(dp->maps.endpoints, sizeof(struct berm_endpoint) * BERM_MAX_ENDPOINTS);
	berm_bpf__destroy(dp->skel);
	free(dp);
}

/* ---- pods and peers ---------------------------------------------------------------------------------------- */

static struct berm_addr parse_addr(const char *text)
{
	struct berm_addr addr;

	if (berm_addr_parse(text, &addr))
		test_failed(__FILE__, __LINE__, "'%s' is no address", text);
	return addr;
}

uint32_t datapath_pod(struct datapath *dp, const struct pod *pod)
{
	const char *mac = pod->mac ? pod->mac : DEFAULT_MAC;
	struct berm_endpoint ep = {
		.set = { [BERM_INGRESS] = pod->set_in, [BERM_EGRESS] = pod->set_out },
		.ifindex = pod->ifindex,
		.flags = pod->flags,
		.allowed_table = pod->allowed_table,
	};
	struct berm_err err = { 0 };
	unsigned int m[6];
	uint32_t slot = 0;

	ASSERT_EQ(sscanf(mac, "%x:%x:%x:%x:%x:%x", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5]), 6);
	for (int i = 0; i < 6; i++)
		ep.mac[i] = (uint8_t)m[i];
	for (int i = 0; i < BERM_MAX_ADDRS && pod->addr[i]; i++)
		ep.addr[ep.addr_count++] = parse_addr(pod->addr[i]);
	ASSERT_OK(berm_slot_take(&dp->maps, &ep, &slot, &err), &err);
	return slot;
}

void datapath_peer(struct datapath *dp, const char *addr, uint32_t cls)
{
	struct berm_addr a = parse_addr(addr);
	struct berm_err err = { 0 };

	ASSERT_OK(berm_peer_set(&dp->maps, &a, cls, &err), &err);
}

void datapath_local(struct datapath *dp, const char *addr)
{
	struct berm_addr a = parse_addr(addr);
	struct berm_err err = { 0 };

	ASSERT_OK(berm_local_add(&dp->maps, &a, &err), &err);
}

void datapath_cidr(struct datapath *dp, uint32_t table, const char *cidr, uint32_t cls)
{
	struct berm_cidr_key key = { .table = htonl(table) };
	char text[64], *slash;
	struct berm_addr addr;
	struct berm_err err = { 0 };

	snprintf(text, sizeof(text), "%s", cidr);
	slash = strchr(text, '/');
	ASSERT_TRUE(slash);
	*slash = '\0';
	addr = parse_addr(text);
	memcpy(key.addr, &addr, sizeof(key.addr));
	key.prefixlen = 32 + (berm_addr_is_v4(&addr) ? 96 : 0) + (uint32_t)atoi(slash + 1);
	ASSERT_OK(berm_cidr_set(&dp->maps, &key, cls, &err), &err);
}

/* ---- policies ------------------------------------------------------------------------------------------------ */

static uint32_t rule_add(struct datapath *dp, const struct rule *rule, uint32_t reason)
{
	struct berm_rule value = { .id = rule->id,
				   .action = (__u8)rule->action,
				   .reason = (__u8)reason,
				   .app = rule->app,
				   .flags = rule->flags };
	struct berm_err err = { 0 };

	ASSERT_OK(berm_rule_write(&dp->maps, dp->next_rule, &value, &err), &err);
	return dp->next_rule++;
}

struct axis { /* rows or columns: the distinct values, 0 = "any other" */
	uint32_t count;
	uint32_t value[32];
};

static uint32_t axis_add(struct axis *axis, uint32_t value)
{
	for (uint32_t i = 1; i < axis->count; i++)
		if (axis->value[i] == value)
			return i;
	ASSERT_TRUE(axis->count < ARRAY_SIZE(axis->value));
	axis->value[axis->count] = value;
	return axis->count++;
}

static bool rule_matches(const struct rule *r, const struct axis *rows, uint32_t row,
			 const struct axis *cols, uint32_t col)
{
	return (!r->cls || (row && rows->value[row] == r->cls)) &&
	       (r->port == ANY_PORT || (col && cols->value[col] == r->port));
}

/* Port class of a port: one of its own, found again in the table. */
static uint32_t port_class_of(struct datapath *dp, uint32_t port)
{
	struct berm_port_block block;
	uint32_t index = port / BERM_PORTS_PER_BLOCK;
	struct berm_err err = { 0 };
	uint32_t cls;

	ASSERT_EQ(bpf_map_lookup_elem(dp->maps.fd[BERM_MAP_ports], &index, &block), 0);
	cls = block.port_class[port % BERM_PORTS_PER_BLOCK];
	if (cls)
		return cls;
	cls = dp->next_port_class++;
	ASSERT_OK(berm_ports_write(&dp->maps, port, 1, (uint16_t)cls, &err), &err);
	return cls;
}

#define PORT_CLASSES 256

static void matrix_write(struct datapath *dp, uint32_t set, const struct berm_set *m,
			 const struct axis *rows, const struct axis *cols)
{
	uint8_t col_of[PORT_CLASSES] = { 0 };
	struct berm_err err = { 0 };

	for (uint32_t i = 1; i < rows->count; i++)
		ASSERT_OK(berm_row_set(&dp->maps, set, rows->value[i], i, &err), &err);
	for (uint32_t i = 1; i < cols->count; i++)
		col_of[port_class_of(dp, cols->value[i]) % PORT_CLASSES] = (uint8_t)i;
	ASSERT_OK(berm_cols_write(&dp->maps, m->cols, col_of, PORT_CLASSES, &err), &err);
	ASSERT_OK(berm_set_write(&dp->maps, set, m, &err), &err);
}

uint32_t datapath_matrix(struct datapath *dp, uint32_t table, const struct rule *rule,
			 uint32_t count)
{
	struct axis rows = { .count = 1 }, cols = { .count = 1 };
	uint32_t index[32], otherwise, cell[CELLS_PER_SET];
	struct berm_set m = { .table = table };
	struct berm_err err = { 0 };

	for (uint32_t i = 0; i < count; i++) {
		index[i] = rule_add(dp, &rule[i],
				    rule[i].action == BERM_ACTION_ALLOW ? BERM_REASON_POLICY_ALLOW
									: BERM_REASON_POLICY_DENY);
		if (rule[i].cls)
			(void)axis_add(&rows, rule[i].cls);
		if (rule[i].port != ANY_PORT)
			(void)axis_add(&cols, rule[i].port);
	}
	otherwise = rule_add(dp,
			     &(struct rule){ .id = BERM_REASON_DEFAULT_DENY,
					     .action = BERM_ACTION_DENY },
			     BERM_REASON_DEFAULT_DENY);
	ASSERT_TRUE(rows.count * cols.count <= CELLS_PER_SET);
	for (uint32_t c = 0; c < rows.count * cols.count; c++) {
		cell[c] = otherwise;
		for (uint32_t i = count; i-- > 0;)
			if (rule_matches(&rule[i], &rows, c / cols.count, &cols, c % cols.count))
				cell[c] = index[i];
	}
	m.ncols = (__u16)cols.count;
	m.base = dp->next_cell;
	m.cols = dp->next_col;
	dp->next_cell += rows.count * cols.count;
	dp->next_col += PORT_CLASSES;
	ASSERT_OK(berm_cells_write(&dp->maps, m.base, cell, rows.count * cols.count, &err), &err);
	matrix_write(dp, dp->next_set, &m, &rows, &cols);
	return dp->next_set++;
}

void datapath_set(struct datapath *dp, uint32_t slot, enum berm_dir dir, uint32_t set)
{
	struct berm_endpoint *ep = &dp->maps.endpoints[slot];
	uint32_t flag = dir == BERM_INGRESS ? BERM_EP_ISOLATED_IN : BERM_EP_ISOLATED_OUT;
	uint32_t sets[BERM_DIR_COUNT] = { ep->set[0], ep->set[1] };

	sets[dir] = set;
	ep->flags = set == BERM_SET_OPEN ? ep->flags & ~flag : ep->flags | flag;
	berm_endpoint_switch(&dp->maps, slot, sets[BERM_INGRESS], sets[BERM_EGRESS]);
	berm_epoch_bump(&dp->maps, slot);
}

uint32_t datapath_policy(struct datapath *dp, uint32_t slot, enum berm_dir dir,
			 const struct rule *rule, uint32_t count)
{
	uint32_t set = datapath_matrix(dp, 0, rule, count);

	datapath_set(dp, slot, dir, set);
	return set;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static void counters_read(struct datapath *dp, struct berm_counters *out)
{
	struct berm_err err = { 0 };

	ASSERT_OK(berm_counters_read(&dp->maps, out, &err), &err);
}

/* The one reason whose counter moved by one packet, else BERM_REASON_MAX. */
static void counters_diff(const struct berm_counters *a, const struct berm_counters *b,
			  enum berm_dir dir, struct verdict *v)
{
	uint64_t moved = 0;

	v->reason = BERM_REASON_MAX;
	for (uint32_t d = 0; d < BERM_DIR_COUNT; d++) {
		for (uint32_t r = 0; r < BERM_REASON_MAX; r++) {
			if (b->packets[d][r] == a->packets[d][r])
				continue;
			moved += b->packets[d][r] - a->packets[d][r];
			v->reason = d == dir ? r : BERM_REASON_MAX;
			v->bytes = b->bytes[d][r] - a->bytes[d][r];
		}
	}
	if (moved != 1)
		v->reason = BERM_REASON_MAX;
}

/* Does it claim to come from an address of the node? */
static bool is_from_node(const struct datapath *dp, const struct bpf_test_run_opts *opts)
{
	const uint8_t *frame = opts->data_in;
	struct berm_addr from = { 0 };
	uint32_t value;

	if (opts->data_size_in >= 34 && frame[12] == 0x08 && frame[13] == 0x00) {
		from.w[2] = htonl(0xffff);
		memcpy(&from.w[3], frame + 26, 4);
	} else if (opts->data_size_in >= 54 && frame[12] == 0x86 && frame[13] == 0xdd) {
		memcpy(&from, frame + 22, 16);
	}
	return !bpf_map_lookup_elem(dp->maps.fd[BERM_MAP_local], &from, &value);
}

/* Before 5.16 a test run cannot say by which device a packet came. That tells the node's own traffic from
 * what only claims a node address, and makes no difference otherwise. */
int datapath_run(const struct datapath *dp, const struct bpf_program *prog,
		 struct bpf_test_run_opts *opts)
{
	int rc = bpf_prog_test_run_opts(bpf_program__fd(prog), opts);
	struct __sk_buff *ctx = (struct __sk_buff *)(uintptr_t)opts->ctx_in;

	if (rc == -EINVAL && ctx->ingress_ifindex) {
		if (is_from_node(dp, opts))
			test_skip("kernel: no ingress_ifindex in a test run before 5.16");
		ctx->ingress_ifindex = 0;
		rc = bpf_prog_test_run_opts(bpf_program__fd(prog), opts);
	}
	return rc;
}

struct verdict datapath_send_frame(struct datapath *dp, enum berm_dir dir, uint32_t ifindex,
				   const void *frame, size_t len)
{
	struct bpf_program *prog = dir == BERM_EGRESS ? dp->skel->progs.berm_from_pod
						      : dp->skel->progs.berm_to_pod;
	struct __sk_buff ctx = { .ifindex = ifindex ? ifindex : 1 };
	struct berm_counters before, after;
	uint32_t events = dp->events;
	struct verdict v = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (__u32)len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

	ctx.ingress_ifindex = dir == BERM_EGRESS ? ctx.ifindex : dp->ingress_ifindex;
	counters_read(dp, &before);
	ASSERT_EQ(datapath_run(dp, prog, &opts), 0);
	counters_read(dp, &after);
	ring_buffer__consume(dp->ring);
	v.retval = (int)opts.retval;
	counters_diff(&before, &after, dir, &v);
	v.rule = dp->events > events ? dp->event.rule : 0;
	v.action = dp->events > events ? dp->event.action : 0;
	if (dp->events > events && v.reason != dp->event.reason)
		test_failed(__FILE__, __LINE__, "counted as %s, event says %s",
			    datapath_reason(v.reason), datapath_reason(dp->event.reason));
	if (v.reason != BERM_REASON_MAX)
		EXPECT_EQ(v.bytes, len);
	return v;
}

struct verdict datapath_send(struct datapath *dp, enum berm_dir dir, uint32_t ifindex,
			     const struct packet *p)
{
	_Alignas(8) char frame[PACKET_MAX];
	size_t len = packet_build(p, frame);

	return datapath_send_frame(dp, dir, ifindex, frame, len);
}

const char *datapath_reason(uint32_t reason)
{
	static const char *const name[BERM_REASON_MAX] = {
#define X(id, num, name_, help) [num] = name_,
		BERM_REASONS(X)
#undef X
	};

	return reason < BERM_REASON_COUNT ? name[reason] : "not exactly one reason";
}

static const char *datapath_retval(int retval)
{
	return retval == ALLOWED ? "allowed" : retval == REJECTED ? "answered" : "dropped";
}

void datapath_expect(const char *where, int line, struct verdict got, int retval, uint32_t reason,
		     uint32_t rule)
{
	if (got.retval != retval || got.reason != reason || got.rule != rule)
		test_failed(where, line, "%s, %s, rule %u; want %s, %s, rule %u",
			    datapath_retval(got.retval), datapath_reason(got.reason), got.rule,
			    datapath_retval(retval), datapath_reason(reason), rule);
}

uint64_t datapath_stat(struct datapath *dp, enum berm_stat stat)
{
	struct berm_counters c;

	counters_read(dp, &c);
	return c.stat[stat];
}

uint64_t datapath_packets(struct datapath *dp, enum berm_dir dir, enum berm_reason reason)
{
	struct berm_counters c;

	counters_read(dp, &c);
	return c.packets[dir][reason];
}
