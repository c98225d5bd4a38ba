// SPDX-License-Identifier: Apache-2.0
/*
 * compile_flow.c - exact flows: which of them have their local end at a pod of this node, and whose they are. Does not
 * know which of them decide: that is compile_decide.c.
 *
 * A tenant's flow counts only at a pod of its own namespace, and any only at a pod that its policy selects: else one could
 * open or close what is another's.
 */
#include "compiler.h"

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

/* ---- whose addresses are here ------------------------------------------------------------------------------ */

struct home {
	struct berm_addr addr; /* first */
	const char *ns;
};

typedef BERM_ARRAY(struct home) homes_t;

static int list_homes(const struct compiler *c, homes_t *homes)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < c->model->endpoint_count; i++) {
		const struct berm_local_endpoint *ep = &c->model->endpoints[i];

		for (size_t k = 0; !rc && k < ep->addr_count; k++)
			rc = array_push(homes, (struct home){ ep->addr[k], ep->ns });
	}
	if (homes->count)
		qsort(homes->item, homes->count, sizeof(*homes->item), cmp_addr);
	return rc;
}

static bool is_at_home(const homes_t *homes, const struct berm_policy *p,
		       const struct berm_addr *local)
{
	const struct home *h = NULL, *end = homes->item + homes->count;

	if (homes->count)
		h = bsearch(local, homes->item, homes->count, sizeof(*homes->item), cmp_addr);
	while (h && h > homes->item && !cmp_addr(h - 1, local))
		h--;
	for (; h && h < end && !cmp_addr(h, local); h++) /* two may claim it for a while */
		if (p->cluster_wide || !strcmp(h->ns, p->ns))
			return true;
	return false;
}

/* ---- the list ------------------------------------------------------------------------------------------------ */

static int cmp_place(const struct compile_flow *x, const struct compile_flow *y)
{
	int rc = (int)x->dir - (int)y->dir;

	return rc ? rc : cmp_addr(&x->local, &y->local);
}

static int cmp_connection(const struct compile_flow *x, const struct compile_flow *y)
{
	int rc = cmp_place(x, y);

	if (!rc)
		rc = cmp_addr(&x->peer, &y->peer);
	if (!rc)
		rc = (int)x->local_port - (int)y->local_port;
	if (!rc)
		rc = (int)x->peer_port - (int)y->peer_port;
	return rc ? rc : (int)x->plane - (int)y->plane;
}

/* Of one connection in order of evaluation. */
static int cmp_flow(const void *a, const void *b)
{
	const struct compile_flow *x = a, *y = b;
	int rc = cmp_connection(x, y);

	if (rc)
		return rc;
	if (x->precedence != y->precedence)
		return x->precedence < y->precedence ? -1 : 1;
	rc = strcmp(x->policy->ns, y->policy->ns);
	if (!rc)
		rc = strcmp(x->policy->name, y->policy->name);
	return rc ? rc : (x->flow->index > y->flow->index) - (x->flow->index < y->flow->index);
}

bool berm_compile_same_flow(const struct compile_flow *a, const struct compile_flow *b)
{
	return !cmp_connection(a, b);
}

static struct compile_flow flow_of(const struct berm_policy *p, const struct berm_policy_flow *f)
{
	bool out = f->dir == BERM_EGRESS;
	uint8_t stage = berm_compile_stage(p);

	return (struct compile_flow){
		.local = out ? f->src : f->dst,
		.peer = out ? f->dst : f->src,
		.local_port = out ? f->src_port : f->dst_port,
		.peer_port = out ? f->dst_port : f->src_port,
		.plane = f->plane,
		.dir = f->dir,
		.stage = stage,
		.policy = p,
		.flow = f,
		.precedence = berm_compile_precedence(p, stage, f->action, true),
	};
}

static int add_flows(struct compiler *c, const homes_t *homes, uint32_t policy)
{
	const struct berm_policy *p = c->model->policies[policy];
	int rc = 0;

	if (p->disabled || c->refused[policy])
		return 0;
	for (size_t i = 0; !rc && i < p->flow_count; i++) {
		struct compile_flow flow = flow_of(p, &p->flow[i]);

		flow.policy_index = policy;
		if (is_at_home(homes, p, &flow.local))
			rc = array_push(&c->flow, flow);
	}
	return rc;
}

static int list_peers(struct compiler *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->flow.count; i++)
		if (array_push(&c->flow_peer, c->flow.item[i].peer))
			return -ENOMEM;
	if (c->flow.count)
		qsort(c->flow_peer.item, c->flow_peer.count, sizeof(*c->flow_peer.item), cmp_addr);
	for (size_t i = 0; i < c->flow_peer.count; i++)
		if (!kept || cmp_addr(&c->flow_peer.item[kept - 1], &c->flow_peer.item[i]))
			c->flow_peer.item[kept++] = c->flow_peer.item[i];
	c->flow_peer.count = kept;
	return 0;
}

bool berm_compile_is_flow_peer(const struct compiler *c, const struct berm_addr *addr)
{
	return c->flow_peer.count && bsearch(addr, c->flow_peer.item, c->flow_peer.count,
					     sizeof(*c->flow_peer.item), cmp_addr);
}

/* Those that are shown alike are one rule: the first stands for them. */
static int name_flow(struct berm_intern *names, struct berm_numbers *first, struct compile_flow *f,
		     uint32_t number)
{
	char key[sizeof(f->policy_index) + 2 + 64] = { 0 };
	uint32_t name;
	int rc;

	memcpy(key, &f->policy_index, sizeof(f->policy_index));
	key[sizeof(f->policy_index)] = (char)(1 + f->dir);
	key[sizeof(f->policy_index) + 1] = (char)(1 + f->flow->action);
	if (f->flow->name)
		strncpy(key + sizeof(f->policy_index) + 2, f->flow->name, 63);
	rc = berm_intern(names, key, sizeof(key), &name);
	if (rc > 0)
		rc = array_push(first, number);
	if (!rc && name < first->count)
		f->name = first->item[name];
	return rc;
}

