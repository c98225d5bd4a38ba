/* SPDX-License-Identifier: Apache-2.0 */
/* status.c - `bermctl status`: is this node enforcing, and if not, why. */
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "status.h"

#define FIELD "  %-12s "

static void print_head(const cJSON *doc, bool color, FILE *out)
{
	bool ok = ctl_true_at(doc, "enforcing");
	const cJSON *reason;

	fprintf(out, "%s%s%s  node %s\n", ctl_tone_start(ok ? CTL_GOOD : CTL_BAD, color),
		ok ? "enforcing" : "NOT ENFORCING", ctl_tone_end(color),
		ctl_string_at(doc, "node"));
	cJSON_ArrayForEach(reason, ctl_at(doc, "reasons"))
		fprintf(out, "  %s%s%s\n", ctl_tone_start(CTL_BAD, color), reason->valuestring,
			ctl_tone_end(color));
	cJSON_ArrayForEach(reason, ctl_at(doc, "warnings"))
		fprintf(out, "  %s%s%s\n", ctl_tone_start(CTL_WARN, color), reason->valuestring,
			ctl_tone_end(color));
}

static void print_agent(const cJSON *doc, FILE *out)
{
	const cJSON *agent = ctl_at(doc, "agent"), *apply = ctl_at(agent, "last_apply");
	auto_free char *up = ctl_age(ctl_number_at(agent, "uptime_seconds"));
	auto_free char *memory = ctl_bytes(ctl_number_at(agent, "rss_bytes"));

	fprintf(out, FIELD, "agent");
	if (!ctl_true_at(agent, "running")) {
		fprintf(out, "not running\n");
		return;
	}
	fprintf(out, "%s, pid %.0f, up %s, %s\n", ctl_string_at(agent, "version"),
		ctl_number_at(agent, "pid"), up, memory);
	if (apply)
		fprintf(out,
			FIELD "generation %.0f: %.0f map writes, %.0f pods switched, %.1f ms\n",
			"last apply", ctl_number_at(apply, "generation"),
			ctl_number_at(apply, "writes"), ctl_number_at(apply, "switched"),
			ctl_number_at(apply, "took_us") / 1000);
}

/* Only what somebody has written. */
static void print_config(const cJSON *doc, FILE *out)
{
	const cJSON *settings = ctl_at(doc, "config.settings");

	if (*ctl_string_at(doc, "config.by"))
		fprintf(out, FIELD "%s: log level %s, missing state %s\n", "config",
			ctl_string_at(doc, "config.by"), ctl_string_at(settings, "log_level"),
			ctl_string_at(settings, "missing_state"));
}

static void print_data_path(const cJSON *doc, FILE *out)
{
	const cJSON *program;

	fprintf(out, FIELD "%s, ABI %.0f\n", "kernel", ctl_string_at(doc, "kernel"),
		ctl_number_at(doc, "abi"));
	if (!ctl_at(doc, "programs"))
		return;
	fprintf(out, FIELD, "programs");
	cJSON_ArrayForEach(program, ctl_at(doc, "programs"))
		fprintf(out, "%s%s %s", program->prev->next ? ", " : "",
			ctl_string_at(program, "name"),
			ctl_true_at(program, "pinned") ? "pinned" : "MISSING");
	fprintf(out, "\n" FIELD "%.0f\n", "generation", ctl_number_at(doc, "generation"));
}

/* Who has most of them, as the agent has last counted; said when there is too little room. */
static void print_most_sessions(const cJSON *doc, FILE *out)
{
	const cJSON *table = ctl_at(doc, "agent.session_table"), *pod;

	if (!table || !strcmp(ctl_string_at(table, "level"), "normal"))
		return;
	cJSON_ArrayForEach(pod, ctl_at(table, "pods"))
		fprintf(out, FIELD "%s/%s: %.0f established, %.0f half-open\n",
			pod->prev->next ? "" : "  most has", ctl_string_at(pod, "namespace"),
			ctl_string_at(pod, "pod"), ctl_number_at(pod, "established"),
			ctl_number_at(pod, "half_open"));
}

