/* SPDX-License-Identifier: Apache-2.0 */
/* tablemodel.c - see tablemodel.h. Written for the reader, branches and all. Time wraps: ages are differences. */
#include "tablemodel.h"

#include <stdlib.h>
#include <string.h>

#define CROWDED 5 /* living ways */

struct tm_way {
	bool used, established;
	uint8_t owner;
	uint32_t deadline;
	struct tm_key key;
};

struct tm_bucket {
	struct tm_way way[BERM_WAYS];
};

void tm_start(struct tm_table *t, uint32_t buckets, const uint32_t seed[10], enum tm_rule rule)
{
	memset(t, 0, sizeof(*t));
	t->buckets = buckets;
	t->rule = rule;
	t->bucket = calloc(buckets, sizeof(*t->bucket));
	if (!t->bucket)
		abort();
	memcpy(t->seed, seed, sizeof(t->seed));
}

void tm_end(struct tm_table *t)
{
	free(t->bucket);
	t->bucket = NULL;
}

/* ---- where a key may stand ------------------------------------------------------------------------------------ */

static uint64_t hash(const struct tm_table *t, const struct tm_key *key)
{
	uint32_t half[10];
	uint64_t h = 0;

	memcpy(half, key, sizeof(half));
	for (int i = 0; i < 10; i += 2)
		h += (uint64_t)(half[i] + t->seed[i]) * (half[i + 1] + t->seed[i + 1]);
	for (int i = 0; i < 2; i++) {
		h ^= h >> 32;
		h *= 0xd6e8feb86659fd93u;
	}
	return h ^ h >> 32;
}

/* All that the rules want to know of a hash. */
struct spot {
	uint32_t home, other, preferred;
	uint16_t tag;
};

static struct spot spot_of(const struct tm_table *t, const struct tm_key *key)
{
	uint64_t h = hash(t, key);
	uint32_t high = (uint32_t)(h >> 32), step;
	struct spot s = { .home = (uint32_t)((uint64_t)high * t->buckets >> 32),
			  .preferred = (uint32_t)(((h & 0xffffff) * BERM_WAYS) >> 24),
			  .tag = (uint16_t)(high | 1) };

	step = (uint32_t)((uint64_t)(uint32_t)(s.tag * 0x9e3779b1u) * t->buckets >> 32);
	s.other = (step + t->buckets - s.home) % t->buckets;
	return s;
}

void tm_homes(const struct tm_table *t, const struct tm_key *key, uint32_t ret[2])
{
	struct spot s = spot_of(t, key);

	ret[0] = s.home;
	ret[1] = s.other;
}

struct tm_place tm_find(const struct tm_table *t, const struct tm_key *key)
{
	struct spot s = spot_of(t, key);
	uint32_t at[2] = { s.home, s.other };
	const struct tm_way *w;

	for (int i = 0; i < 2; i++) {
		for (uint32_t way = 0; way < BERM_WAYS; way++) {
			w = &t->bucket[at[i]].way[way];
			if (w->used && !memcmp(&w->key, key, sizeof(*key)))
				return (struct tm_place){ at[i], way };
		}
	}
	return (struct tm_place){ s.home, BERM_WAYS };
}

/* ---- who goes ---------------------------------------------------------------------------------------------------- */

static bool is_alive(const struct tm_way *w, uint32_t now)
{
	return w->used && (int32_t)(now - w->deadline) < 0;
}

static enum tm_class class_of(const struct tm_way *w, uint32_t now)
{
	if (!is_alive(w, now))
		return TM_DEAD;
	return w->established ? TM_ESTABLISHED : TM_HALF_OPEN;
}

static uint32_t alive_in(const struct tm_bucket *b, uint32_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < BERM_WAYS; i++)
		n += is_alive(&b->way[i], now);
	return n;
}

/* What its owner holds of its class, as coarse as it is looked at: by 256. The dead have no owner. */
static int32_t weight_of(const struct tm_table *t, const struct tm_way *w, uint32_t now)
{
	return is_alive(w, now) ? t->held[w->established][w->owner] / 256 : 0;
}

