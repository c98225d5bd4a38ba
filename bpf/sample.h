/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sample.h - tell user space what a session has turned out to carry; of TLS and HTTP with the payload that
 * said so, which names the server. Counted and throttled as every event is (event.h).
 */
#ifndef BERM_BPF_SAMPLE_H
#define BERM_BPF_SAMPLE_H

/* Sessions to one port are not told one by one: so many of them in an interval, by their hash. */
#define SAMPLES_AT_ONCE 16
#define SAMPLE_CLASS	0xffff0000u /* no peer has it */

static __always_inline void sample_fill(struct berm_sample *s, const struct pkt *p)
{
	__u32 start = payload_start(p), len = p->end - start, last;

	if (len > BERM_SAMPLE_MAX)
		len = BERM_SAMPLE_MAX;
	last = len - 1;
	barrier_var(last);
	last &= BERM_SAMPLE_MAX - 1;
	s->len = start && !bpf_skb_load_bytes(p->skb, start, s->data, last + 1) ? len : 0;
	s->pad = 0;
}

static __noinline int sample_send(struct pkt *p, __u32 dir)
{
	struct berm_counters *c = counters();
	struct berm_sample *s;
	__u32 suppressed;

	if (!c)
		return 0;
	p->cls = SAMPLE_CLASS | (p->hash & (SAMPLES_AT_ONCE - 1));
	if (throttle_holds(p, dir & 1))
		return 0;
	suppressed = throttle_open(p, dir & 1);
	s = bpf_ringbuf_reserve(&berm_events, sizeof(*s), 0);
	if (!s) {
		c->stat[BERM_STAT_EVENT_LOST]++;
		return 0;
	}
	p->cls = BERM_CLASS_NONE; /* not looked up */
	event_fill(&s->event, p, dir & 1);
	sample_fill(s, p);
	s->event.suppressed = suppressed;
	event_account(&s->event, c);
	bpf_ringbuf_submit(s, 0);
	return 0;
}

/* After a packet that has ridden on a session. */
static __always_inline void app_tell(struct pkt *p, enum berm_dir dir)
{
	__u32 wanted = BERM_NODE_EVENTS | BERM_NODE_EVENTS_ALLOW;

	if (cfg_apps && p->is_new && (READ(berm_node.flags) & wanted) == wanted)
		(void)sample_send(p, dir);
}

#endif /* BERM_BPF_SAMPLE_H */
