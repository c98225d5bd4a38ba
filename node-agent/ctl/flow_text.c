/* SPDX-License-Identifier: Apache-2.0 */
/* flow_text.c - flow records: which are wanted, and how one reads as a line. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "flow_text.h"

#define LINE "%-12s  %s%-9s%s  %-7s  %-27s -> %-27s  %-9s  %s%s%s%s"

int64_t ctl_flow_time(const cJSON *flow)
{
	int64_t ns;

	return ctl_time_parse(ctl_string_at(flow, "time"), &ns) ? 0 : ns;
}

char *ctl_flow_rule(const cJSON *flow)
{
	const cJSON *rule = ctl_at(flow, "rule");
	const char *ns = ctl_string_at(rule, "namespace"), *policy = ctl_string_at(rule, "policy");
	const char *name = ctl_string_at(rule, "rule");

	if (*policy && strcmp(ctl_string_at(rule, "tier"), "implicit") != 0)
		return ctl_printf("%s%s%s%s%s", ns, *ns ? "/" : "", policy, *name ? ":" : "", name);
	return strdup(ctl_string_at(flow, "reason"));
}

static bool end_matches(const char *pattern, const cJSON *flow, bool namespace_only)
{
	static const char *const ends[] = { "source", "destination" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const cJSON *end = ctl_at(flow, ends[i]);
		const char *ns = ctl_string_at(end, "namespace"), *pod = ctl_string_at(end, "pod");

		if (!*pod)
			continue;
		if (ctl_name_matches(pattern, ns, namespace_only ? ns : pod))
			return true;
	}
	return false;
}

static bool rule_matches(const char *pattern, const cJSON *flow)
{
	const cJSON *rule = ctl_at(flow, "rule");
	const char *ns = ctl_string_at(rule, "namespace");
	auto_free char *label = ctl_flow_rule(flow);

	return (label && !strcmp(pattern, label)) ||
	       ctl_name_matches(pattern, ns, ctl_string_at(rule, "policy")) ||
	       ctl_name_matches(pattern, ns, ctl_string_at(rule, "rule")) ||
	       ctl_name_matches(pattern, "", ctl_string_at(flow, "reason")) ||
	       (label &&
		ctl_name_matches(pattern, ns, strchr(label, '/') ? strchr(label, '/') + 1 : label));
}

bool ctl_flow_is_wanted(const struct ctl_flow_filter *filter, const cJSON *flow)
{
	if (filter->verdict && strcasecmp(filter->verdict, ctl_string_at(flow, "verdict")) != 0 &&
	    (strcasecmp(filter->verdict, "AUDIT") != 0 || !ctl_at(flow, "audit")))
		return false;
	if (filter->direction &&
	    strcasecmp(filter->direction, ctl_string_at(flow, "direction")) != 0)
		return false;
	if (filter->port && (int)ctl_number_at(flow, "source.port") != filter->port &&
	    (int)ctl_number_at(flow, "destination.port") != filter->port)
		return false;
	if (filter->since_ns && ctl_flow_time(flow) < filter->since_ns)
		return false;
	if (filter->pod && !end_matches(filter->pod, flow, false))
		return false;
	if (filter->ns && !end_matches(filter->ns, flow, true))
		return false;
	return !filter->rule || rule_matches(filter->rule, flow);
}

/* Local time of day to the millisecond; the record itself as it is if it cannot be read. */
static char *clock_text(const cJSON *flow)
{
	int64_t ns = ctl_flow_time(flow);
	time_t seconds = (time_t)(ns / 1000000000);
	struct tm tm;
	char text[16];

	if (!ns || !localtime_r(&seconds, &tm))
		return strdup(ctl_string_at(flow, "time"));
	strftime(text, sizeof(text), "%H:%M:%S", &tm);
	return ctl_printf("%s.%03d", text, (int)(ns / 1000000 % 1000));
}

static char *who(const cJSON *end)
{
	const char *ns = ctl_string_at(end, "namespace"), *pod = ctl_string_at(end, "pod");

	return *pod ? ctl_printf("%s/%s", ns, pod) : strdup(ctl_string_at(end, "ip"));
}

/* The port that names the service: the destination's, of a reply the source's. */
static char *what(const cJSON *flow)
{
	const char *end = ctl_true_at(flow, "is_reply") ? "source" : "destination";
	auto_free char *port = ctl_text_at(ctl_at(flow, end), "port"),
		       *type = ctl_text_at(flow, "icmp.type");
	const char *detail = port ? port : type ? type : "";

	return ctl_printf("%s%s%s", ctl_string_at(flow, "protocol"), *detail ? "/" : "", detail);
}

