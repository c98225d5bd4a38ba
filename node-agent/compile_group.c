// SPDX-License-Identifier: Apache-2.0
/*
 * compile_group.c - peer lists become groups, and pods find the groups they are in. Knows no addresses.
 *
 * Terms (one selector or block) and groups (a rule's whole list) are one if their content is equal. A
 * selector is filed under its namespace and one `key in (value)` that it demands, so a pod meets only the
 * selectors that share a label with it; the few that demand none are tried on every pod of their scope.
 */
#include "compiler.h"

/* ---- content of a term as bytes ------------------------------------------------------------------------ */

static int put_bytes(struct berm_bytes *out, const void *data, size_t size)
{
	const uint8_t *byte = data;

	for (size_t i = 0; i < size; i++)
		if (array_push(out, byte[i]))
			return -ENOMEM;
	return 0;
}

static int put_string(struct berm_bytes *out, const char *text)
{
	return put_bytes(out, text, strlen(text) + 1);
}

static int put_requirement(struct berm_bytes *out, const struct berm_requirement *r)
{
	const uint32_t head[] = { (uint32_t)r->op, (uint32_t)r->value_count };

	if (put_bytes(out, head, sizeof(head)) || put_string(out, r->key))
		return -ENOMEM;
	for (size_t i = 0; i < r->value_count; i++)
		if (put_string(out, r->value[i]))
			return -ENOMEM;
	return 0;
}

static int put_selector(struct berm_bytes *out, const struct berm_selector *sel)
{
	uint32_t count = (uint32_t)sel->count;

	if (put_bytes(out, &count, sizeof(count)))
		return -ENOMEM;
	for (size_t i = 0; i < sel->count; i++)
		if (put_requirement(out, &sel->item[i]))
			return -ENOMEM;
	return 0;
}

static int cmp_cidr(const void *a, const void *b)
{
	const struct berm_cidr *x = a, *y = b;
	int rc = memcmp(&x->addr, &y->addr, sizeof(x->addr));

	return rc ? rc : (x->bits > y->bits) - (x->bits < y->bits);
}

static int put_cidr(struct berm_bytes *out, const struct berm_cidr *cidr)
{
	const uint8_t tail[] = { cidr->bits, cidr->v4 };

	if (put_bytes(out, &cidr->addr, sizeof(cidr->addr)))
		return -ENOMEM;
	return put_bytes(out, tail, sizeof(tail));
}

static int put_excepts(struct berm_bytes *out, const struct berm_peer_term *peer)
{
	struct berm_cidr *sorted = reallocarray(NULL, peer->except_count + 1, sizeof(*sorted));
	int rc = sorted ? 0 : -ENOMEM;

	if (rc)
		return rc;
	if (peer->except_count) {
		memcpy(sorted, peer->except, peer->except_count * sizeof(*sorted));
		qsort(sorted, peer->except_count, sizeof(*sorted), cmp_cidr);
	}
	for (size_t i = 0; !rc && i < peer->except_count; i++)
		rc = put_cidr(out, &sorted[i]);
	free(sorted);
	return rc;
}

/* 'B'lock; pods of one 'N'amespace, of 'S'elected ones, of 'A'll. Names, not numbers: digests are made of it. */
static int put_term(struct compiler *c, struct berm_bytes *out, const struct compile_term *t)
{
	const struct berm_peer_term *peer = t->peer;
	char form = peer->is_block ? 'B' : t->ns != NONE ? 'N' : t->ns_selector != NONE ? 'S' : 'A';
	int rc = put_bytes(out, &form, 1);

	if (!rc && form == 'B') {
		rc = put_cidr(out, &peer->block);
		return rc ? rc : put_excepts(out, peer);
	}
	if (!rc && form == 'N')
		rc = put_string(out, c->ns.item[t->ns].name);
	if (!rc && form == 'S')
		rc = put_selector(out, &peer->ns_selector);
	if (!rc && peer->has_pod_selector)
		rc = put_selector(out, &peer->pod_selector);
	return rc;
}

/* ---- terms and groups -------------------------------------------------------------------------------------- */

static int ns_selector_number(struct compiler *c, const struct berm_selector *sel, uint32_t *ret)
{
	struct berm_bytes bytes = { 0 };
	int rc = put_selector(&bytes, sel);

	if (!rc)
		rc = berm_intern(&c->ns_selector, bytes.item, bytes.count, ret);
	array_free(&bytes);
	return rc > 0 ? array_push(&c->ns_selector_of, sel) : rc;
}

