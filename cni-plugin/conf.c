/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf.c - our entry of the conflist, as the runtime hands it over on stdin. Keys that are not ours (the
 * runtime's, other plugins') are passed over.
 */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "cleanup.h"
#include "paths.h"
#include "result.h"

#define DEFAULT_WAIT_MS 2000
#define MAX_WAIT_MS	60000
#define MAX_EXEMPT	256
#define DEFAULT_LOG	BERM_LOG_DIR "/cni.log"

static const char *const fallbacks[] = {
	[CNI_ISOLATE_NAMESPACE] = "isolate-namespace",
	[CNI_ALLOW] = "allow",
	[CNI_DENY] = "deny",
	[CNI_HOLD] = "hold",
};

static const char *const attach_modes[] = {
	[BERM_ATTACH_AUTO] = "auto",
	[BERM_ATTACH_TCX] = "tcx",
	[BERM_ATTACH_CLSACT] = "clsact",
};

static const char *const on_unsupported[] = { "fail", "report" };

const char *cni_fallback_name(enum cni_fallback fallback)
{
	return fallbacks[fallback];
}

static bool unit_ms(const char **text, double *ret)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 } };

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t len = strlen(units[i].unit);

		if (!strncmp(*text, units[i].unit, len) && !isalpha((unsigned char)(*text)[len])) {
			*text += len;
			*ret = units[i].ms;
			return true;
		}
	}
	return false;
}

int cni_duration_parse(const char *text, int *ret_ms)
{
	double total = 0, factor, value;
	char *end;

	if (!*text)
		return -EINVAL;
	while (*text) {
		if (!isdigit((unsigned char)*text))
			return -EINVAL;
		value = strtod(text, &end);
		text = end;
		factor = 1000;
		if (*text && !unit_ms(&text, &factor))
			return -EINVAL;
		total += value * factor;
	}
	if (!(total <= MAX_WAIT_MS))
		return -EINVAL;
	*ret_ms = (int)total;
	return 0;
}

/* ---- fields: absent keeps the default, a wrong one is refused with what would be right ------------------- */

static int bad(const char *key, const char *want, struct berm_err *err)
{
	return berm_refuse(err, -EINVAL, "configuration of berm-cni: '%s' must be %s", key, want);
}

static int read_choice(const cJSON *json, const char *key, const char *const *names, int count,
		       int *out, struct berm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
	char want[128] = "one of";

	if (!item)
		return 0;
	for (int i = 0; i < count; i++) {
		size_t used = strlen(want);

		if (cJSON_IsString(item) && !strcmp(item->valuestring, names[i])) {
			*out = i;
			return 0;
		}
		snprintf(want + used, sizeof(want) - used, " %s", names[i]);
	}
	return bad(key, want, err);
}

static int read_path(const cJSON *json, const char *key, char *out, size_t size,
		     struct berm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);

	if (!item)
		return 0;
	if (!cJSON_IsString(item) || item->valuestring[0] != '/' ||
	    strlen(item->valuestring) >= size)
		return bad(key, "an absolute path that is not too long", err);
	strcpy(out, item->valuestring);
	return 0;
}

static int read_wait(const cJSON *json, int *out, struct berm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "waitForPolicy");

	if (!item)
		return 0;
	if (cJSON_IsNumber(item) && item->valuedouble >= 0 &&
	    item->valuedouble * 1000 <= MAX_WAIT_MS) {
		*out = (int)(item->valuedouble * 1000);
		return 0;
	}
	if (!cJSON_IsString(item) || cni_duration_parse(item->valuestring, out))
		return bad("waitForPolicy", "a time like \"2s\" or \"500ms\", at most one minute",
			   err);
	return 0;
}

static int exempt_add(struct cni_conf *conf, const char *ns)
{
	snprintf(conf->exempt[conf->exempt_count++], sizeof(conf->exempt[0]), "%s", ns);
	return 0;
}

static int read_exempt(const cJSON *json, struct cni_conf *conf, struct berm_err *err)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "exemptNamespaces"), *item;
	int count = list ? cJSON_GetArraySize(list) : 2;

	if (list && (!cJSON_IsArray(list) || count > MAX_EXEMPT))
		return bad("exemptNamespaces", "a list of at most 256 namespaces", err);
	conf->exempt = calloc((size_t)count + 1, sizeof(conf->exempt[0]));
	if (!conf->exempt)
		return berm_fail(err, -ENOMEM, "read the configuration");
	if (!list)
		return exempt_add(conf, "kube-system") || exempt_add(conf, "berm-system");
	cJSON_ArrayForEach(item, list) {
		if (!cJSON_IsString(item) || strlen(item->valuestring) >= sizeof(conf->exempt[0]))
			return bad("exemptNamespaces",
				   "a list of namespaces, of at most 63 characters each", err);
		exempt_add(conf, item->valuestring);
	}
	return 0;
}

