/* SPDX-License-Identifier: Apache-2.0 */
/* test_explain.c - the explain build judges like the real one and leaves no trace. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "datapath.h"

#include "berm.skel.h" /* wants abi.h before it */

#define WEB  "10.0.0.2"
#define DB   "10.0.0.3"
#define NODE "10.0.0.1"

enum { CLASS_WEB = BERM_CLASS_FIRST };

/* The programs once more, over the maps of dp. */
static struct berm_bpf *load_explain(struct datapath *dp)
{
	struct berm_bpf *skel = berm_bpf__open();
	struct bpf_map *map;
	int fd;

	ASSERT_TRUE(skel);
	skel->rodata->cfg_buckets = dp->maps.buckets;
	skel->rodata->cfg_hz = dp->hz;
	skel->rodata->cfg_explain = 1;
	bpf_object__for_each_map(map, skel->obj) {
		fd = datapath_map(dp, bpf_map__name(map));
		if (fd >= 0)
			ASSERT_EQ(bpf_map__reuse_fd(map, fd), 0);
	}
	ASSERT_EQ(berm_bpf__load(skel), 0);
	return skel;
}

struct path {
	uint32_t flags; /* BERM_EXPLAIN_* */
	uint32_t iif;
};

static struct __sk_buff explain(const struct berm_bpf *skel, enum berm_dir dir,
				const struct packet *p, struct path path, int *ret_verdict)
{
	struct bpf_program *prog = dir == BERM_EGRESS ? skel->progs.berm_from_pod
						      : skel->progs.berm_to_pod;
	struct __sk_buff in = { .ifindex = 1, .cb = { path.flags, path.iif } }, out = { 0 };
	_Alignas(8) char frame[PACKET_MAX];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out));

	opts.data_size_in = (__u32)packet_build(p, frame);
	ASSERT_EQ(bpf_prog_test_run_opts(bpf_program__fd(prog), &opts), 0);
	*ret_verdict = (int)opts.retval;
	return out;
}

#define EXPLAIN(skel, dir, packet, path_, retval, reason_, rule_)                                  \
	do {                                                                                       \
		int got_;                                                                          \
		struct __sk_buff out_ = explain(skel, dir, packet, path_, &got_);                  \
		EXPECT_EQ(got_, retval);                                                           \
		EXPECT_STR_EQ(datapath_reason(out_.cb[BERM_CB_REASON] & 0xff),                     \
			      datapath_reason(BERM_REASON_##reason_));                             \
		EXPECT_EQ(out_.cb[BERM_CB_RULE], rule_);                                           \
	} while (0)

TEST(explain_agrees, "explain says what would happen, by path, and changes nothing")
{
	static const struct rule web_to_db = { CLASS_WEB, TCP_PORT(5432), 2001, BERM_ACTION_ALLOW };
	static const struct path outside = { .iif = 4 }, node = { .flags = BERM_EXPLAIN_HOST },
				 stray = { 0 };
	static const struct path fresh = { .flags = BERM_EXPLAIN_NEW, .iif = 4 };
	struct packet web = { .src = WEB, .dst = DB, .sport = 1, .dport = 5432 };
	struct packet host = { .src = NODE, .dst = DB, .sport = 1, .dport = 5432 };
	struct packet next = { .src = WEB, .dst = DB, .sport = 1, .dport = 5432, .flags = TCP_ACK };
	struct datapath *dp = datapath_load(NULL);
	uint32_t db = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });
	struct berm_counters before, after;
	struct berm_session s = { 0 }, t = { 0 };
	struct berm_bpf *skel;
	struct berm_err err = { 0 };
	uint64_t hits = 0;

	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_local(dp, NODE);
	datapath_policy(dp, db, BERM_INGRESS, &web_to_db, 1);
	skel = load_explain(dp);
	ASSERT_OK(berm_counters_read(&dp->maps, &before, &err), &err);
	EXPLAIN(skel, BERM_INGRESS, &web, outside, ALLOWED, POLICY_ALLOW, 2001);
	EXPLAIN(skel, BERM_INGRESS, &web, outside, ALLOWED, POLICY_ALLOW,
		2001); /* no session came of it */
	EXPLAIN(skel, BERM_INGRESS, &host, outside, DROPPED, DEFAULT_DENY,
		BERM_REASON_DEFAULT_DENY);
	EXPLAIN(skel, BERM_INGRESS, &host, node, ALLOWED, HOST, BERM_REASON_HOST);
	EXPLAIN(skel, BERM_INGRESS, &host, stray, DROPPED, DEFAULT_DENY, BERM_REASON_DEFAULT_DENY);
	EXPLAIN(skel, BERM_EGRESS, &web, outside, DROPPED, SPOOFED_SOURCE,
		BERM_REASON_SPOOFED_SOURCE);
	ASSERT_OK(berm_counters_read(&dp->maps, &after, &err), &err);
	EXPECT_MEM_EQ(&after, &before, sizeof(before));
	EXPECT_EQ(berm_hits_read(&dp->maps, 1, &hits), 0);
	EXPECT_EQ(hits, 0);

	SEND(dp, BERM_INGRESS, &web, ALLOWED, POLICY_ALLOW, 2001);
	ASSERT_TRUE(session_find(dp, 1, WEB, 5432, 1, &s));
	EXPLAIN(skel, BERM_INGRESS, &next, outside, ALLOWED, SESSION, 2001);
	EXPLAIN(skel, BERM_INGRESS, &next, fresh, ALLOWED, POLICY_ALLOW, 2001);
	datapath_policy(dp, db, BERM_INGRESS, NULL, 0);
	EXPLAIN(skel, BERM_INGRESS, &next, outside, DROPPED, DEFAULT_DENY,
		BERM_REASON_DEFAULT_DENY);
	ASSERT_TRUE(session_find(dp, 1, WEB, 5432, 1, &t));
	EXPECT_MEM_EQ(&t, &s, sizeof(s));
	EXPECT_EQ(dp->events, 1);
	berm_bpf__destroy(skel);
}

TEST(explain_fragments, "explain follows the first fragments that were seen, and writes none down")
{
	static const struct rule dns = { CLASS_WEB, UDP_PORT(53), 2001, BERM_ACTION_ALLOW };
	static const struct path outside = { .iif = 4 };
	struct packet first = { .src = WEB,
				.dst = DB,
				.proto = IPPROTO_UDP,
				.sport = 1,
				.dport = 53,
				.frag_id = 7,
				.more_frags = 1,
				.payload_len = 56 };
	struct packet later = first;
	struct datapath *dp = datapath_load(NULL);
	uint32_t db = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { DB } });
	struct berm_bpf *skel;

	later.frag_off = 64;
	datapath_peer(dp, WEB, CLASS_WEB);
	datapath_policy(dp, db, BERM_INGRESS, &dns, 1);
	skel = load_explain(dp);
	EXPLAIN(skel, BERM_INGRESS, &first, outside, ALLOWED, POLICY_ALLOW, 2001);
	EXPLAIN(skel, BERM_INGRESS, &later, outside, DROPPED, FRAGMENT, BERM_REASON_FRAGMENT);
	SEND(dp, BERM_INGRESS, &first, ALLOWED, POLICY_ALLOW, 2001);
	EXPLAIN(skel, BERM_INGRESS, &later, outside, ALLOWED, POLICY_ALLOW, 2001);
	berm_bpf__destroy(skel);
}
