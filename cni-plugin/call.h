/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - one CNI call: what came in (environment, CNI_ARGS, stdin) and how commands answer it.
 *
 * The protocol is that of the CNI specification, versions 0.3.0 to 1.1.0 (SPEC.md, "Section 2: Execution Protocol").
 */
#ifndef BERM_CALL_H
#define BERM_CALL_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "link.h"

/* Error codes: up to 99 by the specification, from 100 ours (docs/cni.md). */
enum cni_code {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_INVALID_ENV = 4,
	CNI_IO_FAILURE = 5,
	CNI_DECODING_FAILURE = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
	CNI_NOT_AVAILABLE = 50,
	CNI_NO_INTERFACE = 100, /* CNI_IFNAME does not exist in CNI_NETNS */
	CNI_UNSUPPORTED = 101,	/* the pod's packets do not pass a host veth that can be guarded */
	CNI_DATAPATH = 102,	/* programs or maps cannot be loaded or opened */
	CNI_ATTACH = 103,	/* the endpoint or its hooks cannot be set up */
	CNI_NOT_ENFORCED = 104, /* CHECK: something that ADD made is missing or was changed */
};

/* ---- environment --------------------------------------------------------------------------------- */

struct cni_env { /* unset is "" */
	const char *command;
	const char *container_id;
	const char *netns;
	const char *ifname;
	const char *args;
};

struct cni_env cni_env_read(void);

/* container_id and ifname as the specification wants them. -EINVAL. */
int cni_env_check(const struct cni_env *env, struct berm_err *err) must_check;

/* ---- CNI_ARGS -------------------------------------------------------------------------------------- */

struct cni_pod { /* all "" when the runtime is not a kubelet's */
	char ns[64];
	char name[254];
	char uid[64];
};

/* "K=V;K=V" in any order; unknown keys are passed over. -EINVAL: a name that cannot be one, or the same
 * key twice with different values. */
int cni_args_parse(const char *args, struct cni_pod *out, struct berm_err *err) must_check;

/* ---- configuration ---------------------------------------------------------------------------------- */

enum cni_fallback { CNI_ISOLATE_NAMESPACE, CNI_ALLOW, CNI_DENY, CNI_HOLD };
const char *cni_fallback_name(enum cni_fallback fallback);

struct cni_conf {
	char version[16]; /* cniVersion as given; "" if absent */
	int wait_ms;
	enum cni_fallback fallback, boot_fallback;
	bool report_unsupported; /* else fail */
	enum berm_attach_mode attach;
	char agent_socket[108];
	char log_file[PATH_MAX];
	char (*exempt)[64];
	size_t exempt_count;
	const char *prev; /* prevResult: raw bytes within text; NULL if absent */
	size_t prev_size;
	char *text;
	struct cJSON *json;
};

/* Takes over text (malloc'ed, terminated), also when it fails. *ret_code is the CNI error code then. */
int cni_conf_parse(char *text, size_t size, struct cni_conf *out, int *ret_code,
		   struct berm_err *err) must_check;
void cni_conf_clear(struct cni_conf *conf);
bool cni_conf_is_exempt(const struct cni_conf *conf, const char *ns);

/* "2s", "1500ms", "1m", or a number of seconds; at most one minute. -EINVAL. */
int cni_duration_parse(const char *text, int *ret_ms) must_check;

/* ---- versions --------------------------------------------------------------------------------------- */

bool cni_version_is_supported(const char *version);
/* Both supported. */
bool cni_version_at_least(const char *version, const char *least);

/* ---- commands --------------------------------------------------------------------------------------- */

struct cni_call {
	struct cni_env env;
	struct cni_conf conf;
	struct cni_pod pod;
};

/* A command fills *ret_code (enum cni_code) and err when it fails. */
int cmd_add(const struct cni_call *call, int *ret_code, struct berm_err *err) must_check;
int cmd_check(const struct cni_call *call, int *ret_code, struct berm_err *err) must_check;
int cmd_gc(const struct cni_call *call, int *ret_code, struct berm_err *err) must_check;
int cmd_status(const struct cni_call *call, int *ret_code, struct berm_err *err) must_check;
int cmd_version(const struct cni_call *call, int *ret_code, struct berm_err *err) must_check;
void cmd_del(
	const struct cni_call *call); /* has no way to fail: the primary plugin must run after us */

#endif /* BERM_CALL_H */
