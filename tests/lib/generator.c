/* SPDX-License-Identifier: Apache-2.0 */
/* generator.c - loads the generator over the maps of a datapath and runs it. Knows no scenario. */
#include "generator.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <stdlib.h>

#include "generator.skel.h" /* wants abi.h before it */

#define OUTSIDE 4

/* The maps of the product are those of the datapath, by name. */
static void maps_share(struct generator *g)
{
	struct bpf_map *map;
	int fd;

	bpf_object__for_each_map(map, g->skel->obj) {
		fd = datapath_map(g->dp, bpf_map__name(map));
		if (fd >= 0)
			ASSERT_EQ(bpf_map__reuse_fd(map, fd), 0);
	}
}

struct generator *generator_load(struct datapath *dp, uint32_t lru)
{
	struct generator *g = calloc(1, sizeof(*g));

	ASSERT_TRUE(g);
	g->dp = dp;
	g->skel = generator_bpf__open();
	ASSERT_TRUE(g->skel);
	if (lru)
		ASSERT_EQ(bpf_map__set_max_entries(g->skel->maps.ref_sessions, lru), 0);
	g->skel->rodata->cfg_buckets = dp->maps.buckets;
	g->skel->rodata->cfg_hz = dp->hz;
	g->skel->rodata->cfg_event_ms = dp->event_ms;
	g->skel->rodata->cfg_ended = dp->ended;
	g->skel->rodata->cfg_apps = dp->apps;
	g->skel->rodata->cfg_strict_tcp = dp->strict_tcp;
	maps_share(g);
	ASSERT_EQ(generator_bpf__load(g->skel), 0);
	return g;
}

void generator_free(struct generator *g)
{
	generator_bpf__destroy(g->skel);
	free(g);
}

static uint32_t run(struct generator *g, const struct bpf_program *prog, enum berm_dir dir,
		    const struct flood *f, int *retval)
{
	_Alignas(8) char frame[PACKET_MAX];
	struct __sk_buff ctx = { .ifindex = f->ifindex ? f->ifindex : 1 };
	struct in_addr net = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx),
		    .repeat = (int)(f->packets ? f->packets : f->flows));

	ASSERT_EQ(inet_pton(AF_INET, f->net, &net), 1);
	ctx.ingress_ifindex = dir == BERM_EGRESS ? ctx.ifindex : OUTSIDE;
	opts.data_size_in = (__u32)packet_build(f->packet, frame);
	g->skel->bss->gen_next = f->first;
	g->skel->bss->gen_flows = f->flows;
	g->skel->bss->gen_scatter = f->scatter;
	g->skel->bss->gen_by_peer = f->by_peer;
	g->skel->bss->gen_one_peer = f->one_peer;
	g->skel->bss->gen_net = ntohl(net.s_addr);
	ASSERT_EQ(datapath_run(g->dp, prog, &opts), 0);
	if (retval)
		*retval = (int)opts.retval;
	return opts.duration;
}

uint32_t generator_run(struct generator *g, enum berm_dir dir, const struct flood *f, int *retval)
{
	return run(g, dir == BERM_EGRESS ? g->skel->progs.gen_from_pod : g->skel->progs.gen_to_pod,
		   dir, f, retval);
}

/* Some at a time, so that few are half-open at once, as it is in life. */
#define ESTABLISH_STEP 4096

static void establish_some(struct generator *g, struct flood f, const struct packet *step)
{
	enum berm_dir there = f.by_peer ? BERM_INGRESS : BERM_EGRESS;

	for (int i = 0; i < 3; i++) {
		f.packet = &step[i];
		(void)generator_run(g, i == 1 ? (enum berm_dir) !there : there, &f, NULL);
	}
}

void generator_establish(struct generator *g, struct flood f)
{
	struct packet step[3] = { *f.packet, *f.packet, *f.packet };
	uint32_t end = f.first + (f.packets ? f.packets : f.flows);

	step[1].src = f.packet->dst;
	step[1].dst = f.packet->src;
	step[1].sport = f.packet->dport;
	step[1].dport = f.packet->sport;
	step[1].flags = TCP_SYN | TCP_ACK;
	step[2].flags = TCP_ACK;
	f.scatter = false;
	for (; f.first < end; f.first += f.packets) {
		f.packets = end - f.first < ESTABLISH_STEP ? end - f.first : ESTABLISH_STEP;
		establish_some(g, f, step);
	}
}

int generator_lru_fd(const struct generator *g)
{
	return bpf_map__fd(g->skel->maps.ref_sessions);
}

uint32_t generator_reference(struct generator *g, enum reference ref, const struct flood *f)
{
	return run(g, ref == REF_EMPTY ? g->skel->progs.ref_empty : g->skel->progs.ref_lru,
		   BERM_EGRESS, f, NULL);
}
