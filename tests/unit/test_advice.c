/* SPDX-License-Identifier: Apache-2.0 */
/* test_advice.c - what lint warns of: each finding in a document that has it, where it stands, and a control without it. */
#include <stdlib.h>

#include "../../node-agent/ctl/lint_world.h"
#include "test.h"

struct finding_case {
	const char *name;
	const char *doc; /* has it */
	enum berm_problem_code code;
	int line, column;
	const char *msg;     /* part of the line that is shown */
	const char *control; /* is like it, and has none of this code */
};

/* ---- documents of one line each -------------------------------------------------------------------------- */

#define SEG(name_, rest)                                                                           \
	"{kind: SegmentationPolicy, namespace: shop, name: " name_ ", subject: {podSelector: "     \
	"{matchLabels: {app: db}}}, " rest "}\n---\n"
#define NP(name_, app, rest)                                                                       \
	"{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: " name_          \
	", namespace: shop}, spec: {podSelector: {matchLabels: {app: " app "}}, " rest "}}\n---\n"
#define CNP(name_, rest)                                                                           \
	"{apiVersion: policy.networking.k8s.io/v1alpha2, kind: ClusterNetworkPolicy, metadata: "   \
	"{name: " name_ "}, spec: {tier: Admin, priority: 5, subject: {namespaces: {}}, " rest     \
	"}}\n---\n"
#define POD(app, port)                                                                             \
	"{apiVersion: v1, kind: Pod, metadata: {name: " app                                        \
	"-0, namespace: shop, labels: {app: " app                                                  \
	"}}, spec: {containers: [{name: c, ports: [{name: " port                                   \
	", containerPort: 80}]}]}}\n---\n"
#define RULE_OF(app) "from: [{podSelector: {matchLabels: {app: " app "}}}]"
#define IN	     "isolate: [Ingress], "
#define OUT	     "isolate: [Egress], "
#define DNS_PEER                                                                                   \
	"to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, "     \
	"podSelector: {matchLabels: {k8s-app: kube-dns}}}]"
#define DNS_ELSEWHERE                                                                              \
	"to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: infra}}, "           \
	"podSelector: {matchLabels: {app: unbound}}}]"
#define CONFIG                                                                                                   \
	"{kind: AgentConfig, name: a, essentials: {dns: {addresses: [{address: 192.0.2.53, port: 5300}], pods: " \
	"[{namespace: infra, podSelector: {matchLabels: {app: unbound}}}]}}}\n---\n"
#define BLOCKS(list) SEG("a", IN "ingress: [{from: [" list "]}]")

