/* SPDX-License-Identifier: Apache-2.0 */
/* problem.c - the list of what is wrong with documents, and how one entry reads. Knows no document. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "document.h"
#include "utf8.h"

/* Users' text ends up on terminals and in JSON: no control characters, no half characters. */
static char *clean_copy(const char *text)
{
	char *copy = strdup(text), *p = copy;
	size_t len;

	while (p && *p) {
		len = berm_utf8_length(p, strlen(p));
		if (!len || (unsigned char)*p < 0x20 || *p == 0x7f) {
			*p++ = '?';
			continue;
		}
		p += len;
	}
	return copy;
}

static void problem_clear(struct berm_problem *p)
{
	free(p->source);
	free(p->field);
	free(p->message);
	free(p->hint);
	free(p->document);
}

/* Absent stays absent. */
static bool copy_to(char **out, const char *text)
{
	*out = text ? clean_copy(text) : NULL;
	return !text || *out;
}

static int make_room(struct berm_problems *problems)
{
	struct berm_problem *item;
	size_t n = problems->count;

	if (n & (n - 1) || (n && n < 8)) /* grows at 0, 8, 16, 32 ... */
		return 0;
	item = reallocarray(problems->item, n ? 2 * n : 8, sizeof(*item));
	if (!item)
		return -ENOMEM;
	problems->item = item;
	return 0;
}

int berm_problems_add(struct berm_problems *problems, const struct berm_problem *problem)
{
	struct berm_problem copy = *problem;
	bool ok;

	if (make_room(problems))
		return -ENOMEM;
	ok = copy_to(&copy.source, problem->source);
	ok &= copy_to(&copy.field, problem->field);
	ok &= copy_to(&copy.message, problem->message);
	ok &= copy_to(&copy.hint, problem->hint);
	ok &= copy_to(&copy.document, problem->document);
	if (!ok) {
		problem_clear(&copy);
		return -ENOMEM;
	}
	problems->item[problems->count++] = copy;
	return 0;
}

void berm_problems_clear(struct berm_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++)
		problem_clear(&problems->item[i]);
	free(problems->item);
	*problems = (struct berm_problems){ 0 };
}

static const struct {
	const char *name, *help;
} codes[] = {
#define X(id, name, help) [BERM_CODE_##id] = { name, help },
	BERM_PROBLEM_CODES(X)
#undef X
};

const char *berm_problem_code_name(enum berm_problem_code code)
{
	return codes[code].name;
}

const char *berm_problem_code_help(enum berm_problem_code code)
{
	return codes[code].help;
}

int berm_problem_format(const struct berm_problem *p, char *out, size_t size)
{
	char at[32] = "";
	int n;

	if (p->line)
		snprintf(at, sizeof(at), ":%d:%d", p->line, p->column);
	n = snprintf(out, size, "%s%s: %s: %s%s%s%s%s%s%s", p->source ? p->source : "-", at,
		     p->severity == BERM_ERROR ? "error" : "warning",
		     p->document ? p->document : "", p->document ? ": " : "",
		     p->field ? p->field : "", p->field ? ": " : "", p->message ? p->message : "",
		     p->hint ? "; " : "", p->hint ? p->hint : "");
	return n < 0 ? 0 : n < (int)size ? n : size ? (int)size - 1 : 0;
}
