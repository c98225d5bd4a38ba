/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_app.c - `app` of a rule. Knows which application is spoken over what, not how it is recognised
 * (bpf/app.h).
 */
#include "document_app.h"

#include "cleanup.h"
#include "names.h"

static bool is_blind;

void berm_document_set_apps(bool are_looked_at)
{
	is_blind = !are_looked_at;
}

static void read_protocol(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
#define X(id, num, name, help) { name, num, false },
		BERM_APPS(X)
#undef X
	};
	int app;

	/* The first one is "unknown": found out, but nothing to ask for. */
	if (berm_field_word(field, words + 1, ARRAY_SIZE(words) - 1, &app))
		((struct berm_policy_rule *)into)->app = (uint8_t)app;
}

static void read_mismatch(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = {
		{ "Deny", false, false },
		{ "Reject", true, false },
	};
	int rejects;

	if (berm_field_word(field, words, ARRAY_SIZE(words), &rejects))
		((struct berm_policy_rule *)into)->rejects_others = rejects;
}

void berm_read_app(const struct berm_field *field, struct berm_policy_rule *rule)
{
	static const struct berm_member members[] = {
		{ "protocol", BERM_MEMBER_REQUIRED, read_protocol, NULL },
		{ "onMismatch", BERM_MEMBER_OPTIONAL, read_mismatch, NULL },
	};

	if (!berm_field_members(field, members, ARRAY_SIZE(members), rule))
		return;
	if (is_blind)
		berm_field_name_error(
			field, "start berm-agent with --apps (BERM_APPS=true), or leave 'app' out",
			"the programs of this node do not look at what connections carry");
}

static bool is_spoken_over(uint8_t app, uint8_t plane)
{
	return plane == BERM_PLANE_TCP || (plane == BERM_PLANE_UDP && app == BERM_APP_DNS);
}

void berm_check_app(const struct berm_field *field, const struct berm_policy_rule *rule)
{
	if (!rule->app)
		return;
	if (rule->action != BERM_RULE_ALLOW)
		berm_field_name_error(field,
				      "allow what may be spoken; the rest of it is denied then",
				      "'app' belongs to a rule that allows");
	for (size_t i = 0; i < rule->port_count; i++) {
		if (is_spoken_over(rule->app, rule->port[i].plane))
			continue;
		berm_field_name_error(field,
				      "make a rule of its own of the other ports, without 'app'",
				      "%s is recognised over %s only", berm_app_name(rule->app),
				      rule->app == BERM_APP_DNS ? "TCP and UDP" : "TCP");
		return;
	}
}
