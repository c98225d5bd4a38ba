/* SPDX-License-Identifier: Apache-2.0 */
/* document_agent.c - reads an AgentConfig. Applies nothing, and knows no agent but by its options' names. */
#include <string.h>

#include "agentconfig.h"
#include "cleanup.h"
#include "document_flow.h"
#include "document_own.h"
#include "document_selector.h"
#include "log.h"

struct reading {
	struct berm_own own;
	struct berm_agent_config *config;
};

/* ---- essentials -------------------------------------------------------------------------------------------------------- */

/* "namespace/name" */
static void read_service(const struct berm_field *field, struct berm_essential *out)
{
	struct berm_essential_service *service = &out->service[out->service_count];
	const char *text = berm_field_text(field), *slash = text ? strchr(text, '/') : NULL;
	char ns[64] = "";

	if (!text)
		return;
	if (slash && (size_t)(slash - text) < sizeof(ns))
		memcpy(ns, text, (size_t)(slash - text));
	if (!berm_is_dns_label(ns) || !berm_is_dns_subdomain(slash + 1)) {
		berm_field_error(field, "write NAMESPACE/NAME, such as kube-system/kube-dns",
				 "'%.80s' does not name a Service", text);
		return;
	}
	*service = (struct berm_essential_service){ berm_reader_copy(field->reader, ns),
						    berm_reader_copy(field->reader, slash + 1) };
	out->service_count++;
}

static void read_services(const struct berm_field *field, void *into)
{
	struct berm_field item;

	if (!berm_field_is_list(field, BERM_MAX_ESSENTIAL_ITEMS))
		return;
	berm_field_each(item, field) read_service(&item, into);
}

static void read_pods_namespace(const struct berm_field *field, void *into)
{
	struct berm_essential_pods *pods = into;
	const char *ns = berm_field_text(field);

	if (ns && !berm_is_dns_label(ns))
		berm_field_error(field, "at most 63 of a-z, 0-9 and '-'",
				 "'%.80s' is not a namespace's name", ns);
	else if (ns)
		pods->ns = berm_reader_copy(field->reader, ns);
}

static void read_pods_selector(const struct berm_field *field, void *into)
{
	(void)berm_read_selector(field, &((struct berm_essential_pods *)into)
						 ->selector); /* errors are counted */
}

static void read_pods(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "namespace", BERM_MEMBER_REQUIRED, read_pods_namespace, NULL },
		{ "podSelector", BERM_MEMBER_REQUIRED, read_pods_selector, NULL },
	};
	struct berm_essential *out = into;
	struct berm_field item;

	if (!berm_field_is_list(field, BERM_MAX_ESSENTIAL_ITEMS))
		return;
	berm_field_each(item, field)(void)
		berm_field_members(&item, table, ARRAY_SIZE(table), &out->pods[out->pods_count++]);
}

static void read_place_address(const struct berm_field *field, void *into)
{
	berm_read_address(field, &((struct berm_essential_place *)into)->addr);
}

static void read_place_port(const struct berm_field *field, void *into)
{
	int port;

	if (berm_field_int(field, 1, 65535, &port))
		((struct berm_essential_place *)into)->port = (uint16_t)port;
}

static void read_places(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "address", BERM_MEMBER_REQUIRED, read_place_address, NULL },
		{ "port", BERM_MEMBER_REQUIRED, read_place_port, NULL },
	};
	struct berm_essential *out = into;
	struct berm_field item;

	if (!berm_field_is_list(field, BERM_MAX_ESSENTIAL_ITEMS))
		return;
	berm_field_each(item, field)(void) berm_field_members(&item, table, ARRAY_SIZE(table),
							      &out->place[out->place_count++]);
}

static void check_empty(const struct berm_field *field, const struct berm_essential *essential)
{
	if (essential->is_given && !essential->service_count && !essential->pods_count &&
	    !essential->place_count)
		berm_field_warn(field, "leave it out to have what is opened by default",
				"it opens nothing, whoever grants it");
}

static void read_dns(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "services", BERM_MEMBER_OPTIONAL, read_services, NULL },
		{ "pods", BERM_MEMBER_OPTIONAL, read_pods, NULL },
		{ "addresses", BERM_MEMBER_OPTIONAL, read_places, NULL },
	};
	struct berm_essential *out =
		&((struct berm_agent_config *)into)->essential[BERM_ESSENTIAL_OF_DNS];

	out->is_given = berm_field_members(field, table, ARRAY_SIZE(table), out);
	check_empty(field, out);
}

static void read_apiserver(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "services", BERM_MEMBER_OPTIONAL, read_services, NULL },
		{ "addresses", BERM_MEMBER_OPTIONAL, read_places, NULL },
	};
	struct berm_essential *out =
		&((struct berm_agent_config *)into)->essential[BERM_ESSENTIAL_OF_APISERVER];

	out->is_given = berm_field_members(field, table, ARRAY_SIZE(table), out);
	check_empty(field, out);
}

static void read_essentials(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "dns", BERM_MEMBER_OPTIONAL, read_dns, NULL },
		{ "apiserver", BERM_MEMBER_OPTIONAL, read_apiserver, NULL },
	};

	(void)berm_field_members(field, table, ARRAY_SIZE(table),
				 ((struct reading *)into)->config); /* errors are counted */
}

