/* SPDX-License-Identifier: Apache-2.0 */
/* version.c - which versions of the CNI specification we speak; the VERSION command. */
#include <stdio.h>
#include <string.h>

#include "call.h"
#include "cleanup.h"

static const char *const supported[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0",
					 "1.1.0" }; /* ascending */
#define NEWEST (supported[ARRAY_SIZE(supported) - 1])

static int rank_of(const char *version)
{
	for (size_t i = 0; i < ARRAY_SIZE(supported); i++)
		if (!strcmp(supported[i], version))
			return (int)i;
	return -1;
}

bool cni_version_is_supported(const char *version)
{
	return rank_of(version) >= 0;
}

bool cni_version_at_least(const char *version, const char *least)
{
	return rank_of(version) >= rank_of(least);
}

int cmd_version(const struct cni_call *call, int *ret_code, struct berm_err *err)
{
	const char *asked = call->conf.version;

	(void)ret_code, (void)err;
	printf("{\"cniVersion\":\"%s\",\"supportedVersions\":[",
	       cni_version_is_supported(asked) ? asked : NEWEST);
	for (size_t i = 0; i < ARRAY_SIZE(supported); i++)
		printf("%s\"%s\"", i ? "," : "", supported[i]);
	printf("]}\n");
	return 0;
}