static const struct finding_case shadowed[] = {
	{ "same rule again",
	  SEG("a", IN "ingress: [{name: x, " RULE_OF("web") "}, {name: z, " RULE_OF("web") "}]"),
	  BERM_CODE_SHADOWED, 1, 195,
	  "ingress[1]: decides nothing: rule 'x' of SegmentationPolicy shop/a",
	  SEG("a", IN "ingress: [{name: x, " RULE_OF("web") "}, {name: z, " RULE_OF("api") "}]") },
	{ "a narrower selector",
	  SEG("a", IN "ingress: [{" RULE_OF(
			   "web") "}, {from: [{podSelector: {matchLabels: {app: web, v: one}}}]}]"),
	  BERM_CODE_SHADOWED, 1, 0, "rule #0 of",
	  SEG("a",
	      IN "ingress: [{from: [{podSelector: {matchLabels: {app: web, v: one}}}]}, {" RULE_OF(
		      "web") "}]") },
	{ "denied before",
	  SEG("a", IN "ingress: [{" RULE_OF("web") ", ports: [{port: 80}]}, {action: Deny}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[0]: decides nothing: rule #1",
	  SEG("a", IN "ingress: [{" RULE_OF(
			   "web") ", ports: [{port: 80}]}, {action: Deny, ports: [{port: 81}]}]") },
	{ "by an earlier priority",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b",
		      "isolate: [], priority: 1, ingress: [{action: Deny, from: [{any: true}]}]"),
	  BERM_CODE_SHADOWED, 1, 0, "shop/b comes first",
	  SEG("a", IN "priority: 0, ingress: [{" RULE_OF("web") "}]")
		  SEG("b",
		      "isolate: [], priority: 1, ingress: [{action: Deny, from: [{any: true}], ports: [{port: 1}]}]") },
	{ "ports within ports",
	  SEG("a", IN "ingress: [{ports: [{port: 80, endPort: 90}]}, {ports: [{port: 85}]}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[1]",
	  SEG("a", IN
	      "ingress: [{ports: [{port: 80, endPort: 90}]}, {ports: [{port: 85, endPort: 91}]}]") },
	{ "an except does not cover",
	  SEG("a", IN
	      "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}, {from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[1]",
	  SEG("a", IN
	      "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.0/24]}}]}, {from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]") },
	{ "by a Pass in its tier",
	  CNP("a",
	      "ingress: [{action: Pass, from: [{namespaces: {}}]}, {action: Deny, from: [{namespaces: {}}]}]"),
	  BERM_CODE_SHADOWED, 1, 0, "spec.ingress[1]",
	  CNP("a", "ingress: [{action: Pass, from: [{namespaces: {}}]}]")
		  SEG("b", IN "ingress: [{" RULE_OF("web") "}]") },
	{ "a Log shadows nothing",
	  SEG("a",
	      IN "ingress: [{action: Log}, {action: Pass}, {action: Pass, " RULE_OF("web") "}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[2]",
	  SEG("a", IN "ingress: [{action: Log}, {action: Pass}]") },
	{ "a disabled rule shadows nothing",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b", "isolate: [], ingress: [{action: Deny}]"),
	  BERM_CODE_SHADOWED, 1, 0, "shop/b",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b", "mode: disabled, isolate: [], ingress: [{action: Deny}]") },
};

static const struct finding_case modes[] = {
	{ "audit shadows nothing in force",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b", "mode: enforce, isolate: [], ingress: [{action: Deny}]"),
	  BERM_CODE_SHADOWED, 1, 0, "shop/b",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b", "mode: audit, isolate: [], ingress: [{action: Deny}]") },
	{ "audit shadows audit",
	  SEG("a", IN "mode: audit, ingress: [{" RULE_OF("web") "}, {" RULE_OF("web") "}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[1]",
	  SEG("a", IN "mode: audit, ingress: [{" RULE_OF("web") "}, {mode: disabled, " RULE_OF(
			   "web") "}]") },
	{ "audit rule allows no DNS", SEG("a", OUT "essentials: [], egress: [{mode: audit}]"),
	  BERM_CODE_CUTS_DNS, 1, 0, "essentials",
	  SEG("a", OUT "essentials: [], egress: [{mode: enforce}]") },
	{ "audit would cut DNS", SEG("a", OUT "mode: audit, essentials: []"), BERM_CODE_CUTS_DNS, 1,
	  0, "essentials", SEG("a", OUT "mode: disabled, essentials: []") },
	{ "audit opens nothing",
	  SEG("a", "isolate: [], ingress: [{mode: enforce, " RULE_OF("web") "}]")
		  NP("b", "db", "ingress: []"),
	  BERM_CODE_OPENS, 1, 0, "shop/b",
	  SEG("a", "isolate: [], ingress: [{mode: audit, " RULE_OF("web") "}]")
		  NP("b", "db", "ingress: []") },
};

static const struct finding_case pods[] = {
	{ "subject", POD("web", "http") SEG("a", IN "ingress: []"), BERM_CODE_NO_POD, 3, 63,
	  "subject: selects none of the 1 pods", POD("db", "http") SEG("a", IN "ingress: []") },
	{ "no pod is known", POD("web", "http") SEG("a", IN "ingress: []"), BERM_CODE_NO_POD, 3, 0,
	  "subject", SEG("a", IN "ingress: []") },
	{ "peer", POD("db", "http") SEG("a", IN "ingress: [{" RULE_OF("web") "}]"),
	  BERM_CODE_NO_POD, 3, 0, "ingress[0].from[0]: selects none",
	  POD("db", "http") POD("web", "http") SEG("a", IN "ingress: [{" RULE_OF("web") "}]") },
	{ "of a NetworkPolicy", POD("web", "http") NP("a", "db", "ingress: []"), BERM_CODE_NO_POD,
	  3, 115, "spec.podSelector", POD("db", "http") NP("a", "db", "ingress: []") },
	{ "port name misspelt",
	  POD("db", "metrics") SEG("a", IN "ingress: [{ports: [{port: 1}, {port: metrix}]}]"),
	  BERM_CODE_NO_PORT, 3, 0,
	  "ingress[0].ports[1].port: none of the 1 pods that it could mean has a port 'metrix'; did you mean 'metrics'?",
	  POD("db", "metrics") SEG("a", IN "ingress: [{ports: [{port: 1}, {port: metrics}]}]") },
	{ "port of the other end",
	  POD("db", "http") POD("web", "web")
		  SEG("a", OUT
		      "egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: http}]}]"),
	  BERM_CODE_NO_PORT, 5, 0, "egress[0].ports[0]",
	  POD("db", "http") POD("web", "web")
		  SEG("a", OUT
		      "egress: [{to: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: web}]}]") },
	{ "port of another protocol",
	  POD("db", "http") SEG("a", IN "ingress: [{ports: [{protocol: UDP, port: http}]}]"),
	  BERM_CODE_NO_PORT, 3, 0, "'http'",
	  POD("db", "http")
		  CNP("a",
		      "ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{destinationNamedPort: http}]}]") },
};

static const struct finding_case isolation[] = {
	{ "no essentials", SEG("a", OUT "essentials: [apiserver]"), BERM_CODE_CUTS_DNS, 1, 135,
	  "essentials: its pods cannot ask DNS", SEG("a", OUT "essentials: [dns]") },
	{ "NetworkPolicy", NP("a", "db", "policyTypes: [Egress]"), BERM_CODE_CUTS_DNS, 1, 0,
	  "spec.policyTypes",
	  NP("a", "db", "policyTypes: [Egress]")
		  NP("b", "db",
		     "policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]") },
	{ "allowed to others",
	  NP("a", "db", "policyTypes: [Egress]")
		  NP("b", "web",
		     "policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]"),
	  BERM_CODE_CUTS_DNS, 1, 0, "shop/a",
	  NP("b", "web", "policyTypes: [Egress], egress: [{ports: [{protocol: UDP, port: 53}]}]") },
	{ "another port", SEG("a", OUT "essentials: [], egress: [{ports: [{port: 443}]}]"),
	  BERM_CODE_CUTS_DNS, 1, 0, "essentials",
	  SEG("a", OUT "essentials: [], egress: [{" DNS_PEER "}]") },
	{ "API server", SEG("a", OUT "essentials: [dns]"), BERM_CODE_CUTS_APISERVER, 1, 0,
	  "API server", SEG("a", OUT "essentials: [apiserver]") },
	{ "API server by a rule",
	  SEG("a", OUT "essentials: [dns], egress: [{to: [{podSelector: {}}]}]"),
	  BERM_CODE_CUTS_APISERVER, 1, 0, "essentials",
	  SEG("a", OUT
	      "essentials: [dns], egress: [{to: [{ipBlock: {cidr: 10.0.0.1/32}}], ports: [{port: 6443}]}]") },
	{ "covered", SEG("a", OUT "egress: [{" DNS_PEER ", ports: [{protocol: UDP, port: 53}]}]"),
	  BERM_CODE_COVERED, 1, 0, "egress[0]: the essential dns allows this already",
	  SEG("a",
	      OUT "essentials: [], egress: [{" DNS_PEER ", ports: [{protocol: UDP, port: 53}]}]") },
	{ "covered, not all of it", SEG("a", OUT "egress: [{" DNS_PEER ", ports: [{port: 53}]}]"),
	  BERM_CODE_COVERED, 1, 0, "egress[0]",
	  SEG("a", OUT "egress: [{" DNS_PEER ", ports: [{port: 53}, {port: 54}]}]") },
	{ "covered by what an AgentConfig says",
	  SEG("a", OUT "egress: [{" DNS_ELSEWHERE ", ports: [{port: 53}]}]") CONFIG,
	  BERM_CODE_COVERED, 1, 0, "egress[0]",
	  SEG("a", OUT "egress: [{" DNS_PEER ", ports: [{port: 53}]}]") CONFIG },
	{ "DNS on a port of an AgentConfig",
	  SEG("a", OUT
	      "essentials: [], egress: [{to: [{ipBlock: {cidr: 192.0.2.53/32}}], ports: [{port: 5300}]}]"),
	  BERM_CODE_CUTS_DNS, 1, 0, "essentials",
	  SEG("a", OUT
	      "essentials: [], egress: [{to: [{ipBlock: {cidr: 192.0.2.53/32}}], ports: [{port: 5300}]}]")
		  CONFIG },
	{ "covered, but another isolates",
	  SEG("a", OUT "egress: [{" DNS_PEER ", ports: [{port: 53}]}]"), BERM_CODE_COVERED, 1, 0,
	  "egress[0]",
	  SEG("a", OUT "egress: [{" DNS_PEER ", ports: [{port: 53}]}]")
		  NP("b", "db", "policyTypes: [Egress]") },
	{ "application opens NetworkPolicy",
	  SEG("a", "isolate: [], ingress: [{" RULE_OF("web") "}]") NP("b", "db", "ingress: []"),
	  BERM_CODE_OPENS, 1, 0,
	  "ingress[0]: also allows this for pods that NetworkPolicy shop/b isolates",
	  SEG("a", "isolate: [], ingress: [{" RULE_OF("web") "}]")
		  NP("b", "db", "ingress: [{" RULE_OF("web") "}]") },
	{ "NetworkPolicy opens application",
	  SEG("a", IN "ingress: []") NP("b", "db", "ingress: [{" RULE_OF("web") "}]"),
	  BERM_CODE_OPENS, 3, 0,
	  "spec.ingress[0]: also allows this for pods that SegmentationPolicy shop/a isolates",
	  SEG("a", IN "ingress: []") NP("b", "web", "ingress: [{" RULE_OF("web") "}]") },
	{ "another direction",
	  SEG("a", "isolate: [], ingress: [{" RULE_OF("web") "}]")
		  NP("b", "db", "policyTypes: [Ingress]"),
	  BERM_CODE_OPENS, 1, 0, "shop/b",
	  SEG("a", "isolate: [], ingress: [{" RULE_OF("web") "}]")
		  NP("b", "db", "policyTypes: [Egress]") },
};

static const struct finding_case blocks[] = {
	{ "within another", BLOCKS("{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 10.2.0.0/16}}"),
	  BERM_CODE_OVERLAP, 1, 0, "from[1].ipBlock: 10.2.0.0/16 lies in 10.0.0.0/8",
	  BLOCKS("{ipBlock: {cidr: 10.0.0.0/16}}, {ipBlock: {cidr: 10.2.0.0/16}}") },
	{ "the same twice",
	  BLOCKS("{ipBlock: {cidr: \"fd00::/8\"}}, {ipBlock: {cidr: \"fd00::/8\"}}"),
	  BERM_CODE_OVERLAP, 1, 0, "from[1]",
	  BLOCKS("{ipBlock: {cidr: \"fd00::/8\"}}, {ipBlock: {cidr: 0.0.0.0/0}}") },
	{ "networks",
	  CNP("a", "egress: [{action: Deny, to: [{networks: [10.0.0.0/8, 10.1.0.0/16]}]}]"),
	  BERM_CODE_OVERLAP, 1, 0, "spec.egress[0].to",
	  CNP("a", "egress: [{action: Deny, to: [{networks: [10.0.0.0/8, 11.1.0.0/16]}]}]") },
	{ "exception undone",
	  BLOCKS("{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.1.2.0/24}}"),
	  BERM_CODE_EXCEPT_UNDONE, 1, 0, "10.1.2.0/24 brings back addresses of 10.1.0.0/16",
	  BLOCKS("{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.2.2.0/24}}") },
};

/* ---- running ----------------------------------------------------------------------------------------------- */

static const struct finding_case expiry[] = {
	{ "a document", SEG("a", IN "expires: \"2001-01-01T00:00:00Z\", ingress: [{}]"),
	  BERM_CODE_EXPIRED, 1, 0,
	  "expires: expired at 2001-01-01T00:00:00Z: the document is not in force any more",
	  SEG("a", IN "expires: \"2999-01-01T00:00:00Z\", ingress: [{}]") },
	{ "a rule", SEG("a", IN "ingress: [{}, {expires: \"2001-01-01T00:00:00Z\"}]"),
	  BERM_CODE_EXPIRED, 1, 0,
	  "ingress[1].expires: expired at 2001-01-01T00:00:00Z: the rule is not in force any more",
	  SEG("a", IN "ingress: [{}, {mode: disabled, expires: \"2001-01-01T00:00:00Z\"}]") },
	{ "an expired rule shadows nothing",
	  SEG("a", IN "ingress: [{expires: \"2999-01-01T00:00:00Z\"}, {" RULE_OF("web") "}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[1]",
	  SEG("a", IN "ingress: [{expires: \"2001-01-01T00:00:00Z\"}, {" RULE_OF("web") "}]") },
	{ "nor does one of an expired document",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b",
		      "isolate: [], expires: \"2999-01-01T00:00:00Z\", ingress: [{action: Deny}]"),
	  BERM_CODE_SHADOWED, 1, 0, "shop/b",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}]")
		  SEG("b",
		      "isolate: [], expires: \"2001-01-01T00:00:00Z\", ingress: [{action: Deny}]") },
	{ "a schedule that is always open",
	  SEG("a", IN "schedule: [{days: [Mon-Sun]}], ingress: [{}]"), BERM_CODE_SCHEDULE, 1, 0,
	  "schedule: it is open all the time",
	  SEG("a", "isolate: [], schedule: [{days: [Mon-Sat]}], ingress: [{}]") },
	{ "a schedule that does not open again",
	  SEG("a", IN
	      "ingress: [{schedule: [{from: \"00:00\", to: \"00:01\"}, {to: \"00:02\"}], expires: \"2001-01-01T00:00:00Z\"}, "
	      "{schedule: [{}]}]"),
	  BERM_CODE_SCHEDULE, 1, 0, "ingress[1].schedule: it is open all the time",
	  SEG("a",
	      IN "ingress: [{schedule: [{to: \"00:02\"}], expires: \"2999-01-01T00:00:00Z\"}]") },
	{ "isolated at times only", SEG("a", IN "schedule: [{from: \"08:00\"}]"),
	  BERM_CODE_SCHEDULE, 1, 0, "schedule: outside its schedule the document isolates nobody",
	  SEG("a", IN "ingress: [{schedule: [{from: \"08:00\"}]}]") },
	{ "a rule shadows another that is there at its times only",
	  SEG("a",
	      IN "ingress: [{schedule: [{days: [Mon-Fri]}]}, {schedule: [{days: [Tue]}], " RULE_OF(
		      "web") "}]"),
	  BERM_CODE_SHADOWED, 1, 0, "ingress[1]",
	  SEG("a", IN "ingress: [{schedule: [{days: [Mon-Fri]}]}, {" RULE_OF("web") "}]") },
	{ "a companion selects no pods", SEG("a", "isolate: []") POD("web", "http"),
	  BERM_CODE_NO_POD, 1, 0, "shop/a",
	  "{kind: LabelMapping, name: m}\n---\n{kind: IPSet, name: s, cidrs: []}\n---\n" POD("web",
											     "http") },
};

static void read_sheet(struct ctl_lint_world *world, const char *name, const char *text,
		       bool is_judged)
{
	struct ctl_lint_sheet *sheet =
		ctl_lint_add(world, name,
			     &(struct ctl_lint_sheet){ .text = strdup(text),
						       .size = strlen(text),
						       .is_judged = is_judged });
	struct berm_problems problems = { 0 };
	struct berm_err err = { 0 };

	ASSERT_TRUE(sheet);
	ASSERT_OK(berm_document_parse(sheet->name, sheet->text, sheet->size, &sheet->objects,
				      &problems, &err),
		  &err);
	for (size_t i = 0; i < problems.count; i++)
		if (problems.item[i].severity == BERM_ERROR)
			test_failed(__FILE__, __LINE__, "%s: not valid: %s", test_case_name,
				    problems.item[i].message);
	berm_problems_clear(&problems);
}

static const struct berm_problem *find(const struct berm_problems *problems,
				       enum berm_problem_code code)
{
	for (size_t i = 0; i < problems->count; i++)
		if (problems->item[i].code == code)
			return &problems->item[i];
	return NULL;
}

static void advise(struct ctl_lint_world *world, struct berm_problems *problems)
{
	ASSERT_TRUE(!ctl_lint_advise(world, problems));
	for (size_t i = 0; i < problems->count; i++)
		EXPECT_TRUE(problems->item[i].severity == BERM_WARNING);
}

static void expect_found(const struct finding_case *c)
{
	struct ctl_lint_world world = { 0 };
	struct berm_problems problems = { 0 };
	const struct berm_problem *p;
	char line[1024];

	read_sheet(&world, "f.yaml", c->doc, true);
	advise(&world, &problems);
	p = find(&problems, c->code);
	if (!p) {
		test_failed(__FILE__, __LINE__, "%s: nothing is found", c->name);
	} else {
		(void)berm_problem_format(p, line, sizeof(line));
		if (p->line != c->line || (c->column && p->column != c->column) ||
		    !strstr(line, c->msg))
			test_failed(__FILE__, __LINE__, "%s: it says: %s", c->name, line);
	}
	berm_problems_clear(&problems);
	ctl_lint_clear(&world);
}

static void expect_none(const struct finding_case *c)
{
	struct ctl_lint_world world = { 0 };
	struct berm_problems problems = { 0 };
	const struct berm_problem *p;

	read_sheet(&world, "f.yaml", c->control, true);
	advise(&world, &problems);
	p = find(&problems, c->code);
	if (p)
		test_failed(__FILE__, __LINE__, "%s: the control has it too: %s", c->name,
			    p->message);
	berm_problems_clear(&problems);
	ctl_lint_clear(&world);
}

static void expect(const struct finding_case *c)
{
	expect_found(c);
	expect_none(c);
}

TEST(shadowed_rules, "rules that another one decides before, and those that it does not")
{
	const struct finding_case *c;

	for_each_case(c, shadowed)
		expect(c);
}

TEST(rule_modes,
     "what is in mode audit or disabled decides nothing, and is judged for what it would do")
{
	const struct finding_case *c;

	for_each_case(c, modes)
		expect(c);
}

TEST(known_pods, "selectors and port names that mean no pod that is known")
{
	const struct finding_case *c;

	for_each_case(c, pods)
		expect(c);
}

TEST(isolated_pods, "what isolation cuts, what an essential covers, what another kind opens")
{
	const struct finding_case *c;

	for_each_case(c, isolation)
		expect(c);
}

TEST(address_blocks, "blocks within blocks, exceptions that another block undoes")
{
	const struct finding_case *c;

	for_each_case(c, blocks)
		expect(c);
}

#define IPSET(ns_, name_)                                                                          \
	"{kind: IPSet, namespace: " ns_ ", name: " name_ ", cidrs: [10.1.0.0/16]}\n---\n"
#define FROM_SET(name_) "from: [{ipBlock: {cidr: 10.9.0.0/16}}, {ipSet: " name_ "}]"
#define EXPECT(who, verdict_)                                                                      \
	"expect: [{from: " who ", to: shop/db, port: 80, verdict: " verdict_ "}]"

static const struct finding_case together[] = {
	{ "no such IPSet", SEG("a", IN "ingress: [{" FROM_SET("office") "}]"), BERM_CODE_NO_IPSET,
	  1, 0,
	  "ingress[0].from[1]: there is no IPSet 'office' for namespace shop here; without it this peer matches nothing; if it is in another file",
	  SEG("a", IN "ingress: [{" FROM_SET("office") "}]") IPSET("shop", "office") },
	{ "IPSet misspelt",
	  SEG("a", IN "ingress: [{action: Deny, " FROM_SET("ofice") "}]")
		  IPSET("berm-system", "office"),
	  BERM_CODE_NO_IPSET, 1, 0, "denies everyone everything; did you mean 'office'?",
	  SEG("a", IN "ingress: [{action: Deny, " FROM_SET("office") "}]")
		  IPSET("berm-system", "office") },
	{ "IPSet of another tenant",
	  SEG("a", IN "ingress: [{" FROM_SET("office") "}]") IPSET("other", "office"),
	  BERM_CODE_NO_IPSET, 1, 0, "ingress[0].from[1]",
	  SEG("a", IN "ingress: [{mode: disabled, " FROM_SET("office") "}]")
		  IPSET("other", "office") },
	{ "expectation",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}], " EXPECT("shop/web", "Deny")),
	  BERM_CODE_EXPECTATION, 1, 0,
	  "expect[0]: shop/app=web -> shop/app=db TCP/80: expected Deny, found Allow (ingress: rule shop/a:#0)",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}], " EXPECT("shop/web", "Allow")) },
	{ "expectation that another document breaks",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}], " EXPECT("shop/web", "Allow"))
		  SEG("b", "isolate: [], ingress: [{action: Deny, " RULE_OF("web") "}]"),
	  BERM_CODE_EXPECTATION, 1, 0, "found Deny (ingress: rule shop/b:#0)",
	  SEG("a", IN "ingress: [{" RULE_OF("web") "}], " EXPECT("shop/web", "Allow"))
		  SEG("b", "mode: disabled, isolate: [], ingress: [{action: Deny, " RULE_OF(
				   "web") "}]") },
	{ "expectation about an IPSet",
	  SEG("a", IN "ingress: [{" FROM_SET("office") "}], " EXPECT("10.1.2.3", "Allow")),
	  BERM_CODE_EXPECTATION, 1, 0, "10.1.2.3 -> shop/app=db TCP/80: expected Allow, found Deny",
	  SEG("a", IN "ingress: [{" FROM_SET("office") "}], " EXPECT("10.1.2.3", "Allow"))
		  IPSET("shop", "office") },
};

