/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - the rule-name file: a head line, then one rule a line, fields between tabs, sorted by id.
 * Knows no policy.
 */
#include "names.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "abi.h"
#include "cleanup.h"
#include "fsutil.h"

#define HEAD	       "berm-rules 1\n"
#define FILE_MAX_BYTES (256u << 20)
#define FIELDS	       11
#define ALL_FIELDS     13 /* with app and flags, which few rules have */

static const struct {
	const char *name, *help;
} reasons[] = {
#define X(id, num, name, help) [num] = { name, help },
	BERM_REASONS(X)
#undef X
};

const char *berm_reason_name(unsigned int reason)
{
	return reason < ARRAY_SIZE(reasons) && reasons[reason].name ? reasons[reason].name
								    : "unknown";
}

const char *berm_reason_help(unsigned int reason)
{
	return reason < ARRAY_SIZE(reasons) && reasons[reason].help ? reasons[reason].help
								    : "a reason of a newer version";
}

const char *berm_action_name(unsigned int action)
{
	if (action == BERM_ACTION_REJECT)
		return "reject";
	if (action == BERM_ACTION_NONE)
		return "none";
	return action == BERM_ACTION_ALLOW ? "allow" : "deny";
}

const char *berm_verdict_name(unsigned int action)
{
	if (action == BERM_ACTION_REJECT)
		return "REJECTED";
	return action == BERM_ACTION_ALLOW ? "FORWARDED" : "DROPPED";
}

const char *berm_app_name(unsigned int app)
{
	switch (app) {
#define X(id, num, name, help)                                                                     \
	case num:                                                                                  \
		return name;
		BERM_APPS(X)
#undef X
	default:
		return NULL;
	}
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* Tabs, line ends and backslashes are escaped; whatever a name holds, the file stays one line a rule. */
static void put_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '\t':
			fputs("\\t", out);
			break;
		case '\n':
			fputs("\\n", out);
			break;
		case '\r':
			fputs("\\r", out);
			break;
		case '\\':
			fputs("\\\\", out);
			break;
		default:
			fputc(*text, out);
		}
	}
}

static void put_rule(FILE *out, const struct berm_rule_name *r)
{
	const char *const text[] = { r->tier, r->kind, r->ns, r->policy, r->rule };

	fprintf(out, "%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%u\t%u\t%u", r->id, r->index,
		r->precedence, r->dir, r->action, r->reason);
	for (size_t i = 0; i < ARRAY_SIZE(text); i++) {
		fputc('\t', out);
		put_escaped(out, text[i]);
	}
	if (r->app || r->flags)
		fprintf(out, "\t%u\t%u", r->app, r->flags);
	fputc('\n', out);
}

static int by_id(const void *a, const void *b)
{
	const struct berm_rule_name *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int format(const struct berm_rule_name *item, size_t count, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);
	int rc;

	if (!out)
		return -errno;
	fputs(HEAD, out);
	for (size_t i = 0; i < count; i++)
		put_rule(out, &item[i]);
	rc = ferror(out) ? -ENOMEM : 0;
	return fclose(out) ? -ENOMEM : rc;
}

int berm_names_write(const char *path, const struct berm_names *names, struct berm_err *err)
{
	auto_free struct berm_rule_name *sorted = NULL;
	auto_free char *text = NULL;
	size_t size = 0;
	int rc;

	sorted = malloc((names->count + 1) * sizeof(*sorted));
	if (!sorted)
		return berm_fail(err, -ENOMEM, "write %s", path);
	if (names->count)
		memcpy(sorted, names->item, names->count * sizeof(*sorted));
	qsort(sorted, names->count, sizeof(*sorted), by_id);
	rc = format(sorted, names->count, &text, &size);
	if (rc)
		return berm_fail(err, rc, "write %s", path);
	return berm_file_write(path, text, size, 0644, err);
}

/* ---- reading ------------------------------------------------------------------------------------------ */

static void unescape(char *text)
{
	char *to = text;

	for (; *text; text++) {
		if (*text == '\\' && text[1]) {
			text++;
			*to++ = *text == 't'   ? '\t'
				: *text == 'n' ? '\n'
				: *text == 'r' ? '\r'
					       : *text;
		} else {
			*to++ = *text;
		}
	}
	*to = '\0';
}

static bool read_u32(const char *text, uint32_t max, uint32_t *out)
{
	char *end;
	unsigned long value;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value > max)
		return false;
	*out = (uint32_t)value;
	return true;
}

