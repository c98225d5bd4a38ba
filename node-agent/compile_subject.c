// SPDX-License-Identifier: Apache-2.0
/*
 * compile_subject.c - which policies decide about which endpoints. Knows namespaces and subjects, no peers.
 *
 * Endpoints of one namespace with the same policies (and, where named ports are used, the same ports of
 * their own) are one subject per direction: it is compiled once. So are endpoints of several namespaces
 * about which only cluster-wide policies decide.
 */
#include "compiler.h"

/* ---- namespaces: those with an object, and those that pods or policies mention ---------------------- */

static int add_ns(struct compiler *c, const char *name, const struct berm_namespace *object)
{
	struct compile_ns ns = { .name = name };
	uint32_t index;
	int rc = berm_intern(&c->ns_name, name, strlen(name), &index);

	if (rc <= 0)
		return rc;
	if (object) {
		ns.labels = &object->labels;
		ns.default_deny = object->default_deny;
	}
	return array_push(&c->ns, ns);
}

int berm_compile_ns(struct compiler *c, const char *name, uint32_t *ret)
{
	return berm_intern_find(&c->ns_name, name, strlen(name), ret) ? 0 : -ENOENT;
}

/* Only when all are known: the array does not move any more. */
static void label_namespaces(struct compiler *c)
{
	for (size_t i = 0; i < c->ns.count; i++) {
		struct compile_ns *ns = &c->ns.item[i];

		if (ns->labels)
			continue;
		ns->own_label.key = (char *)"kubernetes.io/metadata.name";
		ns->own_label.value = (char *)ns->name;
		ns->own.item = &ns->own_label;
		ns->own.count = 1;
		ns->labels = &ns->own;
	}
}

int berm_compile_namespaces(struct compiler *c)
{
	const struct berm_model *m = c->model;

	for (size_t i = 0; i < m->namespace_count; i++)
		if (add_ns(c, m->namespaces[i]->name, m->namespaces[i]))
			return -ENOMEM;
	for (size_t i = 0; i < m->pod_count; i++) {
		if (i && !strcmp(m->pods[i]->ns, m->pods[i - 1]->ns))
			continue; /* they stand by namespace */
		if (add_ns(c, m->pods[i]->ns, NULL))
			return -ENOMEM;
	}
	for (size_t i = 0; i < m->policy_count; i++) {
		if (!*m->policies[i]->ns || (i && !strcmp(m->policies[i]->ns, m->policies[i - 1]->ns)))
			continue;
		if (add_ns(c, m->policies[i]->ns, NULL))
			return -ENOMEM;
	}
	label_namespaces(c);
	return 0;
}

/* ---- policies ----------------------------------------------------------------------------------------- */

static bool is_cluster_wide(const struct berm_policy *p)
{
	return p->cluster_wide && p->kind != BERM_KIND_NETWORK;
}

static uint8_t rule_dirs(const struct berm_policy *p)
{
	uint8_t dirs = 0;

	for (size_t i = 0; i < p->rule_count; i++)
		if (p->rule[i].mode != BERM_MODE_DISABLED)
			dirs |= (uint8_t)(1 << p->rule[i].dir);
	for (size_t i = 0; i < p->flow_count; i++)
		dirs |= (uint8_t)(1 << p->flow[i].dir);
	return dirs;
}

static int index_policy(struct compiler *c, uint32_t index)
{
	const struct berm_policy *p = c->model->policies[index];
	struct compile_policy *out = &c->policy[index];

	out->ns = NONE;
	if (index && !strcmp(p->ns, c->model->policies[index - 1]->ns))
		out->ns = out[-1].ns; /* they stand by namespace */
	else if (*p->ns && berm_compile_ns(c, p->ns, &out->ns))
		return -ENOMEM; /* cannot be: its namespace was added above */
	out->isolate = p->isolate;
	out->essentials = p->kind == BERM_KIND_NETWORK ? 0 : p->essentials;
	if (c->refused[index])
		out->isolate |= rule_dirs(p);
	if (p->disabled)
		return 0;
	if (is_cluster_wide(p))
		return array_push(&c->cluster_wide, index);
	return array_push(&c->ns.item[out->ns].policy, index);
}

