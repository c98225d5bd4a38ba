// SPDX-License-Identifier: Apache-2.0
/*
 * compile_matrix.c - the walk through the stages (docs/compiler.md), once for every row that a subject can
 * tell apart. What is left is a matrix of verdicts; nothing of tiers, Pass or essentials reaches the packet.
 *
 * A row is painted: rules in order take the ports that nobody has taken yet.
 */
#include "compile_matrix.h"

#define UNDECIDED NONE

/* ---- painting ----------------------------------------------------------------------------------------------- */

struct brush {
	uint32_t verdict; /* UNDECIDED: a Pass, or a Log */
	uint8_t stage;
	uint32_t log; /* the rule, if it is a Log; else NONE */
};

static void paint_spans(struct matrix *m, size_t from, uint32_t last, struct brush b)
{
	for (size_t i = from; i < m->spans && m->s->start.item[i] <= last; i++) {
		if (m->paint[i] != UNDECIDED || m->passed[i] == b.stage)
			continue;
		if (b.log != NONE)
			m->log[i] = m->log[i] == NONE ? b.log : m->log[i];
		else if (b.verdict == UNDECIDED)
			m->passed[i] = b.stage;
		else
			m->paint[i] = b.verdict;
	}
}

static void paint_names(struct matrix *m, const struct compile_rule *r, const struct sight *seen,
			struct brush b)
{
	bool own = m->s->dir == BERM_INGRESS;
	const struct compile_resolved *port = own ? m->s->port : seen->port;
	size_t count = own ? m->s->port_count : seen->port_count;

	for (size_t i = 0; i < count; i++)
		for (uint32_t n = 0; n < r->name_count; n++)
			if (m->c->rule_name.item[r->name + n] == port[i].name)
				paint_spans(m, berm_compile_span_find(m->s, port[i].at), port[i].at,
					    b);
}

static bool has_group(const struct matrix *m, const struct sight *seen, uint32_t group)
{
	uint32_t local;

	if (group == GROUP_ANY)
		return true;
	local = m->local[group];
	return seen->group[local / 64] >> local % 64 & 1;
}

static bool has_name_at(const struct matrix *m, const struct compile_rule *r,
			const struct sight *seen, uint32_t at)
{
	bool own = m->s->dir == BERM_INGRESS;
	const struct compile_resolved *port = own ? m->s->port : seen->port;
	size_t count = own ? m->s->port_count : seen->port_count;

	for (size_t i = 0; i < count; i++)
		for (uint32_t n = 0; n < r->name_count; n++)
			if (port[i].at == at && m->c->rule_name.item[r->name + n] == port[i].name)
				return true;
	return false;
}

bool berm_matrix_is_meant(const struct matrix *m, const struct compile_rule *r,
			  const struct sight *seen, uint32_t at)
{
	if (!has_group(m, seen, r->group))
		return false;
	if (r->all_ports)
		return true;
	for (uint32_t i = r->span; i < r->span + r->span_count; i++)
		if (m->c->span.item[i].first <= at && at <= m->c->span.item[i].last)
			return true;
	return has_name_at(m, r, seen, at);
}

static int brush_for(struct compiler *c, uint32_t rule, struct brush *ret)
{
	const struct compile_rule *r = &c->rule.item[rule];
	const uint32_t key[] = { VERDICT_RULE, rule };
	uint32_t named; /* a Log needs an id too */

	*ret = (struct brush){ UNDECIDED, r->stage, NONE };
	if (r->action == BERM_RULE_LOG) {
		ret->log = rule;
		return berm_compile_verdict(c, key, ARRAY_SIZE(key), &named);
	}
	return r->action == BERM_RULE_PASS
		       ? 0
		       : berm_compile_verdict(c, key, ARRAY_SIZE(key), &ret->verdict);
}

static int paint_rule(struct matrix *m, uint32_t rule, const struct sight *seen)
{
	const struct compile_rule *r = &m->c->rule.item[rule];
	struct brush b;

	if (!has_group(m, seen, r->group))
		return 0;
	if (brush_for(m->c, rule, &b))
		return -ENOMEM;
	if (r->all_ports)
		paint_spans(m, 0, NONE, b);
	for (uint32_t i = r->span; i < r->span + r->span_count; i++) {
		const struct compile_span *span = &m->c->span.item[i];

		paint_spans(m, berm_compile_span_find(m->s, span->first), span->last, b);
	}
	paint_names(m, r, seen, b);
	return 0;
}

