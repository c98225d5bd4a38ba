// SPDX-License-Identifier: Apache-2.0
/*
 * diff_flow.c - exact flows (docs/policy.md, "Exact flows"): those that either side has, each judged as the very connection that it
 * is about. One that differs as its ports do in general is no edge of its own. Knows no groups.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "differ.h"

struct line { /* a connection, seen from nobody's end */
	struct berm_addr src, dst;
	uint16_t sport, dport; /* of the host */
	uint32_t proto;
};

struct owner {
	struct berm_addr addr;
	size_t endpoint;
};

struct flows {
	BERM_ARRAY(struct line) line;
	struct owner *owner; /* sorted by address */
	size_t owner_count;
};

/* ---- which there are ---------------------------------------------------------------------------------------- */

static bool is_own(const struct berm_local_endpoint *ep, const struct berm_addr *addr)
{
	for (size_t i = 0; i < ep->addr_count; i++)
		if (!memcmp(&ep->addr[i], addr, sizeof(*addr)))
			return true;
	return false;
}

static int take(struct berm_differ *d, struct flows *f, const struct berm_flow_key *key, int dir)
{
	bool is_out = dir == BERM_EGRESS;

	if (f->line.count == BERM_DIFF_FLOWS) {
		d->is_cut = true;
		return 0;
	}
	return array_push(&f->line,
			  (struct line){
				  .src = is_out ? key->local : key->peer,
				  .dst = is_out ? key->peer : key->local,
				  .sport = ntohs(is_out ? key->local_port : key->peer_port),
				  .dport = ntohs(is_out ? key->peer_port : key->local_port),
				  .proto = key->proto,
			  });
}

static const struct berm_plan_flows *flows_of(const struct berm_plan *plan, uint32_t set)
{
	uint32_t at = set == DIFF_NONE ? DIFF_NONE : plan->set[set].flows;

	return at == DIFF_NONE ? NULL : &plan->flows[at];
}

static int take_end(struct berm_differ *d, struct flows *f, size_t endpoint, enum diff_side side)
{
	const struct berm_plan *plan = d->trial[side].plan;
	const struct berm_plan_endpoint *ep = &plan->endpoint[endpoint];
	int rc = 0;

	for (int dir = 0; dir < BERM_DIR_COUNT; dir++) {
		const struct berm_plan_flows *both[] = { flows_of(plan, ep->set[dir]),
							 flows_of(plan, ep->would[dir]) };

		for (size_t w = 0; w < ARRAY_SIZE(both); w++)
			for (size_t i = 0; !rc && both[w] && i < both[w]->count; i++)
				if (is_own(&d->endpoint[endpoint], &both[w]->item[i].key.local))
					rc = take(d, f, &both[w]->item[i].key, dir);
	}
	return rc;
}

static int by_content(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct line));
}

static int by_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static int gather(struct berm_differ *d, struct flows *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->endpoint_count; i++)
		for (int side = 0; side < DIFF_SIDES; side++)
			if (take_end(d, f, i, side))
				return -ENOMEM;
	if (f->line.count)
		qsort(f->line.item, f->line.count, sizeof(*f->line.item), by_content);
	for (size_t i = 0; i < f->line.count; i++)
		if (!kept || by_content(&f->line.item[kept - 1], &f->line.item[i]) != 0)
			f->line.item[kept++] = f->line.item[i];
	f->line.count = kept;
	return 0;
}

static int list_owners(const struct berm_differ *d, struct flows *f)
{
	f->owner = calloc(d->endpoint_count * BERM_MAX_ADDRS + 1, sizeof(*f->owner));
	if (!f->owner)
		return -ENOMEM;
	for (size_t i = 0; i < d->endpoint_count; i++)
		for (size_t k = 0; k < d->endpoint[i].addr_count; k++)
			f->owner[f->owner_count++] = (struct owner){ d->endpoint[i].addr[k], i };
	if (f->owner_count)
		qsort(f->owner, f->owner_count, sizeof(*f->owner), by_addr);
	return 0;
}

/* ---- what is said of one ---------------------------------------------------------------------------------------- */

static const size_t NOBODY = SIZE_MAX;

static size_t owner_of(const struct flows *f, const struct berm_addr *addr)
{
	const struct owner *found =
		f->owner_count ? bsearch(addr, f->owner, f->owner_count, sizeof(*f->owner), by_addr)
			       : NULL;

	return found ? found->endpoint : NOBODY;
}

static uint32_t plane_of(uint32_t proto)
{
	return proto == IPPROTO_TCP   ? BERM_PLANE_TCP
	       : proto == IPPROTO_UDP ? BERM_PLANE_UDP
				      : BERM_PLANE_SCTP;
}

struct view { /* one side, one word */
	const struct berm_plan *plan;
	enum diff_word word;
	bool is_general; /* as if there were no flows */
};

