/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* handle.h - the steps of the data path in their order. The order is what this file knows, nothing else. */
#ifndef BERM_BPF_HANDLE_H
#define BERM_BPF_HANDLE_H

#include "maps.h"
#include "clock.h"
#include "bucket.h"
#include "pkt.h"
#include "account.h"
#include "tcp.h"
#define app_blur(x) unknown_here(x)
#include "app.h"
#include "payload.h"
#include "ended.h"
#include "session.h"
#include "peer.h"
#include "fragment.h"
#include "guard.h"
#include "related.h"
#include "policy.h"
#include "wanted.h"
#include "limit.h"
#include "audit.h"
#include "event.h"
#include "reject.h"
#include "sample.h"
#include "sweep.h"
#include "move.h"

static __always_inline bool slot_is_of(__u32 slot, __u32 ifindex)
{
	struct berm_endpoint *ep = bpf_map_lookup_elem(&berm_endpoints, &slot);

	return ep && READ(ep->ifindex) == ifindex;
}

/* The slot of an interface, 0 = none. Global: the verifier proves it once. */
__noinline int slot_ask(__u32 ifindex)
{
	__u32 *found = bpf_map_lookup_elem(&berm_ifaces, &ifindex), slot;

	if (!found)
		return 0;
	slot = READ(*found) % BERM_MAX_ENDPOINTS;
	if (!cfg_explain)
		WRITE(iface_hot[ifindex % IFACE_HOT], (__u64)ifindex << 32 | slot);
	return slot;
}

/*
 * The same. What berm_ifaces has said is remembered beside the programs, for a look-up in a hash is a tenth of what a
 * denied packet costs. It is believed only while the endpoint names this very interface, so a slot that was given up,
 * or to another, is asked for again.
 */
static __always_inline __u32 slot_find(__u32 ifindex)
{
	__u64 hot = READ(iface_hot[ifindex % IFACE_HOT]);
	__u32 slot = (__u32)hot % BERM_MAX_ENDPOINTS;

	if (hot >> 32 == ifindex && slot_is_of(slot, ifindex))
		return slot;
	return (__u32)slot_ask(ifindex) % BERM_MAX_ENDPOINTS;
}

/* The pod behind this interface. The epoch is read before anything that it covers. */
static __always_inline bool endpoint_find(struct pkt *p)
{
	__u32 ifindex = p->skb->ifindex,
	      slot = unknown_here(slot_find(ifindex)); /* the ways meet */

	slot %= BERM_MAX_ENDPOINTS;
	p->slot = slot;
	p->epoch = READ(berm_node.epoch[slot]);
	p->ep = bpf_map_lookup_elem(&berm_endpoints, &p->slot);
	if (p->slot && p->ep && READ(p->ep->ifindex) == ifindex)
		return true;
	p->slot = 0;
	verdict_set(p,
		    READ(berm_node.flags) & BERM_NODE_MISSING_DENY ? BERM_ACTION_DENY
								   : BERM_ACTION_ALLOW,
		    BERM_REASON_MISSING_STATE);
	return false;
}

/* The slow path: the first packet of a flow, and whatever is denied. */
static __always_inline void judge(struct pkt *p, enum berm_dir dir)
{
	pkt_forget(p);
	if (answer_passes(p) || !endpoint_find(p))
		return;
	session_inspect(p, dir);
	if (!guard_decides(p, dir) && !related_admits(p, dir))
		policy_decide(p, dir);
	wanted_decide(p);
	pkt_forget(p);
	if (p->found == SESSION_STALE && p->hit &&
	    !is_allowed(p)) { /* by a rule: no guard has said so */
		(void)session_denied(p);
		pkt_forget(p);
	}
	limit(p);
	if (p->reason != BERM_REASON_OWN_ADDRESS && p->reason != BERM_REASON_LINK_LOCAL)
		session_remember(p, dir);
	if (cfg_apps)
		wanted_told(p);
	audit(p);
	if (!cfg_explain)
		account_rule(p);
}

/* A session that was judged again because of what it carries is not new. */
static __always_inline void tell(struct pkt *p, enum berm_dir dir)
{
	if (!cfg_apps || p->found != SESSION_STALE || !is_allowed(p)) {
		event(p, dir);
		return;
	}
	app_tell(p, dir);
}

static __always_inline void explain(const struct pkt *p)
{
	p->skb->cb[BERM_CB_REASON] = p->reason | p->action << 8;
	p->skb->cb[BERM_CB_RULE] = p->rule & BERM_RULE_ID;
	p->skb->cb[BERM_CB_CLASS] = p->cls;
	audit_explain(p);
}

static __always_inline int handle(struct __sk_buff *skb, enum berm_dir dir)
{
	struct pkt p = { .skb = skb, .now = clock_now(), .opener = dir };

	pkt_parse(&p, dir);
	if (p.kind == PKT_MALFORMED) {
		deny(&p, BERM_REASON_MALFORMED);
		event(&p, dir);
	} else if (!session_admits(&p, dir)) {
		judge(&p, dir);
		tell(&p, dir);
	} else {
		app_tell(&p, dir);
	}
	if (is_first_fragment(&p) && is_allowed(&p) && !cfg_explain)
		(void)fragment_remember(&p, dir);
	if (cfg_explain)
		explain(&p);
	else
		account(&p, dir);
	if (is_allowed(&p))
		return VERDICT_NEXT;
	if (p.action != BERM_ACTION_REJECT || cfg_explain)
		return VERDICT_DROP;
	return reject(skb, dir | (p.flags & PKT_RESETS ? REJECT_BOTH : 0), p.slot);
}

#endif /* BERM_BPF_HANDLE_H */