static int paint_rules(struct matrix *m, const struct sight *seen, uint8_t first, uint8_t last)
{
	for (size_t i = 0; i < m->s->rule.count; i++) {
		uint32_t rule = m->s->rule.item[i];
		uint8_t stage = m->c->rule.item[rule].stage;

		if (stage >= first && stage <= last && paint_rule(m, rule, seen))
			return -ENOMEM;
	}
	return 0;
}

/* ---- where no rule decides ------------------------------------------------------------------------------------ */

bool berm_compile_sees(const struct compile_subject *s, enum compile_essential_kind what)
{
	return s->dir == BERM_EGRESS && (s->isolated || s->default_deny) &&
	       (what == ESSENTIAL_DNS ? s->grants_dns : s->grants_apiserver);
}

static bool sees_marks(const struct compile_subject *s)
{
	return s->dir == BERM_EGRESS && (s->isolated || s->default_deny);
}

/* The endpoints of the DNS Service and of the API server's, each on its own port. */
static void paint_essential_ports(struct matrix *m, const struct sight *seen, struct brush b)
{
	for (int kind = 0; kind < ESSENTIAL_COUNT; kind++)
		for (size_t i = 0; i < seen->port_count; i++)
			if (seen->port[i].name == m->c->essential_name[kind] &&
			    berm_compile_sees(m->s, (enum compile_essential_kind)kind))
				paint_spans(m, berm_compile_span_find(m->s, seen->port[i].at),
					    seen->port[i].at, b);
}

/* Own node: everything. DNS: port 53 of its pods. All of them lift only the implicit deny. */
static int paint_essentials(struct matrix *m, const struct sight *seen)
{
	static const uint32_t key[] = { VERDICT_ESSENTIAL };
	static const uint32_t dns[] = { BERM_PLANE_TCP << 16 | 53, BERM_PLANE_UDP << 16 | 53 };
	struct brush b = { 0, STAGE_ISOLATION, NONE };

	if (!sees_marks(m->s) || (!seen->mark && !seen->port_count))
		return 0;
	if (berm_compile_verdict(m->c, key, ARRAY_SIZE(key), &b.verdict))
		return -ENOMEM;
	if (seen->mark & MARK_OWN_NODE)
		paint_spans(m, 0, NONE, b);
	for (size_t i = 0; i < ARRAY_SIZE(dns); i++)
		if ((seen->mark & MARK_DNS) && berm_compile_sees(m->s, ESSENTIAL_DNS))
			paint_spans(m, berm_compile_span_find(m->s, dns[i]), dns[i], b);
	paint_essential_ports(m, seen, b);
	return 0;
}

/* What a subject sees of an address that only stands for others: no rule about somebody in particular. */
static bool is_vip(const struct compile_subject *s, const struct compile_class *cls)
{
	return s->dir == BERM_EGRESS && cls->mark & MARK_VIP;
}

static int unpainted(struct matrix *m, const struct sight *seen, uint32_t *ret)
{
	static const uint32_t unknown[] = { VERDICT_UNKNOWN };

	*ret = m->s->implicit;
	if (!(seen->mark & MARK_VIP) || m->s->is_essentials)
		return 0;
	return berm_compile_verdict(m->c, unknown, ARRAY_SIZE(unknown), ret);
}

static int implicit_verdict(struct compiler *c, const struct compile_subject *s, uint32_t *ret)
{
	struct berm_numbers key = { 0 };
	int rc = array_push(&key, (uint32_t)VERDICT_IMPLICIT);

	if (!rc)
		rc = array_push(&key, s->dir);
	for (size_t i = 0; !rc && i < s->policy_count; i++)
		if (c->policy[s->policy[i]].isolate & 1 << s->dir)
			rc = array_push(&key, s->policy[i]);
	if (!rc)
		rc = berm_compile_verdict(c, key.item, key.count, ret);
	array_free(&key);
	return rc;
}

static int last_verdict(struct compiler *c, struct compile_subject *s)
{
	const uint32_t open[] = { VERDICT_NOT_ISOLATED };
	const uint32_t fallback[] = { VERDICT_FALLBACK };
	const uint32_t deny[] = { VERDICT_NAMESPACE, s->dir, s->ns };

	if (s->is_essentials)
		return berm_compile_verdict(c, fallback, ARRAY_SIZE(fallback), &s->implicit);
	if (s->isolated)
		return implicit_verdict(c, s, &s->implicit);
	if (s->default_deny)
		return berm_compile_verdict(c, deny, ARRAY_SIZE(deny), &s->implicit);
	return berm_compile_verdict(c, open, ARRAY_SIZE(open), &s->implicit);
}

