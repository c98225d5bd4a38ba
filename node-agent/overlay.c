/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.c - a sorted list of borrowed policies, and what is in force of those that depend on IPSets or the time. */
#include "overlay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "effective.h"

struct id {
	enum berm_policy_kind kind;
	const char *ns, *name;
};

static int compare(const struct id *id, const struct berm_policy *policy)
{
	int rc = (id->kind > policy->kind) - (id->kind < policy->kind);

	if (!rc)
		rc = strcmp(id->ns ? id->ns : "", policy->ns ? policy->ns : "");
	return rc ? rc : strcmp(id->name, policy->name);
}

static size_t find(const struct berm_overlay *overlay, const struct id *id, bool *ret_is_there)
{
	size_t low = 0, high = overlay->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (compare(id, overlay->item[mid]) > 0)
			low = mid + 1;
		else
			high = mid;
	}
	*ret_is_there = low < overlay->count && !compare(id, overlay->item[low]);
	return low;
}

int berm_overlay_make(const struct berm_model *model, struct berm_overlay *ret)
{
	struct berm_policy **item = calloc(model->policy_count + 1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	if (model->policy_count)
		memcpy(item, model->policies, model->policy_count * sizeof(*item));
	*ret = (struct berm_overlay){ .item = item, .count = model->policy_count, .model = model };
	return 0;
}

/* Takes the effective policy. */
static int keep_made(struct berm_overlay *overlay, struct berm_policy *effective)
{
	struct berm_policy **made =
		reallocarray(overlay->made, overlay->made_count + 1, sizeof(*made));

	if (!made) {
		berm_policy_free_effective(effective);
		return -ENOMEM;
	}
	overlay->made = made;
	made[overlay->made_count++] = effective;
	return 0;
}

static int make_effective(struct berm_overlay *overlay, struct berm_policy *written,
			  struct berm_policy **ret)
{
	*ret = written;
	if (!berm_policy_is_conditional(written))
		return 0;
	if (berm_effective_make(overlay->model, written, false, ret))
		return -ENOMEM;
	return keep_made(overlay, *ret);
}

int berm_overlay_put(struct berm_overlay *overlay, struct berm_policy *policy)
{
	struct id id = { policy->kind, policy->ns, policy->name };
	struct berm_policy **item;
	bool is_there;
	size_t at = find(overlay, &id, &is_there);

	if (make_effective(overlay, policy, &policy))
		return -ENOMEM;
	if (is_there) {
		overlay->item[at] = policy;
		return 0;
	}
	item = reallocarray(overlay->item, overlay->count + 1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	overlay->item = item;
	memmove(item + at + 1, item + at, (overlay->count - at) * sizeof(*item));
	item[at] = policy;
	overlay->count++;
	return 0;
}

bool berm_overlay_remove(struct berm_overlay *overlay, enum berm_policy_kind kind, const char *ns,
			 const char *name)
{
	struct id id = { kind, ns, name };
	bool is_there;
	size_t at = find(overlay, &id, &is_there);

	if (!is_there)
		return false;
	overlay->count--;
	memmove(overlay->item + at, overlay->item + at + 1,
		(overlay->count - at) * sizeof(*overlay->item));
	return true;
}

int berm_overlay_open(const struct berm_overlay *overlay, struct berm_overlay *ret)
{
	struct berm_overlay out = { .model = overlay->model, .count = overlay->count };
	int rc = 0;

	out.item = calloc(overlay->count + 1, sizeof(*out.item));
	if (!out.item)
		return -ENOMEM;
	for (size_t i = 0; !rc && i < overlay->count; i++) {
		const struct berm_policy *policy = overlay->item[i];

		out.item[i] = overlay->item[i];
		if (!policy->written || !berm_policy_has_schedule(policy->written))
			continue;
		rc = berm_effective_open(overlay->model, policy, &out.item[i]);
		if (!rc)
			rc = keep_made(&out, out.item[i]);
	}
	if (rc)
		berm_overlay_clear(&out);
	else
		*ret = out;
	return rc;
}

void berm_overlay_clear(struct berm_overlay *overlay)
{
	for (size_t i = 0; i < overlay->made_count; i++)
		berm_policy_free_effective(overlay->made[i]);
	free(overlay->made);
	free(overlay->item);
	*overlay = (struct berm_overlay){ 0 };
}