static char *why(const cJSON *flow)
{
	const char *reason = ctl_string_at(flow, "reason");
	auto_free char *rule = ctl_flow_rule(flow), *isolating = ctl_text_at(flow, "isolating");

	if (rule && strcmp(rule, reason) != 0)
		return ctl_printf("%s (%s)", rule, reason);
	return isolating ? ctl_printf("%s (isolated by %s)", reason, isolating) : strdup(reason);
}

/* Of a session that has ended: how, and what it has carried. */
static char * final(const cJSON *flow)
{
	auto_free char *in = ctl_bytes(ctl_number_at(flow, "bytes.ingress"));
	auto_free char *out = ctl_bytes(ctl_number_at(flow, "bytes.egress"));
	auto_free char *rule = ctl_flow_rule(flow);

	return ctl_printf("%s (%s%s)  in %.0f packets %s, out %.0f packets %s", rule ? rule : "",
			  ctl_string_at(flow, "cause"),
			  ctl_true_at(flow, "policy_changed") ? ", policy has changed" : "",
			  ctl_number_at(flow, "packets.ingress"), in ? in : "",
			  ctl_number_at(flow, "packets.egress"), out ? out : "");
}

static bool is_ended(const cJSON *flow)
{
	return !strcmp(ctl_string_at(flow, "verdict"), "ENDED");
}

/* "  tls shop.example" */
static char *carried(const cJSON *flow)
{
	const char *app = ctl_string_at(flow, "app"), *host = ctl_string_at(flow, "host");

	return ctl_printf("%s%s%s%s", *app ? "  " : "", app, *host ? " " : "", host);
}

static char *losses(const cJSON *flow)
{
	double more = ctl_number_at(flow, "suppressed"), lost = ctl_number_at(flow, "lost_before");
	auto_free char *m = more > 0 ? ctl_printf("  +%.0f like it", more) : NULL;
	auto_free char *l = lost > 0 ? ctl_printf("  %.0f lost before", lost) : NULL;

	return ctl_printf("%s%s", m ? m : "", l ? l : "");
}

/* "  audit: would be DROPPED by shop/db:web (policy-deny)"; "" if audit policies would make no difference. */
static char *audited(const cJSON *flow)
{
	const cJSON *audit = ctl_at(flow, "audit");
	auto_free char *by = audit ? why(audit) : NULL;

	return audit ? ctl_printf("  audit: would be %s by %s", ctl_string_at(audit, "verdict"),
				  by ? by : "")
		     : strdup("");
}

static void print_details(const cJSON *flow, FILE *out)
{
	static const struct {
		const char *label, *path;
	} details[] = {
		{ "from", "source.ip" },
		{ "port", "source.port" },
		{ "labels", "source.labels" },
		{ "to", "destination.ip" },
		{ "port", "destination.port" },
		{ "labels", "destination.labels" },
		{ "flags", "tcp_flags" },
		{ "bytes", "bytes" },
		{ "epoch", "epoch" },
		{ "tier", "rule.tier" },
		{ "id", "rule.id" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
		auto_free char *text = ctl_text_at(flow, details[i].path);

		if (text && *text)
			fprintf(out, "  %s=%s", details[i].label, text);
	}
}

void ctl_flow_print(const cJSON *flow, bool wide, bool color, FILE *out)
{
	auto_free char *time = clock_text(flow), *src = who(ctl_at(flow, "source"));
	auto_free char *dst = who(ctl_at(flow, "destination")), *proto = what(flow);
	auto_free char *reason = is_ended(flow) ? final(flow) : why(flow), *lost = losses(flow);
	auto_free char *app = carried(flow), *audit = audited(flow);
	const char *verdict = ctl_string_at(flow, "verdict");
	enum ctl_tone tone = is_ended(flow)		    ? CTL_DIM
			     : strcmp(verdict, "FORWARDED") ? CTL_BAD
							    : CTL_GOOD;

	fprintf(out, LINE, time, ctl_tone_start(tone, color), verdict, ctl_tone_end(color),
		ctl_string_at(flow, "direction"), src, dst, proto, reason, audit, app, lost);
	if (wide)
		print_details(flow, out);
	fputc('\n', out);
}

void ctl_flow_print_header(bool wide, bool color, FILE *out)
{
	(void)wide;
	fprintf(out, LINE "\n", "TIME", ctl_tone_start(CTL_PLAIN, color), "VERDICT",
		ctl_tone_end(false), "POLICY", "SOURCE", "DESTINATION", "WHAT", "RULE (REASON)", "",
		"", "");
}