static void print_counts(const cJSON *doc, FILE *out)
{
	const cJSON *pods = ctl_at(doc, "endpoints"), *policies = ctl_at(doc, "policies");
	const cJSON *sessions = ctl_at(doc, "sessions");
	const char *level = ctl_string_at(sessions, "level");
	bool is_normal = !strcmp(level, "normal");
	auto_free char *room = ctl_count((uint64_t)ctl_number_at(sessions, "max"));

	if (pods)
		fprintf(out, FIELD "%.0f, %.0f enforced, %.0f on their fallback\n", "pods",
			ctl_number_at(pods, "total"), ctl_number_at(pods, "enforced"),
			ctl_number_at(pods, "fallback"));
	if (policies)
		fprintf(out, FIELD "%.0f, %.0f invalid, %.0f held\n", "policies",
			ctl_number_at(policies, "total"), ctl_number_at(policies, "invalid"),
			ctl_number_at(policies, "held"));
	if (sessions)
		fprintf(out,
			FIELD
			"%.0f established, %.0f half-open, %.0f closing; room for %s, %.0f %% full%s%s\n",
			"sessions", ctl_number_at(sessions, "established"),
			ctl_number_at(sessions, "half_open"), ctl_number_at(sessions, "closing"),
			room, 100 * ctl_number_at(sessions, "ratio"), is_normal ? "" : ": ",
			is_normal ? "" : level);
	print_most_sessions(doc, out);
}

static void print_events(const cJSON *doc, FILE *out)
{
	const cJSON *counters = ctl_at(doc, "counters");

	if (counters)
		fprintf(out, FIELD "%.0f sent, %.0f suppressed, %.0f lost\n", "events",
			ctl_number_at(counters, "event_sent"),
			ctl_number_at(counters, "event_suppressed"),
			ctl_number_at(counters, "event_lost"));
}

static void print_uplink(const cJSON *doc, FILE *out)
{
	const cJSON *uplink = ctl_at(doc, "uplink"), *port;

	if (!uplink)
		return;
	fprintf(out, FIELD, "uplink");
	cJSON_ArrayForEach(port, ctl_at(uplink, "interfaces"))
		fprintf(out, "%s%s %s", port->prev->next ? ", " : "", ctl_string_at(port, "name"),
			ctl_true_at(port, "attached") ? ctl_string_at(port, "mode")
						      : "NOT ATTACHED");
	fprintf(out, "; %.0f blocks, %.0f packets dropped\n", ctl_number_at(uplink, "blocks"),
		ctl_number_at(uplink, "dropped_packets"));
}

static char *percent(const cJSON *item)
{
	return ctl_printf("%.1f %%", 100 * ctl_number_at(item, "ratio"));
}

static char *used(const cJSON *item)
{
	return ctl_count((uint64_t)ctl_number_at(item, "used"));
}
static char *max(const cJSON *item)
{
	return ctl_count((uint64_t)ctl_number_at(item, "max"));
}
static char *packets(const cJSON *item)
{
	return ctl_count((uint64_t)ctl_number_at(item, "packets"));
}
static char *bytes(const cJSON *item)
{
	return ctl_bytes(ctl_number_at(item, "bytes"));
}

static enum ctl_tone pressure_tone(const cJSON *item)
{
	double ratio = ctl_number_at(item, "ratio");

	return ratio < 0.7 ? CTL_PLAIN : ratio < 0.9 ? CTL_WARN : CTL_BAD;
}

static char *where(const cJSON *item)
{
	const char *source = ctl_string_at(item, "source");

	if (ctl_number_at(item, "line") > 0)
		return ctl_printf("%s:%.0f:%.0f", source, ctl_number_at(item, "line"),
				  ctl_number_at(item, "column"));
	return strdup(source);
}

static char *problem_text(const cJSON *item)
{
	const char *field = ctl_string_at(item, "field"), *hint = ctl_string_at(item, "hint");

	return ctl_printf("%s%s%s%s%s", field, *field ? ": " : "", ctl_string_at(item, "message"),
			  *hint ? "; " : "", hint);
}

static enum ctl_tone severity_tone(const cJSON *item)
{
	return strcmp(ctl_string_at(item, "severity"), "error") ? CTL_WARN : CTL_BAD;
}