static bool read_text(char *field, char *to, size_t size)
{
	unescape(field);
	if (strlen(field) >= size)
		return false;
	strcpy(to, field);
	return true;
}

static size_t split(char *line, char *fields[ALL_FIELDS])
{
	size_t n = 0;
	char *field;

	while ((field = strsep(&line, "\t"))) {
		if (n == ALL_FIELDS)
			return ALL_FIELDS + 1;
		fields[n++] = field;
	}
	return n;
}

static bool read_more(char *const *f, struct berm_rule_name *r)
{
	uint32_t app, flags;

	if (!read_u32(f[FIELDS], UINT8_MAX, &app) || !read_u32(f[FIELDS + 1], UINT8_MAX, &flags))
		return false;
	r->app = (uint8_t)app;
	r->flags = (uint8_t)flags;
	return true;
}

static bool read_rule(char *line, struct berm_rule_name *r)
{
	char *f[ALL_FIELDS];
	uint32_t dir, action, reason;
	size_t count = split(line, f);

	if (count != FIELDS && (count != ALL_FIELDS || !read_more(f, r)))
		return false;
	if (!read_u32(f[0], UINT32_MAX, &r->id) || !read_u32(f[1], UINT32_MAX, &r->index) ||
	    !read_u32(f[2], UINT32_MAX, &r->precedence) || !read_u32(f[3], UINT8_MAX, &dir) ||
	    !read_u32(f[4], UINT8_MAX, &action) || !read_u32(f[5], UINT8_MAX, &reason))
		return false;
	r->dir = (uint8_t)dir;
	r->action = (uint8_t)action;
	r->reason = (uint8_t)reason;
	return read_text(f[6], r->tier, sizeof(r->tier)) &&
	       read_text(f[7], r->kind, sizeof(r->kind)) && read_text(f[8], r->ns, sizeof(r->ns)) &&
	       read_text(f[9], r->policy, sizeof(r->policy)) &&
	       read_text(f[10], r->rule, sizeof(r->rule));
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

static int bad_line(const char *path, size_t line, struct berm_err *err)
{
	return berm_refuse(err, -EBADMSG,
			   "%s: line %zu is not a rule; the agent writes this file anew with the "
			   "next generation",
			   path, line);
}

static int parse(const char *path, char *text, struct berm_names *out, struct berm_err *err)
{
	auto_free struct berm_rule_name *item = NULL;
	size_t count = 0;
	char *line;

	if (strncmp(text, HEAD, strlen(HEAD)))
		return berm_refuse(err, -EBADMSG, "%s does not begin with '%.*s'", path,
				   (int)strlen(HEAD) - 1, HEAD);
	text += strlen(HEAD);
	item = calloc(count_lines(text) + 1, sizeof(*item));
	if (!item)
		return berm_fail(err, -ENOMEM, "read %s", path);
	while ((line = strsep(&text, "\n")) && text) { /* a last line without its end is cut off */
		if (!read_rule(line, &item[count]) ||
		    (count && item[count].id < item[count - 1].id))
			return bad_line(path, count + 2, err);
		count++;
	}
	if (line && *line)
		return bad_line(path, count + 2, err);
	out->item = TAKE_PTR(item);
	out->count = count;
	return 0;
}

int berm_names_read(const char *path, struct berm_names *out, struct berm_err *err)
{
	auto_free char *text = NULL;
	int rc = berm_file_read(path, FILE_MAX_BYTES, &text, NULL, err);

	return rc ? rc : parse(path, text, out, err);
}

const struct berm_rule_name *berm_names_find(const struct berm_names *names, uint32_t id)
{
	const struct berm_rule_name key = { .id = id };

	if (!names || !names->count)
		return NULL;
	return bsearch(&key, names->item, names->count, sizeof(key), by_id);
}

void berm_names_clear(struct berm_names *names)
{
	free(names->item);
	*names = (struct berm_names){ 0 };
}

void berm_names_label(const struct berm_names *names, uint32_t id, char *out, size_t size)
{
	const struct berm_rule_name *r;

	if (id < BERM_RULE_FIRST) {
		snprintf(out, size, "%s", berm_reason_name(id));
		return;
	}
	r = berm_names_find(names, id);
	if (!r)
		snprintf(out, size, "rule-%" PRIu32, id);
	else if (r->ns[0])
		snprintf(out, size, "%s/%s:%s", r->ns, r->policy, r->rule);
	else
		snprintf(out, size, "%s:%s", r->policy, r->rule);
}
