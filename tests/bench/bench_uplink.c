/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_uplink.c - what a packet from a blocked source costs: dropped by XDP, and at a pod's wall, the same 10,000 blocks in
 * both. Nanoseconds of BPF_PROG_TEST_RUN, minimum of several runs, and in each baseline an empty program of the same
 * type. What the kernel does between the two (a buffer, routing, the bridge) is not in it. One JSON object a line.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <unistd.h>

#include "datapath.h"

#include "berm.skel.h"
#include "uplink.skel.h" /* both want abi.h before them */

#define ROUNDS 9
#define REPEAT 200000
#define BLOCKS 10000

#define POD   "10.0.0.3"
#define BAD   "100.3.7.1"
#define GOOD  "9.3.7.1"
#define CLASS BERM_CLASS_FIRST
#define TABLE 1

static const struct packet from_bad = { .src = BAD, .dst = POD, .sport = 1024, .dport = 80 };
static const struct packet from_good = { .src = GOOD, .dst = POD, .sport = 1024, .dport = 80 };

static uint32_t run(int prog, const struct packet *p, int want)
{
	_Alignas(8) char frame[PACKET_MAX];
	uint32_t best = UINT32_MAX;

	for (int i = 0; i < ROUNDS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
			    .data_size_in = (__u32)packet_build(p, frame), .repeat = REPEAT);

		ASSERT_EQ(bpf_prog_test_run_opts(prog, &opts), 0);
		EXPECT_EQ((int)opts.retval, want);
		if (opts.duration < best)
			best = opts.duration;
	}
	return best;
}

static uint32_t run_empty(enum bpf_prog_type type, int verdict)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog = bpf_prog_load(type, "empty", "GPL", insns, ARRAY_SIZE(insns), NULL);
	uint32_t ns;

	ASSERT_GE(prog, 0);
	ns = run(prog, &from_bad, verdict);
	close(prog);
	return ns;
}

static void print(const char *name, uint32_t ns, uint32_t baseline, const char *note)
{
	printf("{\"bench\":\"%s\",\"value\":%u.0,\"unit\":\"ns\",\"baseline\":%u.0,\"ratio\":%.2f,\"note\":\"%s\"}\n",
	       name, ns, baseline, baseline ? (double)ns / baseline : 0.0, note);
	fflush(stdout);
}

static struct berm_cidr_key key_of(uint32_t table, uint32_t i)
{
	struct berm_cidr_key key = { .prefixlen = 32 + 120, .table = htonl(table) };
	uint32_t addr = htonl(100u << 24 | i << 8);

	key.addr[10] = key.addr[11] = 0xff;
	memcpy(key.addr + 12, &addr, sizeof(addr));
	return key;
}

/* The same blocks, as a policy of the pod. */
static uint32_t at_the_wall(uint32_t *ret_empty)
{
	struct datapath *dp = datapath_load(&(struct datapath_opts){ .event_ms = 1000 });
	uint32_t pod = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	uint32_t cls = CLASS, ns, set;
	const struct rule rule = { CLASS, ANY_PORT, 2001, BERM_ACTION_DENY };

	for (uint32_t i = 0; i < BLOCKS; i++) {
		struct berm_cidr_key key = key_of(TABLE, i);

		ASSERT_EQ(bpf_map_update_elem(dp->maps.fd[BERM_MAP_cidrs], &key, &cls, BPF_ANY), 0);
	}
	berm_cidrs_changed(&dp->maps);
	set = datapath_matrix(dp, TABLE, &rule, 1);
	datapath_set(dp, pod, BERM_INGRESS, set);
	ns = run(bpf_program__fd(dp->skel->progs.berm_to_pod), &from_bad, DROPPED);
	*ret_empty = run_empty(BPF_PROG_TYPE_SCHED_CLS, DROPPED);
	return ns;
}

static struct uplink_bpf *at_the_uplink(uint32_t blocks)
{
	struct uplink_bpf *skel = uplink_bpf__open_and_load();
	const struct berm_block block = { BERM_BLOCK_ALL, 1 };
	struct berm_addr pod;
	uint32_t one = 1;

	ASSERT_TRUE(skel);
	for (uint32_t i = 0; i < blocks; i++) {
		struct berm_cidr_key key = key_of(BERM_BLOCKS_V4, i);

		ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skel->maps.berm_blocks), &key, &block,
					      BPF_ANY),
			  0);
	}
	ASSERT_EQ(berm_addr_parse(POD, &pod), 0);
	ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(skel->maps.berm_shielded), &pod, &one, BPF_ANY),
		  0);
	return skel;
}

int main(void)
{
	struct uplink_bpf *full = at_the_uplink(BLOCKS), *none = at_the_uplink(0);
	int prog = bpf_program__fd(full->progs.berm_uplink);
	uint32_t wall_empty, wall = at_the_wall(&wall_empty);
	uint32_t empty = run_empty(BPF_PROG_TYPE_XDP, XDP_DROP);

	print("uplink_drop_10k_blocks", run(prog, &from_bad, XDP_DROP), wall,
	      "dropped by XDP; the baseline is the same packet denied at the pod's wall, one hot source");
	print("uplink_pass_10k_blocks", run(prog, &from_good, XDP_PASS), empty,
	      "a source that no block holds; the baseline is an empty XDP program");
	print("uplink_pass_no_blocks",
	      run(bpf_program__fd(none->progs.berm_uplink), &from_good, XDP_PASS), empty,
	      "nothing is blocked; the same baseline");
	print("uplink_wall_10k_blocks", wall, wall_empty,
	      "denied at the wall; the baseline is an empty program there");
	return 0;
}
