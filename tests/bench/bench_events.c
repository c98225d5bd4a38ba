/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_events.c - what telling user space costs the packet that is denied, at 200,000 denials a second with a reader
 * at the ring: nothing told, one event a second and key, every single one. And whether the books of events are exact.
 *
 * The kernel's own measure of a test run, in pairs: a batch with events, one without, in turn; medians of their ratios.
 */
#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "datapath.h"
#include "generator.h"

#define POD "10.9.0.1"

#define RATE  200000 /* denials a second */
#define BATCH 2000
#define PAIRS 400 /* 8 s of it */

static const struct packet syn = { .src = "10.64.0.0", .dst = POD, .sport = 1024, .dport = 80 };

struct reader {
	struct datapath *dp;
	pthread_t thread;
	atomic_bool stop;
	int rc;
};

static void *read_events(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop) && r->rc >= 0)
		r->rc = ring_buffer__poll(r->dp->ring, 20);
	(void)ring_buffer__consume(r->dp->ring); /* what came last */
	return NULL;
}

/* The pace: a batch each so many nanoseconds. One that is late does not make the next ones hurry. */
static void wait_for_turn(struct timespec *turn)
{
	const long step = 1000000000L / (RATE / BATCH);
	struct timespec now;

	turn->tv_nsec += step;
	turn->tv_sec += turn->tv_nsec / 1000000000;
	turn->tv_nsec %= 1000000000;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec > turn->tv_sec ||
	    (now.tv_sec == turn->tv_sec && now.tv_nsec > turn->tv_nsec))
		*turn = now;
	else
		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, turn, NULL);
}

static int by_value(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return (d > 0) - (d < 0);
}

static double median(double *value, size_t n)
{
	qsort(value, n, sizeof(*value), by_value);
	return value[n / 2];
}

struct outcome {
	double with, without, ratio; /* ns, ns, medians */
	uint64_t wanted, sent, lost, suppressed, received;
};

static uint32_t batch(struct generator *g, bool events)
{
	const struct flood f = { .packet = &syn,
				 .net = "10.64.0.0",
				 .flows = 100000,
				 .packets = BATCH,
				 .by_peer = true };
	int retval = 0;
	uint32_t ns;

	g->dp->maps.node->flags = BERM_NODE_MISSING_DENY | (events ? BERM_NODE_EVENTS : 0);
	ns = generator_run(g, BERM_INGRESS, &f, &retval);
	ASSERT_EQ(retval, DROPPED);
	return ns;
}

static void measure(struct generator *g, size_t pairs, struct outcome *out)
{
	double *with = calloc(pairs, sizeof(*with)), *without = calloc(pairs, sizeof(*without)),
	       *ratio = calloc(pairs, sizeof(*ratio));
	struct timespec turn;

	ASSERT_TRUE(with && without && ratio);
	clock_gettime(CLOCK_MONOTONIC, &turn);
	for (size_t i = 0; i < pairs; i++) {
		wait_for_turn(&turn);
		with[i] = batch(g, true);
		wait_for_turn(&turn);
		without[i] = batch(g, false);
		ratio[i] = with[i] / without[i];
	}
	out->with = median(with, pairs);
	out->without = median(without, pairs);
	out->ratio = median(ratio, pairs);
	out->wanted = pairs * BATCH;
	free(with);
	free(without);
	free(ratio);
}

static struct outcome run(uint32_t event_ms, size_t pairs)
{
	struct datapath *dp = datapath_load(&(struct datapath_opts){ .event_ms = event_ms });
	struct reader reader = { .dp = dp };
	struct outcome out = { 0 };
	struct generator *g;
	uint32_t slot;

	slot = datapath_pod(dp, &(struct pod){ .ifindex = 1, .addr = { POD } });
	datapath_policy(dp, slot, BERM_INGRESS, NULL, 0);
	g = generator_load(dp, 0);
	ASSERT_EQ(pthread_create(&reader.thread, NULL, read_events, &reader), 0);
	measure(g, pairs, &out);
	atomic_store(&reader.stop, true);
	ASSERT_EQ(pthread_join(reader.thread, NULL), 0);
	out.sent = datapath_stat(dp, BERM_STAT_EVENT_SENT);
	out.lost = datapath_stat(dp, BERM_STAT_EVENT_LOST);
	out.suppressed = datapath_stat(dp, BERM_STAT_EVENT_SUPPRESSED);
	out.received = dp->events;
	generator_free(g);
	datapath_free(dp);
	return out;
}

static void print(const char *name, const struct outcome *o, double limit, const char *note)
{
	bool exact = o->sent + o->lost + o->suppressed == o->wanted && o->received == o->sent;

	printf("{\"bench\":\"%s\",\"value\":%.1f,\"unit\":\"ns\",\"baseline\":%.1f,\"ratio\":%.3f,\"note\":\"%s\"",
	       name, o->with, o->without, o->ratio, note);
	if (limit > 0)
		printf(",\"gate\":\"%s\",\"limit\":%.2f", o->ratio <= limit ? "pass" : "fail",
		       limit);
	printf("}\n{\"bench\":\"%s_unreported\",\"value\":%lld,\"unit\":\"events\",\"baseline\":null,\"ratio\":null,"
	       "\"note\":\"%llu denials: %llu sent and %llu received, %llu lost, %llu suppressed\",\"gate\":\"%s\","
	       "\"limit\":0}\n",
	       name, (long long)(o->wanted - o->sent - o->lost - o->suppressed),
	       (unsigned long long)o->wanted, (unsigned long long)o->sent,
	       (unsigned long long)o->received, (unsigned long long)o->lost,
	       (unsigned long long)o->suppressed, exact ? "pass" : "fail");
	fflush(stdout);
	EXPECT_TRUE(exact);
}

int main(void)
{
	size_t pairs = getenv("BERM_BENCH_SMOKE") ? 20 : PAIRS;
	struct outcome o = run(1000, pairs);

	print("denied_events_throttled", &o, 1.15,
	      "200,000 denials a second, at most one event a second and key; baseline: events off");
	o = run(0, pairs);
	print("denied_events_each", &o, 0, "the same, and every denial is an event");
	return 0;
}
