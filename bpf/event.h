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
	if (is_allowed(p))
		return p->is_new && flags & BERM_NODE_EVENTS_ALLOW;
	return p->reason != BERM_REASON_NOT_FOR_POD; /* bridges flood */
}

/* The port of the side that was spoken to first: the other one changes with every try. */
static __always_inline __be16 event_port(const struct pkt *p)
{
	return p->opener == BERM_EGRESS ? p->flow.peer_port : p->flow.local_port;
}

/* May an event go out? *suppressed: how many did not since the last one. */
static __always_inline bool throttle_admits(const struct pkt *p, enum berm_dir dir, __u32 *suppressed)
{
	__u64 key0 = (__u64)p->cls << 32 | p->slot << 16 | event_port(p);
	__u64 key1 = 1 | dir << 8 | p->reason << 16 | (__u32)p->proto << 24; /* never 0 */
	__u64 mixed = (key0 ^ key1 << 40) * 0x9e3779b97f4a7c15ull;
	__u32 index = (mixed >> 32) % BERM_THROTTLE_ENTRIES;
	struct berm_throttle *t = bpf_map_lookup_elem(&berm_throttle, &index);
	bool admits = true;

	if (!t)
		return true;
	bpf_spin_lock(&t->lock);
	if (t->key[0] == key0 && t->key[1] == key1) {
		admits = clock_is_past(p->now, t->since + cfg_event_ms * cfg_hz / 1000);
		*suppressed = t->suppressed;
	}
	if (admits) {
		t->key[0] = key0;
		t->key[1] = key1;
		t->since = p->now;
		t->suppressed = 0;
	} else {
		t->suppressed++;
	}
	bpf_spin_unlock(&t->lock);
	return admits;
}

static __always_inline void event_fill(struct berm_event *e, const struct pkt *p, enum berm_dir dir)
{
	e->time_ns = bpf_ktime_get_ns();
	e->local = p->flow.local;
	e->peer = p->flow.peer;
	e->local_port = p->flow.local_port;
	e->peer_port = p->flow.peer_port;
	e->ifindex = p->skb->ifindex;
	e->rule = p->rule;
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
}

static __noinline int event_send(struct pkt *p, __u32 dir)
{
	struct berm_counters *c = counters();
	__u32 suppressed = 0;
	struct berm_event *e;

	if (!c)
		return 0;
	if (!throttle_admits(p, dir & 1, &suppressed)) {
		c->stat[BERM_STAT_EVENT_SUPPRESSED]++;
		return 0;
	}
	e = bpf_ringbuf_reserve(&berm_events, sizeof(*e), 0);
	if (!e) {
		c->stat[BERM_STAT_EVENT_LOST]++;
		return 0;
	}
	event_fill(e, p, dir & 1);
	e->suppressed = suppressed;
	e->lost = c->stat[BERM_STAT_EVENT_LOST] - c->stat[BERM_STAT_EVENT_LOST_TOLD];
	c->stat[BERM_STAT_EVENT_LOST_TOLD] = c->stat[BERM_STAT_EVENT_LOST];
	c->stat[BERM_STAT_EVENT_SENT]++;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static __always_inline void event(struct pkt *p, enum berm_dir dir)
{
	if (!cfg_explain && event_is_wanted(p))
		(void)event_send(p, dir);
}

#endif /* BERM_BPF_EVENT_H */