/* Which namespaces a peer means: its selector's, else the policy's own, from the system namespace any. */
static int scope(struct compiler *c, const struct compile_rule *rule, struct compile_term *t)
{
	if (t->peer->is_block)
		return 0;
	if (t->peer->has_ns_selector)
		return t->peer->ns_selector.count
			       ? ns_selector_number(c, &t->peer->ns_selector, &t->ns_selector)
			       : 0;
	if (!rule->policy->cluster_wide || rule->policy->kind == BERM_KIND_NETWORK)
		t->ns = c->policy[rule->policy_index].ns;
	return 0;
}

static int term_number(struct compiler *c, const struct compile_rule *rule,
		       const struct berm_peer_term *peer, uint32_t *ret)
{
	struct compile_term t = { .peer = peer, .ns = NONE, .ns_selector = NONE };
	struct berm_bytes bytes = { 0 };
	int rc = scope(c, rule, &t);

	if (!rc)
		rc = put_term(c, &bytes, &t);
	if (!rc)
		rc = berm_intern(&c->term_key, bytes.item, bytes.count, ret);
	if (rc > 0) {
		t.id = berm_digest_of(bytes.item, bytes.count);
		rc = array_push(&c->term, t);
	}
	array_free(&bytes);
	return rc;
}

static int cmp_digest(const void *a, const void *b)
{
	return berm_digest_cmp(a, b);
}

static int digest_group(const struct compiler *c, struct compile_group *g)
{
	struct berm_digest *ids = calloc(g->term_count + 1, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < g->term_count; i++)
		ids[i] = c->term.item[g->term[i]].id;
	qsort(ids, g->term_count, sizeof(*ids), cmp_digest); /* numbers depend on other documents */
	g->id = berm_digest_of(ids, g->term_count * sizeof(*ids));
	free(ids);
	return 0;
}

static int add_group(struct compiler *c, uint32_t number)
{
	struct compile_group g = { 0 };
	size_t size;

	g.term = berm_intern_key(&c->group_key, number, &size);
	g.term_count = size / sizeof(*g.term);
	for (size_t i = 0; i < g.term_count; i++) {
		struct compile_term *t = &c->term.item[g.term[i]];

		g.has_blocks |= t->peer->is_block;
		if (array_push(&t->group, number))
			return -ENOMEM;
	}
	return digest_group(c, &g) ? -ENOMEM : array_push(&c->group, g);
}

static int group_number(struct compiler *c, const struct compile_rule *rule,
			struct berm_numbers *terms, uint32_t *ret)
{
	const struct berm_policy_rule *r = rule->rule;
	int rc;

	for (size_t i = 0; i < r->peer_count; i++) {
		uint32_t term = 0;

		if (r->peer[i].unsupported)
			continue; /* matches nothing; what is not an Allow never comes here */
		if (term_number(c, rule, &r->peer[i], &term) < 0 || array_push(terms, term))
			return -ENOMEM;
	}
	*ret = NONE;
	if (!terms->count)
		return 0;
	berm_numbers_unique(terms);
	rc = berm_intern(&c->group_key, terms->item, terms->count * sizeof(*terms->item), ret);
	return rc > 0 ? add_group(c, *ret) : rc;
}

int berm_compile_group(struct compiler *c, const struct compile_rule *rule, uint32_t *ret)
{
	struct berm_numbers terms = { 0 };
	int rc;

	*ret = GROUP_ANY;
	if (!rule->rule->peer_count)
		return 0;
	for (size_t i = 0; i < rule->rule->peer_count; i++)
		if (rule->rule->peer[i].any)
			return 0;
	rc = group_number(c, rule, &terms, ret);
	array_free(&terms);
	return rc;
}

/* ---- namespaces that a selector selects ------------------------------------------------------------------- */

static const struct berm_requirement *demanded(const struct berm_selector *sel, const char *key)
{
	for (size_t i = 0; i < sel->count; i++)
		if (sel->item[i].op == BERM_OP_IN && (!key || !strcmp(sel->item[i].key, key)))
			return &sel->item[i];
	return NULL;
}

static uint8_t *selected_namespaces(const struct compiler *c, const struct berm_selector *sel)
{
	const struct berm_requirement *names = demanded(sel, "kubernetes.io/metadata.name");
	uint8_t *out = calloc(c->ns.count + 1, sizeof(*out));
	uint32_t ns = 0;

	if (!out)
		return NULL;
	if (!names) {
		for (size_t i = 0; i < c->ns.count; i++)
			out[i] = berm_selector_matches(sel, c->ns.item[i].labels);
		return out;
	}
	for (size_t i = 0; i < names->value_count; i++)
		if (!berm_compile_ns((struct compiler *)c, names->value[i], &ns))
			out[ns] = berm_selector_matches(sel, c->ns.item[ns].labels);
	return out;
}

/* ---- the index of pod selectors ------------------------------------------------------------------------------ */

static int label_key(struct berm_bytes *out, uint32_t ns, const char *key, const char *value)
{
	out->count = 0;
	if (put_bytes(out, &ns, sizeof(ns)) || put_string(out, key))
		return -ENOMEM;
	return put_string(out, value);
}

