/* SPDX-License-Identifier: Apache-2.0 */
/* test_cidr.c - address blocks: what is taken, what is refused, in which words. */
#include <errno.h>

#include "cidr.h"
#include "maps.h"
#include "test.h"

TEST(cidr_strict)
{
	static const struct {
		const char *name, *in;
		int rc;
		const char *out; /* normal form, or part of the error */
		unsigned int bits;
		bool v4;
	} cases[] = {
		{ "network", "10.0.0.0/8", 0, "10.0.0.0/8", 104, true },
		{ "bare address", "10.1.2.3", 0, "10.1.2.3/32", 128, true },
		{ "everything", "0.0.0.0/0", 0, "0.0.0.0/0", 96, true },
		{ "odd length", "10.128.0.0/9", 0, "10.128.0.0/9", 105, true },
		{ "IPv6 network", "fd00::/8", 0, "fd00::/8", 8, false },
		{ "IPv6 bare", "fd00::1", 0, "fd00::1/128", 128, false },
		{ "IPv6 everything", "::/0", 0, "::/0", 0, false },
		{ "IPv6 upper case", "FD00::/8", 0, "fd00::/8", 8, false },
		{ "IPv6 around mapped", "::/64", 0, "::/64", 64, false },
		{ "host bits", "10.1.2.3/8", -EINVAL, "did you mean '10.0.0.0/8'", 0, false },
		{ "IPv6 host bits", "fd00::1/64", -EINVAL, "did you mean 'fd00::/64'", 0, false },
		{ "prefix too big", "10.0.0.0/33", -EINVAL, "must be 0 to 32", 0, false },
		{ "IPv6 prefix too big", "fd00::/129", -EINVAL, "must be 0 to 128", 0, false },
		{ "prefix empty", "10.0.0.0/", -EINVAL, "must be 0 to 32", 0, false },
		{ "prefix signed", "10.0.0.0/-1", -EINVAL, "must be 0 to 32", 0, false },
		{ "prefix plus", "10.0.0.0/+8", -EINVAL, "must be 0 to 32", 0, false },
		{ "prefix blank", "10.0.0.0/ 8", -EINVAL, "must be 0 to 32", 0, false },
		{ "prefix wraps", "10.0.0.0/4294967304", -EINVAL, "must be 0 to 32", 0, false },
		{ "two slashes", "10.0.0.0/8/8", -EINVAL, "must be 0 to 32", 0, false },
		{ "netmask", "10.0.0.0/255.0.0.0", -EINVAL, "must be 0 to 32", 0, false },
		{ "leading zero", "010.0.0.0/8", -EINVAL, "did you mean '10.0.0.0/8'", 0, false },
		{ "zero in prefix", "10.0.0.0/08", -EINVAL, "did you mean '10.0.0.0/8'", 0, false },
		{ "mapped", "::ffff:10.0.0.0/104", -EINVAL, "write '10.0.0.0/8'", 0, false },
		{ "not an address", "ten/8", -EINVAL, "'ten' is not an IP address", 0, false },
		{ "three parts", "10.0.0/8", -EINVAL, "not an IP address", 0, false },
		{ "zone", "fe80::1%eth0", -EINVAL, "not an IP address", 0, false },
		{ "empty", "", -EINVAL, "not an IP address", 0, false },
		{ "only slash", "/8", -EINVAL, "not an IP address", 0, false },
		{ "endless", "1111111111111111111111111111111111111111111111111", -EINVAL, "too long", 0, false },
	}, *c;

	for_each_case(c, cases) {
		struct berm_cidr got = { .bits = 77 };
		struct berm_err err = { 0 };
		char text[BERM_CIDR_STRLEN];

		EXPECT_EQ(berm_cidr_parse(c->in, &got, &err), c->rc);
		if (c->rc) {
			EXPECT_STR_HAS(err.msg, c->out);
			EXPECT_EQ(got.bits, 77); /* untouched on failure */
			continue;
		}
		EXPECT_EQ(got.bits, c->bits);
		EXPECT_EQ(got.v4, c->v4);
		berm_cidr_format(&got, text);
		EXPECT_STR_EQ(text, c->out);
	}
}

