/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - values as people read and write them. Knows no command and prints nothing. */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cleanup.h"
#include "ctl.h"

char *ctl_printf(const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	return text;
}

const cJSON *ctl_at(const cJSON *item, const char *path)
{
	char part[64];

	while (item && *path) {
		size_t len = strcspn(path, ".");

		snprintf(part, sizeof(part), "%.*s", (int)len, path);
		item = cJSON_GetObjectItemCaseSensitive(item, part);
		path += len + (path[len] == '.');
	}
	return item;
}

const char *ctl_string_at(const cJSON *item, const char *path)
{
	const char *text = cJSON_GetStringValue(ctl_at(item, path));

	return text ? text : "";
}

double ctl_number_at(const cJSON *item, const char *path)
{
	const cJSON *value = ctl_at(item, path);

	return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

bool ctl_true_at(const cJSON *item, const char *path)
{
	return cJSON_IsTrue(ctl_at(item, path));
}

static char *text_of(const cJSON *value);

static char *joined(const cJSON *list)
{
	const cJSON *part;
	char *all = NULL;

	cJSON_ArrayForEach(part, list) {
		auto_free char *before = all, *text = text_of(part);

		all = ctl_printf("%s%s%s", before ? before : "", before ? "," : "",
				 text ? text : "");
	}
	return all;
}

/* {"a": "b"} as a=b, the way labels are written. */
static char *pairs(const cJSON *object)
{
	const cJSON *part;
	char *all = NULL;

	cJSON_ArrayForEach(part, object) {
		auto_free char *before = all, *text = text_of(part);

		all = ctl_printf("%s%s%s=%s", before ? before : "", before ? "," : "", part->string,
				 text ? text : "");
	}
	return all;
}

static char *text_of(const cJSON *value)
{
	if (cJSON_IsString(value))
		return strdup(value->valuestring);
	if (cJSON_IsNumber(value))
		return ctl_printf("%.15g", value->valuedouble);
	if (cJSON_IsBool(value))
		return strdup(cJSON_IsTrue(value) ? "yes" : "no");
	if (cJSON_IsArray(value))
		return joined(value);
	return cJSON_IsObject(value) ? pairs(value) : NULL;
}

char *ctl_text_at(const cJSON *item, const char *path)
{
	return text_of(ctl_at(item, path));
}

char *ctl_age(double seconds)
{
	unsigned long s = seconds > 0 ? (unsigned long)seconds : 0;

	if (s < 60)
		return ctl_printf("%lus", s);
	if (s < 3600)
		return ctl_printf("%lum%02lus", s / 60, s % 60);
	if (s < 86400)
		return ctl_printf("%luh%02lum", s / 3600, s / 60 % 60);
	return ctl_printf("%lud%02luh", s / 86400, s / 3600 % 24);
}

char *ctl_count(uint64_t n)
{
	char digits[24], out[32];
	size_t len, used = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[used++] = ',';
		out[used++] = digits[i];
	}
	out[used] = '\0';
	return strdup(out);
}

char *ctl_bytes(double bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	size_t unit = 0;

	for (; bytes >= 1024 && unit + 1 < ARRAY_SIZE(units); unit++)
		bytes /= 1024;
	return ctl_printf(unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

/* Up to nine digits behind the dot. */
static int parse_fraction(const char **text, int64_t *ret_ns)
{
	int64_t ns = 0, scale = 100000000;

	for (; **text >= '0' && **text <= '9'; (*text)++, scale /= 10) {
		if (!scale)
			return -EINVAL;
		ns += (**text - '0') * scale;
	}
	*ret_ns = ns;
	return 0;
}

/* "Z" or "+02:00": seconds east of Greenwich. */
static int parse_zone(const char *text, long *ret_seconds)
{
	unsigned int hours, minutes;
	char sign, end;

	if (!strcmp(text, "Z")) {
		*ret_seconds = 0;
		return 0;
	}
	if (sscanf(text, "%c%2u:%2u%c", &sign, &hours, &minutes, &end) != 3 ||
	    (sign != '+' && sign != '-'))
		return -EINVAL;
	*ret_seconds = (long)(hours * 3600 + minutes * 60) * (sign == '+' ? 1 : -1);
	return 0;
}

int ctl_time_parse(const char *text, int64_t *ret_ns)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t ns = 0;
	long zone;

	if (!rest)
		return -EINVAL;
	if (*rest == '.' && (rest++, parse_fraction(&rest, &ns)))
		return -EINVAL;
	if (parse_zone(rest, &zone))
		return -EINVAL;
	*ret_ns = (int64_t)(timegm(&tm) - zone) * 1000000000 + ns;
	return 0;
}

int ctl_duration_parse(const char *text, double *ret_seconds)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = { { "ms", 0.001 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
	double total = 0;

	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t digits = strspn(text, "0123456789."), letters, i;
		char *end;
		double n = strtod(text, &end);

		letters = strspn(text + digits, "mshd");
		if (!digits || end != text + digits)
			return -EINVAL;
		for (i = 0; i < ARRAY_SIZE(units); i++)
			if (letters == strlen(units[i].unit) &&
			    !strncmp(end, units[i].unit, letters))
				break;
		if (i == ARRAY_SIZE(units))
			return -EINVAL;
		total += n * units[i].seconds;
		text = end + letters;
	}
	*ret_seconds = total;
	return 0;
}

bool ctl_name_matches(const char *pattern, const char *ns, const char *name)
{
	const char *slash = strchr(pattern, '/');
	auto_free char *ns_pattern = NULL;

	if (!slash)
		return !fnmatch(pattern, name, 0);
	ns_pattern = strndup(pattern, (size_t)(slash - pattern));
	return ns_pattern && !fnmatch(ns_pattern, ns, 0) && !fnmatch(slash + 1, name, 0);
}
