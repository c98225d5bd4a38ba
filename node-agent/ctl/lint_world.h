/* SPDX-License-Identifier: Apache-2.0 */
/* lint_world.h - the files that lint has read: those it judges, and those that say what else there is. Prints nothing. */
#ifndef BERM_CTL_LINT_WORLD_H
#define BERM_CTL_LINT_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "document.h"

struct ctl_lint_sheet {
	char *name, *text; /* text stays: positions of findings are looked up in it */
	size_t size;
	bool is_judged;
	struct berm_objects objects;
};

struct ctl_lint_world {
	struct ctl_lint_sheet **sheet;
	size_t count;
};

/* Takes what `sheet` has, name is copied. NULL: no memory, and the text is freed. */
struct ctl_lint_sheet *ctl_lint_add(struct ctl_lint_world *world, const char *name,
				    const struct ctl_lint_sheet *sheet);
/* By name, the last one; NULL: none. */
const struct ctl_lint_sheet *ctl_lint_sheet(const struct ctl_lint_world *world, const char *name);
/* What is probably not meant (advice.h) in the judged ones, once: takes pods and namespaces out of them. -ENOMEM. */
int ctl_lint_advise(struct ctl_lint_world *world, struct berm_problems *problems) must_check;
void ctl_lint_clear(struct ctl_lint_world *world);

#endif /* BERM_CTL_LINT_WORLD_H */