#define API_SERVER(port_)                                                                          \
	"{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, addressType: IPv4, metadata: "     \
	"{name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: "             \
	"kubernetes}}, ports: [{name: https, port: " port_ ", protocol: TCP}], endpoints: "        \
	"[{addresses: [192.0.2.1], conditions: {ready: true}}]}\n---\n"
#define TO_API OUT "egress: [{to: [{ipBlock: {cidr: 192.0.2.1/32}}], ports: [{port: 6443}]}]"
#define POD_ON(name_, rest, addr)                                                                  \
	"{apiVersion: v1, kind: Pod, metadata: {name: " name_ ", namespace: shop, labels: {app: "  \
	"db}}, spec: {nodeName: n1, " rest "containers: []}, status: {podIPs: [{ip: " addr         \
	"}]}}\n---\n"
#define NODE  POD_ON("proxy", "hostNetwork: true, ", "192.0.2.9")
#define PROBE SEG("a", IN "ingress: [{from: [{ipBlock: {cidr: 192.0.2.9/32}}]}]")

static const struct finding_case essentials[] = {
	{ "the API server", SEG("a", TO_API) API_SERVER("6443"), BERM_CODE_COVERED, 1, 0,
	  "egress[0]: the essential apiserver allows this already; remove it, or write essentials without apiserver",
	  SEG("a", TO_API) API_SERVER("443") },
	{ "the API server, no essential", SEG("a", TO_API) API_SERVER("6443"), BERM_CODE_COVERED, 1,
	  0, "egress[0]", SEG("a", "essentials: [dns], " TO_API) API_SERVER("6443") },
	{ "the API server, another isolates", SEG("a", TO_API) API_SERVER("6443"),
	  BERM_CODE_COVERED, 1, 0, "egress[0]",
	  SEG("a", TO_API) API_SERVER("6443") NP("b", "db", "policyTypes: [Egress]") },
	{ "probes", PROBE NODE POD_ON("db", "", "10.0.0.1"), BERM_CODE_COVERED, 1, 0,
	  "ingress[0]: the own node of these pods is always let in: probes of the kubelet need no rule",
	  PROBE POD_ON("db", "", "10.0.0.1") },
	{ "probes, a neighbour on another node", PROBE NODE POD_ON("db", "", "10.0.0.1"),
	  BERM_CODE_COVERED, 1, 0, "ingress[0]",
	  PROBE NODE POD_ON(
		  "db", "",
		  "10.0.0.1") "{apiVersion: v1, kind: Pod, metadata: {name: far, namespace: shop, labels: {app: db}}, spec: {nodeName: n2, containers: []}}" },
};

