// SPDX-License-Identifier: Apache-2.0
/* why.c - `bermctl why`: would a flow pass, which rule decides at each end, and what a denied one lacks. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "source.h"

struct args {
	struct ctl_args common;
	const char *source, *protocol;
	char *destination; /* without its port */
	long port, source_port;
	bool v4, v6, as_new;
};

/* ---- the question ------------------------------------------------------------------------------------------ */

/* "shop/db:5432", "10.0.0.3:53", "[fd00::3]:53", "fd00::3" -> destination and port. */
static void take_destination(struct args *args, const char *arg, struct argp_state *state)
{
	const char *colon = strrchr(arg, ':'), *last = arg + strlen(arg);
	bool has_port = colon && (*arg == '[' ? colon[-1] == ']' : strchr(arg, ':') == colon);

	args->port = has_port ? ctl_number_arg(colon + 1, 65535, "port", state) : -1;
	if (has_port)
		last = colon;
	if (*arg == '[' && last[-1] == ']') {
		arg++;
		last--;
	}
	args->destination = strndup(arg, (size_t)(last - arg));
	if (!args->destination)
		argp_failure(state, CTL_FAILED, 0, "out of memory");
}

static cJSON *question_of(const struct args *args)
{
	cJSON *question = cJSON_CreateObject();

	cJSON_AddStringToObject(question, "source", args->source);
	cJSON_AddStringToObject(question, "destination", args->destination);
	cJSON_AddStringToObject(question, "protocol", args->protocol);
	if (args->port >= 0)
		cJSON_AddNumberToObject(question, "port", (double)args->port);
	if (args->source_port >= 0)
		cJSON_AddNumberToObject(question, "source_port", (double)args->source_port);
	if (args->v4 != args->v6)
		cJSON_AddNumberToObject(question, "ip_version", args->v4 ? 4 : 6);
	cJSON_AddBoolToObject(question, "as_new", args->as_new);
	return question;
}

/* ---- the answer ---------------------------------------------------------------------------------------------- */

static char *who(const cJSON *end)
{
	const char *pod = ctl_string_at(end, "pod"), *ip = ctl_string_at(end, "ip");

	if (*pod)
		return ctl_printf("%s/%s (%s)", ctl_string_at(end, "namespace"), pod, ip);
	return ctl_printf("%s%s", ip, ctl_true_at(end, "own_node") ? " (this node)" : "");
}

static const char *tone_of(const char *verdict, bool color)
{
	return ctl_tone_start(!strcmp(verdict, "FORWARDED") ? CTL_GOOD
			      : !strcmp(verdict, "DROPPED") || !strcmp(verdict, "REJECTED")
				      ? CTL_BAD
				      : CTL_WARN,
			      color);
}

static void print_head(const cJSON *doc, bool color)
{
	auto_free char *source = who(ctl_at(doc, "source"));
	auto_free char *destination = who(ctl_at(doc, "destination"));
	auto_free char *port = ctl_text_at(doc, "port");
	const char *verdict = ctl_string_at(doc, "verdict");

	printf("%s%s%s  %s -> %s  %s%s%s\n", tone_of(verdict, color), verdict, ctl_tone_end(color),
	       source, destination, ctl_string_at(doc, "protocol"), port ? "/" : "",
	       port ? port : "");
}

static void print_misses(const cJSON *end)
{
	const cJSON *miss;

	cJSON_ArrayForEach(miss, ctl_at(end, "near_misses")) {
		const char *ns = ctl_string_at(miss, "namespace");

		printf("    %s%s%s:%s would allow it %s\n", ns, *ns ? "/" : "",
		       ctl_string_at(miss, "policy"), ctl_string_at(miss, "rule"),
		       ctl_string_at(miss, "text"));
	}
}

static char *rule_of(const cJSON *end)
{
	const cJSON *rule = ctl_at(end, "rule");
	const char *ns = ctl_string_at(rule, "namespace"), *policy = ctl_string_at(rule, "policy");
	const char *name = ctl_string_at(rule, "rule");

	if (!*policy || !strcmp(ctl_string_at(rule, "tier"), "implicit"))
		return NULL;
	return ctl_printf("%s%s%s%s%s", ns, *ns ? "/" : "", policy, *name ? ":" : "", name);
}

static void print_matrix(const cJSON *end)
{
	const cJSON *matrix = ctl_at(end, "matrix");

	if (matrix)
		printf("    set=%.0f row=%.0f%s column=%.0f (port class %.0f) cell=%.0f\n",
		       ctl_number_at(matrix, "set"), ctl_number_at(matrix, "row"),
		       ctl_true_at(matrix, "default_row") ? " (the set's default)" : "",
		       ctl_number_at(matrix, "column"), ctl_number_at(matrix, "port_class"),
		       ctl_number_at(matrix, "cell"));
}

static void print_audit(const cJSON *end, bool color)
{
	const cJSON *audit = ctl_at(end, "audit");
	auto_free char *rule = audit ? rule_of(audit) : NULL,
		       *isolating = ctl_text_at(audit, "isolating");
	const char *verdict = ctl_string_at(audit, "verdict");

	if (!audit)
		return;
	printf("    audit: would be %s%s%s", tone_of(verdict, color), verdict, ctl_tone_end(color));
	printf(rule ? " by %s (%s)" : "%s, %s", rule ? rule : "", ctl_string_at(audit, "reason"));
	printf(isolating && *isolating ? ", isolated by %s\n" : "%s\n",
	       isolating ? isolating : "");
}