static const struct ctl_column map_columns[] = {
	{ .title = "MAP", .path = "name" },
	{ .title = "USED", .text = used, .flags = CTL_COL_RIGHT },
	{ .title = "ROOM", .text = max, .flags = CTL_COL_RIGHT },
	{ .title = "PRESSURE", .text = percent, .tone = pressure_tone, .flags = CTL_COL_RIGHT },
};
static const struct ctl_column verdict_columns[] = {
	{ .title = "DIRECTION", .path = "direction" },
	{ .title = "REASON", .path = "reason" },
	{ .title = "PACKETS", .text = packets, .flags = CTL_COL_RIGHT },
	{ .title = "BYTES", .text = bytes, .flags = CTL_COL_RIGHT },
};
static const struct ctl_column problem_columns[] = {
	{ .title = "PROBLEM", .path = "severity", .tone = severity_tone },
	{ .title = "WHERE", .text = where },
	{ .title = "DOCUMENT", .path = "document" },
	{ .title = "WHAT", .text = problem_text },
};

static char *since(const cJSON *item)
{
	return ctl_age(ctl_number_at(item, "since_seconds"));
}

static char *synced(const cJSON *item)
{
	return strdup(ctl_true_at(item, "synced") ? "yes" : "not yet");
}

static enum ctl_tone watch_tone(const cJSON *item)
{
	if (!ctl_true_at(item, "synced"))
		return CTL_BAD;
	return *ctl_string_at(item, "error") ? CTL_WARN : CTL_PLAIN;
}

static const struct ctl_column watch_columns[] = {
	{ .title = "WATCH", .path = "resource" },
	{ .title = "STATE", .path = "state", .tone = watch_tone },
	{ .title = "SYNCED", .text = synced },
	{ .title = "SINCE", .text = since },
	{ .title = "OBJECTS", .path = "objects", .flags = CTL_COL_RIGHT },
	{ .title = "RESTARTS", .path = "restarts", .flags = CTL_COL_RIGHT },
};

static const struct {
	struct ctl_view view;
	bool wide; /* only with -o wide */
} tables[] = {
	{ { .list = "problems", .column = problem_columns, .columns = ARRAY_SIZE(problem_columns) },
	  false },
	{ { .list = "watches", .column = watch_columns, .columns = ARRAY_SIZE(watch_columns) },
	  false },
	{ { .list = "maps", .column = map_columns, .columns = ARRAY_SIZE(map_columns) }, false },
	{ { .list = "verdicts", .column = verdict_columns, .columns = ARRAY_SIZE(verdict_columns) },
	  true },
};

void ctl_status_print(const struct ctl_options *options, const cJSON *doc, FILE *out)
{
	struct berm_err err = { 0 };

	print_head(doc, ctl_has_color(options, out), out);
	print_agent(doc, out);
	print_config(doc, out);
	print_data_path(doc, out);
	print_counts(doc, out);
	print_events(doc, out);
	print_uplink(doc, out);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		const cJSON *items = ctl_at(doc, tables[i].view.list);

		if (!items || !items->child || (tables[i].wide && options->format != CTL_WIDE))
			continue;
		fputc('\n', out);
		if (ctl_table_print(options, &tables[i].view, items, out, &err))
			(void)ctl_complain("status", &err);
	}
}

static int once(void *arg)
{
	const struct ctl_options *options = arg;
	struct berm_err err = { 0 };
	cJSON *doc = NULL;
	int code;

	if (ctl_status_gather(options, &doc, &err))
		return ctl_complain("status", &err);
	if (options->format == CTL_NAME)
		printf("%s\n", ctl_string_at(doc, "node"));
	else if (options->format == CTL_JSON || options->format == CTL_YAML)
		ctl_document_print(options, doc, stdout);
	else
		ctl_status_print(options, doc, stdout);
	code = ctl_true_at(doc, "enforcing") ? CTL_OK : CTL_FAILED;
	cJSON_Delete(doc);
	return code;
}

static int run(const struct ctl_command *cmd, int argc, char **argv, struct ctl_options *options)
{
	struct ctl_args args = { options };

	ctl_parse(cmd, argc, argv, &args);
	return ctl_repeat(options, once, options);
}

static const struct argp argp = {
	.parser = ctl_parse_nothing,
	.children = ctl_watch_children,
	.doc = "Is this node enforcing? Exits with 0 if every pod is, else with 1 and says why not. The kernel is asked "
	       "itself, so it works without the agent; -o wide adds the verdicts by reason.\v"
	       "Example:\n  bermctl status || echo 'not enforced!'\n  bermctl status -o json | jq .reasons",
};

const struct ctl_command ctl_status = { "status", "is this node enforcing, and if not, why", &argp,
					run };
