/* SPDX-License-Identifier: Apache-2.0 */
/* documents.h - documents in, report out: what the tests of documents share. */
#ifndef BERM_TEST_DOCUMENTS_H
#define BERM_TEST_DOCUMENTS_H

#include "document.h"

struct documents {
	struct berm_objects objects;
	struct berm_problems problems;
	char report[32768]; /* what lint would print, one problem a line */
	char text[65536];   /* what was parsed */
};

/* Parses a file named f.yaml. */
void documents_parse(struct documents *d, const char *text);
/* The same, with text in the key policy.yaml of a ConfigMap c in namespace ns: line 1, column 1 of text is
 * line DOCUMENTS_LINE, column DOCUMENTS_COLUMN of the file. */
#define DOCUMENTS_LINE	 9
#define DOCUMENTS_COLUMN 5
void documents_parse_in(struct documents *d, const char *ns, const char *text);
void documents_clear(struct documents *d);

/* The object of that name; the test ends if there is none. */
struct berm_object *documents_find(struct documents *d, const char *name);
/* The policy of the only object, which must be good. */
const struct berm_policy *documents_policy(struct documents *d);

#endif /* BERM_TEST_DOCUMENTS_H */
