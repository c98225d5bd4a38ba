/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_packet.c - what a packet costs, in nanoseconds of BPF_PROG_TEST_RUN, minimum of several runs; beside
 * it, in the same process, an empty program and one look-up in the kernel's LRU hash. Absolute numbers are
 * of this machine; the gates of docs/datapath.md are relative. One JSON object a line; prints, never fails
 * on a gate. The packets come from tests/bpf/generator.bpf.c in front of the product's own handle().
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <stdlib.h>
#include <unistd.h>

#include "datapath.h"
#include "generator.h"

#define ROUNDS	     7
#define HOT	     500000
#define SPREAD	     1000000
#define FLOWS_256K   262144
#define FLOWS_1M     786432 /* 75 % of... */
#define BUCKETS_1M   149797 /* ...1,048,579 sessions */
#define BUCKETS_350K 49932  /* 349,524 sessions: 75 % with 256k flows */
#define FLOOD	     3000000

#define POD "10.0.0.3"

static const struct packet open_syn = { .src = POD, .dst = "10.64.0.0", .sport = 1024, .dport = 80 };
static const struct packet open_ack = {
	.src = POD, .dst = "10.64.0.0", .sport = 1024, .dport = 80, .flags = TCP_ACK
};

/* ---- printing ------------------------------------------------------------------------------------------- */

struct result {
	const char *bench;
	double value;
	const char *unit;
	double baseline; /* 0 = none */
	const char *note;
	double limit; /* gate: value must not be above; 0 = none */
};

static void print(const struct result *r)
{
	printf("{\"bench\":\"%s\",\"value\":%.1f,\"unit\":\"%s\",", r->bench, r->value, r->unit);
	if (r->baseline > 0)
		printf("\"baseline\":%.1f,\"ratio\":%.2f,", r->baseline, r->value / r->baseline);
	else
		printf("\"baseline\":null,\"ratio\":null,");
	printf("\"note\":\"%s\"", r->note);
	if (r->limit > 0)
		printf(",\"gate\":\"%s\",\"limit\":%.1f", r->value <= r->limit ? "pass" : "fail",
		       r->limit);
	printf("}\n");
	fflush(stdout);
}

/* ---- running -------------------------------------------------------------------------------------------- */

