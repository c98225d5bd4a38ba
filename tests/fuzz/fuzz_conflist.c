/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_conflist.c - any file in the runtime's directory: what is edited stays usable, and removal undoes insertion. */
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "conflist.h"

#define ENTRY "{\"type\":\"berm-cni\",\"waitForPolicy\":\"2s\"}"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int cond)
{
	if (!cond)
		__builtin_trap();
}

static void check_inserted(const char *before, const char *after)
{
	struct berm_err err = { 0 };
	char *again = NULL, *bare = NULL;

	expect(!berm_conflist_check(after, strlen(after), true, &err));
	expect(berm_conflist_has(after, strlen(after)));
	expect(!berm_conflist_insert(after, strlen(after), ENTRY, &again, &err) && !again);
	expect(!berm_conflist_remove(after, strlen(after), &bare, &err) && bare);
	expect(!berm_conflist_has(bare, strlen(bare)));
	if (!berm_conflist_has(before, strlen(before)))
		expect(!strcmp(bare, before));
	free(bare);
}

static void check_list(const char *text)
{
	struct berm_err err = { 0 };
	char *out = NULL;

	if (berm_conflist_insert(text, strlen(text), ENTRY, &out, &err))
		expect(!out && err.msg[0]);
	else if (out)
		check_inserted(text, out);
	else
		expect(berm_conflist_has(text, strlen(text)));
	free(out);
	out = NULL;
	if (!berm_conflist_remove(text, strlen(text), &out, &err) && out)
		expect(!berm_conflist_check(out, strlen(out), true, &err));
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *list = NULL;
	struct berm_err err = { 0 };

	expect(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (!berm_conflist_check(text, size, true, &err))
		check_list(text);
	if (!berm_conflist_check(text, size, false, &err) &&
	    !berm_conflist_wrap(text, size, &list, &err)) {
		expect(!berm_conflist_check(list, strlen(list), true, &err));
		check_list(list);
	}
	free(list);
	free(text);
	return 0;
}
