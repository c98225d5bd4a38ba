/* SPDX-License-Identifier: Apache-2.0 */
/* kubeconfig.c - reads a kubeconfig strictly where it matters, and the files of a ServiceAccount. */
#include "kubeconfig.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cleanup.h"
#include "tree.h"

#define MAX_FILE  (1u << 20)
#define MAX_TOKEN (64u << 10)

struct reading {
	const char *path;
	char *dir; /* of the file */
	struct berm_kubeconfig *out;
	struct berm_err *err;
};

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* The whole file, with a NUL behind it. */
static int read_whole(const char *path, size_t max, char **ret, size_t *ret_size,
		      struct berm_err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_free char *text = malloc(max + 1);
	size_t size = 0;
	ssize_t got = 1;

	if (fd < 0)
		return berm_fail(err, -errno, "open %s", path);
	if (!text)
		return berm_fail(err, -ENOMEM, "read %s", path);
	while (size < max && (got = read(fd, text + size, max - size)) > 0)
		size += (size_t)got;
	if (got < 0)
		return berm_fail(err, -errno, "read %s", path);
	if (size == max)
		return berm_refuse(err, -EFBIG, "%s has %zu bytes or more: that is no such file",
				   path, max);
	text[size] = '\0';
	*ret = TAKE_PTR(text);
	*ret_size = size;
	return 0;
}

/* Value of a base64 letter, or -1. RFC 4648 section 4. */
static int base64_value(char letter)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = letter ? strchr(letters, letter) : NULL;

	return at ? (int)(at - letters) : -1;
}

/* Decodes in place; returns the size, or -1. Blanks and line ends are passed over. */
static ssize_t base64_decode(char *text)
{
	uint32_t word = 0;
	unsigned int bits = 0;
	size_t size = 0;
	const char *in;

	for (in = text; *in && *in != '='; in++) {
		if (isspace((unsigned char)*in))
			continue;
		if (base64_value(*in) < 0)
			return -1;
		word = word << 6 | (uint32_t)base64_value(*in);
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		text[size++] = (char)(word >> bits & 0xff);
	}
	return in[strspn(in, "= \t\r\n")] ? -1 : (ssize_t)size;
}

/* libcurl with GnuTLS takes certificates from files only, and keys do not belong on a disk. */
static int to_memory(struct reading *r, enum berm_kube_file which, const char *data, size_t size)
{
	auto_close int fd = memfd_create("kubeconfig", MFD_CLOEXEC);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return berm_fail(r->err, errno ? -errno : -ENOSPC, "keep the data of %s", r->path);
	if (asprintf(&r->out->file[which], "/proc/self/fd/%d", fd) < 0) {
		r->out->file[which] = NULL;
		return berm_fail(r->err, -ENOMEM, "read %s", r->path);
	}
	r->out->memory[which] = TAKE_FD(fd);
	return 0;
}

/* ---- the tree -------------------------------------------------------------------------------------------------- */

static const char *text_at(const cJSON *map, const char *key)
{
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(map, key);

	return cJSON_IsString(node) && *node->valuestring ? node->valuestring : NULL;
}

/* The part named `member` of the list's item of that name. */
static int find_named(struct reading *r, const cJSON *root, const char *member, const char *name,
		      const cJSON **ret)
{
	const cJSON *item, *found;
	char list[16];

	snprintf(list, sizeof(list), "%ss", member);
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(root, list)) {
		if (!text_at(item, "name") || strcmp(text_at(item, "name"), name) != 0)
			continue;
		found = cJSON_GetObjectItemCaseSensitive(item, member);
		if (cJSON_IsObject(found)) {
			*ret = found;
			return 0;
		}
	}
	return berm_refuse(r->err, -EINVAL, "%s: there is no %s '%s' in %s", r->path, member, name,
			   list);
}

static int refuse_fields(struct reading *r, const cJSON *map, const char *what,
			 const char *const *fields)
{
	for (; *fields; fields++)
		if (cJSON_GetObjectItemCaseSensitive(map, *fields))
			return berm_refuse(
				r->err, -EINVAL,
				"%s: %s.%s is not supported: use a token, a token file or a client certificate",
				r->path, what, *fields);
	return 0;
}

static char *path_beside(const struct reading *r, const char *path)
{
	char *out;

	if (*path == '/')
		return strdup(path);
	return asprintf(&out, "%s/%s", r->dir, path) < 0 ? NULL : out;
}

/* "<field>-data" goes before "<field>", as kubectl has it. */
static int read_pem(struct reading *r, const cJSON *map, const char *field,
		    enum berm_kube_file which)
{
	auto_free char *data = NULL;
	const char *text;
	char key[64];
	ssize_t size;

