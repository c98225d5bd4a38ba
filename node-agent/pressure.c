/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.c - reads the session table in slices, counts what lives in it, and has what is over swept if somebody waits for it. Takes no lock: a way that is being written
 * may be counted as its predecessor, which a count every 15 s does not mind.
 */
#include "pressure.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "agent.h"
#include "cleanup.h"
#include "jiffies.h"
#include "loader.h"
#include "log.h"

#define SLICE_MS  200
#define SLICES	  60  /* in which a table is read, at that pace; leaves time to spare of the 15 s */
#define MIN_SLICE 256 /* buckets */
#define MAX_SLICE 4096 /* 2 MiB, some 2 ms: a table of a million sessions takes longer than 15 s */
#define REST_TIMES                                                                                 \
	256 /* a slice is followed by so many times what it took: at most 0.4 % of a core... */
#define REST_MS	   1000 /* ...but a look takes no more than a minute */
#define FIRST_MS   1	/* between the slices of the first look, which somebody may wait for */
#define US_PER_SEC 1000000

#define MAX_ORPHANS 64 /* interfaces; the rest are found by the next look */
#define LOCK_MS	    100

struct counts {
	uint64_t half_open, established, expired;
	uint64_t cpu_us;
	struct berm_slot_load slot[BERM_MAX_ENDPOINTS];
};

struct berm_pressure {
	struct berm_agent *agent;
	uv_timer_t timer;
	struct berm_bucket *buckets; /* of a slice */
	uint32_t *keys;
	uint32_t slice;	   /* buckets */
	uint32_t next;	   /* bucket to begin with */
	uint64_t begun_ms; /* this look, uv clock */
	uint32_t begun_jiffies, hz;
	struct counts now;
	uint32_t orphan[MAX_ORPHANS]; /* interfaces of sessions whose pod has gone */
	size_t orphan_count;
	bool has_looked, has_failed;
	struct berm_pressure_view last;
};

static void on_slice(uv_timer_t *timer);

static uint64_t cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * US_PER_SEC + (uint64_t)ts.tv_nsec / 1000;
}

/* ---- counting --------------------------------------------------------------------------------------------------------- */

/* DEL is counted in microseconds, so it leaves the sessions to us. */
static void note_orphan(struct berm_pressure *p, uint32_t ifindex)
{
	for (size_t i = 0; i < p->orphan_count; i++)
		if (p->orphan[i] == ifindex)
			return;
	if (p->orphan_count < MAX_ORPHANS)
		p->orphan[p->orphan_count++] = ifindex;
}

static void count_way(struct counts *c, const struct berm_bucket *b, int way, uint32_t jiffies)
{
	struct berm_slot_load *slot = &c->slot[b->way[way].slot & BERM_SESSION_SLOT];

	if (!b->tag[way])
		return;
	if ((int32_t)(b->deadline[way] - jiffies) <= 0) {
		c->expired++;
	} else if (b->state[way] & BERM_SESSION_ESTABLISHED) {
		c->established++;
		slot->established++;
	} else {
		c->half_open++;
		slot->half_open++;
	}
}

/* Whoever wants to know what sessions have carried does not wait until another one needs the way. */
static void sweep_slice(struct berm_pressure *p, uint32_t count, uint64_t expired)
{
	struct berm_err err = { 0 };

	if (!p->agent->opts.sessions.report_ended || !expired)
		return;
	if (berm_sweep_expired(p->next, count, &err) < 0 && !p->has_failed) {
		p->has_failed = true;
		berm_log(BERM_LOG_WARNING, "sessions-not-swept", "error=\"%s\"", err.msg);
	}
}

static bool is_orphan(const struct berm_pressure *p, const struct berm_session *s)
{
	return p->agent->maps.endpoints[s->slot & BERM_SESSION_SLOT].ifindex != s->iface >> 8;
}