static int index_policies(struct compiler *c)
{
	c->policy = calloc(c->model->policy_count + 1, sizeof(*c->policy));
	if (!c->policy)
		return -ENOMEM;
	for (size_t i = 0; i < c->model->policy_count; i++)
		if (index_policy(c, (uint32_t)i))
			return -ENOMEM;
	return 0;
}

static bool selects(const struct compiler *c, const struct berm_policy *p, uint32_t ns,
		    const struct berm_pod *pod)
{
	if (p->has_ns_subject && !berm_selector_matches(&p->ns_subject, c->ns.item[ns].labels))
		return false;
	return berm_selector_matches(&p->pod_subject, &pod->labels);
}

/* In ascending order, so that equal lists are equal. */
static int policies_of(struct compiler *c, uint32_t ns, const struct berm_pod *pod,
		       struct berm_numbers *out)
{
	const struct berm_numbers *lists[] = { &c->ns.item[ns].policy, &c->cluster_wide };

	for (int l = 0; l < 2; l++) {
		for (size_t i = 0; i < lists[l]->count; i++) {
			uint32_t index = lists[l]->item[i];

			if (!selects(c, c->model->policies[index], ns, pod))
				continue;
			if (array_push(out, index))
				return -ENOMEM;
		}
	}
	berm_numbers_unique(out);
	return 0;
}

/* ---- subjects ------------------------------------------------------------------------------------------ */

static bool has_rules(const struct compiler *c, const struct compile_policy *p,
		      struct compile_view v)
{
	for (uint32_t i = p->rule; i < p->rule + p->rule_count; i++)
		if (c->rule.item[i].rule->dir == v.dir && (v.would || !c->rule.item[i].is_audit))
			return true;
	return false;
}

static bool matters(const struct compiler *c, uint32_t policy, struct compile_view v)
{
	const struct compile_policy *p = &c->policy[policy];

	if (p->isolate & 1 << v.dir && (v.would || !c->model->policies[policy]->audit))
		return true;
	return has_rules(c, p, v);
}

/* Is there anything that only would be? */
static bool has_audit(const struct compiler *c, uint32_t policy, uint8_t dir)
{
	const struct compile_policy *p = &c->policy[policy];

	if (p->isolate & 1 << dir && c->model->policies[policy]->audit)
		return true;
	for (uint32_t i = p->rule; i < p->rule + p->rule_count; i++)
		if (c->rule.item[i].rule->dir == dir && c->rule.item[i].is_audit)
			return true;
	return false;
}

static int cmp_resolved(const void *a, const void *b)
{
	const struct compile_resolved *x = a, *y = b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return (x->at > y->at) - (x->at < y->at);
}

typedef BERM_ARRAY(struct compile_resolved) resolved_array;

/* The numbers behind one named port, on this very pod. */
static int resolve_name(struct compiler *c, const struct berm_pod *pod, uint32_t name,
			resolved_array *out)
{
	const uint8_t *key = berm_intern_key(&c->port_name, name, NULL); /* plane, then the name */

	for (size_t i = 0; i < pod->port_count; i++) {
		const struct berm_container_port *p = &pod->port[i];
		struct compile_resolved r = { name, (uint32_t)p->plane << 16 | p->port };

		if (p->plane != key[0] || !p->name || strcmp(p->name, (const char *)key + 1))
			continue;
		if (array_push(out, r))
			return -ENOMEM;
	}
	return 0;
}

static int resolve_own(struct compiler *c, const struct berm_pod *pod,
		       const struct compile_policy *p, bool would, resolved_array *out)
{
	for (uint32_t i = p->rule; i < p->rule + p->rule_count; i++) {
		const struct compile_rule *r = &c->rule.item[i];

		if (r->rule->dir != BERM_INGRESS || (r->is_audit && !would))
			continue;
		for (uint32_t n = 0; n < r->name_count; n++)
			if (resolve_name(c, pod, c->rule_name.item[r->name + n], out))
				return -ENOMEM;
	}
	return 0;
}