	snprintf(key, sizeof(key), "%s-data", field);
	text = text_at(map, key);
	if (text) {
		data = strdup(text);
		size = data ? base64_decode(data) : 0;
		if (!data)
			return berm_fail(r->err, -ENOMEM, "read %s", r->path);
		if (size < 0)
			return berm_refuse(r->err, -EINVAL, "%s: %s is not base64", r->path, key);
		return to_memory(r, which, data, (size_t)size);
	}
	text = text_at(map, field);
	if (!text)
		return 0;
	r->out->file[which] = path_beside(r, text);
	if (!r->out->file[which])
		return berm_fail(r->err, -ENOMEM, "read %s", r->path);
	if (access(r->out->file[which], R_OK))
		return berm_fail(r->err, -errno, "%s: %s: %s", r->path, field, r->out->file[which]);
	return 0;
}

static int set_server(struct reading *r, const char *server)
{
	size_t len = server ? strlen(server) : 0;

	if (!server)
		return berm_refuse(r->err, -EINVAL, "%s: the cluster has no server", r->path);
	if (strncmp(server, "https://", 8) != 0)
		return berm_refuse(r->err, -EINVAL,
				   "%s: server '%s' does not begin with https://: a token or a policy "
				   "over plain text can be read and changed by anybody",
				   r->path, server);
	while (len > 8 && server[len - 1] == '/')
		len--;
	r->out->server = strndup(server, len);
	return r->out->server ? 0 : berm_fail(r->err, -ENOMEM, "read %s", r->path);
}

static int read_insecure(struct reading *r, const cJSON *cluster)
{
	const char *allowed = getenv(BERM_ENV_INSECURE);

	if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cluster, "insecure-skip-tls-verify")))
		return 0;
	if (!allowed || strcmp(allowed, "1") != 0)
		return berm_refuse(r->err, -EINVAL,
				   "%s: insecure-skip-tls-verify is refused: whoever is on the way could write the "
				   "policies; give certificate-authority(-data) instead",
				   r->path);
	r->out->is_insecure = true;
	return 0;
}

static int read_cluster(struct reading *r, const cJSON *cluster)
{
	static const char *const unsupported[] = { "proxy-url", "tls-server-name", NULL };
	int rc = refuse_fields(r, cluster, "cluster", unsupported);

	if (!rc)
		rc = set_server(r, text_at(cluster, "server"));
	if (!rc)
		rc = read_insecure(r, cluster);
	return rc ? rc : read_pem(r, cluster, "certificate-authority", BERM_KUBE_CA);
}

static int read_user(struct reading *r, const cJSON *user)
{
	static const char *const unsupported[] = {
		"exec",	  "auth-provider", "username",	    "password", "as",
		"as-uid", "as-groups",	   "as-user-extra", NULL
	};
	const char *token = text_at(user, "token"), *file = text_at(user, "tokenFile");
	int rc = refuse_fields(r, user, "user", unsupported);

	if (!rc)
		rc = read_pem(r, user, "client-certificate", BERM_KUBE_CERT);
	if (!rc)
		rc = read_pem(r, user, "client-key", BERM_KUBE_KEY);
	if (rc)
		return rc;
	if (!r->out->file[BERM_KUBE_CERT] != !r->out->file[BERM_KUBE_KEY])
		return berm_refuse(r->err, -EINVAL,
				   "%s: client-certificate and client-key belong together",
				   r->path);
	if (file)
		r->out->token_file = path_beside(r, file);
	else if (token)
		r->out->token = strdup(token);
	return (file && !r->out->token_file) || (!file && token && !r->out->token)
		       ? berm_fail(r->err, -ENOMEM, "read %s", r->path)
		       : 0;
}

static int read_context(struct reading *r, const cJSON *root, const char *context)
{
	const cJSON *map, *part;
	const char *name = context ? context : text_at(root, "current-context");
	int rc;

	if (!name)
		return berm_refuse(r->err, -EINVAL,
				   "%s: there is no current-context; name one with --context",
				   r->path);
	rc = find_named(r, root, "context", name, &map);
	if (rc)
		return rc;
	if (!text_at(map, "cluster") || !text_at(map, "user"))
		return berm_refuse(r->err, -EINVAL, "%s: context '%s' lacks cluster or user",
				   r->path, name);
	rc = find_named(r, root, "cluster", text_at(map, "cluster"), &part);
	if (!rc)
		rc = read_cluster(r, part);
	if (!rc)
		rc = find_named(r, root, "user", text_at(map, "user"), &part);
	return rc ? rc : read_user(r, part);
}