static void count_buckets(struct berm_pressure *p, uint32_t count)
{
	uint64_t since_ms = uv_now(&p->agent->loop) - p->begun_ms;
	uint32_t jiffies = p->begun_jiffies + (uint32_t)(since_ms * p->hz / 1000);

	for (uint32_t i = 0; i < count; i++)
		for (int way = 0; way < BERM_WAYS; way++) {
			const struct berm_bucket *b = &p->buckets[i];

			count_way(&p->now, b, way, jiffies);
			if (b->tag[way] && is_orphan(p, &b->way[way]))
				note_orphan(p, b->way[way].iface >> 8);
		}
}

/* Returns how many buckets were read, 0 at the end of the table. */
static int read_slice(struct berm_pressure *p, struct berm_err *err)
{
	uint32_t count = p->slice, before = p->next - 1, out;

	/* A batch begins behind the key that it is given (kernel/bpf/syscall.c, generic_map_lookup_batch). */
	if (bpf_map_lookup_batch(p->agent->maps.fd[BERM_MAP_sessions], p->next ? &before : NULL,
				 &out, p->keys, p->buckets, &count, NULL) &&
	    errno != ENOENT)
		return berm_fail(err, -errno, "read the session table");
	return (int)count;
}

/* Under the lock: an ADD may have been given this very index meanwhile. */
static long sweep_orphan(struct berm_pressure *p, uint32_t ifindex, struct berm_err *err)
{
	auto_close int lock = -1;
	uint32_t slot;
	int rc = berm_lock_take(LOCK_MS, &lock, err);

	if (rc || !berm_slot_of(&p->agent->maps, ifindex, &slot))
		return rc;
	return berm_sweep(&p->agent->maps, ifindex, err);
}

/* One with each slice: each is a walk through the table. */
static void sweep_an_orphan(struct berm_pressure *p)
{
	struct berm_err err = { 0 };
	uint32_t ifindex;
	long freed;

	if (!p->orphan_count)
		return;
	ifindex = p->orphan[--p->orphan_count];
	freed = sweep_orphan(p, ifindex, &err);
	if (freed < 0)
		berm_log(BERM_LOG_WARNING, "sessions-not-swept", "ifindex=%u error=\"%s\"", ifindex,
			 err.msg);
	else
		berm_log(BERM_LOG_DEBUG, "sessions-swept", "ifindex=%u sessions=%ld", ifindex,
			 freed);
}

/* ---- telling ------------------------------------------------------------------------------------------------------------ */

static uint32_t load_of(const struct berm_slot_load *slot)
{
	return slot->half_open + slot->established;
}

/* Puts it where it belongs among the greatest. */
static void top_add(struct berm_pressure_view *view, const struct berm_slot_load *slot)
{
	size_t at = BERM_PRESSURE_TOP;

	while (at && load_of(&view->top[at - 1]) < load_of(slot))
		at--;
	if (at == BERM_PRESSURE_TOP)
		return;
	memmove(&view->top[at + 1], &view->top[at],
		(BERM_PRESSURE_TOP - 1 - at) * sizeof(view->top[0]));
	view->top[at] = *slot;
}

static void tell_level(const struct berm_pressure_view *view, enum berm_level before)
{
	enum berm_log_level severity = view->level > before ? BERM_LOG_WARNING : BERM_LOG_INFO;

	if (view->level != before)
		berm_log(severity, "session-table",
			 "pressure=%s before=%s load=%.0f%% sessions=%llu half-open=%llu room=%llu slot=%u has=%u",
			 berm_level_name(view->level), berm_level_name(before), 100 * view->load,
			 (unsigned long long)view->established + view->half_open,
			 (unsigned long long)view->half_open, (unsigned long long)view->room,
			 view->top[0].slot, load_of(&view->top[0]));
}

static void finish(struct berm_pressure *p)
{
	struct berm_pressure_view view = {
		.half_open = p->now.half_open,
		.established = p->now.established,
		.expired = p->now.expired,
		.room = (uint64_t)p->agent->maps.buckets * BERM_WAYS,
		.at_ms = uv_now(&p->agent->loop),
		.cpu_us = p->now.cpu_us,
	};

	view.load = (double)(view.half_open + view.established) / (double)view.room;
	view.level = berm_level_of(view.load, p->last.level);
	for (uint32_t slot = 0; slot < BERM_MAX_ENDPOINTS; slot++) {
		p->now.slot[slot].slot = slot;
		if (load_of(&p->now.slot[slot]))
			top_add(&view, &p->now.slot[slot]);
	}
	tell_level(&view, p->last.level);
	p->last = view;
	p->has_looked = true;
	p->has_failed = false;
}