static int name_flows(struct compiler *c)
{
	struct berm_intern names = { 0 };
	struct berm_numbers first = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < c->flow.count; i++)
		rc = name_flow(&names, &first, &c->flow.item[i], (uint32_t)i);
	berm_intern_free(&names);
	array_free(&first);
	return rc;
}

int berm_compile_flows(struct compiler *c)
{
	homes_t homes = { 0 };
	int rc = list_homes(c, &homes);

	for (size_t i = 0; !rc && i < c->model->policy_count; i++)
		rc = add_flows(c, &homes, (uint32_t)i);
	array_free(&homes);
	if (!rc && c->flow.count)
		qsort(c->flow.item, c->flow.count, sizeof(*c->flow.item), cmp_flow);
	if (!rc)
		rc = list_peers(c);
	return rc ? rc : name_flows(c);
}

/* ---- an endpoint's own ----------------------------------------------------------------------------------------- */

static struct compile_range range_of(const struct compiler *c, uint8_t dir,
				     const struct berm_addr *local)
{
	const struct compile_flow want = { .dir = dir, .local = *local };
	size_t low = 0, high = c->flow.count, end;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cmp_place(&c->flow.item[mid], &want) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (end = low; end < c->flow.count && !cmp_place(&c->flow.item[end], &want);)
		end++;
	return (struct compile_range){ (uint32_t)low, (uint32_t)(end - low) };
}

static bool has_number(const struct berm_numbers *n, uint32_t number)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->item[i] == number)
			return true;
	return false;
}

/* Neighbours are often of one policy. 1, 0, -ENOMEM. */
static int is_own(const struct compiler *c, uint32_t policy, const struct berm_numbers *policies,
		  struct compile_view v, struct compile_own_flows *own)
{
	size_t count = own->policy.count;

	if (count && own->policy.item[count - 1] == policy)
		return 1;
	if ((!v.would && c->model->policies[policy]->audit) || !has_number(policies, policy))
		return 0;
	if (has_number(&own->policy, policy))
		return 1;
	return array_push(&own->policy, policy) ? -ENOMEM : 1;
}

int berm_compile_own_flows(const struct compiler *c, const struct berm_local_endpoint *ep,
			   const struct berm_numbers *policies, struct compile_view v,
			   struct compile_own_flows *ret)
{
	int rc = 0;

	for (size_t a = 0; c->flow.count && a < ep->addr_count; a++) {
		struct compile_range range = range_of(c, v.dir, &ep->addr[a]);
		bool has_one = false;

		for (uint32_t i = range.first; rc >= 0 && i < range.first + range.count; i++) {
			rc = is_own(c, c->flow.item[i].policy_index, policies, v, ret);
			has_one |= rc > 0;
		}
		if (rc < 0 || (has_one && (array_push(&ret->range, range.first) ||
					   array_push(&ret->range, range.count))))
			return -ENOMEM;
	}
	return 0;
}

/* ---- what documents may cost ------------------------------------------------------------------------------------ */

struct weight {
	size_t flows, names, of_ns;
	uint32_t policy, ns;
};

/* Tenants with few flows first, of each the small documents. */
static int cmp_weight(const void *a, const void *b)
{
	const struct weight *x = a, *y = b;

	if (x->of_ns != y->of_ns)
		return x->of_ns < y->of_ns ? -1 : 1;
	if (x->flows != y->flows)
		return x->flows < y->flows ? -1 : 1;
	return (x->policy > y->policy) - (x->policy < y->policy);
}

static void weigh(const struct compiler *c, struct weight *w, size_t *of_ns)
{
	for (size_t i = 0; i < c->model->policy_count; i++)
		w[i] = (struct weight){ .policy = (uint32_t)i, .ns = c->policy[i].ns };
	for (size_t i = 0; i < c->flow.count; i++) {
		struct weight *one = &w[c->flow.item[i].policy_index];

		one->flows++;
		one->names += c->flow.item[i].name == i;
		of_ns[one->ns]++;
	}
	for (size_t i = 0; i < c->model->policy_count; i++)
		w[i].of_ns = w[i].flows ? of_ns[w[i].ns] : 0;
}

static int refuse_heavy(struct compiler *c, const struct weight *w)
{
	size_t flows = 0, names = 0;
	int rc = 0;

	for (size_t i = 0; rc != -ENOMEM && i < c->model->policy_count; i++) {
		if (flows + w[i].flows > BERM_LIMIT_NODE_FLOWS)
			rc = berm_compile_refuse_policy(c, w[i].policy, "100,000 flows per node");
		else if (names + w[i].names > BERM_LIMIT_NODE_NAMES)
			rc = berm_compile_refuse_policy(c, w[i].policy,
							"16,384 different names of flows per node");
		else {
			flows += w[i].flows;
			names += w[i].names;
		}
	}
	return rc;
}

int berm_compile_limit_flows(struct compiler *c)
{
	struct weight *w = calloc(c->model->policy_count + 1, sizeof(*w));
	size_t *of_ns = calloc(c->ns.count + 1, sizeof(*of_ns));
	int rc = w && of_ns ? 0 : -ENOMEM;

	if (!rc) {
		weigh(c, w, of_ns);
		qsort(w, c->model->policy_count, sizeof(*w), cmp_weight);
		rc = refuse_heavy(c, w);
	}
	free(w);
	free(of_ns);
	return rc;
}