static void print_end(const cJSON *end, bool wide, bool color)
{
	auto_free char *rule = rule_of(end), *isolating = ctl_text_at(end, "isolating");
	auto_free char *node = ctl_text_at(end, "node"), *cls = ctl_text_at(end, "class");
	const char *verdict = ctl_string_at(end, "verdict"), *ns = ctl_string_at(end, "namespace");

	printf("  %-8s of %s/%s: ", ctl_string_at(end, "direction"), ns, ctl_string_at(end, "pod"));
	if (!ctl_true_at(end, "here")) {
		printf("%sUNKNOWN%s, not on this node%s%s%s\n", tone_of("", color),
		       ctl_tone_end(color), node ? " (ask " : "", node ? node : "",
		       node ? ")" : "");
		return;
	}
	printf("%s%s%s", tone_of(verdict, color), verdict, ctl_tone_end(color));
	if (rule)
		printf(" by %s (%s)\n", rule, ctl_string_at(end, "reason"));
	else
		printf(", %s: %s\n", ctl_string_at(end, "reason"),
		       ctl_string_at(end, "explanation"));
	if (isolating && *isolating)
		printf("    isolated by %s\n", isolating);
	print_audit(end, color);
	print_misses(end);
	if (!wide)
		return;
	printf("    session=%s class=%s rule-id=%.0f\n", ctl_true_at(end, "session") ? "yes" : "no",
	       cls ? cls : "-", ctl_number_at(end, "rule.id"));
	print_matrix(end);
}

static void print_answer(const struct ctl_options *options, const cJSON *doc)
{
	bool color = ctl_has_color(options, stdout);
	const cJSON *end;

	print_head(doc, color);
	cJSON_ArrayForEach(end, ctl_at(doc, "ends"))
		print_end(end, options->format == CTL_WIDE, color);
}

static int show(const struct ctl_options *options, const cJSON *doc)
{
	if (options->format == CTL_NAME)
		printf("%s\n", ctl_string_at(doc, "verdict"));
	else if (options->format == CTL_TABLE || options->format == CTL_WIDE)
		print_answer(options, doc);
	else
		ctl_document_print(options, doc, stdout);
	return ctl_finish(CTL_OK);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

enum { OPT_SPORT = 0x200, OPT_NEW, OPT_PROTOCOL };

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case '4':
		args->v4 = true;
		return 0;
	case '6':
		args->v6 = true;
		return 0;
	case OPT_PROTOCOL:
		args->protocol = arg;
		return 0;
	case OPT_SPORT:
		args->source_port = ctl_number_arg(arg, 65535, "port", state);
		return 0;
	case OPT_NEW:
		args->as_new = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->destination)
			argp_error(state, "too many arguments: '%s'", arg);
		else if (args->source)
			take_destination(args, arg, state);
		else
			args->source = arg;
		return 0;
	case ARGP_KEY_END:
		if (!args->destination)
			argp_error(state, "want SRC and DST[:PORT]");
		return 0;
	default:
		return ctl_parse_nothing(key, arg, state);
	}
}

static const struct argp_option options_of_why[] = {
	{ "protocol", OPT_PROTOCOL, "PROTO", 0,
	  "tcp (default), udp, sctp or icmp (an echo request)", 0 },
	{ "source-port", OPT_SPORT, "N", 0, "of the side that opens (default 40000)", 0 },
	{ "new", OPT_NEW, NULL, 0, "as if no session knew the flow", 0 },
	{ "ipv4", '4', NULL, 0, "between addresses of this family; else the first that both have",
	  0 },
	{ "ipv6", '6', NULL, 0, "likewise", 0 },
	{ 0 },
};

static const struct argp argp = {
	.options = options_of_why,
	.parser = parse,
	.args_doc = "SRC DST[:PORT]",
	.children = ctl_common_children,
	.doc = "Would the first packet of this flow pass, and why? Each end that is on this node is asked of the very "
	       "programs that enforce, on a packet that is made up and leaves no trace. For a denial the rules are named that "
	       "come nearest to allowing it, with what is missing. SRC and DST are NAMESPACE/POD or IP addresses.\vExamples:\n"
	       "  bermctl why shop/web shop/db:5432\n  bermctl why 10.0.0.7 shop/api:53 --protocol udp -o json",
};

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct args args = {
		.common = { options }, .protocol = "tcp", .port = -1, .source_port = -1
	};
	struct berm_err err = { 0 };
	cJSON *question, *doc = NULL;
	int rc;

	ctl_parse(cmd, argc, argv, &args);
	question = question_of(&args);
	rc = ctl_agent_post(options, "/v1/explain", question, &doc, &err);
	cJSON_Delete(question);
	free(args.destination);
	if (rc)
		return ctl_complain(cmd->name, &err);
	rc = show(options, doc);
	cJSON_Delete(doc);
	return rc;
}

const struct ctl_command ctl_why = { "why", "would a flow pass, and which rule decides", &argp,
				     run };
