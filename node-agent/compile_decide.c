// SPDX-License-Identifier: Apache-2.0
/*
 * compile_decide.c - the walk through the stages once more, for connections that have flows: does the flow decide, or
 * something before it? An entry is made only where it does, so that a packet that finds one need not ask what else there
 * is. Knows no kernel.
 *
 * A flow means the packet as the hook sees it: of one to a Service the flow is about the Service's address, and what comes
 * before it is what the rules say of each backend.
 */
#include "compile_matrix.h"

#include "cidr.h"

/* One connection: its flows of this subject's policies, in order of evaluation. */
struct contest {
	const struct compile_flow *first; /* for what they have in common */
	struct berm_numbers flow;	  /* in compiler.flow */
	uint32_t at;			  /* plane << 16 | port that it goes to */
};

struct found {
	uint32_t flow; /* which of the contest's decides, or NONE */
	uint32_t log;  /* the first Log that was met before it, in compiler.rule, or NONE */
};

struct decider {
	struct matrix *m;
	struct contest contest;
	struct berm_numbers key; /* scratch: of a sight */
	struct berm_numbers question;
	struct berm_intern asked; /* class, span, precedences -> */
	BERM_ARRAY(struct found) answer;
};

/* ---- one class ------------------------------------------------------------------------------------------------ */

struct walk {
	uint8_t passed; /* the stage in which a Pass was met */
	size_t next;	/* of the contest's flows */
};

/* The first flow before `limit` that nothing has taken out. */
static uint32_t next_flow(const struct decider *d, struct walk *w, uint32_t limit)
{
	const struct compile_flow *f;

	for (; w->next < d->contest.flow.count; w->next++) {
		f = &d->m->c->flow.item[d->contest.flow.item[w->next]];
		if (f->precedence >= limit)
			return NONE;
		if (f->stage != w->passed && !(f->stage == STAGE_BASELINE && d->m->s->isolated))
			return (uint32_t)w->next;
	}
	return NONE;
}

static struct found walk(const struct decider *d, const struct sight *seen)
{
	const struct compile_subject *s = d->m->s;
	struct found found = { NONE, NONE };
	struct walk w = { 0 };

	for (size_t i = 0; i < s->rule.count; i++) {
		const struct compile_rule *r = &d->m->c->rule.item[s->rule.item[i]];

		found.flow = next_flow(d, &w, r->precedence);
		if (found.flow != NONE)
			return found;
		if (r->stage == w.passed || (r->stage == STAGE_BASELINE && s->isolated) ||
		    !berm_matrix_is_meant(d->m, r, seen, d->contest.at))
			continue;
		if (r->action == BERM_RULE_LOG) {
			found.log = found.log == NONE ? s->rule.item[i] : found.log;
			continue;
		}
		if (r->action != BERM_RULE_PASS)
			return found;
		w.passed = r->stage;
	}
	found.flow = next_flow(d, &w, NONE);
	return found;
}

static int push_question(struct decider *d, uint32_t cls, uint32_t at)
{
	d->question.count = 0;
	if (array_push(&d->question, cls) ||
	    array_push(&d->question, (uint32_t)berm_compile_span_find(d->m->s, at)))
		return -ENOMEM;
	for (size_t i = 0; i < d->contest.flow.count; i++)
		if (array_push(&d->question,
			       d->m->c->flow.item[d->contest.flow.item[i]].precedence))
			return -ENOMEM;
	return 0;
}

/* Rules tell neither connections of one class and span apart, nor flows of one precedence. */
static int ask(struct decider *d, uint32_t cls, uint32_t at, struct found *ret)
{
	struct sight seen;
	uint32_t number = 0;
	int rc = push_question(d, cls, at);

	if (!rc)
		rc = berm_intern(&d->asked, d->question.item,
				 d->question.count * sizeof(*d->question.item), &number);
	if (rc > 0) {
		d->contest.at = at;
		rc = berm_matrix_see(d->m, cls, &d->key, &seen);
		if (!rc)
			rc = array_push(&d->answer, walk(d, &seen));
	}
	if (!rc)
		*ret = d->answer.item[number];
	return rc;
}

/* ---- whom it goes to ---------------------------------------------------------------------------------------------- */

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr)); /* the first member */
}

