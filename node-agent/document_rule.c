/* SPDX-License-Identifier: Apache-2.0 */
/* document_rule.c - reads the rules of a policy. Peers and ports have files of their own. */
#include "document_rule.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "document_app.h"
#include "document_peer.h"
#include "document_port.h"
#include "document_schedule.h"
#include "moment.h"

struct rule { /* being read */
	struct berm_policy *policy;
	struct berm_policy_rule *rule;
};

bool berm_is_rule_name(const char *text)
{
	static const char alnum[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	size_t len = strlen(text), inside = 0;

	while (inside < len && (strchr(alnum, text[inside]) || strchr("-_.", text[inside])))
		inside++;
	return len && len <= 63 && inside == len && strchr(alnum, text[0]) &&
	       strchr(alnum, text[len - 1]);
}

static void read_name(const struct berm_field *field, void *into)
{
	struct rule *r = into;
	const char *text = berm_field_text(field);

	if (!text)
		return;
	if (!berm_is_rule_name(text)) {
		berm_field_error(field, "at most 63 letters, digits, '-', '_' and '.'",
				 "'%.80s' is not a rule's name", text);
		return;
	}
	r->rule->name = berm_reader_copy(field->reader, text);
}

static void read_action(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Allow", BERM_RULE_ALLOW, false },   { "Deny", BERM_RULE_DENY, false },
		{ "Pass", BERM_RULE_PASS, false },     { "Log", BERM_RULE_LOG, false },
		{ "Reject", BERM_RULE_REJECT, false },
	};
	int action;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &action))
		((struct rule *)into)->rule->action = (uint8_t)action;
}

static void read_mode(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "enforce", BERM_MODE_ENFORCE, false },
						  { "audit", BERM_MODE_AUDIT, false },
						  { "disabled", BERM_MODE_DISABLED, false } };
	int mode;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &mode))
		((struct rule *)into)->rule->mode = (uint8_t)mode;
}

/* ---- log and limits ------------------------------------------------------------------------------- */

#define MAX_SAMPLE 65536
#define MAX_RATE   1000000

static void read_sample(const struct berm_field *field, void *into)
{
	int sample;

	if (berm_field_int(field, 1, MAX_SAMPLE, &sample))
		((struct rule *)into)->rule->sample = (uint32_t)sample;
}

static void read_log(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "sample", BERM_MEMBER_REQUIRED, read_sample, NULL },
	};

	(void)berm_field_members(field, table, ARRAY_SIZE(table), into); /* errors are counted */
}

struct rate { /* being read */
	int rate, burst;
	int per_s; /* in so many seconds */
};

static void read_rate(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 1, MAX_RATE, &((struct rate *)into)->rate); /* likewise */
}

static void read_burst(const struct berm_field *field, void *into)
{
	(void)berm_field_int(field, 1, MAX_RATE, &((struct rate *)into)->burst); /* likewise */
}

static void read_per(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "second", 1, false }, { "minute", 60, false } };

	(void)berm_field_word(field, words, ARRAY_SIZE(words),
			      &((struct rate *)into)->per_s); /* likewise */
}

static void read_new_connections(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "rate", BERM_MEMBER_REQUIRED, read_rate, NULL },
		{ "per", BERM_MEMBER_OPTIONAL, read_per, NULL },
		{ "burst", BERM_MEMBER_OPTIONAL, read_burst, NULL },
	};
	struct berm_policy_rule *rule = ((struct rule *)into)->rule;
	struct rate rate = { .per_s = 1 };

	(void)berm_field_members(field, table, ARRAY_SIZE(table), &rate); /* likewise */
	if (!rate.rate)
		return;
	rule->interval_ns = (uint64_t)rate.per_s * 1000000000 / (uint64_t)rate.rate;
	rule->burst = (uint32_t)(rate.burst ? rate.burst : rate.rate);
}

static void read_limits(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "newConnections", BERM_MEMBER_REQUIRED, read_new_connections, NULL },
	};

	(void)berm_field_members(field, table, ARRAY_SIZE(table), into); /* likewise */
}

