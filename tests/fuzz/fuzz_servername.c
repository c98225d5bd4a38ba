/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_servername.c - any bytes are a sample: nothing behind them is read, a name holds nothing but what a name may
 * hold and stands in the bytes, and more bytes never take a TLS name away.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "servername.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static void check(const char *name, const uint8_t *data, size_t size)
{
	size_t len = strlen(name);
	bool is_in = false;

	expect(len > 0 && len < BERM_SERVERNAME_MAX);
	expect(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]") == len);
	for (size_t i = 0; i + len <= size && !is_in; i++)
		is_in = !strncasecmp((const char *)data + i, name, len);
	expect(is_in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char name[BERM_SERVERNAME_MAX], again[BERM_SERVERNAME_MAX];
	uint8_t *copy = malloc(size ? size : 1); /* of exactly that size */

	expect(copy);
	if (size)
		memcpy(copy, data, size);
	if (berm_servername_http(copy, size, name))
		check(name, data, size);
	if (size > 1 && berm_servername_tls(copy, size / 2, name)) {
		check(name, data, size / 2);
		expect(berm_servername_tls(copy, size, again) && !strcmp(name, again));
	}
	if (berm_servername_tls(copy, size, name))
		check(name, data, size);
	free(copy);
	return 0;
}
