// SPDX-License-Identifier: Apache-2.0
/*
 * compile_owner.c - who an address belongs to: nodes, endpoints, pods and Services claim addresses, and the best claim
 * counts. Knows no rules and no classes.
 */
#include "compiler.h"

/* ---- a few addresses ---------------------------------------------------------------------------------------- */

static int cmp_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static uint32_t hint_of(const struct berm_addr *addr)
{
	uint32_t word[4];

	memcpy(word, addr, sizeof(word));
	return (word[2] ^ word[3]) * 0x9e3779b1u >> 20; /* 12 bits */
}

int berm_compile_few_add(struct compile_few *few, const struct berm_addr *addr, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (array_push(few, addr[i]))
			return -ENOMEM;
	return 0;
}

void berm_compile_few_sort(struct compile_few *few)
{
	size_t kept = 0;

	if (few->count)
		qsort(few->item, few->count, sizeof(*few->item), cmp_addr);
	for (size_t i = 0; i < few->count; i++) {
		uint32_t hint = hint_of(&few->item[i]);

		if (kept && !cmp_addr(&few->item[kept - 1], &few->item[i]))
			continue;
		few->item[kept++] = few->item[i];
		few->hint[hint / 64] |= 1ull << hint % 64;
	}
	few->count = kept;
}

bool berm_compile_few_has(const struct compile_few *few, const struct berm_addr *addr)
{
	uint32_t hint = hint_of(addr);

	if (!(few->hint[hint / 64] >> hint % 64 & 1))
		return false;
	return bsearch(addr, few->item, few->count, sizeof(*few->item), cmp_addr);
}

/* ---- claims ----------------------------------------------------------------------------------------------------- */

struct claimants {
	const struct compiler *c;
	const struct compile_few *only;
	struct compile_claims *out;
	bool *is_here; /* pods that CNI has given their addresses */
};

bool berm_compile_owns_addresses(const struct berm_pod *pod)
{
	return !pod->host_network && !pod->finished;
}

/* The node's own first, then what CNI gave to a pod here, then the latest pod object that says so. */
static int cmp_claim(const void *a, const void *b)
{
	const struct compile_claim *x = a, *y = b;
	int rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	if (!rc)
		rc = x->kind - y->kind;
	if (!rc)
		rc = (x->created < y->created) - (x->created > y->created);
	return rc ? rc : (x->pod > y->pod) - (x->pod < y->pod);
}

static uint32_t pod_number(const struct berm_model *m, const struct berm_pod *pod)
{
	size_t low = 0, high = m->pod_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int rc = strcmp(m->pods[mid]->ns, pod->ns);

		if (!rc)
			rc = strcmp(m->pods[mid]->name, pod->name);
		if (!rc)
			return (uint32_t)mid;
		if (rc < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NONE;
}

static int claim(const struct claimants *by, struct compile_claim claim,
		 const struct berm_addr *addr, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		claim.addr = addr[i];
		if (by->only && !berm_compile_few_has(by->only, &addr[i]))
			continue;
		if (array_push(by->out, claim))
			return -ENOMEM;
	}
	return 0;
}

static size_t addresses(size_t count)
{
	return count < BERM_MAX_ADDRS ? count : BERM_MAX_ADDRS;
}

static int claim_endpoints(const struct claimants *by)
{
	const struct berm_model *m = by->c->model;

	for (size_t i = 0; i < m->endpoint_count; i++) {
		const struct berm_local_endpoint *ep = &m->endpoints[i];
		const struct berm_pod *pod = by->c->endpoint[i].pod;
		struct compile_claim this = { .kind = CLAIM_NEWCOMER, .pod = NONE };

		if (pod)
			this.kind = berm_compile_owns_addresses(pod) ? CLAIM_ENDPOINT
								     : CLAIM_LEAVER;
		if (this.kind == CLAIM_ENDPOINT) {
			this.pod = pod_number(m, pod);
			this.created = pod->created;
		}
		if (this.pod != NONE && ep->addr_count)
			by->is_here[this.pod] = true;
		if (claim(by, this, ep->addr, addresses(ep->addr_count)))
			return -ENOMEM;
	}
	return 0;
}

static int claim_pods(const struct claimants *by)
{
	const struct berm_model *m = by->c->model;

	for (size_t i = 0; i < m->pod_count; i++) {
		const struct berm_pod *pod = m->pods[i];
		struct compile_claim this = { .kind = CLAIM_POD,
					      .pod = (uint32_t)i,
					      .created = pod->created };

		if (berm_compile_owns_addresses(pod) && !by->is_here[i] &&
		    claim(by, this, pod->addr, addresses(pod->addr_count)))
			return -ENOMEM;
	}
	return 0;
}

static int claim_list(const struct claimants *by, enum compile_claim_kind kind,
		      const struct berm_addr *addr, size_t count)
{
	struct compile_claim this = { .kind = (uint8_t)kind, .pod = NONE };

	return claim(by, this, addr, count);
}

static int claim_frontends(const struct claimants *by)
{
	const struct compiler *c = by->c;
	int rc = claim_list(by, CLAIM_CLUSTER, c->front.cluster.item, c->front.cluster.count);

	if (!rc)
		rc = claim_list(by, CLAIM_VIP, c->front.external.item, c->front.external.count);
	if (!rc)
		rc = claim_list(by, CLAIM_BACKEND, c->backend_addr.item, c->backend_addr.count);
	return rc;
}

static void settle(struct compile_claims *out)
{
	size_t kept = 0;

	if (out->count)
		qsort(out->item, out->count, sizeof(*out->item), cmp_claim);
	for (size_t i = 0; i < out->count; i++) {
		if (!kept || cmp_addr(&out->item[kept - 1].addr, &out->item[i].addr))
			out->item[kept++] = out->item[i];
		else
			out->item[kept - 1].is_contested = true;
	}
	out->count = kept;
}

int berm_compile_claims(const struct compiler *c, const struct compile_few *only,
			struct compile_claims *out)
{
	struct claimants by = { c, only, out, NULL };
	int rc;

	if (only && !only->count)
		return 0;
	by.is_here = calloc(c->model->pod_count + 1, sizeof(*by.is_here));
	rc = by.is_here ? claim_list(&by, CLAIM_NODE, c->model->node_addrs,
				     c->model->node_addr_count)
			: -ENOMEM;
	if (!rc)
		rc = claim_endpoints(&by);
	if (!rc)
		rc = claim_pods(&by);
	if (!rc)
		rc = claim_frontends(&by);
	free(by.is_here);
	if (!rc)
		settle(out);
	return rc;
}

struct compile_owner berm_compile_owner(const struct compiler *c,
					const struct compile_claim *claim)
{
	return (struct compile_owner){
		.addr = claim->addr,
		.pod = claim->pod == NONE ? NULL : c->model->pods[claim->pod],
		.cls = NONE,
		.kind = claim->kind,
		.is_a_pods = claim->kind == CLAIM_POD && !claim->is_contested,
	};
}