static uint32_t min_u32(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

struct cost {
	uint32_t empty, lru, ours;
};

/* All three in turn, so that a disturbance hits them alike. */
static struct cost compare(struct generator *g, enum berm_dir dir, const struct flood *f, int want)
{
	struct cost c = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
	int retval = 0;

	for (int i = 0; i < ROUNDS; i++) {
		c.empty = min_u32(c.empty, generator_reference(g, REF_EMPTY, f));
		c.lru = min_u32(c.lru, generator_reference(g, REF_LRU, f));
		c.ours = min_u32(c.ours, generator_run(g, dir, f, &retval));
		EXPECT_EQ(retval, want);
	}
	return c;
}

struct bench {
	struct datapath *dp;
	struct generator *g;
};

static struct bench bench_start_with(const struct datapath_opts *opts, uint32_t lru)
{
	struct bench b = { .dp = datapath_load(opts) };

	b.dp->maps.node->flags = BERM_NODE_MISSING_DENY | BERM_NODE_EVENTS;
	datapath_pod(b.dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	b.g = generator_load(b.dp, lru);
	return b;
}

static struct bench bench_start(uint32_t buckets, uint32_t lru)
{
	return bench_start_with(&(struct datapath_opts){ .buckets = buckets, .event_ms = 1000 },
				lru);
}

static void bench_end(struct bench *b)
{
	generator_free(b->g);
	datapath_free(b->dp);
}

/* ---- sessions ------------------------------------------------------------------------------------------- */

static void hits(const char *name, uint32_t flows, uint32_t buckets, double factor,
		 const char *note)
{
	struct bench b = bench_start(buckets, flows * 4 / 3 + 64);
	struct flood f = { .packet = &open_syn, .net = "10.64.0.0", .flows = flows };
	struct cost c;

	generator_establish(b.g, f);
	(void)generator_reference(b.g, REF_LRU, &f); /* fills */
	f.packet = &open_ack;
	f.scatter = flows > 1;
	f.packets = flows > 1 ? SPREAD : HOT;
	c = compare(b.g, BERM_EGRESS, &f, ALLOWED);
	if (flows == 1) {
		print(&(struct result){ "ref_empty", c.empty, "ns", 0,
					"program that returns at once", 0 });
		print(&(struct result){
			"ref_lru", c.lru, "ns", c.empty,
			"generator, our parser, one LRU_HASH look-up, epoch compare; one flow",
			0 });
	}
	print(&(struct result){ name, c.ours, "ns", c.lru, note, factor * c.lru });
	bench_end(&b);
}

/* With cfg_apps: one flow that has said nothing yet, then the same when it has. Baseline: the same without. */
static void hits_apps(void)
{
	struct datapath_opts opts = { .buckets = BERM_BUCKETS_DEFAULT, .event_ms = 1000 };
	struct packet speech = open_ack;
	struct berm_session session;
	uint32_t ns[3];

	speech.payload = "220 mail.example ESMTP\r\n";
	speech.payload_len = 24;
	for (int i = 0; i < 3; i++) {
		struct flood f = { .packet = &open_syn, .net = "10.64.0.0", .flows = 1 };
		struct bench b;

		opts.apps = i > 0;
		b = bench_start_with(&opts, 64);
		generator_establish(b.g, f);
		(void)generator_reference(b.g, REF_LRU, &f);
		f.packet = &speech;
		f.packets = 16;
		if (i == 2)
			(void)generator_run(b.g, BERM_EGRESS, &f, NULL);
		f.packet = &open_ack;
		f.packets = HOT;
		ns[i] = compare(b.g, BERM_EGRESS, &f, ALLOWED).ours;
		ASSERT_TRUE(session_find(b.dp, 1, open_ack.dst, open_ack.sport, open_ack.dport,
					 &session));
		EXPECT_EQ(BERM_APP_OF(session.rule), i == 2 ? BERM_APP_UNKNOWN : 0);
		bench_end(&b);
	}
	print(&(struct result){ "session_hit_apps_untold", ns[1], "ns", ns[0],
				"--apps, a flow that has said nothing yet", 0 });
	print(&(struct result){ "session_hit_apps", ns[2], "ns", ns[0], "--apps, a flow that has",
				ns[0] + 4.0 });
}

/* What the kernel accounts for a map. */
static double map_mb(int fd)
{
	char path[64], line[128];
	double mb = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	ASSERT_TRUE(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "memlock:", 8))
			mb = atof(line + 8) / 1e6;
	fclose(f);
	return mb;
}

static void memory(void)
{
	struct bench b = bench_start(BUCKETS_1M, BUCKETS_1M * BERM_WAYS);

	print(&(struct result){
		"memory_1m_sessions", map_mb(b.dp->maps.fd[BERM_MAP_sessions]), "MB",
		map_mb(generator_lru_fd(b.g)),
		"1,048,579 sessions of either family; baseline: an LRU_HASH for as many", 100 });
	bench_end(&b);
}

/* Every packet a flow that nobody has seen: from an empty table to 75 %. */
static void insert(void)
{
	struct cost c = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
	struct flood f = { .packet = &open_syn, .net = "10.64.0.0", .flows = FLOWS_256K };

	for (int i = 0; i < 3; i++) {
		struct bench b = bench_start(BUCKETS_350K, BUCKETS_350K * BERM_WAYS);

		c.lru = min_u32(c.lru, generator_reference(b.g, REF_LRU, &f));
		c.ours = min_u32(c.ours, generator_run(b.g, BERM_EGRESS, &f, NULL));
		bench_end(&b);
	}
	print(&(struct result){
		"session_insert", c.ours, "ns", c.lru,
		"first packet, pod not isolated, 256k new flows into an empty table of 349,524; "
		"baseline: the same into LRU_HASH",
		0 });
}

static void flood(void)
{
	struct cost c = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
	struct flood f = { .packet = &open_syn, .net = "10.64.0.0", .flows = FLOOD };

	for (int i = 0; i < 3; i++) {
		struct bench b =
			bench_start(BERM_BUCKETS_DEFAULT, BERM_BUCKETS_DEFAULT * BERM_WAYS);

		c.lru = min_u32(c.lru, generator_reference(b.g, REF_LRU, &f));
		c.ours = min_u32(c.ours, generator_run(b.g, BERM_EGRESS, &f, NULL));
		bench_end(&b);
	}
	print(&(struct result){
		"syn_flood", c.ours, "ns", c.lru,
		"3,000,000 unanswered flows into the default table; baseline: the same into LRU_HASH",
		0.65 * c.lru });
}

/* ---- policy --------------------------------------------------------------------------------------------- */

#define RULES_PER_SET 1000
#define SET_ROWS      100
#define SET_COLS      10
#define FIRST_CLASS   100
#define CIDR_TABLE    9
#define CIDR_CLASS    90
#define CELL_BASE     1024 /* of the sets made here */

static void put(const struct bench *b, enum berm_map_id map, const void *key, const void *value)
{
	ASSERT_EQ(bpf_map_update_elem(b->dp->maps.fd[map], key, value, BPF_ANY), 0);
}

/* One matrix of rows x cols cells, each a rule of its own that denies. */
static void set_make(const struct bench *b, uint32_t n, uint32_t rows, uint32_t cols,
		     uint32_t action)
{
	struct berm_set m = { .base = CELL_BASE + n * RULES_PER_SET,
			      .cols = n * 256,
			      .ncols = (__u16)cols,
			      .table = CIDR_TABLE };
	uint32_t cell[RULES_PER_SET];
	uint8_t col[256];
	uint32_t set = BERM_SET_FIRST + n;
	struct berm_err err = { 0 };

	for (uint32_t i = 0; i < rows * cols; i++) {
		uint32_t index = 1 + n * RULES_PER_SET + i;
		struct berm_rule rule = { .id = BERM_RULE_FIRST + index,
					  .action = (__u8)action,
					  .reason = action == BERM_ACTION_ALLOW
							    ? BERM_REASON_POLICY_ALLOW
							    : BERM_REASON_POLICY_DENY };

		put(b, BERM_MAP_rules, &index, &rule);
		cell[i] = index;
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(col); i++)
		col[i] = (uint8_t)(i % cols);
	ASSERT_OK(berm_cells_write(&b->dp->maps, m.base, cell, rows * cols, &err), &err);
	ASSERT_OK(berm_cols_write(&b->dp->maps, m.cols, col, sizeof(col), &err), &err);
	for (uint32_t i = 1; i < rows; i++) {
		struct berm_row_key key = { .set = set, .cls = FIRST_CLASS + i };

		put(b, BERM_MAP_rows, &key, &i);
	}
	put(b, BERM_MAP_sets, &set, &m);
}

static void peers_make(const struct bench *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct berm_addr addr = { .w = { 0, 0, htonl(0xffff),
						 htonl((10u << 24) + (64u << 16) + i) } };
		struct berm_peer peer = { .cls = FIRST_CLASS + i % SET_ROWS };

		put(b, BERM_MAP_peers, &addr, &peer);
	}
}