TEST(documents_together, "IPSets that nobody defines, expectations that do not hold")
{
	const struct finding_case *c;

	for_each_case(c, together)
		expect(c);
}

TEST(covered_rules, "what the essential apiserver covers, and that probes need no rule")
{
	const struct finding_case *c;

	for_each_case(c, essentials)
		expect(c);
}

/* `count` single addresses in documents of `per` each. */
static void add_blocks(struct ctl_lint_world *world, unsigned int count)
{
	size_t size = 0;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	ASSERT_TRUE(out);
	fprintf(out,
		"kind: SegmentationPolicy\nname: a\nnamespace: shop\nisolate: [Ingress]\ningress:\n- from:\n");
	for (unsigned int i = 0; i < count; i++)
		fprintf(out, "  - ipBlock: {cidr: 10.%u.%u.%u/32}\n", i >> 16 & 255, i >> 8 & 255,
			i & 255);
	fclose(out);
	read_sheet(world, "f.yaml", text, true);
	free(text);
}

TEST(expired, "what has expired is told of and shadows nothing; companions select nothing")
{
	const struct finding_case *c;

	for_each_case(c, expiry)
		expect(c);
}

TEST(near_limits, "more address blocks than four fifths of the limit of a namespace")
{
	static const struct {
		unsigned int count;
		const char *msg; /* NULL: none */
	} steps[] = { { 13000, NULL },
		      { 13108, "13108 different address blocks, near the limit of 16384" },
		      { 16385, "over the limit" } };

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct ctl_lint_world world = { 0 };
		struct berm_problems problems = { 0 };
		const struct berm_problem *p;

		add_blocks(&world, steps[i].count);
		advise(&world, &problems);
		p = find(&problems, BERM_CODE_QUOTA);
		EXPECT_TRUE(!p == !steps[i].msg);
		if (p && steps[i].msg)
			EXPECT_TRUE(strstr(p->message, steps[i].msg) && p->line == 1);
		berm_problems_clear(&problems);
		ctl_lint_clear(&world);
	}
}

