/* SPDX-License-Identifier: Apache-2.0 */
/* test_record.c - records: what a file may hold, and what a name may be. */
#include <errno.h>
#include <stdlib.h>

#include "maps.h"
#include "record.h"
#include "test.h"

static struct berm_record sample(void)
{
	struct berm_record rec = {
		.container_id = "abc123",
		.ifname = "eth0",
		.ns = "shop",
		.pod = "web-1",
		.uid = "u-1",
		.netns = "/run/netns/x",
		.netns_inode = 4026532323,
		.ifindex = 7,
		.peer_ifindex = 2,
		.slot = 3,
		.host_ifname = "veth1",
		.mac = { 1, 2, 3, 0xa, 0xb, 0xff },
		.addr_count = 2,
		.fallback = "allow",
		.mode = "tcx",
		.adopted = true,
		.intent_ifindex = 9,
		.problem = "a \"quoted\"\nproblem",
	};

	if (berm_addr_parse("10.0.0.2", &rec.addr[0]) || berm_addr_parse("fd00::2", &rec.addr[1]))
		test_failed(__FILE__, __LINE__, "sample addresses do not parse");
	return rec;
}

TEST(record_comes_back_as_it_went)
{
	struct berm_record rec = sample(), got;
	struct berm_err err = { 0 };
	char *text = berm_record_format(&rec, -1);

	ASSERT_TRUE(text);
	ASSERT_OK(berm_record_parse("sample", text, strlen(text), &got, &err), &err);
	EXPECT_MEM_EQ(&got, &rec, sizeof(rec));
	EXPECT_STR_LACKS(text, "wait_ms");
	free(text);
	text = berm_record_format(&rec, 1500);
	ASSERT_TRUE(text);
	EXPECT_STR_HAS(text, "\"wait_ms\":1500");
	free(text);
}

TEST(record_refuses_what_it_cannot_be)
{
	static const struct {
		const char *name, *text, *msg;
	} cases[] = {
		{ "empty", "", "not a JSON object" },
		{ "cut off", "{\"container_id\":\"a\",\"ifname\":\"et", "not a JSON object" },
		{ "list", "[]", "not a JSON object" },
		{ "number as text", "{\"container_id\":1,\"ifname\":\"e\"}", "'container_id'" },
		{ "traversal", "{\"container_id\":\"../x\",\"ifname\":\"e\"}", "'container_id'" },
		{ "no ifname", "{\"container_id\":\"a\"}", "'ifname'" },
		{ "negative", "{\"container_id\":\"a\",\"ifname\":\"e\",\"slot\":-1}", "'slot'" },
		{ "too big", "{\"container_id\":\"a\",\"ifname\":\"e\",\"ifindex\":4294967296}", "'ifindex'" },
		{ "long text", "{\"container_id\":\"a\",\"ifname\":\"e\",\"mode\":\"12345678\"}", "'mode'" },
		{ "address", "{\"container_id\":\"a\",\"ifname\":\"e\",\"addresses\":[\"10.0.0\"]}", "'addresses'" },
		{ "five addresses", "{\"container_id\":\"a\",\"ifname\":\"e\",\"addresses\":"
		  "[\"::1\",\"::2\",\"::3\",\"::4\",\"::5\"]}", "'addresses'" },
		{ "mac", "{\"container_id\":\"a\",\"ifname\":\"e\",\"mac\":\"1:2\"}", "'mac'" },
	}, *c;

	for_each_case(c, cases) {
		struct berm_record got = { .slot = 77 };
		struct berm_err err = { 0 };

		EXPECT_EQ(berm_record_parse("it", c->text, strlen(c->text), &got, &err), -EBADMSG);
		EXPECT_EQ(got.slot, 77); /* untouched on failure */
		EXPECT_STR_HAS(err.msg, c->msg);
	}
}

TEST(record_file_truncated_or_absent)
{
	struct berm_record rec = sample(), got;
	struct berm_err err = { 0 };
	char *text = berm_record_format(&rec, -1), name[200];

	ASSERT_TRUE(text);
	snprintf(name, sizeof(name), "%s@%s.json", rec.container_id, rec.ifname);
	EXPECT_OK(berm_record_read_file(test_file(name, text), &got, &err), &err);
	EXPECT_STR_EQ(got.pod, "web-1");
	/* Somebody else's name: a DEL of this file would take down that pod. */
	EXPECT_EQ(berm_record_read_file(test_file("other@eth0.json", text), &got, &err), -EBADMSG);
	EXPECT_STR_HAS(err.msg, "other@eth0.json");
	text[strlen(text) / 2] = '\0';
	EXPECT_EQ(berm_record_read_file(test_file("half.json", text), &got, &err), -EBADMSG);
	EXPECT_STR_HAS(err.msg, "half.json");
	EXPECT_EQ(berm_record_read_file("/nonexistent/x.json", &got, &err), -ENOENT);
	free(text);
}

TEST(names_of_attachments)
{
	static const struct {
		const char *name, *text;
		bool id, ifname;
	} cases[] = {
		{ "plain", "eth0", true, true },
		{ "hash", "0123456789abcdef", true, false },
		{ "empty", "", false, false },
		{ "dot", ".", false, false },
		{ "dots", "..", false, false },
		{ "hidden", ".a", false, true },
		{ "slash", "a/b", false, false },
		{ "traversal", "../../etc", false, false },
		{ "colon", "eth0:1", false, false },
		{ "space", "eth 0", false, false },
		{ "control", "e\x01", false, false },
		{ "at", "a@b", false, true },
		{ "under_score-and.dot", "a_b-c.d", true, true },
	}, *c;

	for_each_case(c, cases) {
		EXPECT_EQ(berm_container_id_is_valid(c->text), c->id);
		EXPECT_EQ(berm_ifname_is_valid(c->text), c->ifname);
	}
}

TEST(names_too_long)
{
	char id[200];

	memset(id, 'a', sizeof(id));
	id[127] = '\0';
	EXPECT_TRUE(berm_container_id_is_valid(id));
	id[127] = 'a';
	id[128] = '\0';
	EXPECT_FALSE(berm_container_id_is_valid(id));
	id[15] = '\0';
	EXPECT_TRUE(berm_ifname_is_valid(id));
	id[15] = 'a';
	id[16] = '\0';
	EXPECT_FALSE(berm_ifname_is_valid(id));
}