static const struct berm_rule_name *exact_rule(const struct view *v, uint32_t set,
					       const struct line *line, int dir)
{
	const struct berm_plan_flows *flows = flows_of(v->plan, set);
	bool is_out = dir == BERM_EGRESS;

	for (size_t i = 0; flows && !v->is_general && i < flows->count; i++) {
		const struct berm_flow_key *key = &flows->item[i].key;

		if (!memcmp(&key->local, is_out ? &line->src : &line->dst, sizeof(key->local)) &&
		    !memcmp(&key->peer, is_out ? &line->dst : &line->src, sizeof(key->peer)) &&
		    ntohs(is_out ? key->local_port : key->peer_port) == line->sport &&
		    ntohs(is_out ? key->peer_port : key->local_port) == line->dport &&
		    key->proto == line->proto)
			return &v->plan->rule[flows->item[i].rule].name;
	}
	return NULL;
}

static struct berm_trial_verdict ask(const struct view *v, size_t endpoint, const struct line *line,
				     int dir)
{
	const struct berm_plan_endpoint *ep;
	const struct berm_rule_name *exact;
	uint32_t set;

	if (endpoint == NOBODY)
		return (struct berm_trial_verdict){ .is_allowed = true };
	ep = &v->plan->endpoint[endpoint];
	set = v->word == DIFF_WOULD && ep->would[dir] != DIFF_NONE ? ep->would[dir] : ep->set[dir];
	exact = exact_rule(v, set, line, dir);
	if (exact)
		return (struct berm_trial_verdict){ exact->action == BERM_ACTION_ALLOW, exact };
	return berm_trial_cell(v->plan, set,
			       berm_trial_class(v->plan, set,
						dir == BERM_EGRESS ? &line->dst : &line->src),
			       plane_of(line->proto) << 16 | line->dport);
}

static struct diff_found judge(const struct flows *f, const struct view *v, const struct line *line)
{
	struct berm_trial_verdict out = ask(v, owner_of(f, &line->src), line, BERM_EGRESS), in;

	if (!out.is_allowed)
		return (struct diff_found){ false, BERM_EGRESS, out.rule };
	in = ask(v, owner_of(f, &line->dst), line, BERM_INGRESS);
	if (in.is_allowed && !in.rule && out.rule)
		return (struct diff_found){ true, BERM_EGRESS, out.rule };
	return (struct diff_found){ in.is_allowed, BERM_INGRESS, in.rule };
}

/* Does it differ, and otherwise than its ports in general? */
static bool differs(const struct berm_differ *d, const struct flows *f, const struct line *line,
		    struct diff_change *change)
{
	enum diff_word word = change->is_would ? DIFF_WOULD : DIFF_REAL;
	bool is_other = false, is_not_real = !change->is_would;

	for (int side = 0; side < DIFF_SIDES; side++) {
		struct view v = { d->trial[side].plan, word, false };
		struct view general = { v.plan, word, true }, real = { v.plan, DIFF_REAL, false };

		change->f[side] = judge(f, &v, line);
		is_other |= judge(f, &general, line).is_allowed != change->f[side].is_allowed;
		is_not_real |= judge(f, &real, line).is_allowed != change->f[side].is_allowed;
	}
	return is_other && is_not_real &&
	       change->f[DIFF_BEFORE].is_allowed != change->f[DIFF_AFTER].is_allowed;
}

/* ---- telling -------------------------------------------------------------------------------------------------------- */

static cJSON *end_json(const struct berm_differ *d, size_t endpoint, const struct berm_addr *addr)
{
	struct diff_group one = { .pod = { endpoint }, .count = 1 };

	return endpoint == NOBODY ? diff_block_json(addr, 128) : diff_pods_json(d, &one);
}

static void add_place(cJSON *to, const char *key, const struct berm_addr *addr, uint16_t port)
{
	cJSON *object = cJSON_AddObjectToObject(to, key);
	char text[BERM_ADDR_STRLEN];

	berm_addr_format(addr, text);
	cJSON_AddStringToObject(object, "ip", text);
	cJSON_AddNumberToObject(object, "port", port);
}

static cJSON *flow_json(const struct line *line)
{
	cJSON *object = cJSON_CreateObject();

	add_place(object, "source", &line->src, line->sport);
	add_place(object, "destination", &line->dst, line->dport);
	return object;
}

static int compare(struct berm_differ *d, const struct flows *f, const struct line *line)
{
	uint32_t family = 1u << diff_family_of(&line->src),
		 at = plane_of(line->proto) << 16 | line->dport;
	struct diff_changes changes = { .families = family };
	int rc = 0;

	for (int word = 0; !rc && word < (d->has_would ? DIFF_WORDS : DIFF_WOULD); word++) {
		struct diff_change change = {
			.first = at, .last = at, .families = family, .is_would = word == DIFF_WOULD
		};

		if (differs(d, f, line, &change))
			rc = diff_changes_add(&changes, &change);
	}
	if (!rc && changes.list.count)
		diff_tell(d, &changes, end_json(d, owner_of(f, &line->src), &line->src),
			  end_json(d, owner_of(f, &line->dst), &line->dst), flow_json(line));
	array_free(&changes.list);
	return rc;
}

int diff_flows_compare(struct berm_differ *d)
{
	struct flows f = { .owner = NULL };
	int rc = gather(d, &f);

	if (!rc && f.line.count)
		rc = list_owners(d, &f);
	for (size_t i = 0; !rc && i < f.line.count; i++)
		rc = compare(d, &f, &f.line.item[i]);
	array_free(&f.line);
	free(f.owner);
	return rc;
}
