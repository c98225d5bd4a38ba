/* SPDX-License-Identifier: Apache-2.0 */
/* hint.h - "did you mean ...?": the known word nearest to what somebody wrote. */
#ifndef BERM_HINT_H
#define BERM_HINT_H

#include <stddef.h>

struct berm_nearest {
	const char *word; /* as written */
	const char *best; /* NULL: nothing is near enough */
	unsigned int distance;
};

/* Offer one known word; the nearest one wins, the first of equally near ones. Case counts little. */
void berm_nearest_try(struct berm_nearest *nearest, const char *candidate);

/* "did you mean 'ports'?" or, if nothing is near, otherwise; NULL if that is NULL too. */
const char *berm_nearest_text(const struct berm_nearest *nearest, const char *otherwise, char *out,
			      size_t size);

#endif /* BERM_HINT_H */