static void cidrs_make(const struct bench *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t net = (100u << 24) + (i << 8);
		struct berm_cidr_key key = { .prefixlen = 32 + 96 + 24,
					     .table = htonl(CIDR_TABLE) };
		struct berm_addr addr = { .w = { 0, 0, htonl(0xffff), htonl(net) } };
		uint32_t cls = CIDR_CLASS + i % 5;

		memcpy(key.addr, &addr, sizeof(key.addr));
		put(b, BERM_MAP_cidrs, &key, &cls);
	}
}

static void ports_make(const struct bench *b)
{
	struct berm_err err = { 0 };

	for (uint32_t port = 0; port < 1000; port++)
		ASSERT_OK(berm_ports_write(&b->dp->maps, TCP_PORT(port), 1, (uint16_t)(port % 256),
					   &err),
			  &err);
}

struct policy {
	uint32_t rules, cidrs, peers;
	bool peer_is_cidr;
	uint32_t action;
};

static struct bench bench_policy(const struct policy *p, uint32_t buckets, uint32_t lru)
{
	struct bench b = bench_start(buckets, lru);
	uint32_t sets = (p->rules + RULES_PER_SET - 1) / RULES_PER_SET;

	if (p->rules < RULES_PER_SET)
		set_make(&b, 0, 1, p->rules, p->action);
	for (uint32_t n = 0; p->rules >= RULES_PER_SET && n < sets; n++)
		set_make(&b, n, SET_ROWS, SET_COLS, p->action);
	peers_make(&b, p->peers);
	cidrs_make(&b, p->cidrs);
	ports_make(&b);
	datapath_set(b.dp, 1, BERM_EGRESS, BERM_SET_FIRST + sets / 2);
	return b;
}