/* The first prefix that is not before (bits, addr): longest first, then by address. */
static size_t prefix_at(const struct compile_table *t, uint32_t bits, const struct berm_addr *addr)
{
	size_t low = 0, high = t->prefix_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct compile_prefix *p = &t->prefix[mid];

		if (p->bits > bits || (p->bits == bits && cmp_addr(&p->addr, addr) < 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* As the kernel's trie: one search for each length that occurs. */
static uint32_t table_class(const struct compile_table *t, const struct berm_addr *addr)
{
	static const struct berm_addr lowest;
	size_t at = 0;

	while (at < t->prefix_count) {
		uint32_t bits = t->prefix[at].bits;
		struct berm_addr want = berm_addr_network(addr, bits);

		at = prefix_at(t, bits, &want);
		if (at < t->prefix_count && t->prefix[at].bits == bits &&
		    !cmp_addr(&t->prefix[at].addr, &want))
			return t->prefix[at].cls;
		if (!bits)
			break;
		at = prefix_at(t, bits - 1, &lowest);
	}
	return NONE;
}

/* A place that leads elsewhere, if only into the void, or NONE. */
static uint32_t front_at(const struct compiler *c, const struct berm_addr *addr, uint32_t flags,
			 uint32_t at)
{
	const struct berm_frontend *f =
		berm_frontends_find(&c->front, addr, at, flags & BERM_PEER_NODE_FRONTENDS);

	return f ? c->front_cls.item[f - c->front.item.item] : NONE;
}

/* As bpf/peer.h does it. */
static uint32_t class_of(const struct matrix *m, const struct compile_flow *f, uint32_t at)
{
	const struct compiler *c = m->c;
	const struct compile_peer *peer = NULL;
	uint32_t cls = NONE;

	if (c->peer.count)
		peer = bsearch(&f->peer, c->peer.item, c->peer.count, sizeof(*c->peer.item),
			       cmp_addr);
	if (peer && m->s->dir == BERM_EGRESS && peer->flags)
		cls = front_at(c, &f->peer, peer->flags, at);
	if (cls != NONE)
		return cls;
	if (peer)
		return peer->cls;
	if (m->s->table != NONE)
		cls = table_class(&c->table.item[m->s->table], &f->peer);
	if (cls != NONE)
		return cls;
	return berm_compile_is_v4(&f->peer) ? CLASS_WORLD4 : CLASS_WORLD6;
}

static bool is_denying(const struct decider *d, uint32_t which)
{
	const struct compiler *c = d->m->c;

	return c->flow.item[d->contest.flow.item[which]].flow->action != BERM_RULE_ALLOW;
}

/*
 * Nobody knows which backend it will be. A flow that denies is enough at one of them; one that allows decides if all
 * that it does not decide about are allowed anyway. The Log is that of the first backend that has one.
 */
static int ask_backends(struct decider *d, const struct compile_class *front, struct found *ret)
{
	uint32_t allows = NONE, denies = NONE;
	struct found found = { NONE, NONE };
	bool is_denied = false;

	for (size_t i = 0; i < front->backend_count; i++) {
		const struct compile_backend *b = &front->backend[i];

		if (ask(d, b->cls, b->at, &found))
			return -ENOMEM;
		if (ret->log == NONE)
			ret->log = found.log;
		if (found.flow == NONE)
			is_denied |= !berm_matrix_allows(d->m, b->cls, b->at);
		else if (is_denying(d, found.flow))
			denies = denies == NONE ? found.flow : denies;
		else
			allows = allows == NONE ? found.flow : allows;
	}
	ret->flow = denies != NONE ? denies : is_denied ? NONE : allows;
	return 0;
}

/* ---- all of the subject's ------------------------------------------------------------------------------------------- */

static int settle(struct decider *d)
{
	const struct compile_flow *f = d->contest.first;
	struct compiler *c = d->m->c;
	bool out = d->m->s->dir == BERM_EGRESS;
	uint32_t at = (uint32_t)f->plane << 16 | (out ? f->peer_port : f->local_port);
	uint32_t cls = class_of(d->m, f, at), key[] = { VERDICT_FLOW, 0 };
	struct found found = { NONE, NONE };
	struct compile_decided decided;
	int rc = c->cls.item[cls].is_front ? ask_backends(d, &c->cls.item[cls], &found)
					   : ask(d, cls, at, &found);

	if (rc || found.flow == NONE)
		return rc;
	decided.flow = d->contest.flow.item[found.flow];
	key[1] = c->flow.item[decided.flow].name;
	rc = berm_compile_verdict(c, key, ARRAY_SIZE(key), &decided.verdict);
	if (!rc)
		rc = berm_compile_logged(c, found.log, &decided.verdict);
	return rc ? rc : array_push(&d->m->s->decided, decided);
}

static bool is_ours(const struct compile_subject *s, uint32_t policy)
{
	for (size_t i = 0; i < s->policy_count; i++)
		if (s->policy[i] == policy)
			return true;
	return false;
}

static int settle_range(struct decider *d, const struct compile_range *range)
{
	const struct compile_flow *flow = d->m->c->flow.item;
	uint32_t next, end = range->first + range->count;
	int rc = 0;

	for (uint32_t i = range->first; !rc && i < end; i = next) {
		d->contest.first = &flow[i];
		d->contest.flow.count = 0;
		for (next = i; !rc && next < end && berm_compile_same_flow(&flow[i], &flow[next]);
		     next++)
			if (is_ours(d->m->s, flow[next].policy_index))
				rc = array_push(&d->contest.flow, next);
		if (!rc && d->contest.flow.count)
			rc = settle(d);
	}
	return rc;
}

int berm_matrix_decide(struct matrix *m)
{
	struct decider d = { .m = m };
	int rc = 0;

	m->s->decided.count = 0;
	for (size_t i = 0; !rc && i < m->s->flow_count; i++)
		rc = settle_range(&d, &m->s->flow[i]);
	array_free(&d.contest.flow);
	array_free(&d.key);
	array_free(&d.question);
	array_free(&d.answer);
	berm_intern_free(&d.asked);
	return rc;
}
