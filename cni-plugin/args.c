/* SPDX-License-Identifier: Apache-2.0 */
/* args.c - environment and CNI_ARGS. Nothing in them is trusted. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "cleanup.h"
#include "record.h"

static const char *env_or_empty(const char *name)
{
	const char *value = getenv(name);

	return value ? value : "";
}

struct cni_env cni_env_read(void)
{
	return (struct cni_env){
		.command = env_or_empty("CNI_COMMAND"),
		.container_id = env_or_empty("CNI_CONTAINERID"),
		.netns = env_or_empty("CNI_NETNS"),
		.ifname = env_or_empty("CNI_IFNAME"),
		.args = env_or_empty("CNI_ARGS"),
	};
}

int cni_env_check(const struct cni_env *env, struct berm_err *err)
{
	if (!berm_container_id_is_valid(env->container_id))
		return berm_refuse(err, -EINVAL,
				   "CNI_CONTAINERID '%.140s' must be 1-127 of letters, digits, '_', '.', '-', and begin "
				   "with a letter or digit",
				   env->container_id);
	if (!berm_ifname_is_valid(env->ifname))
		return berm_refuse(
			err, -EINVAL,
			"CNI_IFNAME '%.40s' must be 1-15 printable characters without '/', ':' or spaces",
			env->ifname);
	return 0;
}

/* Looser than Kubernetes' names, since podman puts its own container names here, but nothing that could be
 * part of a path or of a log line. */
static bool is_name(const char *text, size_t len)
{
	if (!isalnum((unsigned char)text[0]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("_.-", text[i]))
			return false;
	return true;
}

static int take_value(const char *key, const char *value, size_t len, char *to, size_t room,
		      struct berm_err *err)
{
	if (!len)
		return 0;
	if (len >= room || !is_name(value, len))
		return berm_refuse(err, -EINVAL,
				   "CNI_ARGS: %s '%.*s' is not a name (letters, digits, '_', '.', '-', "
				   "at most %zu)",
				   key, (int)(len < 80 ? len : 80), value, room - 1);
	if (to[0] && (strlen(to) != len || strncmp(to, value, len)))
		return berm_refuse(err, -EINVAL, "CNI_ARGS: %s is given twice, as '%s' and '%.*s'",
				   key, to, (int)len, value);
	memcpy(to, value, len);
	to[len] = '\0';
	return 0;
}

static int take_pair(const char *pair, size_t len, struct cni_pod *pod, struct berm_err *err)
{
	const struct {
		const char *key;
		char *to;
		size_t room;
	} known[] = {
		{ "K8S_POD_NAMESPACE", pod->ns, sizeof(pod->ns) },
		{ "K8S_POD_NAME", pod->name, sizeof(pod->name) },
		{ "K8S_POD_UID", pod->uid, sizeof(pod->uid) },
	};
	size_t key_len;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		key_len = strlen(known[i].key);
		if (len > key_len && pair[key_len] == '=' && !strncmp(pair, known[i].key, key_len))
			return take_value(known[i].key, pair + key_len + 1, len - key_len - 1,
					  known[i].to, known[i].room, err);
	}
	return 0;
}

int cni_args_parse(const char *args, struct cni_pod *out, struct berm_err *err)
{
	struct cni_pod pod = { 0 };
	size_t len;
	int rc;

	for (; *args; args += len + (args[len] == ';')) {
		len = strcspn(args, ";");
		rc = take_pair(args, len, &pod, err);
		if (rc)
			return rc;
	}
	*out = pod;
	return 0;
}