/* Above 0: a goes before b. 0: there is nothing to choose between them. */
static int compare(const struct tm_table *t, const struct tm_way *a, const struct tm_way *b,
		   uint32_t now)
{
	int32_t late_a = (int32_t)(now - a->deadline), late_b = (int32_t)(now - b->deadline);
	int32_t d = (int32_t)class_of(a, now) - (int32_t)class_of(b, now);

	if (!d)
		d = weight_of(t, a, now) - weight_of(t, b, now);
	if (d)
		return d;
	return (late_a > late_b) - (late_a < late_b);
}

static uint32_t worst_of(const struct tm_table *t, const struct tm_bucket *b, uint32_t now)
{
	uint32_t worst = 0;

	for (uint32_t i = 1; i < BERM_WAYS; i++)
		if (compare(t, &b->way[i], &b->way[worst], now) >= 0)
			worst = i;
	return worst;
}

static int32_t share(const struct tm_table *t)
{
	return (int32_t)(t->buckets * BERM_WAYS / 64);
}

/* A half-open way of somebody who has more of them than 1/64 of the table. */
static bool is_of_flood(const struct tm_table *t, const struct tm_way *w, uint32_t now)
{
	return class_of(w, now) == TM_HALF_OPEN && weight_of(t, w, now) > share(t) / 256;
}

static bool goes_elsewhere(const struct tm_table *t, const struct spot *s, uint32_t now)
{
	const struct tm_bucket *home = &t->bucket[s->home], *other = &t->bucket[s->other];
	const struct tm_way *here = &home->way[worst_of(t, home, now)];
	const struct tm_way *there = &other->way[worst_of(t, other, now)];

	if (s->home == s->other || alive_in(home, now) < CROWDED || is_of_flood(t, here, now))
		return false;
	if (!is_alive(here, now) && !is_alive(there, now))
		return alive_in(other, now) < alive_in(home, now);
	return compare(t, there, here, now) > 0;
}

static bool may_displace(const struct tm_table *t, uint8_t victim, uint8_t newcomer)
{
	int32_t theirs = t->held[1][victim], mine = t->held[1][newcomer];

	if (t->rule == TM_FOUR_TIMES_OF_ALL)
		mine += t->held[0][newcomer];
	if (t->rule == TM_CEILING && t->held[0][newcomer] > share(t))
		return false;
	return victim != newcomer && theirs >= share(t) && theirs >= 4 * mine;
}

/* ---- what happens ------------------------------------------------------------------------------------------------- */

static void leave(struct tm_table *t, struct tm_way *w, uint8_t newcomer, uint32_t now)
{
	if (!w->used)
		return;
	t->replaced[class_of(w, now)]++;
	t->held[w->established][w->owner]--;
	if (!is_alive(w, now))
		return;
	t->lost[w->established][w->owner]++;
	t->lost_to_self[w->established] += w->owner == newcomer;
}

struct tm_place tm_open(struct tm_table *t, const struct tm_key *key, uint8_t owner, uint32_t now)
{
	struct spot s = spot_of(t, key);
	struct tm_place at = { goes_elsewhere(t, &s, now) ? s.other : s.home, s.preferred };
	struct tm_bucket *b = &t->bucket[at.bucket];
	struct tm_way *w;

	if (is_alive(&b->way[at.way], now))
		at.way = worst_of(t, b, now);
	w = &b->way[at.way];
	if (class_of(w, now) == TM_ESTABLISHED && !may_displace(t, w->owner, owner)) {
		t->full++;
		return (struct tm_place){ at.bucket, BERM_WAYS };
	}
	leave(t, w, owner, now);
	*w = (struct tm_way){
		.used = true, .owner = owner, .deadline = now + t->half_open_ticks, .key = *key
	};
	t->held[0][owner]++;
	t->opened++;
	return at;
}

bool tm_promote(struct tm_table *t, const struct tm_key *key, uint32_t now)
{
	struct tm_place at = tm_find(t, key);
	struct tm_way *w;

	if (at.way == BERM_WAYS)
		return false;
	w = &t->bucket[at.bucket].way[at.way];
	if (!w->established) {
		t->held[0][w->owner]--;
		t->held[1][w->owner]++;
	}
	w->established = true;
	w->deadline = now + t->established_ticks;
	return true;
}
