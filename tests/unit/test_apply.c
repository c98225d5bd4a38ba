/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_apply.c - generations against maps in memory. Packets cross the maps one look-up at a time while
 * plans change; each must get what the plan before or the plan after says, and no verdict that was
 * remembered may outlive the plan that gave it. The same with writes that fail and agents that are killed.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <time.h>

#include "apply.h"
#include "fakestore.h"
#include "plans.h"
#include "test.h"

#define HISTORY 16

struct scene {
	struct fake_store *f;
	struct berm_apply *a;
	struct plan_world w;
	struct berm_plan *plan[HISTORY]; /* [generation % HISTORY] as tried */
	struct plan_slot slot[HISTORY][PLANS_SLOTS];
	uint32_t in_force, trying; /* numbers of plans; in_force: completely */
	/* what sessions would remember: epoch and rule of the last verdict */
	struct remembered {
		uint32_t epoch, rule;
		bool valid;
	} session[PLANS_SLOTS + 1][BERM_DIR_COUNT][PLANS_ADDRS][PLANS_SEGMENTS];
	uint64_t random; /* of the packets */
	size_t packets, wrong;
	size_t die_at; /* write at which the agent is killed, 0 = never */
	jmp_buf death;
};

static uint64_t seed(void)
{
	const char *text = getenv("BERM_SEED");
	struct timespec t;
	uint64_t value;

	clock_gettime(CLOCK_REALTIME, &t);
	value = text ? strtoull(text, NULL, 0)
		     : (uint64_t)t.tv_nsec * 1000003u + (uint64_t)t.tv_sec;
	printf("# BERM_SEED=%llu\n", (unsigned long long)value);
	return value;
}

static uint32_t below(struct scene *s, uint32_t limit)
{
	s->random = s->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(s->random >> 33) % limit;
}

/* The agents that are killed here leak, as the dead do. */
void __lsan_disable(void) __attribute__((weak));

/* ---- packets -------------------------------------------------------------------------------------------------------- */

static const uint32_t port_of[PLANS_SEGMENTS] = {
	7, 80, 400, 443, 5000, 9000, 0x1003f, 0x20003, 0x30800, 0x48000, 0x5002f,
};

static void start(struct scene *s, struct fake_reader *r)
{
	uint32_t addr = below(s, PLANS_ADDRS), port = below(s, PLANS_SEGMENTS);

	*r = (struct fake_reader){ .step = 1,
				   .slot = 1 + below(s, PLANS_SLOTS),
				   .dir = below(s, 2),
				   .port = port_of[port],
				   .addr = s->w.addr[addr] };
	r->tag = s->in_force << 8 | addr << 4 | port;
	if (!s->f->endpoint[r->slot].ifindex)
		r->step = 0;
}

static uint32_t says(const struct scene *s, uint32_t plan, const struct fake_reader *r)
{
	return plans_judge(s->plan[plan % HISTORY], &s->slot[plan % HISTORY][r->slot - 1], r->dir,
			   &r->addr, r->port);
}

static bool agrees(uint32_t said, uint32_t rule)
{
	return said == PLANS_ANY || said == rule;
}

static void arrived(struct fake_store *f, const struct fake_reader *r)
{
	struct scene *s = f->ctx;
	struct remembered *m = &s->session[r->slot][r->dir][r->tag >> 4 & 15][r->tag & 15];
	uint32_t plan;

	s->packets++;
	for (plan = r->tag >> 8; plan <= s->trying && !agrees(says(s, plan, r), r->rule); plan++)
		;
	if (plan > s->trying && !s->wrong++)
		test_failed(__FILE__, __LINE__,
			    "slot %u dir %u addr %u port 0x%x: rule %u, plans %u to %u say "
			    "%u ... %u (set %u class %u row %u pc %u col %u)",
			    r->slot, r->dir, r->tag >> 4 & 15, r->port, r->rule, r->tag >> 8,
			    s->trying, says(s, r->tag >> 8, r), says(s, s->trying, r), r->set,
			    r->cls, r->row, r->pc, r->col);
	*m = (struct remembered){ r->epoch, r->rule,
				  !plans_may_be_front(r->dir, r->tag >> 4 & 15, r->port) };
}