/* What is denied is told anyway, and what is passed on has not been decided. */
static void check_extras(const struct berm_field *field, struct berm_policy_rule *rule)
{
	struct berm_field extra;

	if (rule->action == BERM_RULE_LOG && !rule->sample)
		rule->sample = 1;
	if (rule->action != BERM_RULE_ALLOW && berm_field_get(field, "limits", &extra))
		berm_field_name_error(&extra, "limits belong to an Allow",
				      "this rule allows no new connections");
	if (rule->action != BERM_RULE_ALLOW && rule->action != BERM_RULE_LOG &&
	    berm_field_get(field, "log", &extra))
		berm_field_name_error(&extra, "log belongs to an Allow or a Log",
				      "denials are told anyway, and a Pass decides nothing");
}

static void read_peers(const struct berm_field *field, void *into)
{
	struct rule *r = into;
	struct berm_policy_rule *rule = r->rule;
	struct berm_field item;
	size_t count;

	if (!berm_field_is_list(field, BERM_MAX_PEERS_OF_RULE))
		return;
	count = (size_t)cJSON_GetArraySize(field->node);
	if (!count && r->policy->kind == BERM_KIND_SEGMENTATION)
		berm_field_error(field, "leave it out, or write [{any: true}], to mean everyone",
				 "an empty list of peers");
	rule->peer = berm_reader_alloc(field->reader, count, sizeof(*rule->peer));
	if (!rule->peer)
		return;
	berm_field_each(item, field)
		berm_read_peer(&item, r->policy->kind, &rule->peer[rule->peer_count++]);
}

static void refuse_from(const struct berm_field *field, void *into)
{
	(void)into;
	berm_field_name_error(field, "write 'to'", "an egress rule says where to, not where from");
}

static void refuse_to(const struct berm_field *field, void *into)
{
	(void)into;
	berm_field_name_error(field, "write 'from'",
			      "an ingress rule says where from, not where to");
}

static void read_ports(const struct berm_field *field, void *into)
{
	struct rule *r = into;

	if (cJSON_IsArray(field->node) && !field->node->child &&
	    r->policy->kind == BERM_KIND_SEGMENTATION)
		berm_field_error(field, "leave it out to mean all ports", "an empty list of ports");
	else
		berm_read_ports(field, r->policy->kind, r->rule);
}

static void read_icmp(const struct berm_field *field, void *into)
{
	if (cJSON_IsArray(field->node) && !field->node->child)
		berm_field_error(field, "write [{type: any}] for all ICMP, or leave it out",
				 "an empty list");
	else
		berm_read_icmp(field, ((struct rule *)into)->rule);
}

static void read_app(const struct berm_field *field, void *into)
{
	berm_read_app(field, ((struct rule *)into)->rule);
}

void berm_read_moment(const struct berm_field *field, int64_t *ret)
{
	const char *text = berm_field_text(field);
	struct berm_err err = { 0 };

	if (text && berm_moment_parse(text, ret, &err))
		berm_field_problem(field, BERM_CODE_BAD_TIME,
				   "write it like 2027-01-31T18:00:00Z or 2027-01-31T18:00:00+01:00",
				   "%s", err.msg);
}

static void read_expires(const struct berm_field *field, void *into)
{
	berm_read_moment(field, &((struct rule *)into)->rule->expires);
}

static void read_schedule(const struct berm_field *field, void *into)
{
	berm_read_schedule(field, &((struct rule *)into)->rule->schedule);
}

static const struct berm_member network_ingress[] = {
	{ "from", BERM_MEMBER_OPTIONAL, read_peers, NULL },
	{ "to", BERM_MEMBER_OPTIONAL, refuse_to, NULL },
	{ "ports", BERM_MEMBER_OPTIONAL, read_ports, NULL },
};

static const struct berm_member network_egress[] = {
	{ "to", BERM_MEMBER_OPTIONAL, read_peers, NULL },
	{ "from", BERM_MEMBER_OPTIONAL, refuse_from, NULL },
	{ "ports", BERM_MEMBER_OPTIONAL, read_ports, NULL },
};

/* Of both directions; from and to come in front. */
#define SEGMENTATION_RULE                                                                          \
	{ "name", BERM_MEMBER_OPTIONAL, read_name, NULL },                                         \
		{ "action", BERM_MEMBER_OPTIONAL, read_action, NULL },                             \
		{ "ports", BERM_MEMBER_OPTIONAL, read_ports, NULL },                               \
		{ "icmp", BERM_MEMBER_OPTIONAL, read_icmp, NULL },                                 \
		{ "mode", BERM_MEMBER_OPTIONAL, read_mode, NULL },                                 \
		{ "app", BERM_MEMBER_OPTIONAL, read_app, NULL },                                   \
		{ "limits", BERM_MEMBER_OPTIONAL, read_limits, NULL },                             \
		{ "log", BERM_MEMBER_OPTIONAL, read_log, NULL },                                   \
		{ "expires", BERM_MEMBER_OPTIONAL, read_expires, NULL },                           \
	{                                                                                          \
		"schedule", BERM_MEMBER_OPTIONAL, read_schedule, NULL                              \
	}