/* ---- entry points ---------------------------------------------------------------------------------------------- */

static void start_empty(struct berm_kubeconfig *config)
{
	*config = (struct berm_kubeconfig){ 0 };
	for (int i = 0; i < BERM_KUBE_FILES; i++)
		config->memory[i] = -1;
}

static int parse(struct reading *r, const char *context)
{
	struct berm_tree_fault fault = { 0 };
	auto_free char *text = NULL;
	cJSON *root = NULL;
	size_t size;
	int rc;

	rc = read_whole(r->path, MAX_FILE, &text, &size, r->err);
	if (rc)
		return rc;
	rc = berm_yaml_parse(text, size, &root, &fault, r->err);
	if (rc)
		rc = berm_wrap(r->err, rc, "%s:%d:%d", r->path, fault.at.line, fault.at.column);
	else
		rc = read_context(r, root, context);
	cJSON_Delete(root);
	return rc;
}

int berm_kubeconfig_load(const char *path, const char *context, struct berm_kubeconfig *ret,
			 struct berm_err *err)
{
	auto_free char *copy = strdup(path);
	struct berm_kubeconfig config;
	struct reading r = { .path = path, .out = &config, .err = err };
	int rc;

	if (!copy)
		return berm_fail(err, -ENOMEM, "read %s", path);
	r.dir = dirname(copy);
	start_empty(&config);
	rc = parse(&r, context);
	if (rc)
		berm_kubeconfig_clear(&config);
	else
		*ret = config;
	return rc;
}

static int set_in_cluster(const char *dir, struct berm_kubeconfig *config, struct berm_err *err)
{
	const char *host = getenv("KUBERNETES_SERVICE_HOST");
	const char *port = getenv("KUBERNETES_SERVICE_PORT");
	bool is_v6 = host && strchr(host, ':');

	if (!host || !*host || !port || !*port)
		return berm_refuse(err, -EINVAL,
				   "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: "
				   "this is no pod; use --kubeconfig");
	if (asprintf(&config->server, "https://%s%s%s:%s", is_v6 ? "[" : "", host, is_v6 ? "]" : "",
		     port) < 0)
		config->server = NULL;
	if (asprintf(&config->file[BERM_KUBE_CA], "%s/ca.crt", dir) < 0)
		config->file[BERM_KUBE_CA] = NULL;
	if (asprintf(&config->token_file, "%s/token", dir) < 0)
		config->token_file = NULL;
	if (!config->server || !config->file[BERM_KUBE_CA] || !config->token_file)
		return berm_fail(err, -ENOMEM, "read %s", dir);
	if (access(config->file[BERM_KUBE_CA], R_OK))
		return berm_fail(err, -errno, "read %s", config->file[BERM_KUBE_CA]);
	if (access(config->token_file, R_OK))
		return berm_fail(err, -errno, "read %s", config->token_file);
	return 0;
}

int berm_kubeconfig_in_cluster(const char *dir, struct berm_kubeconfig *ret, struct berm_err *err)
{
	struct berm_kubeconfig config;
	int rc;

	start_empty(&config);
	rc = set_in_cluster(dir, &config, err);
	if (rc)
		berm_kubeconfig_clear(&config);
	else
		*ret = config;
	return rc;
}

void berm_kubeconfig_clear(struct berm_kubeconfig *config)
{
	for (int i = 0; i < BERM_KUBE_FILES; i++) {
		if (config->file[i] && config->memory[i] >= 0)
			close(config->memory[i]);
		free(config->file[i]);
	}
	free(config->server);
	free(config->token);
	free(config->token_file);
	start_empty(config);
}

/* A token goes into a header: a control character in it would end the line. */
static bool is_token(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

int berm_kubeconfig_token(const struct berm_kubeconfig *config, char **ret, struct berm_err *err)
{
	auto_free char *text = NULL;
	size_t size;
	int rc = 0;

	if (config->token_file)
		rc = read_whole(config->token_file, MAX_TOKEN, &text, &size, err);
	else if (config->token && !(text = strdup(config->token)))
		rc = berm_fail(err, -ENOMEM, "copy the token");
	if (rc || !text) {
		if (!rc)
			*ret = NULL;
		return rc;
	}
	for (size = strlen(text); size && isspace((unsigned char)text[size - 1]); size--)
		text[size - 1] = '\0';
	if (!size || !is_token(text))
		return berm_refuse(err, -EINVAL, "%s holds no token",
				   config->token_file ? config->token_file : "the kubeconfig");
	*ret = TAKE_PTR(text);
	return 0;
}