static size_t unique_resolved(resolved_array *ports)
{
	size_t kept = 0;

	if (ports->count)
		qsort(ports->item, ports->count, sizeof(*ports->item), cmp_resolved);
	for (size_t i = 0; i < ports->count; i++)
		if (!kept || cmp_resolved(&ports->item[kept - 1], &ports->item[i]))
			ports->item[kept++] = ports->item[i];
	return ports->count = kept;
}

/* The strictest of those that have a say in this direction. */
static uint8_t change_of(const struct compiler *c, const struct compile_subject *s)
{
	bool all_keep = s->policy_count > 0;

	for (size_t i = 0; i < s->policy_count; i++) {
		uint8_t change = c->model->policies[s->policy[i]]->on_change;

		if (change == BERM_CHANGE_RESET)
			return change;
		all_keep &= change == BERM_CHANGE_KEEP;
	}
	return all_keep ? BERM_CHANGE_KEEP : BERM_CHANGE_RECHECK;
}

/* Of the key: namespace, direction | would << 8, numbers of policies, own named ports and ranges of own flows, and then
 * those. */
#define KEY_HEAD 5

static int describe(struct compiler *c, uint32_t subject)
{
	const uint32_t *key = berm_intern_key(&c->subject_key, subject, NULL);
	struct compile_subject s = {
		.ns = key[0],
		.dir = (uint8_t)key[1],
		.would = key[1] >> 8,
		.default_deny = key[0] != NONE && c->ns.item[key[0]].default_deny,
		.grants_dns = true,
		.grants_apiserver = true,
		.rejects = true,
		.table = NONE,
		.policy = key + KEY_HEAD,
		.policy_count = key[2],
		.port = (const struct compile_resolved *)(key + KEY_HEAD + key[2]),
		.port_count = key[3],
		.flow = (const struct compile_range *)(key + KEY_HEAD + key[2] + 2 * key[3]),
		.flow_count = key[4],
	};

	for (size_t i = 0; i < s.policy_count; i++) {
		const struct compile_policy *p = &c->policy[s.policy[i]];

		if (!(p->isolate & 1 << s.dir))
			continue;
		s.isolated = true;
		if (!(p->essentials & BERM_ESSENTIAL_DNS))
			s.grants_dns = false;
		if (!(p->essentials & BERM_ESSENTIAL_APISERVER))
			s.grants_apiserver = false;
		s.rejects &= c->model->policies[s.policy[i]]->rejects;
	}
	s.rejects &= s.isolated;
	s.on_change = change_of(c, &s);
	return array_push(&c->subject, s);
}

static int push_all(struct berm_numbers *out, const void *from, size_t count)
{
	const uint32_t *word = from;

	for (size_t i = 0; i < count; i++)
		if (array_push(out, word[i]))
			return -ENOMEM;
	return 0;
}

/* The namespace matters if it has documents of its own, or its own default. */
static bool is_at_home(const struct compiler *c, uint32_t ns, const struct berm_numbers *key)
{
	if (c->ns.item[ns].default_deny)
		return true;
	for (uint32_t i = 0; i < key->item[2]; i++)
		if (!is_cluster_wide(c->model->policies[key->item[KEY_HEAD + i]]))
			return true;
	return false;
}

/* An endpoint whose subjects are sought. */
struct sought {
	const struct berm_pod *pod;
	const struct berm_local_endpoint *ep;
	uint32_t ns;
	const struct berm_numbers *policies;
};

static bool has_number(const struct berm_numbers *n, uint32_t number)
{
	for (size_t i = 0; i < n->count; i++)
		if (n->item[i] == number)
			return true;
	return false;
}

struct own { /* of one endpoint, in one view */
	resolved_array ports;
	struct compile_own_flows flows;
};