static int paint_row(struct matrix *m, const struct sight *seen)
{
	uint32_t rest = 0;

	memset(m->paint, 0xff, m->spans * sizeof(*m->paint));
	memset(m->log, 0xff, m->spans * sizeof(*m->log));
	memset(m->passed, 0, m->spans);
	if (paint_rules(m, seen, STAGE_EMERGENCY, STAGE_NETWORKPOLICY))
		return -ENOMEM;
	if (!m->s->isolated && paint_rules(m, seen, STAGE_BASELINE, STAGE_BASELINE))
		return -ENOMEM;
	if (paint_essentials(m, seen) || unpainted(m, seen, &rest))
		return -ENOMEM;
	for (size_t i = 0; i < m->spans; i++) {
		if (m->paint[i] == UNDECIDED)
			m->paint[i] = rest;
		if (berm_compile_logged(m->c, m->log[i], &m->paint[i]))
			return -ENOMEM;
	}
	return 0;
}

/* ---- what the subject sees of each class ------------------------------------------------------------------------ */

static int note_rule(struct matrix *m, const struct compile_rule *r)
{
	if (r->group != GROUP_ANY && m->local[r->group] == NONE) {
		m->local[r->group] = (uint32_t)m->group.count;
		if (array_push(&m->group, r->group))
			return -ENOMEM;
	}
	for (uint32_t i = 0; m->s->dir == BERM_EGRESS && i < r->name_count; i++)
		m->has_names = m->name[m->c->rule_name.item[r->name + i]] = true;
	return 0;
}

static int touch(struct matrix *m, uint32_t cls)
{
	if (m->pos[cls] != NONE)
		return 0;
	m->pos[cls] = (uint32_t)m->touched.count;
	for (size_t i = 0; i < m->words; i++)
		if (array_push(&m->bits, 0))
			return -ENOMEM;
	return array_push(&m->touched, cls);
}

static int touch_group(struct matrix *m, uint32_t local)
{
	const struct berm_numbers *cls = &m->c->group.item[m->group.item[local]].cls;

	for (size_t i = 0; i < cls->count; i++) {
		if (touch(m, cls->item[i]))
			return -ENOMEM;
		m->bits.item[m->pos[cls->item[i]] * m->words + local / 64] |= 1ull << local % 64;
	}
	return 0;
}

static int touch_classes(struct matrix *m)
{
	if (touch(m, CLASS_WORLD4) || touch(m, CLASS_WORLD6))
		return -ENOMEM;
	for (size_t i = 0; i < m->group.count; i++)
		if (touch_group(m, (uint32_t)i))
			return -ENOMEM;
	for (size_t i = 0; i < m->c->cls.count; i++) {
		const struct compile_class *cls = &m->c->cls.item[i];

		if (((cls->mark && sees_marks(m->s)) || (cls->ports && m->has_names)) &&
		    touch(m, (uint32_t)i))
			return -ENOMEM;
	}
	return 0;
}

/* The named ports of a class that this subject has a rule for. */
static int seen_ports(const struct matrix *m, const struct compile_class *cls,
		      struct berm_numbers *key)
{
	size_t size;
	const struct compile_resolved *port = berm_intern_key(&m->c->ports, cls->ports, &size);

	for (size_t i = 0; m->has_names && !is_vip(m->s, cls) && i < size / sizeof(*port); i++)
		if (m->name[port[i].name] &&
		    (array_push(key, port[i].name) || array_push(key, port[i].at)))
			return -ENOMEM;
	return 0;
}

static const uint64_t *seen_groups(const struct matrix *m, uint32_t cls)
{
	return is_vip(m->s, &m->c->cls.item[cls]) ? m->nobody
						  : m->bits.item + m->pos[cls] * m->words;
}