/* Before every write: some packets come, some get further, some arrive. */
static void traffic(struct fake_store *f)
{
	struct scene *s = f->ctx;
	struct fake_reader *r;

	if (s->die_at && f->writes >= s->die_at)
		longjmp(s->death, 1);
	for (uint32_t n = below(s, 24); n; n--) {
		r = &f->reader[below(s, FAKE_READERS)];
		if (r->step)
			fake_reader_step(f, r);
		else
			start(s, r);
	}
}

/* Of an endpoint that is left alone no plan says anything: then what it gets now. */
static uint32_t wants(struct scene *s, const struct fake_reader *r)
{
	uint32_t said = says(s, s->in_force, r);

	return said == PLANS_ANY ? fake_judge(s->f, r->slot, r->dir, &r->addr, r->port) : said;
}

/* What a session remembers must be what the plan in force says, if its epoch still counts. */
static void check_sessions(struct scene *s)
{
	struct fake_reader r = { 0 };
	struct remembered *m;

	for (r.slot = 1; r.slot <= PLANS_SLOTS; r.slot++)
		for (r.dir = 0; r.dir < 2; r.dir++)
			for (uint32_t a = 0; a < PLANS_ADDRS; a++)
				for (uint32_t p = 0; p < PLANS_SEGMENTS; p++) {
					m = &s->session[r.slot][r.dir][a][p];
					r.addr = s->w.addr[a];
					r.port = port_of[p];
					if (!m->valid || m->epoch != s->f->node.epoch[r.slot] ||
					    m->rule == wants(s, &r) || s->wrong++)
						continue;
					test_failed(__FILE__, __LINE__,
						    "slot %u dir %u addr %u port 0x%x: a session keeps "
						    "rule %u, the plan says %u",
						    r.slot, r.dir, a, r.port, m->rule,
						    wants(s, &r));
				}
}

/* Everything the maps say now is what the plan in force says. */
static void check_all(struct scene *s)
{
	struct fake_reader r = { 0 };

	for (r.slot = 1; r.slot <= PLANS_SLOTS; r.slot++)
		for (r.dir = 0; s->f->endpoint[r.slot].ifindex && r.dir < 2; r.dir++)
			for (uint32_t a = 0; a < PLANS_ADDRS; a++)
				for (uint32_t p = 0; p < PLANS_SEGMENTS; p++) {
					r.addr = s->w.addr[a];
					r.port = port_of[p];
					r.rule = fake_judge(s->f, r.slot, r.dir, &r.addr, r.port);
					if (agrees(says(s, s->in_force, &r), r.rule) || s->wrong++)
						continue;
					test_failed(__FILE__, __LINE__,
						    "slot %u dir %u addr %u port 0x%x: maps say %u, the "
						    "plan %u",
						    r.slot, r.dir, a, r.port, r.rule,
						    says(s, s->in_force, &r));
				}
	check_sessions(s);
}

/* ---- plans ------------------------------------------------------------------------------------------------------------ */

static void scene_open(struct scene *s, uint64_t random)
{
	struct berm_err err = { 0 };

	memset(s, 0, sizeof(*s));
	plans_make(&s->w, random);
	s->w.flows = true;
	s->random = random;
	s->f = fake_new();
	s->f->ctx = s;
	s->f->arrived = arrived;
	for (uint32_t i = 0; i < PLANS_SLOTS; i++)
		if (s->w.slot[i].ifindex)
			fake_slot_take(s->f, i + 1, s->w.slot[i].ifindex, s->w.slot[i].fallback);
	/* before the first plan everybody has his fallback, and nobody keeps the essentials */
	s->plan[0] = plans_plan(&s->w);
	s->plan[0]->essentials = UINT32_MAX;
	memcpy(s->slot[0], s->w.slot, sizeof(s->w.slot));
	for (int i = 0; i < PLANS_SLOTS; i++)
		s->slot[0][i].judged = false;
	ASSERT_OK(berm_apply_open_store(&s->f->s, &s->a, &err), &err);
}