static struct flood hot_flow(const struct policy *p)
{
	return (struct flood){ .packet = &open_syn,
			       .net = p->peer_is_cidr ? "100.3.7.1" : "10.64.0.0",
			       .flows = 1,
			       .packets = HOT };
}

/* One flow of a pod in a big policy; *ret_empty: the empty program in the same minutes. */
static uint32_t denied(const struct policy *p, uint32_t *ret_empty)
{
	struct bench b = bench_policy(p, BERM_BUCKETS_DEFAULT, 0);
	struct flood f = hot_flow(p);
	struct cost c = compare(b.g, BERM_EGRESS, &f, DROPPED);

	bench_end(&b);
	*ret_empty = c.empty;
	return c.ours;
}

static void denials(void)
{
	static const struct {
		const char *name;
		struct policy policy;
		const char *note;
	} rows[] = {
		{ "denied_1_rule",
		  { 1, 0, 1, false, BERM_ACTION_DENY },
		  "one hot flow, peer is a pod, events throttled" },
		{ "denied_1k_rules",
		  { 1000, 0, 10000, false, BERM_ACTION_DENY },
		  "the same, 10,000 peers" },
		{ "denied_100k_rules",
		  { 100000, 0, 10000, false, BERM_ACTION_DENY },
		  "the same, 100 sets of 1,000 rules, 9,900 rows; must be within 15 % of one rule" },
		{ "denied_10k_cidrs",
		  { 1000, 10000, 10000, true, BERM_ACTION_DENY },
		  "peer is found in a trie of 10,000 CIDRs" },
	};
	uint32_t empty, ns, one_rule = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		ns = denied(&rows[i].policy, &empty);
		if (!i)
			one_rule = ns;
		print(&(struct result){ rows[i].name, ns, "ns", empty, rows[i].note,
					i == 2 && 1.15 * one_rule < empty + 180.0
						? 1.15 * one_rule
						: empty + 180.0 });
	}
}

/* New flows that a rule in a big policy allows: judged, then recorded. */
static void first_packet(void)
{
	static const struct policy policy = { 100000, 10000, 10000, false, BERM_ACTION_ALLOW };
	struct flood f = { .packet = &open_syn, .net = "10.64.0.0", .flows = FLOWS_256K };
	struct cost c = { UINT32_MAX, UINT32_MAX, UINT32_MAX };
	int retval = 0;

	for (int i = 0; i < 3; i++) {
		struct bench b = bench_policy(&policy, BUCKETS_350K, BUCKETS_350K * BERM_WAYS);

		c.lru = min_u32(c.lru, generator_reference(b.g, REF_LRU, &f));
		c.ours = min_u32(c.ours, generator_run(b.g, BERM_EGRESS, &f, &retval));
		EXPECT_EQ(retval, ALLOWED);
		bench_end(&b);
	}
	print(&(struct result){
		"first_packet_allowed", c.ours, "ns", c.lru,
		"256k new flows to 16 peers, 100,000 rules, 10,000 CIDRs; baseline: an insert into "
		"LRU_HASH alone",
		c.lru + 150.0 });
}

static void session_hits(void)
{
	hits("session_hit_hot", 1, BERM_BUCKETS_DEFAULT, 1.0,
	     "one flow; distinct packets by a generator");
	hits("session_hit_256k", FLOWS_256K, BUCKETS_350K, 0.85,
	     "256k flows at 75 %, in random order, by a generator");
	hits("session_hit_1m", FLOWS_1M, BUCKETS_1M, 0.75,
	     "786k flows in a table of 1M, in random order");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} groups[] = {
		{ "hit", session_hits },   { "apps", hits_apps }, { "insert", insert },
		{ "first", first_packet }, { "flood", flood },	  { "denied", denials },
		{ "memory", memory },
	};

	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		if (argc < 2 || strstr(groups[i].name, argv[1]))
			groups[i].run();
	return 0;
}