TEST(with_files,
     "files that only count: their pods and policies do, what is wrong in them is not said")
{
	struct ctl_lint_world world = { 0 };
	struct berm_problems problems = { 0 };

	read_sheet(&world, "f.yaml", SEG("a", IN "ingress: [{" RULE_OF("web") "}]"), true);
	read_sheet(&world, "with.yaml",
		   POD("web", "http") SEG("a", "isolate: [], ingress: [{action: Deny}]")
			   SEG("b", "isolate: [], ingress: [{action: Deny}, {action: Deny}]"),
		   false);
	advise(&world, &problems);
	EXPECT_TRUE(problems.count == 2);
	for (size_t i = 0; i < problems.count; i++)
		EXPECT_TRUE(!strcmp(problems.item[i].source, "f.yaml"));
	EXPECT_TRUE(find(&problems, BERM_CODE_NO_POD) && find(&problems, BERM_CODE_SHADOWED));
	if (find(&problems, BERM_CODE_SHADOWED)) /* not the older version of itself */
		EXPECT_TRUE(strstr(find(&problems, BERM_CODE_SHADOWED)->message, "shop/b"));
	berm_problems_clear(&problems);
	ctl_lint_clear(&world);
}

TEST(places, "a finding in a ConfigMap points into the file")
{
	static const char map[] =
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop, labels: {berm.dev/policy: v1}}\n"
		"data:\n  a.yaml: |\n    kind: SegmentationPolicy\n    name: a\n    isolate: [Ingress]\n    ingress:\n"
		"    - name: x\n    - name: z\n";
	struct ctl_lint_world world = { 0 };
	struct berm_problems problems = { 0 };
	const struct berm_problem *p;

	read_sheet(&world, "f.yaml", map, true);
	advise(&world, &problems);
	p = find(&problems, BERM_CODE_SHADOWED);
	ASSERT_TRUE(p);
	EXPECT_TRUE(p->line == 11 && p->column == 7);
	EXPECT_TRUE(!strcmp(p->field, "ingress[1]") &&
		    !strcmp(p->document, "SegmentationPolicy shop/a"));
	berm_problems_clear(&problems);
	ctl_lint_clear(&world);
}