static void scene_close(struct scene *s)
{
	berm_apply_close(s->a);
	for (int i = 0; i < HISTORY; i++)
		berm_plan_free(s->plan[i]);
	fake_free(s->f);
}

/* A plan to try next. The window of plans that a packet may have met must not outgrow the history. */
static struct berm_plan *next_plan(struct scene *s)
{
	s->trying++;
	if (s->trying % 4 == 0)
		fake_readers_finish(s->f);
	berm_plan_free(s->plan[s->trying % HISTORY]);
	memcpy(s->slot[s->trying % HISTORY], s->w.slot, sizeof(s->w.slot));
	return s->plan[s->trying % HISTORY] = plans_plan(&s->w);
}

static void apply_ok(struct scene *s, struct berm_apply_result *res)
{
	struct berm_err err = { 0 };

	s->f->before = traffic;
	EXPECT_OK(berm_apply(s->a, s->plan[s->trying % HISTORY], res, &err), &err);
	s->f->before = NULL;
	s->in_force = s->trying;
}

/* Sometimes the garbage goes at once, sometimes half of it, sometimes with the next generation. */
static void collect(struct scene *s, uint32_t steps)
{
	struct berm_err err = { 0 };
	uint64_t ticket;

	s->f->before = traffic;
	for (; steps && (ticket = berm_apply_garbage(s->a)) != 0; steps--) {
		s->f->s.ops->grace(&s->f->s);
		EXPECT_OK(berm_apply_collect(s->a, ticket, &err), &err);
		check_sessions(s);
	}
	s->f->before = NULL;
}

/* Another pod gets the slot; nobody is on his way to it. */
static void change_hands(struct scene *s)
{
	uint32_t i = below(s, PLANS_SLOTS);
	struct plan_slot *slot = &s->w.slot[i];

	fake_readers_finish(s->f);
	memset(s->session[i + 1], 0, sizeof(s->session[i + 1]));
	*slot = (struct plan_slot){ .ifindex = slot->ifindex + 100,
				    .known = true,
				    .fallback = below(s, 3),
				    .judged = below(s, 2),
				    .set = { below(s, 5), below(s, 5) } };
	fake_slot_take(s->f, i + 1, slot->ifindex, slot->fallback);
	/* until it is judged, what is in force for it is its fallback */
	for (int h = 0; h < HISTORY; h++) {
		s->slot[h][i] = *slot;
		s->slot[h][i].judged = false;
	}
}

/* Also endpoints that were left alone are judged again: whatever they held must go. */
static void settle(struct scene *s)
{
	struct berm_apply_result res = { 0 };

	for (int i = 0; i < PLANS_SLOTS; i++)
		s->w.slot[i].alone = false;
	next_plan(s);
	apply_ok(s, &res);
	check_all(s);
}

static bool is_settled(const struct scene *s)
{
	bool settled = true;

	for (int i = 0; i < PLANS_SLOTS; i++)
		settled = settled && !s->w.slot[i].alone;
	return settled;
}

