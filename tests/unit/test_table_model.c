/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_table_model.c - what docs/session-table.md promises, asked of a model that shares no code with the
 * programs: floods by one owner and by many, heavy owners, how full a table may be. tests/bpf/test_table.c shows
 * that the programs do what the model does.
 */
#include <arpa/inet.h>
#include <stdlib.h>

#include "tablemodel.h"
#include "test.h"

#define HZ	 250
#define BUCKETS	 37450
#define SLOTS	 (BUCKETS * BERM_WAYS)
#define PER_TICK 2000 /* 500,000 flows a second */
#define ANSWER	 12   /* ticks: 50 ms */

#define BIG	  1
#define SMALL	  2
#define BYSTANDER 3

struct run {
	struct tm_table t;
	uint32_t now;
	uint64_t random;
};

static uint64_t next_random(struct run *r)
{
	r->random ^= r->random << 13;
	r->random ^= r->random >> 7;
	r->random ^= r->random << 17;
	return r->random;
}

static void run_start(struct run *r, enum tm_rule rule)
{
	uint32_t seed[10];

	*r = (struct run){ .now = UINT32_MAX - 500, .random = 88172645463325252u };
	for (size_t i = 0; i < ARRAY_SIZE(seed); i++)
		seed[i] = (uint32_t)next_random(r) | 1;
	tm_start(&r->t, BUCKETS, seed, rule);
	r->t.half_open_ticks = 30 * HZ;
	r->t.established_ticks = 10800 * HZ;
}

static struct tm_key random_key(struct run *r, uint8_t owner)
{
	uint64_t n = next_random(r);
	struct tm_key key = { .peer = { { 0, 0, htonl(0xffff), (__be32)n } },
			      .local = { { 0, 0, htonl(0xffff), htonl(0x0a000000u + owner) } },
			      .local_port = htons(443),
			      .peer_port = (__be16)(n >> 32),
			      .iface = (uint32_t)owner << 8 | 6 };

	return key;
}

static void establish(struct run *r, uint8_t owner, uint32_t flows)
{
	struct tm_key key;

	for (uint32_t i = 0; i < flows; i++) {
		key = random_key(r, owner);
		if (tm_open(&r->t, &key, owner, r->now).way < BERM_WAYS)
			(void)tm_promote(&r->t, &key, r->now);
		r->now += i % 64 == 0;
	}
}

/* As many owners from `first` on take turns. */
static void flood(struct run *r, uint8_t first, uint32_t owners, uint32_t flows)
{
	struct tm_key key;

	for (uint32_t i = 0; i < flows; i++) {
		key = random_key(r, (uint8_t)(first + i % owners));
		(void)tm_open(&r->t, &key, (uint8_t)(first + i % owners), r->now);
		r->now += i % PER_TICK == 0;
	}
}

static double percent(uint64_t part, uint64_t whole)
{
	return 100.0 * (double)part / (double)whole;
}

static uint64_t established_lost(const struct run *r)
{
	uint64_t lost = 0;

	for (int owner = 0; owner < 256; owner++)
		lost += r->t.lost[1][owner];
	return lost;
}

TEST(load, "the model: how many flows find no way")
{
	static const struct {
		const char *name;
		uint32_t load;
		double most;
	} cases[] = { { "50 %", 50, 0.001 },
		      { "76 %", 76, 0.2 },
		      { "90 %", 90, 2.5 },
		      { "100 %", 100, 7 } },
	  *c;
	struct run r;

	for_each_case(c, cases) {
		run_start(&r, TM_CEILING);
		for (uint32_t owner = 0; owner < 256; owner++)
			establish(&r, (uint8_t)owner, SLOTS / 256 * c->load / 100);
		printf("# %s full: %.3f %% find no way\n", c->name,
		       percent(r.t.full, r.t.opened + r.t.full));
		EXPECT_LE(percent(r.t.full, r.t.opened + r.t.full) * 1000, c->most * 1000);
		EXPECT_EQ(established_lost(&r), 0);
		tm_end(&r.t);
	}
}

/* ---- who is not flooded hardly notices ----------------------------------------------------------------------- */

struct pending {
	struct tm_key key;
	bool due;
};

struct fate {
	uint32_t asked, no_way, waited, gone;
};

/* A bystander opens one flow in every tick of the flood and is answered 50 ms later. */
static struct fate bystander(struct run *r, uint8_t first, uint32_t owners, uint32_t ticks)
{
	struct pending pending[ANSWER] = { 0 };
	struct fate fate = { 0 };

	for (uint32_t tick = 0; tick < ticks; tick++) {
		struct pending *p = &pending[tick % ANSWER];

		fate.waited += p->due;
		fate.gone += p->due && !tm_promote(&r->t, &p->key, r->now);
		p->due = false;
		for (int i = 0; i < 4; i++) {
			p->key = random_key(r, BYSTANDER);
			fate.asked++;
			if (tm_open(&r->t, &p->key, BYSTANDER, r->now).way < BERM_WAYS)
				p->due = true; /* the last of them is waited for */
			else
				fate.no_way++;
		}
		flood(r, first, owners, PER_TICK);
	}
	return fate;
}