/* ---- settings ---------------------------------------------------------------------------------------------------------- */

static void read_log_level(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "error", BERM_LOG_ERROR, false },
						  { "warning", BERM_LOG_WARNING, false },
						  { "info", BERM_LOG_INFO, false },
						  { "debug", BERM_LOG_DEBUG, false } };
	struct berm_agent_config *config = into;
	int level;

	config->has_log_level = berm_field_word(field, words, ARRAY_SIZE(words), &level);
	if (config->has_log_level)
		config->log_level = (uint8_t)level;
}

static void read_missing_state(const struct berm_field *field, void *into)
{
	static const struct berm_word words[] = { { "drop", 0, false }, { "pass", 1, false } };
	struct berm_agent_config *config = into;
	int verdict;

	config->has_missing_state = berm_field_word(field, words, ARRAY_SIZE(words), &verdict);
	if (config->has_missing_state)
		config->missing_pass = verdict;
}

static void read_feedback(const struct berm_field *field, void *into)
{
	int seconds;

	if (berm_field_int(field, BERM_MIN_FEEDBACK_S, BERM_MAX_FEEDBACK_S, &seconds))
		((struct berm_agent_config *)into)->feedback_s = (unsigned int)seconds;
}

/* Options that an agent takes when it starts, as somebody might write them here. */
static const struct fixed {
	const char *name, *option, *env;
} fixed[] = {
	{ "apiIdleTimeout", "--api-idle-timeout", "BERM_API_IDLE_TIMEOUT" },
	{ "apps", "--apps", "BERM_APPS" },
	{ "attach", "--attach", "BERM_ATTACH" },
	{ "reportEnded", "--report-ended", "BERM_REPORT_ENDED" },
	{ "sessions", "--sessions", "BERM_SESSIONS" },
	{ "strictTCP", "--strict-tcp", "BERM_STRICT_TCP" },
	{ "timeoutClosing", "--timeout-closing", "BERM_TIMEOUT_CLOSING" },
	{ "timeoutHalfClosed", "--timeout-half-closed", "BERM_TIMEOUT_HALF_CLOSED" },
	{ "timeoutHalfOpen", "--timeout-half-open", "BERM_TIMEOUT_HALF_OPEN" },
	{ "timeoutOther", "--timeout-other", "BERM_TIMEOUT_OTHER" },
	{ "timeoutReset", "--timeout-reset", "BERM_TIMEOUT_RESET" },
	{ "timeoutTCP", "--timeout-tcp", "BERM_TIMEOUT_TCP" },
	{ "timeoutUDP", "--timeout-udp", "BERM_TIMEOUT_UDP" },
	{ "uplink", "--uplink", "BERM_UPLINK" },
	{ "uplinkAll", "--uplink-all", "BERM_UPLINK_ALL" },
	{ "uplinkMode", "--uplink-mode", "BERM_UPLINK_MODE" },
};

static void refuse_fixed(const struct berm_field *field, void *into)
{
	const struct fixed *f = fixed;
	char hint[160];

	(void)into;
	while (strcmp(f->name, field->node->string) != 0)
		f++; /* the table of members is made of these names */
	snprintf(hint, sizeof(hint), "it takes a restart: use the agent's option %s (%s)",
		 f->option, f->env);
	berm_field_problem(field, BERM_CODE_UNSUPPORTED, hint,
			   "cannot be changed while the agent runs");
}

static void read_settings(const struct berm_field *field, void *into)
{
	struct berm_member table[3 + ARRAY_SIZE(fixed)] = {
		{ "logLevel", BERM_MEMBER_OPTIONAL, read_log_level, NULL },
		{ "missingState", BERM_MEMBER_OPTIONAL, read_missing_state, NULL },
		{ "feedback", BERM_MEMBER_OPTIONAL, read_feedback, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		table[3 + i] = (struct berm_member){ fixed[i].name, BERM_MEMBER_OPTIONAL,
						     refuse_fixed, NULL };
	(void)berm_field_members(field, table, ARRAY_SIZE(table),
				 ((struct reading *)into)->config); /* errors are counted */
}

/* ---- the document ------------------------------------------------------------------------------------------------------ */

void berm_take_agent_config(struct berm_chunk *chunk, const struct berm_field *root)
{
	static const struct berm_member table[] = {
		BERM_OWN_MEMBERS,
		{ "essentials", BERM_MEMBER_OPTIONAL, read_essentials, NULL },
		{ "settings", BERM_MEMBER_OPTIONAL, read_settings, NULL },
	};
	struct reading r;
	struct berm_policy *document = berm_own_begin(chunk, root, BERM_KIND_AGENT_CONFIG, &r.own);

	if (!document)
		return;
	r.config = document->config = berm_reader_alloc(&chunk->reader, 1, sizeof(*r.config));
	if (!r.config) {
		berm_policy_free(document);
		return;
	}
	if (strcmp(r.own.ns, BERM_SYSTEM_NAMESPACE) != 0)
		berm_field_problem(root, BERM_CODE_TENANCY,
				   "put it into a ConfigMap of " BERM_SYSTEM_NAMESPACE,
				   "an AgentConfig is not for namespace %s: it concerns every pod and agent",
				   r.own.ns);
	(void)berm_field_members(root, table, ARRAY_SIZE(table), &r); /* errors are counted */
	berm_own_end(&r.own, root, document);
}