TEST(cidr_lenient)
{
	static const struct {
		const char *name, *in, *out; /* out NULL: refused */
		bool changed;
	} cases[] = {
		{ "normal form", "10.0.0.0/8", "10.0.0.0/8", false },
		{ "host bits", "10.1.2.3/8", "10.0.0.0/8", true },
		{ "IPv6 host bits", "fd00::1/64", "fd00::/64", true },
		{ "leading zeros are decimal", "010.010.0.0/16", "10.10.0.0/16", true },
		{ "zero itself", "0.0.0.0/0", "0.0.0.0/0", false },
		{ "many zeros", "000.0.0.00/00", "0.0.0.0/0", true },
		{ "mapped", "::ffff:10.1.0.0/112", "10.1.0.0/16", true },
		{ "mapped with host bits", "::ffff:10.1.2.3/104", "10.0.0.0/8", true },
		{ "wider than mapped", "::ffff:10.1.2.3/90", "::ffc0:0:0/90", true },
		{ "the mapped prefix", "::ffff:0:0/96", "0.0.0.0/0", true },
		{ "not an address", "ten/8", NULL, false },
		{ "octet too big", "10.256.0.0/16", NULL, false },
	}, *c;

	for_each_case(c, cases) {
		struct berm_cidr got = { .bits = 77 };
		struct berm_err err = { 0 };
		char text[BERM_CIDR_STRLEN];
		bool changed = false;

		EXPECT_EQ(berm_cidr_parse_lenient(c->in, &got, &changed, &err),
			  c->out ? 0 : -EINVAL);
		if (!c->out)
			continue;
		berm_cidr_format(&got, text);
		EXPECT_STR_EQ(text, c->out);
		EXPECT_EQ(changed, c->changed);
	}
}

TEST(cidr_contains)
{
	static const struct {
		const char *name, *block, *addr;
		bool want;
	} cases[] = {
		{ "inside", "10.0.0.0/8", "10.255.255.255", true },
		{ "outside", "10.0.0.0/8", "11.0.0.0", false },
		{ "odd length inside", "10.128.0.0/9", "10.128.0.1", true },
		{ "odd length outside", "10.128.0.0/9", "10.127.255.255", false },
		{ "host", "10.1.2.3/32", "10.1.2.3", true },
		{ "next host", "10.1.2.3/32", "10.1.2.4", false },
		{ "IPv6 inside", "fd00::/8", "fdff::1", true },
		{ "IPv6 outside", "fd00::/8", "fe00::1", false },
		{ "all IPv4 is not IPv6", "0.0.0.0/0", "fd00::1", false },
		{ "all IPv6 is not IPv4", "::/0", "10.1.2.3", false },
		{ "IPv6 around the mapped range is not IPv4", "::/64", "10.1.2.3", false },
		{ "all IPv6", "::/0", "fd00::1", true },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		struct berm_cidr block;
		struct berm_addr addr;

		ASSERT_OK(berm_cidr_parse(c->block, &block, &err), &err);
		ASSERT_EQ(berm_addr_parse(c->addr, &addr), 0);
		EXPECT_EQ(berm_cidr_contains(&block, &addr), c->want);
	}
}

TEST(cidr_covers)
{
	static const struct {
		const char *name, *outer, *inner;
		bool want;
		int order; /* of berm_cidr_compare, its sign */
	} cases[] = {
		{ "inside", "10.0.0.0/8", "10.1.0.0/16", true, -1 },
		{ "same", "10.0.0.0/8", "10.0.0.0/8", true, 0 },
		{ "the other way", "10.1.0.0/16", "10.0.0.0/8", false, 1 },
		{ "beside", "10.0.0.0/8", "11.0.0.0/16", false, -1 },
		{ "other family", "::/0", "10.0.0.0/8", false, 1 },
		{ "same address, longer", "10.0.0.0/8", "10.0.0.0/9", true, -1 },
	}, *c;

	for_each_case(c, cases) {
		struct berm_err err = { 0 };
		struct berm_cidr outer, inner;
		int order;

		ASSERT_OK(berm_cidr_parse(c->outer, &outer, &err), &err);
		ASSERT_OK(berm_cidr_parse(c->inner, &inner, &err), &err);
		EXPECT_EQ(berm_cidr_covers(&outer, &inner), c->want);
		order = berm_cidr_compare(&outer, &inner);
		EXPECT_EQ((order > 0) - (order < 0), c->order);
	}
}
