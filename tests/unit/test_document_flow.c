/* SPDX-License-Identifier: Apache-2.0 */
/* test_document_flow.c - `flows` of a SegmentationPolicy: what they become, how they are refused. */
#include <stdlib.h>

#include "documents.h"
#include "maps.h"
#include "objects.h"
#include "test.h"

#define HEAD "kind: SegmentationPolicy\nname: p\nisolate: []\nflows:\n" /* 4 lines */
#define TCP4 "action: Allow, direction: Egress, protocol: TCP, "
#define ENDS "src: 10.1.2.3, srcPort: 45000, dst: 10.1.9.9, dstPort: 7000"

TEST(flows_read, "flows of both families, directions and all protocols become what they say")
{
	static struct documents d;
	const struct berm_policy *p;
	struct berm_addr want;

	documents_parse_in(&d, "shop",
			   HEAD
			   "- {name: pinned, " TCP4 ENDS "}\n"
			   "- {action: Deny, direction: Ingress, protocol: UDP, src: 'fd00::1', srcPort: 1, dst: 'fd00::2', dstPort: 65535}\n"
			   "- {action: Reject, direction: Ingress, protocol: SCTP, " ENDS "}\n");
	p = documents_policy(&d);
	EXPECT_STR_EQ(d.report, "");
	ASSERT_EQ(p->flow_count, 3);
	EXPECT_STR_EQ(p->flow[0].name, "pinned");
	EXPECT_EQ(p->flow[0].action, BERM_RULE_ALLOW);
	EXPECT_EQ(p->flow[0].dir, BERM_EGRESS);
	EXPECT_EQ(p->flow[0].plane, BERM_PLANE_TCP);
	want = objects_addr("10.1.2.3");
	EXPECT_MEM_EQ(&p->flow[0].src, &want, sizeof(want));
	want = objects_addr("10.1.9.9");
	EXPECT_MEM_EQ(&p->flow[0].dst, &want, sizeof(want));
	EXPECT_EQ(p->flow[0].src_port, 45000);
	EXPECT_EQ(p->flow[0].dst_port, 7000);
	EXPECT_TRUE(!p->flow[1].name);
	EXPECT_EQ(p->flow[1].action, BERM_RULE_DENY);
	EXPECT_EQ(p->flow[1].plane, BERM_PLANE_UDP);
	want = objects_addr("fd00::2");
	EXPECT_MEM_EQ(&p->flow[1].dst, &want, sizeof(want));
	EXPECT_EQ(p->flow[1].dst_port, 65535);
	EXPECT_EQ(p->flow[2].action, BERM_RULE_REJECT);
	EXPECT_EQ(p->flow[2].plane, BERM_PLANE_SCTP);
	EXPECT_EQ(p->flow[2].index, 2);
	documents_clear(&d);
}