static int sight_key(const struct matrix *m, uint32_t cls, struct berm_numbers *key)
{
	const uint64_t *bits = seen_groups(m, cls);
	uint32_t mark = m->c->cls.item[cls].mark;

	key->count = 0;
	if (array_push(key, sees_marks(m->s) ? mark : 0) || array_push(key, 0))
		return -ENOMEM;
	for (size_t i = 0; i < m->words; i++)
		if (array_push(key, (uint32_t)bits[i]) ||
		    array_push(key, (uint32_t)(bits[i] >> 32)))
			return -ENOMEM;
	return seen_ports(m, &m->c->cls.item[cls], key);
}

static struct sight sight_of(const struct matrix *m, uint32_t cls, const struct berm_numbers *key)
{
	size_t head = 2 + 2 * m->words;

	return (struct sight){
		.group = seen_groups(m, cls),
		.mark = key->item[0],
		.port = (const struct compile_resolved *)(key->item + head),
		.port_count = (key->count - head) / 2,
	};
}

/* Of a class that no rule of the subject touches it sees what it sees of the world. */
int berm_matrix_see(const struct matrix *m, uint32_t cls, struct berm_numbers *key,
		    struct sight *ret)
{
	uint32_t like = m->pos[cls] == NONE ? CLASS_WORLD4 : cls;
	int rc = sight_key(m, like, key);

	if (!rc)
		*ret = sight_of(m, like, key);
	return rc;
}

static int new_row(struct matrix *m, uint32_t cls, const struct berm_numbers *key)
{
	struct sight seen = sight_of(m, cls, key);
	uint32_t row = 0;

	if (paint_row(m, &seen) ||
	    berm_intern(&m->row, m->paint, m->spans * sizeof(*m->paint), &row) < 0)
		return -ENOMEM;
	return array_push(&m->row_of_sight, row);
}

static int place_class(struct matrix *m, uint32_t cls, struct berm_numbers *key)
{
	uint32_t number = 0;
	int rc = sight_key(m, cls, key);

	if (!rc)
		rc = berm_intern(&m->sight, key->item, key->count * sizeof(*key->item), &number);
	if (rc > 0)
		rc = new_row(m, cls, key);
	if (!rc)
		m->s->row[cls] = (uint16_t)m->row_of_sight.item[number];
	return rc;
}

/* ---- the subject's matrix ------------------------------------------------------------------------------------------ */

/* Can an address of this class come to this subject at all? CIDR classes of other tables cannot. */
static void mark_met(const struct matrix *m, bool *met)
{
	const struct compile_subject *s = m->s;

	for (size_t i = 0; i < m->c->cls.count; i++)
		met[i] = m->c->cls.item[i].is_peer;
	if (s->table == NONE)
		return;
	for (size_t i = 0; i < m->c->table.item[s->table].cls.count; i++)
		met[m->c->table.item[s->table].cls.item[i]] = true;
}

/* The world's row, unless another is much commoner: entries are saved, but a set should not change
 * because the balance of two rows tips by one class. */
static uint32_t choose_default(const struct matrix *m, const bool *met, size_t *count)
{
	uint32_t world = m->s->row[CLASS_WORLD4], best = world;

	for (size_t i = 0; i < m->c->cls.count; i++)
		if (met[i])
			count[m->s->row[i]]++;
	for (uint32_t r = 0; r < m->row.count; r++)
		if (count[r] > count[best])
			best = r;
	return count[best] > 2 * count[world] + 8 ? best : world;
}

static int place_classes(struct matrix *m, const bool *met)
{
	struct berm_numbers key = { 0 };
	int rc = 0;

	for (size_t i = 0; !rc && i < m->touched.count; i++)
		if ((met[m->touched.item[i]] || m->c->cls.item[m->touched.item[i]].is_backend) &&
		    m->row.count <= BERM_LIMIT_ROWS)
			rc = place_class(m, m->touched.item[i], &key);
	array_free(&key);
	if (rc)
		return rc;
	for (size_t i = 0; i < m->c->cls.count; i++)
		if (m->pos[i] == NONE)
			m->s->row[i] = m->s->row[CLASS_WORLD4];
	return 0;
}

/* ---- frontends ------------------------------------------------------------------------------------------------------- */

static uint32_t verdict_at(const struct matrix *m, uint32_t row, uint32_t at)
{
	const uint32_t *paint = berm_intern_key(&m->row, row, NULL);

	return paint[berm_compile_span_find(m->s, at)];
}

#define ALLOWED 0x100