static void expect_no_garbage(struct scene *s)
{
	const struct berm_plan *plan = s->plan[s->in_force % HISTORY];
	struct berm_apply_usage use = { 0 };
	size_t prefixes = 0, flows = 0;

	collect(s, 9);
	berm_apply_usage(s->a, &use);
	for (size_t i = 0; i < plan->table_count; i++)
		prefixes += plan->table[i].prefix_count;
	for (size_t i = 0; i < plan->flows_count; i++)
		flows += plan->flows[i].count;
	EXPECT_EQ(fake_count(s->f, BERM_MAP_peers), plan->peer_count);
	EXPECT_EQ(fake_count(s->f, BERM_MAP_frontends), plan->frontend_count);
	EXPECT_EQ(fake_count(s->f, BERM_MAP_cidrs), use.cidrs);
	EXPECT_EQ(fake_count(s->f, BERM_MAP_flows), use.flows);
	EXPECT_EQ(fake_count(s->f, BERM_MAP_rows), use.rows);
	EXPECT_EQ(fake_count(s->f, BERM_MAP_ns_isolation), plan->ns_count);
	EXPECT_LE(use.rules, PLANS_RULES);
	if (!is_settled(s))
		return;
	EXPECT_LE(fake_count(s->f, BERM_MAP_cidrs), prefixes);
	EXPECT_LE(use.flows, flows);
	EXPECT_LE(use.classes, PLANS_CLASSES);
	EXPECT_LE(use.sets, PLANS_SETS);
	EXPECT_LE(use.port_classes, plan->interval_count);
}

static void expect_idempotent(struct scene *s)
{
	struct berm_apply_result res = { 0 };
	uint64_t generation = s->f->node.generation;
	size_t writes;

	collect(s, 9);
	writes = s->f->writes;
	apply_ok(s, &res);
	EXPECT_EQ(res.writes, 0);
	EXPECT_EQ(s->f->writes, writes);
	EXPECT_EQ(res.rejudged, 0);
	EXPECT_EQ(s->f->node.generation, generation);
}

static void reopen(struct scene *s)
{
	struct berm_err err = { 0 };

	berm_apply_close(s->a);
	s->a = NULL;
	ASSERT_OK(berm_apply_open_store(&s->f->s, &s->a, &err), &err);
}

TEST(random_plans,
     "every packet gets the old verdict or the new one, whenever it comes [update.atomic]")
{
	static struct scene s;
	uint64_t random = seed();
	struct berm_apply_result res = { 0 };

	for (int round = 0; round < 40 && !s.wrong; round++) {
		scene_open(&s, random + (uint64_t)round);
		for (int n = 0; n < 60 && !s.wrong; n++) {
			next_plan(&s);
			apply_ok(&s, &res);
			check_all(&s);
			collect(&s, below(&s, 4));
			plans_change(&s.w);
			if (!below(&s, 8))
				change_hands(&s);
		}
		if (s.wrong)
			printf("# round %d\n", round);
		EXPECT_GT(s.packets, 1000);
		scene_close(&s);
	}
}

TEST(idempotent, "the same plan again writes nothing, also after a restart [update.idempotent]")
{
	static struct scene s;
	struct berm_apply_result res = { 0 };

	scene_open(&s, seed());
	for (int n = 0; n < 100 && !s.wrong; n++) {
		next_plan(&s);
		apply_ok(&s, &res);
		expect_idempotent(&s);
		reopen(&s);
		expect_idempotent(&s);
		expect_no_garbage(&s);
		check_all(&s);
		plans_change(&s.w);
		if (!below(&s, 8))
			change_hands(&s);
	}
	scene_close(&s);
}

TEST(no_space,
     "a write that fails leaves the old generation in force, the next try succeeds [update.nospace]")
{
	static const int codes[] = { -E2BIG, -ENOMEM, -EINVAL, -ENOSPC };
	static struct scene s;
	struct berm_apply_result res = { 0 };
	struct berm_err err;
	size_t failed = 0;
	int rc;

	scene_open(&s, seed());
	next_plan(&s);
	apply_ok(&s, &res);
	for (int n = 0; n < 600 && !s.wrong; n++) {
		err = (struct berm_err){ 0 };
		plans_change(&s.w);
		next_plan(&s);
		s.f->before = traffic;
		s.f->fail_at = s.f->writes + 1 + below(&s, 40);
		s.f->fail_with = codes[below(&s, 4)];
		rc = berm_apply(s.a, s.plan[s.trying % HISTORY], &res, &err);
		s.f->before = NULL;
		s.f->fail_at = 0;
		if (!rc) {
			s.in_force = s.trying;
			check_all(&s);
			continue;
		}
		failed++;
		EXPECT_EQ(rc, s.f->fail_with);
		EXPECT_TRUE(err.msg[0]);
		check_all(&s);
		apply_ok(&s, &res);
		check_all(&s);
	}
	EXPECT_GT(failed, 100);
	settle(&s);
	expect_no_garbage(&s);
	scene_close(&s);
}