/* ---- when ---------------------------------------------------------------------------------------------------------------- */

static void look_later(struct berm_pressure *p)
{
	uint64_t took_ms = uv_now(&p->agent->loop) - p->begun_ms;
	uint64_t wait_ms = took_ms < BERM_PRESSURE_EVERY_MS ? BERM_PRESSURE_EVERY_MS - took_ms
							    : SLICE_MS;

	p->next = 0;
	uv_timer_start(&p->timer, on_slice, wait_ms, 0);
}

static int begin(struct berm_pressure *p, struct berm_err *err)
{
	memset(&p->now, 0, sizeof(p->now));
	p->begun_ms = uv_now(&p->agent->loop);
	return berm_jiffies_read(&p->begun_jiffies, &p->hz, err);
}

/* Once, not every 15 s: the last good look stays what is told. */
static void fail(struct berm_pressure *p, const struct berm_err *err)
{
	if (!p->has_failed)
		berm_log(BERM_LOG_WARNING, "session-table-not-read", "error=\"%s\"", err->msg);
	p->has_failed = true;
	look_later(p);
}

/* Until the next slice. */
static uint64_t rest_ms(const struct berm_pressure *p, uint64_t took_us)
{
	uint64_t ms = took_us * REST_TIMES / 1000;

	if (!p->has_looked)
		return FIRST_MS;
	ms = ms < REST_MS ? ms : REST_MS;
	return ms > SLICE_MS ? ms : SLICE_MS;
}

static void on_slice(uv_timer_t *timer)
{
	struct berm_pressure *p = timer->data;
	struct berm_err err = { 0 };
	uint64_t before = cpu_us(), expired = p->now.expired, took_us;
	int count = p->next ? 0 : begin(p, &err);

	sweep_an_orphan(p);
	if (p->next == 0)
		expired = 0;
	if (!count)
		count = read_slice(p, &err);
	if (count < 0) {
		fail(p, &err);
		return;
	}
	count_buckets(p, (uint32_t)count);
	sweep_slice(p, (uint32_t)count, p->now.expired - expired);
	p->next += (uint32_t)count;
	took_us = cpu_us() - before;
	p->now.cpu_us += took_us;
	if (count && p->next < p->agent->maps.buckets) {
		uv_timer_start(timer, on_slice, rest_ms(p, took_us), 0);
		return;
	}
	finish(p);
	look_later(p);
}

int berm_pressure_start(struct berm_agent *agent, struct berm_pressure **ret, struct berm_err *err)
{
	struct berm_pressure *p = calloc(1, sizeof(*p));

	if (!p)
		return berm_fail(err, -ENOMEM, "watch the session table");
	p->agent = agent;
	p->slice = agent->maps.buckets / SLICES;
	p->slice = p->slice < MIN_SLICE ? MIN_SLICE : p->slice > MAX_SLICE ? MAX_SLICE : p->slice;
	p->buckets = malloc(p->slice * sizeof(*p->buckets));
	p->keys = malloc(p->slice * sizeof(*p->keys));
	if (!p->buckets || !p->keys) {
		berm_pressure_free(p);
		return berm_fail(err, -ENOMEM, "watch the session table");
	}
	uv_timer_init(&agent->loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_slice, FIRST_MS, 0);
	*ret = p;
	return 0;
}

void berm_pressure_stop(struct berm_pressure *pressure)
{
	if (pressure)
		uv_close((uv_handle_t *)&pressure->timer, NULL);
}

void berm_pressure_free(struct berm_pressure *pressure)
{
	if (!pressure)
		return;
	free(pressure->buckets);
	free(pressure->keys);
	free(pressure);
}

bool berm_pressure_view(const struct berm_pressure *pressure, struct berm_pressure_view *ret)
{
	if (!pressure || !pressure->has_looked)
		return false;
	*ret = pressure->last;
	return true;
}
