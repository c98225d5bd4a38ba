/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_flows.c - bermctl flows: which records are wanted, and how one reads as a line. */
#include <stdlib.h>
#include <string.h>

#include "flow_text.h"
#include "test.h"

static const char allowed[] =
	"{\"time\":\"2026-01-31T09:00:00.123456789Z\",\"node\":\"n1\",\"verdict\":\"FORWARDED\",\"direction\":\"ingress\","
	"\"source\":{\"ip\":\"10.1.0.2\",\"port\":41000,\"namespace\":\"shop\",\"pod\":\"web-1\"},"
	"\"destination\":{\"ip\":\"10.1.0.3\",\"port\":5432,\"namespace\":\"shop\",\"pod\":\"db-0\"},"
	"\"protocol\":\"TCP\",\"rule\":{\"id\":1030,\"tier\":\"application\",\"kind\":\"SegmentationPolicy\","
	"\"namespace\":\"shop\",\"policy\":\"db-in\",\"rule\":\"web\"},\"reason\":\"policy-allow\"}";

static const char denied[] =
	"{\"time\":\"2026-01-31T09:00:01Z\",\"verdict\":\"DROPPED\",\"direction\":\"ingress\","
	"\"source\":{\"ip\":\"192.0.2.7\"},\"destination\":{\"ip\":\"10.1.0.3\",\"namespace\":\"shop\",\"pod\":\"db-0\"},"
	"\"protocol\":\"ICMP\",\"icmp\":{\"type\":8,\"code\":0},\"rule\":{\"id\":81,\"tier\":\"implicit\",\"policy\":\"default-deny\"},\"isolating\":[\"shop/db-in\"],"
	"\"reason\":\"default-deny\",\"suppressed\":12,\"lost_before\":3}";

static char *line_of(const char *json, bool wide)
{
	cJSON *flow = cJSON_Parse(json);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ASSERT_TRUE(flow && out);
	ctl_flow_print(flow, wide, false, out);
	fclose(out);
	cJSON_Delete(flow);
	return test_keep(text);
}

TEST(line_names_ends_service_and_rule)
{
	setenv("TZ", "UTC", 1);
	EXPECT_STR_EQ(line_of(allowed, false),
		      "09:00:00.123  FORWARDED  ingress  shop/web-1                  -> shop/db-0 "
		      "                   TCP/5432   shop/db-in:web (policy-allow)\n");
	EXPECT_STR_EQ(line_of(denied, false),
		      "09:00:01.000  DROPPED    ingress  192.0.2.7                   -> shop/db-0  "
		      "                  ICMP/8     default-deny (isolated by shop/db-in)  +12 like it "
		      " 3 lost before\n");
}

TEST(wide_line_has_addresses)
{
	EXPECT_STR_HAS(line_of(allowed, true), "from=10.1.0.2  port=41000");
	EXPECT_STR_HAS(line_of(allowed, true), "tier=application");
	EXPECT_STR_LACKS(line_of(denied, true), "port="); /* ICMP has none */
}

TEST(line_of_a_reply_names_the_service_port)
{
	EXPECT_STR_HAS(
		line_of("{\"is_reply\":true,\"protocol\":\"TCP\",\"source\":{\"ip\":\"10.1.0.3\",\"port\":5432},"
			"\"destination\":{\"ip\":\"10.1.0.2\",\"port\":41000},\"verdict\":\"DROPPED\"}",
			false),
		"TCP/5432");
}

TEST(empty_record_does_not_crash)
{
	EXPECT_STR_HAS(line_of("{}", true), "->");
	EXPECT_STR_HAS(line_of("{\"source\":7,\"rule\":[],\"time\":{}}", true), "->");
}

TEST(filters)
{
	static const struct {
		const char *name;
		struct ctl_flow_filter filter;
		bool allowed, denied;
	} cases[] = {
		{ "none", { 0 }, true, true },
		{ "verdict, any case", { .verdict = "dropped" }, false, true },
		{ "direction", { .direction = "egress" }, false, false },
		{ "pod at either end", { .pod = "db-0" }, true, true },
		{ "pod by pattern", { .pod = "shop/web-*" }, true, false },
		{ "pod of another namespace", { .pod = "other/db-0" }, false, false },
		{ "namespace", { .ns = "shop" }, true, true },
		{ "other namespace", { .ns = "sho" }, false, false },
		{ "destination port", { .port = 5432 }, true, false },
		{ "source port", { .port = 41000 }, true, false },
		{ "no such port", { .port = 80 }, false, false },
		{ "rule in full", { .rule = "shop/db-in:web" }, true, false },
		{ "policy", { .rule = "db-in" }, true, false },
		{ "policy with namespace", { .rule = "shop/db-*" }, true, false },
		{ "rule name", { .rule = "web" }, true, false },
		{ "reason", { .rule = "default-deny" }, false, true },
		{ "since before both", { .since_ns = 1769849999000000000 }, true, true },
		{ "since between them", { .since_ns = 1769850000500000000 }, false, true },
		{ "several together", { .verdict = "FORWARDED", .port = 5432, .pod = "web-1" }, true, false },
		{ "several, one fails", { .verdict = "DROPPED", .port = 5432 }, false, false },
	}, *c;
	cJSON *a = cJSON_Parse(allowed), *d = cJSON_Parse(denied);

	ASSERT_TRUE(a && d);
	for_each_case(c, cases) {
		EXPECT_EQ(ctl_flow_is_wanted(&c->filter, a), c->allowed);
		EXPECT_EQ(ctl_flow_is_wanted(&c->filter, d), c->denied);
	}
	cJSON_Delete(a);
	cJSON_Delete(d);
}