TEST(killed,
     "killed before any write, the next agent goes on and no packet sees a third verdict [restart.agent_kill9]")
{
	static struct scene s;
	struct berm_apply_result res = { 0 };
	struct berm_err err = { 0 };
	volatile size_t killed = 0;

	if (__lsan_disable)
		__lsan_disable();
	scene_open(&s, seed());
	next_plan(&s);
	apply_ok(&s, &res);
	for (volatile int n = 0; n < 600 && !s.wrong; n++) {
		plans_change(&s.w);
		next_plan(&s);
		s.f->before = traffic;
		s.die_at = s.f->writes + below(&s, 40);
		if (!setjmp(s.death)) {
			if (berm_apply(s.a, s.plan[s.trying % HISTORY], &res, &err))
				test_failed(__FILE__, __LINE__, "%s", err.msg);
			s.in_force = s.trying;
			s.die_at = 0;
			collect(&s, below(&s, 3));
			continue;
		}
		killed++; /* what the dead one held is lost, as it is with a process */
		s.die_at = 0;
		if (below(&s, 2)) {
			plans_change(&s.w);
			next_plan(&s);
		}
		ASSERT_OK(berm_apply_open_store(&s.f->s, &s.a, &err), &err);
		apply_ok(&s, &res);
		check_all(&s);
	}
	EXPECT_GT(killed, 100);
	settle(&s);
	expect_no_garbage(&s);
	expect_idempotent(&s);
	scene_close(&s);
}

TEST(distrusted,
     "maps that are read back while leftovers wait: nobody waits for those, no packet sees a third verdict [tamper.map_write]")
{
	static struct scene s;
	struct berm_apply_result res = { 0 };
	size_t waiting = 0;

	scene_open(&s, seed());
	for (int n = 0; n < 300 && !s.wrong; n++) {
		next_plan(&s);
		apply_ok(&s, &res);
		collect(&s, below(&s, 3));
		waiting += berm_apply_garbage(s.a) != 0;
		if (!below(&s, 2)) {
			berm_apply_distrust(s.a);
			EXPECT_EQ(berm_apply_garbage(s.a), 0);
		}
		if (!below(&s, 4))
			apply_ok(&s, &res);
		check_all(&s);
		plans_change(&s.w);
	}
	EXPECT_GT(waiting, 50);
	settle(&s);
	expect_no_garbage(&s);
	expect_idempotent(&s);
	scene_close(&s);
}

TEST(no_memo, "without its memory the agent writes everything anew, beside what is in force")
{
	static struct scene s;
	struct berm_apply_result res = { 0 };

	scene_open(&s, seed());
	for (int n = 0; n < 300 && !s.wrong; n++) {
		next_plan(&s);
		s.f->full_disk = below(&s, 2);
		apply_ok(&s, &res);
		if (s.f->full_disk && res.writes)
			EXPECT_TRUE(res.warning[0]);
		collect(&s, 2);
		if (!below(&s, 8) && s.f->memo_size)
			((char *)s.f->memo)[below(&s, (uint32_t)s.f->memo_size)] ^= 4;
		if (!below(&s, 8))
			s.f->memo_size /= 2;
		if (!below(&s, 3))
			reopen(&s);
		apply_ok(&s, &res);
		check_all(&s);
		plans_change(&s.w);
	}
	settle(&s);
	expect_no_garbage(&s);
	scene_close(&s);
}

