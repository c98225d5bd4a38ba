/* SPDX-License-Identifier: Apache-2.0 */
/* envopt.c - environment variables as options, so that one parser checks both. Knows no option. */
#include "envopt.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

#define PREFIX "BERM_"

/* "missing-state" -> "BERM_MISSING_STATE" */
static void variable_of(const char *option, char *out, size_t room)
{
	size_t i = strlen(PREFIX);

	memcpy(out, PREFIX, i);
	for (; *option && i + 1 < room; option++, i++)
		out[i] = *option == '-' ? '_' : (char)toupper((unsigned char)*option);
	out[i] = '\0';
}

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(*list, word))
			return true;
	return false;
}

/* *ret NULL: the variable does not set the option. */
static int option_of(const struct argp_option *option, char **ret, struct berm_err *err)
{
	static const char *const yes[] = { "true", "1", NULL }, *const no[] = { "false", "0",
										NULL };
	char variable[128];
	const char *value;
	int n;

	*ret = NULL;
	variable_of(option->name, variable, sizeof(variable));
	value = getenv(variable);
	if (!value || !*value)
		return 0;
	if (!option->arg && is_one_of(value, no))
		return 0;
	if (!option->arg && !is_one_of(value, yes))
		return berm_refuse(err, -EINVAL, "%s=%s: want true or false", variable, value);
	n = option->arg ? asprintf(ret, "--%s=%s", option->name, value)
			: asprintf(ret, "--%s", option->name);
	if (n >= 0)
		return 0;
	*ret = NULL;
	return berm_fail(err, -ENOMEM, "read %s", variable);
}

int berm_envopt(const struct argp_option *options, int *argc, char ***argv, struct berm_err *err)
{
	size_t count = 0, used = 0;
	auto_free char **out = NULL;
	int i, rc = 0;

	while (options[count].name || options[count].key || options[count].doc)
		count++;
	out = calloc(count + (size_t)*argc + 2, sizeof(*out));
	if (!out)
		return berm_fail(err, -ENOMEM, "read the environment");
	if (*argc > 0)
		out[used++] = (*argv)[0];
	for (size_t n = 0; n < count && !rc; n++) {
		rc = options[n].name ? option_of(&options[n], &out[used], err) : 0;
		used += out[used] != NULL;
	}
	if (rc)
		return rc;
	for (i = 1; i < *argc; i++)
		out[used++] = (*argv)[i];
	*argc = (int)used;
	*argv = TAKE_PTR(out);
	return 0;
}