static int read_settings(const cJSON *json, struct cni_conf *conf, struct berm_err *err)
{
	int fallback = CNI_ISOLATE_NAMESPACE, boot = CNI_ISOLATE_NAMESPACE, unsupported = 0,
	    attach = BERM_ATTACH_AUTO;
	int rc;

	rc = read_choice(json, "fallback", fallbacks, ARRAY_SIZE(fallbacks), &fallback, err);
	if (!rc)
		rc = read_choice(json, "bootFallback", fallbacks, ARRAY_SIZE(fallbacks), &boot,
				 err);
	if (!rc)
		rc = read_choice(json, "onUnsupported", on_unsupported, ARRAY_SIZE(on_unsupported),
				 &unsupported, err);
	if (!rc)
		rc = read_choice(json, "attach", attach_modes, ARRAY_SIZE(attach_modes), &attach,
				 err);
	if (!rc)
		rc = read_wait(json, &conf->wait_ms, err);
	if (!rc)
		rc = read_path(json, "agentSocket", conf->agent_socket, sizeof(conf->agent_socket),
			       err);
	if (!rc)
		rc = read_path(json, "logFile", conf->log_file, sizeof(conf->log_file), err);
	if (!rc)
		rc = read_exempt(json, conf, err);
	conf->fallback = (enum cni_fallback)fallback;
	conf->boot_fallback = (enum cni_fallback)boot;
	conf->report_unsupported = unsupported;
	conf->attach = (enum berm_attach_mode)attach;
	return rc;
}

static int read_version(const cJSON *json, struct cni_conf *conf, struct berm_err *err)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "cniVersion");

	if (!item)
		return 0;
	if (!cJSON_IsString(item) || strlen(item->valuestring) >= sizeof(conf->version))
		return bad("cniVersion", "a version like \"1.0.0\"", err);
	strcpy(conf->version, item->valuestring);
	return 0;
}

static int read_prev(struct cni_conf *conf, size_t size, struct berm_err *err)
{
	struct json_slice prev;

	if (!json_member(conf->text, size, "prevResult", &prev) || prev.at[0] == 'n') /* null */
		return 0;
	if (prev.at[0] != '{')
		return bad("prevResult", "an object", err);
	conf->prev = prev.at;
	conf->prev_size = prev.size;
	return 0;
}

static int parse(struct cni_conf *conf, size_t size, int *ret_code, struct berm_err *err)
{
	const char *stop = NULL;
	int rc;

	*ret_code = CNI_DECODING_FAILURE;
	conf->json = cJSON_ParseWithLengthOpts(conf->text, size + 1, &stop, true);
	if (!conf->json)
		return berm_refuse(err, -EBADMSG,
				   "stdin is not JSON (%zu bytes, wrong at byte %td)", size,
				   stop ? stop - conf->text : 0);
	if (!cJSON_IsObject(conf->json))
		return berm_refuse(err, -EBADMSG, "stdin is not a JSON object");
	*ret_code = CNI_INVALID_CONFIG;
	rc = read_version(conf->json, conf, err);
	if (!rc)
		rc = read_settings(conf->json, conf, err);
	return rc ? rc : read_prev(conf, size, err);
}

int cni_conf_parse(char *text, size_t size, struct cni_conf *out, int *ret_code,
		   struct berm_err *err)
{
	struct cni_conf conf = { .text = text,
				 .wait_ms = DEFAULT_WAIT_MS,
				 .agent_socket = BERM_AGENT_SOCKET,
				 .log_file = DEFAULT_LOG };
	int rc = parse(&conf, size, ret_code, err);

	/* Version and log file serve error messages too, so what was read is handed over in any case. */
	*out = conf;
	return rc;
}

void cni_conf_clear(struct cni_conf *conf)
{
	cJSON_Delete(conf->json);
	free(conf->text);
	free(conf->exempt);
	*conf = (struct cni_conf){ 0 };
}

bool cni_conf_is_exempt(const struct cni_conf *conf, const char *ns)
{
	for (size_t i = 0; i < conf->exempt_count; i++)
		if (!strcmp(conf->exempt[i], ns))
			return true;
	return false;
}