static int file_under(struct compiler *c, uint32_t term, const struct berm_requirement *r,
		      struct berm_bytes *bytes)
{
	struct berm_numbers none = { 0 };
	uint32_t number = 0;

	for (size_t i = 0; i < r->value_count; i++) {
		int rc = label_key(bytes, c->term.item[term].ns, r->key, r->value[i]);

		if (!rc)
			rc = berm_intern(&c->label, bytes->item, bytes->count, &number);
		if (rc > 0)
			rc = array_push(&c->label_terms, none);
		if (!rc)
			rc = array_push(&c->label_terms.item[number], term);
		if (rc)
			return rc;
	}
	return 0;
}

static int file_term(struct compiler *c, uint32_t term, struct berm_bytes *bytes)
{
	const struct compile_term *t = &c->term.item[term];
	const struct berm_requirement *r = NULL;

	if (t->peer->is_block)
		return 0;
	if (t->peer->has_pod_selector)
		r = demanded(&t->peer->pod_selector, NULL);
	if (r)
		return file_under(c, term, r, bytes);
	if (t->ns != NONE)
		return array_push(&c->ns.item[t->ns].broad, term);
	return array_push(&c->broad, term);
}

int berm_compile_selectors(struct compiler *c)
{
	struct berm_bytes bytes = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < c->ns_selector_of.count; i++) {
		uint8_t *selected = selected_namespaces(c, c->ns_selector_of.item[i]);

		rc = selected ? array_push(&c->ns_selected, selected) : -ENOMEM;
		if (rc)
			free(selected);
	}
	for (size_t i = 0; !rc && i < c->term.count; i++)
		rc = file_term(c, (uint32_t)i, &bytes);
	array_free(&bytes);
	return rc;
}

/* ---- pods ------------------------------------------------------------------------------------------------------- */

struct candidate {
	const struct berm_pod *pod;
	uint32_t ns;
	struct berm_numbers *groups;
};

bool berm_compile_term_matches(const struct compiler *c, const struct compile_term *t,
			       const struct berm_pod *pod, uint32_t ns)
{
	if (t->ns != NONE && t->ns != ns)
		return false;
	if (t->ns_selector != NONE && !c->ns_selected.item[t->ns_selector][ns])
		return false;
	return !t->peer->has_pod_selector ||
	       berm_selector_matches(&t->peer->pod_selector, &pod->labels);
}

static int try_terms(const struct compiler *c, const struct berm_numbers *terms,
		     const struct candidate *pod)
{
	for (size_t i = 0; i < terms->count; i++) {
		const struct compile_term *t = &c->term.item[terms->item[i]];

		if (!berm_compile_term_matches(c, t, pod->pod, pod->ns))
			continue;
		for (size_t g = 0; g < t->group.count; g++)
			if (array_push(pod->groups, t->group.item[g]))
				return -ENOMEM;
	}
	return 0;
}

static int try_label(struct compiler *c, uint32_t ns, const struct berm_label *label,
		     const struct candidate *pod)
{
	struct berm_bytes *bytes = &c->scratch;
	uint32_t number;

	if (label_key(bytes, ns, label->key, label->value))
		return -ENOMEM;
	if (!berm_intern_find(&c->label, bytes->item, bytes->count, &number))
		return 0;
	return try_terms(c, &c->label_terms.item[number], pod);
}

static int collect_groups(struct compiler *c, const struct candidate *pod)
{
	const struct berm_labels *labels = &pod->pod->labels;

	if (try_terms(c, &c->broad, pod) || try_terms(c, &c->ns.item[pod->ns].broad, pod))
		return -ENOMEM;
	for (size_t i = 0; i < labels->count; i++)
		if (try_label(c, pod->ns, &labels->item[i], pod) ||
		    try_label(c, NONE, &labels->item[i], pod))
			return -ENOMEM;
	berm_numbers_unique(pod->groups);
	return 0;
}

int berm_compile_pod_groups(struct compiler *c, const struct berm_pod *pod, uint32_t *ret_set)
{
	struct berm_numbers groups = { 0 };
	struct candidate candidate = { .pod = pod, .groups = &groups };
	int rc = berm_compile_ns(c, pod->ns, &candidate.ns);

	if (!rc)
		rc = collect_groups(c, &candidate);
	if (!rc)
		rc = berm_compile_set(c, &groups, ret_set);
	array_free(&groups);
	return rc;
}

int berm_compile_set(struct compiler *c, const struct berm_numbers *groups, uint32_t *ret)
{
	static const uint32_t nothing;
	int rc = berm_intern(&c->sets, groups->count ? groups->item : &nothing,
			     groups->count * sizeof(*groups->item), ret);

	return rc < 0 ? rc : 0;
}
