/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h - raw JSON: find a member without re-serialising it, read addresses out of a result, print results
 * and errors. Knows the CNI result types (SPEC.md, "Section 5: Result Types"), versions 0.3.0 to 1.1.0.
 */
#ifndef BERM_RESULT_H
#define BERM_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "abi.h"
#include "err.h"

struct json_slice {
	const char *at; /* within the text that was searched */
	size_t size;
};

/* The raw value of a member of the outermost object; the last one if the key stands there twice, as Go's
 * decoder has it. False: no object, no such member, or not JSON. */
bool json_member(const char *text, size_t size, const char *key, struct json_slice *out);

/* Addresses that the result puts on ifname inside the sandbox. Anything that does not fit is passed over. */
size_t result_addresses(const struct json_slice *result, const char *ifname, struct berm_addr *out,
			size_t max);

/* The result byte for byte, with cniVersion put in front only if it has none. -EIO: stdout is gone. */
int result_print(FILE *out, const struct json_slice *result, const char *version,
		 struct berm_err *err) must_check;

/* One error object (SPEC.md, "Error"). details may be NULL. */
void error_print(FILE *out, const char *version, int code, const char *msg, const char *details);

#endif /* BERM_RESULT_H */