static int subject_key(struct compiler *c, const struct sought *of, struct compile_view v,
		       const struct own *own, struct berm_numbers *key)
{
	const uint32_t head[KEY_HEAD] = { of->ns, v.dir | (uint32_t)v.would << 8, 0,
					  (uint32_t)own->ports.count,
					  (uint32_t)own->flows.range.count / 2 };

	if (push_all(key, head, KEY_HEAD))
		return -ENOMEM;
	for (size_t i = 0; i < of->policies->count; i++) {
		uint32_t policy = of->policies->item[i];

		if (!matters(c, policy, v) && !has_number(&own->flows.policy, policy))
			continue;
		if (array_push(key, policy))
			return -ENOMEM;
		key->item[2]++;
	}
	if (!is_at_home(c, head[0], key))
		key->item[0] = NONE;
	if (push_all(key, own->ports.item, own->ports.count * 2))
		return -ENOMEM;
	return push_all(key, own->flows.range.item, own->flows.range.count);
}

/* NONE: nothing decides, the endpoint is open in this direction. */
static int subject_for(struct compiler *c, const struct berm_numbers *key, uint32_t *ret)
{
	int rc;

	*ret = NONE;
	if (!key->item[2] && key->item[0] == NONE)
		return 0;
	rc = berm_intern(&c->subject_key, key->item, key->count * sizeof(*key->item), ret);
	return rc > 0 ? describe(c, *ret) : rc;
}

static int own_ports(struct compiler *c, const struct sought *of, bool would, resolved_array *out)
{
	for (size_t i = 0; i < of->policies->count; i++)
		if (resolve_own(c, of->pod, &c->policy[of->policies->item[i]], would, out))
			return -ENOMEM;
	unique_resolved(out);
	return 0;
}

static int own_of(struct compiler *c, const struct sought *of, struct compile_view v,
		  struct own *out)
{
	int rc = berm_compile_own_flows(c, of->ep, of->policies, v, &out->flows);

	return !rc && v.dir == BERM_INGRESS ? own_ports(c, of, v.would, &out->ports) : rc;
}

static int find_subject(struct compiler *c, const struct sought *of, struct compile_view v,
			uint32_t *ret)
{
	struct berm_numbers key = { 0 };
	struct own own = { 0 };
	int rc = own_of(c, of, v, &own);

	if (!rc)
		rc = subject_key(c, of, v, &own, &key);
	if (!rc)
		rc = subject_for(c, &key, ret);
	array_free(&own.ports);
	array_free(&own.flows.range);
	array_free(&own.flows.policy);
	array_free(&key);
	return rc;
}

/* 1, 0, -ENOMEM. */
static int has_audit_flows(struct compiler *c, const struct sought *of, uint8_t dir)
{
	struct compile_own_flows own = { 0 };
	int rc = berm_compile_own_flows(c, of->ep, of->policies, (struct compile_view){ dir, true },
					&own);

	for (size_t i = 0; !rc && i < own.policy.count; i++)
		if (c->model->policies[own.policy.item[i]]->audit)
			rc = 1;
	array_free(&own.range);
	array_free(&own.policy);
	return rc;
}

static int is_audited(struct compiler *c, const struct sought *of, uint8_t dir)
{
	for (size_t i = 0; i < of->policies->count; i++)
		if (has_audit(c, of->policies->item[i], dir))
			return 1;
	return has_audit_flows(c, of, dir);
}

static int endpoint_subjects(struct compiler *c, struct compile_endpoint *ep,
			     const struct sought *of)
{
	int rc = 0;

	for (uint8_t dir = 0; !rc && dir < BERM_DIR_COUNT; dir++) {
		rc = find_subject(c, of, (struct compile_view){ dir, false }, &ep->subject[dir]);
		if (!rc)
			rc = is_audited(c, of, dir);
		if (rc > 0)
			rc = find_subject(c, of, (struct compile_view){ dir, true },
					  &ep->would[dir]);
	}
	return rc;
}

static int compile_policies(struct compiler *c, const struct berm_numbers *policies)
{
	for (size_t i = 0; i < policies->count; i++) {
		int rc = berm_compile_policy(c, policies->item[i]);

		if (rc)
			return rc;
	}
	return 0;
}

static int judge(struct compiler *c, struct compile_endpoint *ep)
{
	struct berm_numbers policies = { 0 };
	struct sought of = { .pod = ep->pod,
			     .ep = &c->model->endpoints[ep - c->endpoint],
			     .policies = &policies };
	int rc = berm_compile_ns(c, ep->pod->ns, &of.ns);

	if (!rc)
		rc = policies_of(c, of.ns, ep->pod, &policies);
	if (!rc)
		rc = compile_policies(c, &policies);
	if (!rc)
		rc = endpoint_subjects(c, ep, &of);
	array_free(&policies);
	return rc;
}

