// SPDX-License-Identifier: Apache-2.0
/* diff_judge.c - what two plans say of one connection, port by port. Knows neither pods nor how it is told. */
#include <string.h>

#include "differ.h"

/* The first end that denies decides; where all allow, that of the destination has more to say. */
struct diff_found diff_judge(const struct berm_differ *d, const struct diff_ends *ends,
			     enum diff_side side, enum diff_word word, uint32_t at)
{
	const struct berm_plan *plan = d->trial[side].plan;
	const uint32_t *set = ends->set[side][word], *cls = ends->cls[side][word];
	struct berm_trial_verdict out = berm_trial_cell(plan, set[0], cls[0], at), in;

	if (!out.is_allowed)
		return (struct diff_found){ false, BERM_EGRESS, out.rule };
	in = berm_trial_cell(plan, set[1], cls[1], at);
	if (in.is_allowed && !in.rule && out.rule)
		return (struct diff_found){ true, BERM_EGRESS, out.rule };
	return (struct diff_found){ in.is_allowed, BERM_INGRESS, in.rule };
}

static bool is_same_found(const struct diff_found *a, const struct diff_found *b)
{
	return a->is_allowed == b->is_allowed && a->dir == b->dir && a->rule == b->rule;
}

static bool is_same_reason(const struct diff_change *a, const struct diff_change *b)
{
	return a->is_would == b->is_would &&
	       is_same_found(&a->f[DIFF_BEFORE], &b->f[DIFF_BEFORE]) &&
	       is_same_found(&a->f[DIFF_AFTER], &b->f[DIFF_AFTER]);
}

/* What would be is told where it is not what is. */
static bool judge_both(const struct berm_differ *d, const struct diff_ends *ends,
		       enum diff_word word, uint32_t at, struct diff_change *ret)
{
	struct diff_found real[DIFF_SIDES];
	bool differs = false;

	*ret = (struct diff_change){ .is_would = word == DIFF_WOULD };
	for (int side = 0; side < DIFF_SIDES; side++) {
		ret->f[side] = diff_judge(d, ends, side, word, at);
		if (word == DIFF_REAL)
			continue;
		real[side] = diff_judge(d, ends, side, DIFF_REAL, at);
		differs |= real[side].is_allowed != ret->f[side].is_allowed;
	}
	return ret->f[DIFF_BEFORE].is_allowed != ret->f[DIFF_AFTER].is_allowed &&
	       (word == DIFF_REAL || differs);
}

int diff_changes_add(struct diff_changes *changes, const struct diff_change *change)
{
	for (size_t i = 0; i < changes->list.count; i++) {
		struct diff_change *old = &changes->list.item[i];

		if (old->first == change->first && old->last == change->last &&
		    is_same_reason(old, change)) {
			old->families |= change->families;
			return 0;
		}
	}
	return array_push(&changes->list, *change);
}

/* ICMP of the other family is nobody's. */
static bool is_foreign(uint32_t at, enum diff_family family)
{
	return at >> 16 == (family == DIFF_V4 ? BERM_PLANE_ICMPV6 : BERM_PLANE_ICMP);
}

struct run {
	struct diff_change change;
	bool is_on;
};

static int end_run(struct run *run, uint32_t next, struct diff_changes *changes)
{
	if (!run->is_on)
		return 0;
	run->is_on = false;
	run->change.last = next - 1;
	return diff_changes_add(changes, &run->change);
}

static int scan(const struct berm_differ *d, const struct diff_ends *ends, enum diff_word word,
		const uint32_t span[2], struct diff_changes *changes, enum diff_family family)
{
	struct run run = { .is_on = false };
	int rc = 0;

	for (size_t i = 0; !rc && i < d->start.count && d->start.item[i] <= span[1]; i++) {
		uint32_t at = d->start.item[i];
		bool is_past = i + 1 < d->start.count && d->start.item[i + 1] <= span[0];
		struct diff_change here;
		bool differs;

		if (is_past || is_foreign(at, family)) {
			rc = end_run(&run, at, changes);
			continue;
		}
		differs = judge_both(d, ends, word, at, &here);
		if (run.is_on && (!differs || at >> 16 != run.change.first >> 16 ||
				  !is_same_reason(&run.change, &here)))
			rc = end_run(&run, at, changes);
		if (!differs || run.is_on)
			continue;
		here.first = at < span[0] ? span[0] : at;
		here.families = 1u << family;
		run = (struct run){ here, true };
	}
	return rc ? rc : end_run(&run, span[1] + 1, changes);
}

int diff_ports(const struct berm_differ *d, const struct diff_ends *ends, const uint32_t span[2],
	       struct diff_changes *changes, enum diff_family family)
{
	int rc = scan(d, ends, DIFF_REAL, span, changes, family);

	changes->families |= 1u << family;
	return rc || !d->has_would ? rc : scan(d, ends, DIFF_WOULD, span, changes, family);
}