TEST(flows_refused, "a mistake in a flow is named with line, column, field and a hint")
{
	static const struct {
		const char *name, *flow;
		int line, column; /* in the document */
		const char *msg;
	} cases[] = {
		{ "no list", "  a: b", 5, 3, "flows: want a list" },
		{ "action missing",
		  "- {direction: Egress, protocol: TCP, " ENDS "}", 5, 3,
		  "flows[0]: the field 'action' is missing" },
		{ "Pass", "- {action: Pass, direction: Egress, protocol: TCP, " ENDS "}", 5, 12,
		  "flows[0].action: 'Pass' is not a known word here" },
		{ "direction in small letters",
		  "- {action: Deny, direction: egress, protocol: TCP, " ENDS "}", 5, 29,
		  "did you mean 'Egress'?" },
		{ "ICMP", "- {action: Deny, direction: Egress, protocol: ICMP, " ENDS "}", 5, 47,
		  "flows[0].protocol: 'ICMP' is not a known word here" },
		{ "a block", "- {" TCP4 "src: 10.0.0.0/8, srcPort: 1, dst: 10.1.1.1, dstPort: 1}", 5, 58,
		  "'10.0.0.0/8' is not one address; a rule with ipBlock takes a block" },
		{ "no address", "- {" TCP4 "src: web, srcPort: 1, dst: 10.1.1.1, dstPort: 1}", 5, 58,
		  "flows[0].src: " },
		{ "port 0", "- {" TCP4 "src: 10.0.0.1, srcPort: 0, dst: 10.1.1.1, dstPort: 1}", 5, 77,
		  "0 is not a whole number from 1 to 65535" },
		{ "port too big", "- {" TCP4 "src: 10.0.0.1, srcPort: 1, dst: 10.1.1.1, dstPort: 65536}",
		  5, 104, "65536 is not a whole number from 1 to 65535" },
		{ "dstPort missing", "- {" TCP4 "src: 10.0.0.1, srcPort: 1, dst: 10.1.1.1}", 5, 3,
		  "the field 'dstPort' is missing" },
		{ "two families", "- {" TCP4 "src: 10.0.0.1, srcPort: 1, dst: 'fd00::1', dstPort: 1}", 5, 3,
		  "src and dst are of different families; give both as IPv4 or both as IPv6" },
		{ "itself", "- {" TCP4 "src: 10.0.0.1, srcPort: 1, dst: 10.0.0.1, dstPort: 2}", 5, 3,
		  "src and dst are the same address" },
		{ "name", "- {name: 'a b', " TCP4 ENDS "}", 5, 10, "'a b' is not a flow's name" },
		{ "unknown field", "- {" TCP4 ENDS ", dport: 5}", 5, 114,
		  "flows[0].dport: unknown field; did you mean 'dstPort'?" },
		{ "twice", "- {" TCP4 ENDS "}\n- {name: x, " TCP4 ENDS "}", 6, 3,
		  "flow 0 is about the same connection in the same direction" },
	}, *c;

	for_each_case(c, cases) {
		static struct documents d;
		char text[1024], at[64];

		snprintf(text, sizeof(text), HEAD "%s", c->flow);
		documents_parse_in(&d, "shop", text);
		snprintf(at, sizeof(at), "f.yaml:%d:%d: error: ", c->line + DOCUMENTS_LINE - 1,
			 c->column + DOCUMENTS_COLUMN - 1);
		EXPECT_STR_HAS(d.report, c->msg);
		EXPECT_STR_HAS(d.report, at);
		EXPECT_EQ(d.problems.count, 1);
		for (size_t i = 0; i < d.objects.count; i++)
			EXPECT_TRUE(d.objects.item[i].broken);
		documents_clear(&d);
	}
}

TEST(flows_many,
     "a document takes 25,000 flows, and one more is refused; equal ones are found among many")
{
	static struct documents d;
	static char text[4 << 20];

	for (unsigned int count = 25000; count <= 25001; count++) {
		struct berm_err err = { 0 };
		size_t used = (size_t)sprintf(text, HEAD);

		for (unsigned int i = 0; i < count; i++)
			used += (size_t)
				sprintf(text + used,
					"- {name: f, " TCP4
					"src: 10.0.0.1, srcPort: 1000, dst: 10.1.%u.%u, dstPort: 80}\n",
					i / 250, i % 250 + 1);
		ASSERT_OK(berm_document_parse("f.yaml", text, used, &d.objects, &d.problems, &err),
			  &err);
		EXPECT_EQ(d.problems.count, count > 25000);
		ASSERT_EQ(d.objects.count, 1);
		if (count <= 25000)
			EXPECT_EQ(d.objects.item[0].policy->flow_count, 25000);
		documents_clear(&d);
	}
}

TEST(flows_digest, "what a flow says is part of the document's digest")
{
	static const char *const other[] = {
		"- {" TCP4 ENDS "}",
		"- {name: x, " TCP4 ENDS "}",
		"- {action: Deny, direction: Egress, protocol: TCP, " ENDS "}",
		"- {action: Allow, direction: Ingress, protocol: TCP, " ENDS "}",
		"- {action: Allow, direction: Egress, protocol: UDP, " ENDS "}",
		"- {" TCP4 "src: 10.1.2.4, srcPort: 45000, dst: 10.1.9.9, dstPort: 7000}",
		"- {" TCP4 "src: 10.1.2.3, srcPort: 45001, dst: 10.1.9.9, dstPort: 7000}",
		"- {" TCP4 "src: 10.1.2.3, srcPort: 45000, dst: 10.1.9.8, dstPort: 7000}",
		"- {" TCP4 "src: 10.1.2.3, srcPort: 45000, dst: 10.1.9.9, dstPort: 7001}",
	};
	uint64_t seen[ARRAY_SIZE(other)];

	for (size_t i = 0; i < ARRAY_SIZE(other); i++) {
		static struct documents d;
		char text[512];

		snprintf(text, sizeof(text), HEAD "%s", other[i]);
		documents_parse_in(&d, "shop", text);
		seen[i] = documents_policy(&d)->digest;
		for (size_t k = 0; k < i; k++)
			EXPECT_TRUE(seen[k] != seen[i]);
		documents_clear(&d);
	}
}
