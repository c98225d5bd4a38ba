/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nodectl.c - puts a node's pinned state into a shape that a test needs, without an agent, and reads back what
 * a test compares. For tests only: it follows no order of updates.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "jiffies.h"
#include "link.h"
#include "loader.h"
#include "maps.h"
#include "names.h"

static struct berm_maps maps = BERM_MAPS_CLOSED;
static struct berm_err err;

static uint32_t number(const char *text)
{
	return (uint32_t)strtoul(text, NULL, 0);
}

static int do_generation(char **arg)
{
	maps.node->generation = number(arg[0]);
	return 0;
}

static int do_flags(char **arg)
{
	maps.node->flags = number(arg[0]);
	return 0;
}

static int do_isolate(char **arg)
{
	return berm_ns_isolation_set(&maps, arg[0], number(arg[1]), &err);
}

/* Packets counted for a reason, both directions. */
static int do_counter(char **arg)
{
	struct berm_counters c;
	unsigned int reason = 0;
	int rc = berm_counters_read(&maps, &c, &err);

	while (reason < BERM_REASON_COUNT && strcmp(berm_reason_name(reason), arg[0]))
		reason++;
	if (reason == BERM_REASON_COUNT)
		return berm_refuse(&err, -EINVAL, "no reason '%s'", arg[0]);
	printf("%llu\n", (unsigned long long)(c.packets[0][reason] + c.packets[1][reason]));
	return rc;
}

/* skb->mark of the programs' own answers. */
static int do_mark(char **arg)
{
	(void)arg;
	printf("%u\n", maps.node->mark);
	return 0;
}

/* Also in the endpoint: while it names the interface, what the programs remember of it counts. */
static int do_forget_iface(char **arg)
{
	uint32_t ifindex = number(arg[0]), slot;

	if (!bpf_map_lookup_elem(maps.fd[BERM_MAP_ifaces], &ifindex, &slot))
		maps.endpoints[slot % BERM_MAX_ENDPOINTS].ifindex = 0;
	return bpf_map_delete_elem(maps.fd[BERM_MAP_ifaces], &ifindex);
}

/* As if the table were lost: the sessions of one interface. */
static int do_forget_sessions(char **arg)
{
	long freed = berm_sweep(&maps, number(arg[0]), &err);

	if (freed >= 0)
		printf("%ld\n", freed);
	return freed < 0 ? (int)freed : 0;
}

/* Established sessions of one interface in so many per cent of all ways: not by way of packets, so nobody rides on them,
 * and the books know nothing of them. */
static int do_fill(char **arg)
{
	uint32_t ifindex = number(arg[0]), percent = number(arg[1]), slot = 0, now, hz;
	struct berm_bucket b = { 0 };
	int rc = berm_slot_of(&maps, ifindex, &slot);

	if (!rc)
		rc = berm_jiffies_read(&now, &hz, &err);
	for (uint32_t i = 0; !rc && i < maps.buckets; i++) {
		for (uint32_t w = 0; w < BERM_WAYS; w++) {
			bool is_used = (i * BERM_WAYS + w) * 61 % 100 < percent;

			b.tag[w] = is_used;
			b.state[w] = BERM_SESSION_OPEN | BERM_SESSION_ESTABLISHED;
			b.owner[w] = (__u8)slot;
			b.deadline[w] = now + 3600 * hz;
			b.way[w].slot = (__u16)slot;
			b.way[w].iface = ifindex << 8 | IPPROTO_TCP;
			b.way[w].word = (__u64)(i + 1) << 32 | w;
			b.way[w].state = b.state[w];
		}
		rc = bpf_map_update_elem(maps.fd[BERM_MAP_sessions], &i, &b, BPF_ANY);
	}
	return rc;
}

/* The endpoint entry of an interface: sets, flags and addresses, as text. */
static int do_endpoint(char **arg)
{
	const struct berm_endpoint *ep;
	char text[BERM_ADDR_STRLEN];
	uint32_t slot = 0;
	int rc = berm_slot_of(&maps, number(arg[0]), &slot);

	if (rc)
		return berm_refuse(&err, rc, "interface %s has no endpoint", arg[0]);
	ep = &maps.endpoints[slot];
	printf("slot=%u ifindex=%u in=%u out=%u flags=0x%x", slot, ep->ifindex,
	       ep->set[BERM_INGRESS], ep->set[BERM_EGRESS], ep->flags);
	for (int i = 0; i < ep->addr_count; i++) {
		berm_addr_format(&ep->addr[i], text);
		printf(" %s", text);
	}
	printf("\n");
	return 0;
}

static int do_sets(char **arg)
{
	uint32_t slot = 0;
	int rc = berm_slot_of(&maps, number(arg[0]), &slot);

	if (!rc)
		berm_endpoint_switch(&maps, slot, number(arg[1]), number(arg[2]));
	return rc;
}

/* What somebody with root could do: every rule that denies allows. */
static int do_open_rules(char **arg)
{
	struct berm_rule rule;
	int rc = 0;

	(void)arg;
	for (uint32_t i = 1; !rc && i < 1024; i++) {
		rc = bpf_map_lookup_elem(maps.fd[BERM_MAP_rules], &i, &rule);
		if (rc || rule.action != BERM_ACTION_DENY)
			continue;
		rule.action = BERM_ACTION_ALLOW;
		rc = bpf_map_update_elem(maps.fd[BERM_MAP_rules], &i, &rule, BPF_ANY);
	}
	return rc;
}