/* 0: it is denied. ALLOWED, and what it must carry (enum berm_app, 0 anything). */
static uint32_t allowed(const struct compiler *c, uint32_t verdict)
{
	uint32_t log;
	const uint32_t *key =
		berm_intern_key(&c->verdict, berm_compile_unlogged(c, verdict, &log), NULL);
	const struct compile_rule *r;

	if (key[0] != VERDICT_RULE)
		return key[0] == VERDICT_ESSENTIAL || key[0] == VERDICT_NOT_ISOLATED ? ALLOWED : 0;
	r = &c->rule.item[key[1]];
	return r->action == BERM_RULE_ALLOW ? ALLOWED | r->rule->app : 0;
}

bool berm_matrix_allows(const struct matrix *m, uint32_t cls, uint32_t at)
{
	return allowed(m->c, verdict_at(m, m->s->row[cls], at)) != 0;
}

/* All backends are allowed alike or all denied: as the first. Else nobody knows whom the packet would come to. With
 * the Log of the first that has one. */
static int judge_backends(struct matrix *m, const struct compile_class *front, uint32_t *ret)
{
	static const uint32_t mixed[] = { VERDICT_MIXED };
	uint32_t first = 0, first_log = NONE, log, verdict;
	bool is_mixed = false;

	for (size_t i = 0; i < front->backend_count; i++) {
		const struct compile_backend *b = &front->backend[i];

		verdict =
			berm_compile_unlogged(m->c, verdict_at(m, m->s->row[b->cls], b->at), &log);
		if (!i) {
			first = allowed(m->c, verdict);
			*ret = verdict;
		}
		is_mixed |= allowed(m->c, verdict) != first;
		if (first_log == NONE)
			first_log = log;
	}
	if (is_mixed && berm_compile_verdict(m->c, mixed, ARRAY_SIZE(mixed), ret))
		return -ENOMEM;
	return berm_compile_logged(m->c, first_log, ret);
}

/* The default row if it says the same at this place, else one that says it everywhere. */
static int place_front(struct matrix *m, uint32_t cls)
{
	const struct compile_class *front = &m->c->cls.item[cls];
	uint32_t verdict = 0, row = m->s->default_row;
	int rc = judge_backends(m, front, &verdict);

	if (!rc && verdict_at(m, row, front->front_at) != verdict) {
		for (size_t i = 0; i < m->spans; i++)
			m->paint[i] = verdict;
		rc = berm_intern(&m->row, m->paint, m->spans * sizeof(*m->paint), &row);
	}
	m->s->row[cls] = (uint16_t)row;
	return rc < 0 ? rc : 0;
}

static int place_fronts(struct matrix *m)
{
	for (size_t i = 0; i < m->c->cls.count; i++) {
		if (!m->c->cls.item[i].is_front)
			continue;
		if (m->s->dir == BERM_INGRESS)
			m->s->row[i] = (uint16_t)m->s->default_row;
		else if (m->row.count <= BERM_LIMIT_ROWS && place_front(m, (uint32_t)i))
			return -ENOMEM;
	}
	return 0;
}

static int choose_rows(struct matrix *m)
{
	size_t classes = m->c->cls.count;
	bool *met = calloc(classes + 1, sizeof(*met));
	size_t *count = calloc(BERM_LIMIT_ROWS + 2, sizeof(*count));
	int rc = met && count ? 0 : -ENOMEM;

	m->s->row = calloc(classes + 1, sizeof(*m->s->row));
	if (!rc && m->s->row) {
		mark_met(m, met);
		rc = place_classes(m, met);
	} else {
		rc = -ENOMEM;
	}
	if (!rc && m->row.count <= BERM_LIMIT_ROWS) {
		m->s->default_row = choose_default(m, met, count);
		rc = place_fronts(m);
		if (!rc)
			rc = berm_matrix_decide(m); /* while every backend has its own row */
		for (size_t i = 0; i < classes; i++)
			if (!met[i] && !m->c->cls.item[i].is_front)
				m->s->row[i] = (uint16_t)m->s->default_row;
	}
	free(met);
	free(count);
	return rc;
}