/* What a pod has that no agent has judged yet (fallback isolate-namespace): DNS, the API server and its own node. */
static int essentials_subject(struct compiler *c)
{
	static const uint32_t key[KEY_HEAD] = { NONE, BERM_EGRESS };
	struct compile_subject s = {
		.ns = NONE,
		.dir = BERM_EGRESS,
		.isolated = true,
		.grants_dns = true,
		.grants_apiserver = true,
		.is_essentials = true,
		.table = NONE,
	};
	uint32_t number;

	if (berm_intern(&c->subject_key, key, sizeof(key), &number) < 0)
		return -ENOMEM;
	return array_push(&c->subject, s);
}

int berm_compile_subjects(struct compiler *c)
{
	const struct berm_model *m = c->model;
	int rc = index_policies(c);

	c->endpoint = calloc(m->endpoint_count + 1, sizeof(*c->endpoint));
	c->endpoint_count = m->endpoint_count;
	if (rc || !c->endpoint || essentials_subject(c) || berm_compile_flows(c))
		return -ENOMEM;
	for (size_t i = 0; i < m->endpoint_count; i++) {
		struct compile_endpoint *ep = &c->endpoint[i];

		ep->subject[BERM_INGRESS] = ep->subject[BERM_EGRESS] = NONE;
		ep->would[BERM_INGRESS] = ep->would[BERM_EGRESS] = NONE;
		ep->pod = berm_model_pod_of(m, &m->endpoints[i]);
		if (ep->pod && judge(c, ep))
			return -ENOMEM;
	}
	return berm_compile_order(c);
}

/* ---- which namespaces are isolated at all --------------------------------------------------------------- */

static void isolate_namespaces(const struct compiler *c, uint32_t policy, uint32_t *dirs)
{
	const struct berm_policy *p = c->model->policies[policy];
	uint8_t isolate = c->policy[policy].isolate;

	if (p->disabled || p->audit || !isolate)
		return;
	if (!is_cluster_wide(p)) {
		dirs[c->policy[policy].ns] |= isolate;
		return;
	}
	for (size_t i = 0; i < c->ns.count; i++)
		if (!p->has_ns_subject ||
		    berm_selector_matches(&p->ns_subject, c->ns.item[i].labels))
			dirs[i] |= isolate;
}

static int cmp_plan_ns(const void *a, const void *b)
{
	return strcmp(((const struct berm_plan_ns *)a)->name,
		      ((const struct berm_plan_ns *)b)->name);
}

static void list_isolated(const struct compiler *c, const uint32_t *dirs, struct berm_plan *plan)
{
	for (size_t i = 0; i < c->ns.count; i++) {
		struct berm_plan_ns *out = &plan->ns[plan->ns_count];
		size_t size = strlen(c->ns.item[i].name);

		if (!dirs[i] || size >= sizeof(out->name))
			continue; /* a name that long is no namespace (RFC 1123 label) */
		memcpy(out->name, c->ns.item[i].name, size + 1);
		out->dirs = dirs[i];
		plan->ns_count++;
	}
	qsort(plan->ns, plan->ns_count, sizeof(*plan->ns), cmp_plan_ns);
}

int berm_compile_isolation(struct compiler *c, struct berm_plan *plan)
{
	uint32_t *dirs = calloc(c->ns.count + 1, sizeof(*dirs));

	plan->ns = calloc(c->ns.count + 1, sizeof(*plan->ns));
	if (!dirs || !plan->ns) {
		free(dirs);
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->ns.count; i++)
		if (c->ns.item[i].default_deny)
			dirs[i] = 1 << BERM_INGRESS | 1 << BERM_EGRESS;
	for (size_t i = 0; i < c->model->policy_count; i++)
		isolate_namespaces(c, (uint32_t)i, dirs);
	list_isolated(c, dirs, plan);
	free(dirs);
	return 0;
}
