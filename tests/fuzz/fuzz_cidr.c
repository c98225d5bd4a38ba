/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_cidr.c - any text is a block or an error that says so, and what is printed reads back the same. */
#include <stdint.h>
#include <string.h>

#include "cidr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(int cond)
{
	if (!cond)
		__builtin_trap();
}

static void check_good(const struct berm_cidr *cidr)
{
	struct berm_cidr again = { .bits = 200 };
	struct berm_err err = { 0 };
	char text[BERM_CIDR_STRLEN];

	expect(cidr->bits <= 128 && (!cidr->v4 || cidr->bits >= 96));
	expect(berm_cidr_covers(cidr, cidr));
	berm_cidr_format(cidr, text);
	expect(!berm_cidr_parse(text, &again, &err));
	expect(!berm_cidr_compare(cidr, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berm_cidr strict = { .bits = 200 }, lenient = { .bits = 200 };
	struct berm_err err = { 0 };
	char text[64] = "";
	bool is_changed = false;

	memcpy(text, data, size < sizeof(text) ? size : sizeof(text) - 1);
	if (berm_cidr_parse(text, &strict, &err))
		expect(strict.bits == 200 && err.msg[0]); /* untouched on failure, and said why */
	else
		check_good(&strict);
	err.msg[0] = '\0';
	if (berm_cidr_parse_lenient(text, &lenient, &is_changed, &err)) {
		expect(lenient.bits == 200 && err.msg[0]);
		expect(strict.bits == 200); /* lenient takes what strict takes */
	} else {
		check_good(&lenient);
		expect(is_changed == (strict.bits == 200));
	}
	return 0;
}