/* How much of what ADD takes and DEL gives back is in use. */
static int do_usage(char **arg)
{
	uint32_t key = 0, next, ifaces = 0, slots = 0;
	void *from = NULL;

	(void)arg;
	while (!bpf_map_get_next_key(maps.fd[BERM_MAP_ifaces], from, &next)) {
		ifaces++;
		key = next;
		from = &key;
	}
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		slots += !!maps.endpoints[slot].ifindex;
	printf("ifaces=%u slots=%u\n", ifaces, slots);
	return 0;
}

/* attached/current/foreign programs before, of both directions. */
static int do_hooks(char **arg)
{
	struct berm_hook_state hooks[BERM_DIR_COUNT];
	int rc = berm_link_inspect(number(arg[0]), hooks, &err);

	for (int dir = 0; !rc && dir < BERM_DIR_COUNT; dir++)
		printf("%s attached=%d current=%d before=%u foreign=%s mode=%d\n",
		       dir == BERM_INGRESS ? "in" : "out", hooks[dir].attached, hooks[dir].current,
		       hooks[dir].before, hooks[dir].foreign[0] ? hooks[dir].foreign : "-",
		       hooks[dir].mode);
	return rc;
}

/* A program of a foreigner that always returns the same: -1 go on, 2 drop. */
static int foreign_load(const char *name, const char *verdict)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = atoi(verdict) },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int prog =
		bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "GPL", insns, ARRAY_SIZE(insns), NULL);

	return prog < 0 ? berm_fail(&err, prog, "load a program") : prog;
}

/* Puts it at the head of a tcx hook (46 ingress, 47 egress) while stdin is open. */
static int do_foreign(char **arg)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = 1u << 3);
	auto_close int prog = foreign_load(arg[2], arg[3]);
	auto_close int link = -1;

	if (prog < 0)
		return prog;
	link = bpf_link_create(prog, (int)number(arg[0]), (enum bpf_attach_type)number(arg[1]),
			       &opts);
	if (link < 0)
		return berm_fail(&err, link, "attach to tcx");
	printf("attached\n");
	fflush(stdout);
	while (getchar() != EOF)
		;
	return 0;
}

/* For tc filter add ... bpf da object-pinned PATH. */
static int do_pin(char **arg)
{
	auto_close int prog = foreign_load(arg[0], arg[1]);
	int rc;

	if (prog < 0)
		return prog;
	rc = bpf_obj_pin(prog, arg[2]);
	return rc ? berm_fail(&err, rc, "pin %s", arg[2]) : 0;
}

/* An XDP program of somebody else, by netlink: no link of ours could replace it. */
static int do_xdp_pass(char **arg)
{
	const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	unsigned int ifindex = if_nametoindex(arg[0]);
	auto_close int prog =
		bpf_prog_load(BPF_PROG_TYPE_XDP, "foreign", "GPL", insns, ARRAY_SIZE(insns), NULL);
	int rc = prog < 0 ? prog : bpf_xdp_attach((int)ifindex, prog, 0, NULL);

	return rc ? berm_fail(&err, rc, "attach an XDP program to '%s'", arg[0]) : 0;
}

static int do_load(char **arg)
{
	(void)arg;
	return 0; /* main() has done it */
}

static const struct {
	const char *name, *args;
	int count;
	int (*run)(char **arg);
	bool needs_maps;
} commands[] = {
	{ "load", "", 0, do_load, true },
	{ "generation", "N", 1, do_generation, true },
	{ "flags", "N", 1, do_flags, true },
	{ "isolate", "NAMESPACE DIRS", 2, do_isolate, true },
	{ "counter", "REASON", 1, do_counter, true },
	{ "mark", "", 0, do_mark, true },
	{ "forget-iface", "IFINDEX", 1, do_forget_iface, true },
	{ "open-rules", "IFINDEX", 0, do_open_rules, true },
	{ "forget-sessions", "IFINDEX", 1, do_forget_sessions, true },
	{ "fill", "IFINDEX PERCENT", 2, do_fill, true },
	{ "endpoint", "IFINDEX", 1, do_endpoint, true },
	{ "sets", "IFINDEX IN OUT", 3, do_sets, true },
	{ "usage", "", 0, do_usage, true },
	{ "hooks", "IFINDEX", 1, do_hooks, false },
	{ "foreign", "IFINDEX TCX_TYPE NAME VERDICT", 4, do_foreign, false },
	{ "xdp-pass", "IFACE", 1, do_xdp_pass, false },
	{ "pin", "NAME VERDICT PATH", 3, do_pin, false },
};

int main(int argc, char **argv)
{
	const struct berm_load_opts load = { .mount_bpffs = false };
	int rc;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(commands[i].name, argv[1]) || argc - 2 != commands[i].count)
			continue;
		rc = !commands[i].needs_maps	? 0
		     : !strcmp(argv[1], "load") ? berm_load_ensure(&load, &maps, &err)
						: berm_maps_open(&maps, false, &err);
		if (!rc)
			rc = commands[i].run(argv + 2);
		if (rc)
			fprintf(stderr, "nodectl %s: %s\n", argv[1],
				err.msg[0] ? err.msg : strerror(-rc));
		berm_maps_close(&maps);
		return !!rc;
	}
	fprintf(stderr, "usage:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "  nodectl %s %s\n", commands[i].name, commands[i].args);
	return 2;
}
