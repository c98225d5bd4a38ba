/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * event.h - tell user space what was denied (and, if it asks, what was newly allowed), at most once per
 * (endpoint, class, port, reason) and interval. Every verdict that wanted an event is counted exactly once
 * as sent, lost or suppressed, per CPU; the throttle's own counts only help the reader of one event.
 */
#ifndef BERM_BPF_EVENT_H
#define BERM_BPF_EVENT_H

static __always_inline bool event_is_wanted(const struct pkt *p)
{
	__u32 flags = READ(berm_node.flags);

	if (!(flags & BERM_NODE_EVENTS))
		return false;
	if (p->would || p->flags & PKT_LOGGED)
		return true;
	if (is_allowed(p))
		return p->is_new && flags & BERM_NODE_EVENTS_ALLOW;
	return p->reason != BERM_REASON_NOT_FOR_POD; /* bridges flood */
}

/* The port of the side that was spoken to first: the other one changes with every try. */
static __always_inline __be16 event_port(const struct pkt *p)
{
	return p->opener == BERM_EGRESS ? p->flow.peer_port : p->flow.local_port;
}

struct throttle_key {
	__u64 what;  /* class (or peer), slot, port */
	__u64 which; /* direction, reason, protocol; never 0 */
};

static __always_inline bool throttle_is(const struct berm_throttle *t, const struct throttle_key *k)
{
	return READ(t->key[0]) == k->what && READ(t->key[1]) == k->which;
}

static __always_inline bool throttle_is_over(const struct berm_throttle *t, __u32 now)
{
	return clock_is_past(now, READ(t->since) + cfg_event_ms * cfg_hz / 1000);
}

/* The interval begins anew. How many verdicts of this key were kept back in the last one. */
static __always_inline __u32 throttle_restart(struct berm_throttle *t, const struct throttle_key *k,
					      __u32 now)
{
	__u32 suppressed = 0;

	bpf_spin_lock(&t->lock);
	if (throttle_is(t, k))
		suppressed = READ(t->suppressed);
	else
		WRITE(t->suppressed, 0);
	WRITE(t->key[0], k->what);
	WRITE(t->key[1], k->which);
	WRITE(t->since, now);
	bpf_spin_unlock(&t->lock);
	ADD(t->suppressed, -suppressed); /* not "= 0": others count without the lock */
	return suppressed;
}

/* Who it is about: the class, and where an exact flow has decided, so that nobody has asked for one, the address. Only
 * there: the peers of what a guard drops may be anybody, and each would have an event. */
static __always_inline __u32 event_peer(const struct pkt *p)
{
	const word64 *peer = (const word64 *)&p->flow.peer;
	__u64 both = peer[0] ^ peer[1];

	if (p->cls != BERM_CLASS_NONE || !p->hit)
		return p->cls;
	return (both ^ both >> 32) * 0x9e3779b97f4a7c15ull >> 32;
}

static __always_inline struct berm_throttle *throttle_find(const struct pkt *p, enum berm_dir dir,
							   struct throttle_key *ret_key)
{
	struct throttle_key k = {
		.what = (__u64)event_peer(p) << 32 | p->slot << 16 | event_port(p),
		.which = 1 | dir << 8 | p->reason << 16 | (__u32)p->proto << 24 |
			 (__u64) !!p->would << 32 | (__u64)(p->flags & PKT_LOGGED) << 33,
	};
	__u32 index =
		((k.what ^ k.which << 40) * 0x9e3779b97f4a7c15ull >> 32) % BERM_THROTTLE_ENTRIES;

	*ret_key = k;
	return bpf_map_lookup_elem(&berm_throttle, &index);
}

/* Has there been an event of this key a moment ago? Then this one is counted, and that is all: what nearly every
 * denied packet of a flood goes through, so without a call (a return costs 10 ns where returns are mitigated). */
static __always_inline bool throttle_holds(const struct pkt *p, enum berm_dir dir)
{
	struct throttle_key k;
	struct berm_throttle *t = throttle_find(p, dir, &k);

	if (!t || !throttle_is(t, &k) || throttle_is_over(t, p->now))
		return false;
	ADD(t->suppressed, 1);
	account_stat(BERM_STAT_EVENT_SUPPRESSED);
	return true;
}

/* An event goes out. How many did not since the last one. */
static __always_inline __u32 throttle_open(const struct pkt *p, enum berm_dir dir)
{
	struct throttle_key k;
	struct berm_throttle *t = throttle_find(p, dir, &k);

	return t ? throttle_restart(t, &k, p->now) : 0;
}

static __always_inline void event_fill(struct berm_event *e, const struct pkt *p, enum berm_dir dir)
{
	e->time_ns = bpf_ktime_get_ns();
	e->local = p->flow.local;
	e->peer = p->flow.peer;
	e->local_port = p->flow.local_port;
	e->peer_port = p->flow.peer_port;
	e->ifindex = p->skb->ifindex;
	e->rule = p->rule & BERM_RULE_ID;
	e->cls = p->cls;
	e->epoch = p->epoch;
	e->len = p->skb->len;
	e->slot = p->slot;
	e->proto = p->proto;
	e->dir = dir;
	e->action = p->action;
	e->reason = p->reason;
	e->tcp_flags = p->tcp_flags;
	e->is_reply = p->opener != dir;
	e->app = BERM_APP_OF(p->rule);
	e->pad = 0;
	audit_tell(e, p);
}

/* It goes out: counted, with what could not go before. */
static __always_inline void event_account(struct berm_event *e, struct berm_counters *c)
{
	e->lost = c->stat[BERM_STAT_EVENT_LOST] - c->stat[BERM_STAT_EVENT_LOST_TOLD];
	c->stat[BERM_STAT_EVENT_LOST_TOLD] = c->stat[BERM_STAT_EVENT_LOST];
	c->stat[BERM_STAT_EVENT_SENT]++;
}

static __noinline int event_send(struct pkt *p, __u32 dir)
{
	struct berm_counters *c = counters();
	struct berm_event *e;
	__u32 suppressed;

	if (!c)
		return 0;
	suppressed = throttle_open(p, dir & 1);
	e = bpf_ringbuf_reserve(&berm_events, sizeof(*e), 0);
	if (!e) {
		c->stat[BERM_STAT_EVENT_LOST]++;
		return 0;
	}
	event_fill(e, p, dir & 1);
	e->suppressed = suppressed;
	event_account(e, c);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static __always_inline void event(struct pkt *p, enum berm_dir dir)
{
	if (!cfg_explain && event_is_wanted(p) && !throttle_holds(p, dir))
		(void)event_send(p, dir);
}

#endif /* BERM_BPF_EVENT_H */
