/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * payload.h - what a session carries: its first payload is shown to app.h, and the answer kept in the session
 * (upper bits of berm_session.rule). Only with cfg_apps. Knows no policy and sends no event.
 *
 * Nothing is put together: a payload that is cut so that no packet begins with enough of it stays unknown.
 */
#ifndef BERM_BPF_PAYLOAD_H
#define BERM_BPF_PAYLOAD_H

/* Is there anything left to find out? One comparison on the way of every packet. */
static __always_inline bool app_is_open(__u32 rule)
{
	return rule < (__u32)BERM_APP_UNKNOWN << BERM_APP_SHIFT;
}

static __always_inline bool has_app(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
}

/* Offset of the payload; 0 = the packet has none. */
static __always_inline __u32 payload_start(const struct pkt *p)
{
	__u32 start = p->l4 + 8;
	__u8 size;

	if (p->proto == IPPROTO_TCP) {
		if (bpf_skb_load_bytes(p->skb, p->l4 + 12, &size, sizeof(size)))
			return 0;
		start = p->l4 + (size >> 4) * 4;
	}
	return start < p->end ? start : 0;
}

#define APP_DATAGRAM 0x1
#define APP_ANSWER   0x2 /* from the side that was asked */

/* enum berm_app, 0 = it does not tell. Global on purpose: the verifier proves it once by itself. */
__noinline int app_of_payload(struct __sk_buff *skb, __u32 off, __u32 len, __u32 how)
{
	__u8 room[APP_LOOK] __attribute__((aligned(8))) = {};
	struct app_bytes b = { room, len < APP_LOOK ? len : APP_LOOK };
	__u32 last = b.len - 1;

	barrier_var(last); /* 1 to APP_LOOK bytes, in words that old verifiers understand */
	last &= APP_LOOK - 1;
	if (!len || bpf_skb_load_bytes(skb, off, room, last + 1))
		return 0;
	if (how & APP_DATAGRAM)
		return app_of_datagram(&b, !(how & APP_ANSWER));
	return app_of_stream(&b, !(how & APP_ANSWER));
}

static __always_inline __u32 app_of(const struct pkt *p, __u32 start, bool is_answer)
{
	__u32 how = (p->proto == IPPROTO_UDP ? APP_DATAGRAM : 0) | (is_answer ? APP_ANSWER : 0);

	return app_of_payload(p->skb, start, p->end - start, how);
}

/* What is known after a packet that says `app`, 0 = it does not tell. */
static __always_inline __u32 app_next(__u32 rule, __u32 app)
{
	__u32 before = BERM_APP_OF(rule);

	if (app)
		return app;
	return (before & 3) == 3 ? BERM_APP_UNKNOWN : before + 1;
}

/* Written once: whoever comes second, on another CPU or with the same segment again, finds it closed. */
static __always_inline void app_write(struct pkt *p, __u32 app)
{
	struct berm_bucket *b = p->bucket;
	__u32 way = p->way, rule;

	barrier_var(way);
	if (!b || way >= BERM_WAYS)
		return;
	if (cfg_explain) {
		p->rule = (p->rule & BERM_RULE_ID) | app_next(p->rule, app) << BERM_APP_SHIFT;
		return;
	}
	bpf_spin_lock(&b->lock);
	rule = b->way[way].rule;
	if (b->tag[way] == hash_tag(p->hash) && session_is(&b->way[way], &p->flow, p->hash) &&
	    app_is_open(rule)) {
		app = app_next(rule, app);
		rule = (rule & BERM_RULE_ID) | app << BERM_APP_SHIFT;
		WRITE(b->way[way].rule, rule);
		p->rule = rule;
		p->is_new = app >= BERM_APP_UNKNOWN && app != BERM_APP_NONE;
	}
	bpf_spin_unlock(&b->lock);
}

/* A packet of a session of which it is not known yet. p->is_new: now it is. */
static __noinline int app_meet(struct pkt *p, __u32 is_answer)
{
	__u32 start;

	if (!has_app(p)) {
		app_write(p, BERM_APP_NONE);
		return 0;
	}
	start = payload_start(p);
	if (start)
		app_write(p, app_of(p, start, is_answer));
	return 0;
}

/* The packet that opens a session: what is to be written into it beside the rule. */
static __noinline int app_open(struct pkt *p)
{
	__u32 start, app = 0;

	if (!has_app(p)) {
		app = BERM_APP_NONE;
	} else if (tcp_is_middle(p)) {
		app = BERM_APP_UNKNOWN; /* who knows what was said before */
	} else {
		start = payload_start(p);
		if (start)
			app = app_of(p, start, false);
		if (start && !app)
			app = 1;
	}
	return app;
}

#endif /* BERM_BPF_PAYLOAD_H */