static const struct berm_member segmentation_ingress[] = {
	{ "from", BERM_MEMBER_OPTIONAL, read_peers, NULL },
	{ "to", BERM_MEMBER_OPTIONAL, refuse_to, NULL },
	SEGMENTATION_RULE,
};

static const struct berm_member segmentation_egress[] = {
	{ "to", BERM_MEMBER_OPTIONAL, read_peers, NULL },
	{ "from", BERM_MEMBER_OPTIONAL, refuse_from, NULL },
	SEGMENTATION_RULE,
};

static void read_rule(const struct berm_field *field, struct rule *r)
{
	bool is_egress = r->rule->dir == BERM_EGRESS;
	struct berm_field app;

	if (r->policy->kind == BERM_KIND_NETWORK)
		(void)berm_field_members(field, is_egress ? network_egress : network_ingress,
					 ARRAY_SIZE(network_ingress), r);
	else
		(void)berm_field_members(field,
					 is_egress ? segmentation_egress : segmentation_ingress,
					 ARRAY_SIZE(segmentation_ingress), r);
	if (berm_field_get(field, "app", &app))
		berm_check_app(&app, r->rule);
	if (r->policy->kind == BERM_KIND_SEGMENTATION)
		check_extras(field, r->rule);
}

/* ---- names are unique in their list --------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
	const struct berm_policy_rule *x = *(struct berm_policy_rule *const *)a;
	const struct berm_policy_rule *y = *(struct berm_policy_rule *const *)b;
	int rc = strcmp(x->name, y->name);

	return rc ? rc : (int)x->index - (int)y->index;
}

static void check_names(const struct berm_field *list, const struct berm_policy_rule *rule,
			size_t count)
{
	auto_free const struct berm_policy_rule **named =
		berm_reader_alloc(list->reader, count, sizeof(*named));
	size_t n = 0;

	for (size_t i = 0; named && i < count; i++)
		if (rule[i].name)
			named[n++] = &rule[i];
	if (n > 1)
		qsort(named, n, sizeof(*named), compare_names);
	for (size_t i = 1; i < n; i++) {
		struct berm_field item = { list->reader, list,
					   cJSON_GetArrayItem(list->node, (int)named[i]->index),
					   (int)named[i]->index };

		if (!strcmp(named[i - 1]->name, named[i]->name))
			berm_field_problem(&item, BERM_CODE_DUPLICATE,
					   "every flow shows the name: make it unique",
					   "rule %u is named '%s' too", named[i - 1]->index,
					   named[i]->name);
	}
}

struct berm_policy_rule *berm_append_rules(const struct berm_field *list, enum berm_dir dir,
					   size_t max, struct berm_policy *policy)
{
	size_t count = (size_t)cJSON_GetArraySize(list->node), had = policy->rule_count;
	struct berm_policy_rule *all;

	if (!berm_field_is_list(list, max) || !count)
		return NULL;
	all = reallocarray(policy->rule, had + count, sizeof(*all));
	if (!all) {
		list->reader->no_memory = true;
		return NULL;
	}
	policy->rule = all;
	policy->rule_count += count;
	memset(all + had, 0, count * sizeof(*all));
	for (size_t i = 0; i < count; i++) {
		all[had + i].dir = (uint8_t)dir;
		all[had + i].index = (uint32_t)i;
	}
	return all + had;
}

void berm_read_rules(const struct berm_field *list, enum berm_dir dir, struct berm_policy *policy)
{
	struct berm_policy_rule *added =
		berm_append_rules(list, dir, BERM_MAX_RULES_OF_DOCUMENT, policy);
	struct berm_field item;

	if (!added)
		return;
	berm_field_each(item, list)
	{
		struct rule r = { .policy = policy, .rule = &added[item.index] };

		read_rule(&item, &r);
	}
	check_names(list, added, (size_t)cJSON_GetArraySize(list->node));
}