TEST(flood_eats_itself,
     "the model: a flood takes half-open ways of its own, whatever else is in the table")
{
	static const struct {
		const char *name;
		uint32_t load;
		double gone, no_way; /* at most, percent of a bystander's new flows */
	} cases[] = { { "half full", 50, 1, 0.1 }, { "76 %", 76, 14, 5 }, { "90 %", 90, 60, 35 } },
	  *c;
	struct fate fate;
	struct run r;

	for_each_case(c, cases) {
		run_start(&r, TM_CEILING);
		for (uint32_t owner = 100; owner < 200; owner++)
			establish(&r, (uint8_t)owner, SLOTS / 100 * c->load / 100);
		flood(&r, SMALL, 1, 300000);
		fate = bystander(&r, SMALL, 1, 400);
		printf("# %s, flood at one owner: of a bystander's flows %.2f %% gone before the answer, %.2f %% "
		       "find no way; established lost %llu; of the flood's losses %.1f %% are its own\n",
		       c->name, percent(fate.gone, fate.waited), percent(fate.no_way, fate.asked),
		       (unsigned long long)established_lost(&r),
		       percent(r.t.lost_to_self[0], r.t.replaced[TM_HALF_OPEN]));
		EXPECT_EQ(established_lost(&r), 0);
		EXPECT_LE(percent(fate.gone, fate.waited) * 100, c->gone * 100);
		EXPECT_LE(percent(fate.no_way, fate.asked) * 100, c->no_way * 100);
		EXPECT_GT(percent(r.t.lost_to_self[0], r.t.replaced[TM_HALF_OPEN]), 98);
		tm_end(&r.t);
	}
}

TEST(many_floods, "the model: 50 owners flood at once, and nobody loses an established session")
{
	struct fate fate;
	struct run r;

	for (uint32_t load = 50; load <= 75; load += 25) {
		run_start(&r, TM_CEILING);
		for (uint32_t owner = 100; owner < 200; owner++)
			establish(&r, (uint8_t)owner, SLOTS / 100 * load / 100);
		flood(&r, 10, 50, 300000);
		fate = bystander(&r, 10, 50, 400);
		printf("# %u %% full, floods at 50 owners: of a bystander's flows %.2f %% gone before the answer, "
		       "%.2f %% find no way; established lost %llu\n",
		       load, percent(fate.gone, fate.waited), percent(fate.no_way, fate.asked),
		       (unsigned long long)established_lost(&r));
		EXPECT_EQ(established_lost(&r), 0);
		EXPECT_LE(percent(fate.no_way, fate.asked), 5);
		tm_end(&r.t);
	}
}

/* ---- heavy owners ----------------------------------------------------------------------------------------------- */

TEST(below_share,
     "the model: whoever holds less than 1/64 loses no established session, and none to his own flood")
{
	struct run r;

	for (uint32_t rule = TM_FOUR_TIMES; rule <= TM_CEILING; rule++) {
		run_start(&r, rule);
		for (uint32_t owner = 100; owner < 150; owner++)
			establish(&r, (uint8_t)owner, 1000);
		establish(&r, BIG, 400000);
		flood(&r, BIG, 1, 400000);
		flood(&r, SMALL, 1, 400000);
		flood(&r, 100, 50, 400000);
		EXPECT_EQ(established_lost(&r), r.t.lost[1][BIG]);
		EXPECT_EQ(r.t.lost_to_self[1], 0);
		tm_end(&r.t);
	}
}

struct siege {
	uint64_t lost, no_way;
};

/* One owner fills the table to `load` percent; a flood is charged to another, who has 500 sessions. */
static struct siege besiege(enum tm_rule rule, uint32_t load)
{
	struct siege s;
	struct run r;

	run_start(&r, rule);
	establish(&r, SMALL, 500);
	establish(&r, BIG, load == 100 ? 450000 : (uint32_t)((uint64_t)SLOTS * load / 100));
	r.t.lost[1][BIG] = r.t.full = 0;
	flood(&r, SMALL, 1, 700000);
	s = (struct siege){ r.t.lost[1][BIG], r.t.full };
	EXPECT_EQ(r.t.lost[1][SMALL], 0);
	tm_end(&r.t);
	return s;
}

TEST(siege, "the model: a flood charged to a small owner costs a big one 1/50 of the table at most")
{
	static const uint32_t load[] = { 76, 90, 100 }; /* at 50 nobody loses anything */

	for (size_t i = 0; i < ARRAY_SIZE(load); i++) {
		struct siege four = besiege(TM_FOUR_TIMES, load[i]);
		struct siege all = besiege(TM_FOUR_TIMES_OF_ALL, load[i]);
		struct siege ceiling = besiege(TM_CEILING, load[i]);

		printf("# %u %%: the big one loses %.2f %% of the table; half-open counted too %.2f %%; with the "
		       "ceiling %.2f %% (the flooded one finds no way %.1f %%; %.1f %%; %.1f %%)\n",
		       load[i], percent(four.lost, SLOTS), percent(all.lost, SLOTS),
		       percent(ceiling.lost, SLOTS), percent(four.no_way, 700000),
		       percent(all.no_way, 700000), percent(ceiling.no_way, 700000));
		EXPECT_LE(ceiling.lost, four.lost);
		EXPECT_LE(ceiling.lost, all.lost);
		EXPECT_LE(ceiling.lost, SLOTS / 50);
	}
}