/* Equal columns are one; the first span that has it gives a column its number. */
static int merge_columns(struct matrix *m)
{
	struct compile_subject *s = m->s;
	size_t rows = m->row.count;
	uint32_t *column = calloc(rows + 1, sizeof(*column));
	struct berm_intern seen = { 0 };
	int rc = 0;

	s->col = calloc(m->spans + 1, sizeof(*s->col));
	if (!column || !s->col)
		rc = -ENOMEM;
	for (size_t i = 0; rc >= 0 && i < m->spans && seen.count <= BERM_LIMIT_COLS; i++) {
		uint32_t number;

		for (size_t r = 0; r < rows; r++)
			column[r] =
				((const uint32_t *)berm_intern_key(&m->row, (uint32_t)r, NULL))[i];
		rc = berm_intern(&seen, column, rows * sizeof(*column), &number);
		s->col[i] = (uint8_t)number;
	}
	s->nrows = (uint32_t)rows;
	s->ncols = (uint32_t)seen.count;
	for (size_t r = 0; rc >= 0 && r < rows; r++)
		for (uint32_t i = 0; rc >= 0 && i < s->ncols; i++)
			rc = array_push(&s->cell,
					((const uint32_t *)berm_intern_key(&seen, i, NULL))[r]);
	berm_intern_free(&seen);
	free(column);
	return rc < 0 ? rc : 0;
}

static int matrix_begin(struct matrix *m)
{
	struct compiler *c = m->c;

	m->spans = m->s->start.count;
	m->local = reallocarray(NULL, c->group.count + 1, sizeof(*m->local));
	m->name = calloc(c->port_name.count + 1, sizeof(*m->name));
	m->pos = reallocarray(NULL, c->cls.count + 1, sizeof(*m->pos));
	m->paint = calloc(m->spans, sizeof(*m->paint));
	m->passed = calloc(m->spans, sizeof(*m->passed));
	m->log = calloc(m->spans, sizeof(*m->log));
	if (!m->local || !m->name || !m->pos || !m->paint || !m->passed || !m->log)
		return -ENOMEM;
	memset(m->local, 0xff, (c->group.count + 1) * sizeof(*m->local));
	memset(m->pos, 0xff, (c->cls.count + 1) * sizeof(*m->pos));
	for (size_t i = 0; i < m->s->rule.count; i++)
		if (note_rule(m, &c->rule.item[m->s->rule.item[i]]))
			return -ENOMEM;
	for (int kind = 0; c->essential.count && kind < ESSENTIAL_COUNT; kind++)
		if (berm_compile_sees(m->s, (enum compile_essential_kind)kind))
			m->has_names = m->name[c->essential_name[kind]] = true;
	m->words = m->group.count / 64 + 1;
	m->nobody = calloc(m->words, sizeof(*m->nobody));
	if (!m->nobody)
		return -ENOMEM;
	return last_verdict(c, m->s);
}

static void matrix_end(struct matrix *m)
{
	free(m->local);
	free(m->name);
	free(m->pos);
	free(m->paint);
	free(m->passed);
	free(m->log);
	free(m->nobody);
	array_free(&m->group);
	array_free(&m->touched);
	array_free(&m->bits);
	array_free(&m->row_of_sight);
	berm_intern_free(&m->sight);
	berm_intern_free(&m->row);
}

static int make_matrix(struct compiler *c, struct compile_subject *s)
{
	struct matrix m = { .c = c, .s = s };
	int rc = matrix_begin(&m);

	if (!rc)
		rc = touch_classes(&m);
	if (!rc)
		rc = choose_rows(&m);
	if (!rc && m.row.count > BERM_LIMIT_ROWS)
		rc = -E2BIG;
	if (!rc)
		rc = merge_columns(&m);
	if (!rc && (s->ncols > BERM_LIMIT_COLS || (size_t)s->nrows * s->ncols > BERM_LIMIT_CELLS))
		rc = -E2BIG;
	matrix_end(&m);
	return rc;
}

int berm_compile_try(struct compiler *c, const struct compile_subject *s,
		     const struct berm_numbers *rules)
{
	struct compile_subject trial = *s;
	int rc;

	trial.rule = *rules;
	trial.cell = (struct berm_numbers){ 0 };
	trial.col = NULL;
	trial.row = NULL;
	trial.flow_count = 0;
	rc = make_matrix(c, &trial);
	array_free(&trial.cell);
	free(trial.col);
	free(trial.row);
	return rc;
}

int berm_compile_matrices(struct compiler *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->subject.count; i++) {
		int one = make_matrix(c, &c->subject.item[i]);

		if (one == -E2BIG)
			one = berm_compile_refuse(c, &c->subject.item[i],
						  "256 rows, 256 columns and 16,384 cells per set");
		if (one == -ENOMEM)
			return one;
		rc = one ? one : rc;
	}
	return rc;
}
