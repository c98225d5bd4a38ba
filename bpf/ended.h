/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ended.h - tell user space what a session has carried when it has left the table. Whoever takes a way from it copies it
 * out under the bucket's lock and comes here afterwards: each one is told of once, or counted as lost.
 */
#ifndef BERM_BPF_ENDED_H
#define BERM_BPF_ENDED_H

static __always_inline void ended_fill(struct berm_ended *e, const struct berm_session *s)
{
	__u32 slot = s->slot % BERM_MAX_ENDPOINTS;

	e->time_ns = bpf_ktime_get_ns();
	e->peer = s->peer;
	e->local_port = s->local_port;
	e->peer_port = s->peer_port;
	e->iface = s->iface;
	e->rule = s->rule;
	e->packets[0] = s->packets[0];
	e->packets[1] = s->packets[1];
	e->bytes[0] = s->bytes[0];
	e->bytes[1] = s->bytes[1];
	e->slot = s->slot;
	e->state = s->state;
	e->is_stale = (__u32)(s->word >> 32) != READ(berm_node.epoch[slot]);
	e->pad[0] = e->pad[1] = e->pad[2] = 0;
}

static __noinline int ended_send(const struct berm_session *s, __u32 cause)
{
	struct berm_counters *c = counters();
	struct berm_ended *e;

	if (!c)
		return 0;
	e = bpf_ringbuf_reserve(&berm_ended, sizeof(*e), 0);
	if (!e) {
		c->stat[BERM_STAT_ENDED_LOST]++;
		return 0;
	}
	ended_fill(e, s);
	e->cause = cause;
	e->lost = c->stat[BERM_STAT_ENDED_LOST] - c->stat[BERM_STAT_ENDED_LOST_TOLD];
	c->stat[BERM_STAT_ENDED_LOST_TOLD] = c->stat[BERM_STAT_ENDED_LOST];
	c->stat[BERM_STAT_ENDED_SENT]++;
	bpf_ringbuf_submit(e, 0);
	return 0;
}

static __always_inline void ended(const struct berm_session *s, __u32 cause)
{
	if (READ(berm_node.flags) & BERM_NODE_EVENTS)
		(void)ended_send(s, cause);
}

#endif /* BERM_BPF_ENDED_H */