/* ---- more ports than the sets have columns for ---------------------------------------------------------------------- */

/* The scene's plan with `count` ports of TCP cut out one by one, every other one like port 80. */
static struct berm_plan *plan_of_ports(struct scene *s, uint32_t count)
{
	struct berm_plan *plan = plans_plan(&s->w);
	struct berm_plan_interval *old = plan->interval,
				  *new = calloc(plan->interval_count + count + 1, sizeof(*new));
	size_t cut = plan->interval_count - 1;
	uint8_t *col;

	ASSERT_TRUE(new);
	while (old[cut].plane || old[cut].first)
		cut--; /* the first one: ports 0 to 79 */
	for (size_t i = 0; i < plan->set_count; i++) {
		col = calloc(plan->interval_count + count + 1, 1);
		ASSERT_TRUE(col);
		memset(col, plan->set[i].col[0], count);
		memcpy(col + count, plan->set[i].col, plan->interval_count);
		for (uint32_t n = 0; n < count; n += 2)
			col[n] = plan->set[i].col[1];
		free(plan->set[i].col);
		plan->set[i].col = col;
	}
	for (uint32_t n = 0; n < count; n++)
		new[n] = (struct berm_plan_interval){ 0, (uint16_t)n, (uint16_t)n };
	memcpy(new + count, old, plan->interval_count * sizeof(*new));
	new[count].first = (uint16_t)count;
	free(old);
	plan->interval = new;
	plan->interval_count += count;
	return plan;
}

/* Ports below `count` alternate; port 7 is odd: it stays what it was. */
static void expect_ports(struct scene *s, const struct berm_plan *plan)
{
	const uint32_t port[] = { 2, 7, 70, 79, 80, 9000 };

	for (uint32_t slot = 3; slot < PLANS_SLOTS; slot++)
		for (uint32_t a = 0; a < PLANS_ADDRS; a++)
			for (size_t i = 0; i < ARRAY_SIZE(port); i++)
				EXPECT_EQ(fake_judge(s->f, slot, 0, &s->w.addr[a], port[i]),
					  plans_judge(plan, &s->w.slot[slot - 1], 0, &s->w.addr[a],
						      port[i]));
}

static bool has_80_apart(const struct scene *s)
{
	struct plan_world w = s->w;
	struct berm_plan *plan = plans_plan(&w);
	bool apart = plan->interval[0].last == 79;

	berm_plan_free(plan);
	return apart;
}

TEST(many_ports, "sets move to wider columns when port classes outgrow them; too many are refused")
{
	static struct scene s;
	struct berm_apply_result res = { 0 };
	struct berm_err err = { 0 };
	struct berm_plan *plan;
	const uint32_t count[] = { 0, 60, 10, 79, 3, 0 };

	scene_open(&s, 3);
	ASSERT_TRUE(has_80_apart(&s));
	for (size_t i = 0; i < ARRAY_SIZE(count); i++) {
		next_plan(&s);
		berm_plan_free(s.plan[s.trying % HISTORY]);
		plan = s.plan[s.trying % HISTORY] = plan_of_ports(&s, count[i]);
		apply_ok(&s, &res);
		expect_ports(&s, plan);
		check_all(&s);
		collect(&s, (uint32_t)i % 3);
		reopen(&s); /* forgets how wide they are: then they must move */
		expect_ports(&s, plan);
	}
	plan = plan_of_ports(&s, 75);
	free(plan->interval);
	plan->interval = calloc(BERM_MAX_PORT_CLASSES + 70, sizeof(*plan->interval));
	ASSERT_TRUE(plan->interval);
	plan->interval_count = 0;
	for (uint32_t n = 0; n < BERM_MAX_PORT_CLASSES; n++)
		plan->interval[plan->interval_count++] =
			(struct berm_plan_interval){ 0, (uint16_t)n, (uint16_t)n };
	plan->interval[plan->interval_count - 1].last = 0xffff;
	for (int plane = 1; plane < BERM_PLANE_COUNT; plane++)
		plan->interval[plan->interval_count++] =
			(struct berm_plan_interval){ (uint8_t)plane, 0, 0xffff };
	for (size_t i = 0; i < plan->set_count; i++) {
		free(plan->set[i].col);
		plan->set[i].col = calloc(plan->interval_count, 1);
		ASSERT_TRUE(plan->set[i].col);
	}
	EXPECT_EQ(berm_apply(s.a, plan, &res, &err), -ENOSPC);
	EXPECT_STR_HAS(err.msg, "ranges of ports");
	berm_plan_free(plan);
	plan = plan_of_ports(&s, 0);
	expect_ports(&s, plan); /* as before */
	berm_plan_free(plan);
	scene_close(&s);
}

