/* SPDX-License-Identifier: Apache-2.0 */
/* selector.h - labels and Kubernetes label selectors (meta/v1 LabelSelector). */
#ifndef BERM_SELECTOR_H
#define BERM_SELECTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "err.h"

struct berm_label {
	char *key, *value;
};

struct berm_labels { /* sorted by key */
	struct berm_label *item;
	size_t count;
};

enum berm_operator { BERM_OP_IN, BERM_OP_NOT_IN, BERM_OP_EXISTS, BERM_OP_NOT_EXISTS };

struct berm_requirement { /* matchLabels k: v is In [v] */
	char *key;
	enum berm_operator op;
	char **value;
	size_t value_count;
};

struct berm_selector { /* AND of all; none = matches everything; sorted, so equal ones are equal bytewise */
	struct berm_requirement *item;
	size_t count;
};

/* Copies key and value; a key that is there gets the new value. -ENOMEM. */
int berm_labels_set(struct berm_labels *labels, const char *key, const char *value) must_check;
/* Copies everything. Call berm_selector_normalise() after the last one. -ENOMEM: unchanged. */
int berm_selector_add(struct berm_selector *sel, const char *key, enum berm_operator op,
		      const char *const *value, size_t value_count) must_check;
/* Sorts and drops what is said twice. */
void berm_selector_normalise(struct berm_selector *sel);

const char *berm_labels_get(const struct berm_labels *labels, const char *key); /* or NULL */
/* NotIn and DoesNotExist match a missing key. */
bool berm_selector_matches(const struct berm_selector *sel, const struct berm_labels *labels);
void berm_labels_clear(struct berm_labels *labels);
void berm_selector_clear(struct berm_selector *sel);
/* Canonical text ("app in (a,b),!x"), malloc'ed: equal selectors give equal texts. NULL: no memory. */
char *berm_selector_text(const struct berm_selector *sel);

#endif /* BERM_SELECTOR_H */