/* ---- what a plan must not be ------------------------------------------------------------------------------------------ */

static void unsort_peers(struct berm_plan *plan)
{
	struct berm_plan_peer first = plan->peer[0];

	plan->peer[0] = plan->peer[1];
	plan->peer[1] = first;
}

static void gap_in_ports(struct berm_plan *plan)
{
	plan->interval[1].first++;
}

static void cell_beyond(struct berm_plan *plan)
{
	plan->set[2].cell[0] = (uint32_t)plan->rule_count;
}

static void row_beyond(struct berm_plan *plan)
{
	plan->set[1].row[1] = plan->set[1].nrows;
}

static void no_interface(struct berm_plan *plan)
{
	plan->endpoint[0].ifindex = 0;
}

TEST(broken_plan, "a plan that contradicts itself never reaches a map")
{
	static const struct {
		const char *name;
		void (*spoil)(struct berm_plan *plan);
		const char *msg;
	} cases[] = {
		{ "peers", unsort_peers, "peers are not sorted" },
		{ "ports", gap_in_ports, "do not cover all ports" },
		{ "cell", cell_beyond, "matrix points beyond" },
		{ "row", row_beyond, "matrix points beyond" },
		{ "endpoint", no_interface, "no interface" },
	}, *c;
	static struct scene s;
	struct berm_apply_result res = { 0 };
	struct berm_plan *plan;
	struct berm_err err;

	scene_open(&s, 5);
	for_each_case(c, cases) {
		err = (struct berm_err){ 0 };
		plan = plans_plan(&s.w);
		c->spoil(plan);
		EXPECT_EQ(berm_apply(s.a, plan, &res, &err), -EINVAL);
		EXPECT_STR_HAS(err.msg, c->msg);
		EXPECT_EQ(s.f->writes, 0);
		berm_plan_free(plan);
	}
	next_plan(&s);
	apply_ok(&s, &res);
	EXPECT_GT(s.f->writes, 0);
	check_all(&s);
	scene_close(&s);
}

TEST(full_disk,
     "a full disk holds up no policy; names and memory are written when there is room again")
{
	static struct scene s;
	struct berm_apply_result res = { 0 };
	uint64_t generation;

	scene_open(&s, 11);
	s.f->full_disk = true;
	next_plan(&s);
	apply_ok(&s, &res);
	check_all(&s);
	EXPECT_STR_HAS(res.warning, "No space left");
	collect(&s, 9);
	generation = s.f->node.generation;
	apply_ok(&s, &res); /* tried again, in vain */
	EXPECT_STR_HAS(res.warning, "No space left");
	s.f->full_disk = false;
	apply_ok(&s, &res);
	EXPECT_STR_EQ(res.warning, "");
	EXPECT_EQ(s.f->names_written, 1);
	EXPECT_GT(s.f->memo_size, 0);
	EXPECT_EQ(s.f->node.generation, generation);
	reopen(&s);
	apply_ok(&s, &res);
	EXPECT_EQ(res.writes, 0);
	scene_close(&s);
}
