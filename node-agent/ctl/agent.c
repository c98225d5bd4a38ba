/* SPDX-License-Identifier: Apache-2.0 */
/* agent.c - questions to the agent on its socket. Knows HTTP statuses, not what the answers mean. */
#include <errno.h>

#include "cleanup.h"
#include "rest.h"
#include "source.h"

#define CONNECT_MS     1000
#define ANSWER_MS      5000
#define LONG_ANSWER_MS 20000 /* the verifier may be busy */

bool ctl_agent_is_absent(int rc)
{
	return rc == -ENOENT || rc == -ECONNREFUSED;
}

static int refused(const struct berm_rest_call *call, const struct berm_rest_reply *reply,
		   struct berm_err *err)
{
	cJSON *doc = cJSON_ParseWithLength(reply->body, reply->size);
	const char *why = ctl_string_at(doc, "error"), *hint = ctl_string_at(doc, "hint");

	(void)berm_refuse(err, -EREMOTEIO, "the agent answers %d to %s %s%s%s%s%s", reply->status,
			  call->method, call->path, *why ? ": " : "", why, *hint ? "; " : "", hint);
	cJSON_Delete(doc);
	return -EREMOTEIO;
}

static int ask(const struct berm_rest_call *call, cJSON **ret, struct berm_err *err)
{
	struct berm_rest_reply reply = { 0 };
	int rc = berm_rest(call, &reply, err);

	if (rc)
		return rc;
	if (reply.status != 200) {
		rc = refused(call, &reply, err);
	} else {
		*ret = cJSON_ParseWithLength(reply.body, reply.size);
		if (!*ret)
			rc = berm_refuse(err, -EBADMSG, "the agent's answer to %s %s is no JSON",
					 call->method, call->path);
	}
	berm_rest_clear(&reply);
	return rc;
}

int ctl_agent_get(const struct ctl_options *options, const char *path, cJSON **ret,
		  struct berm_err *err)
{
	struct berm_rest_call call = { .socket = options->socket,
				       .method = "GET",
				       .path = path,
				       .connect_ms = CONNECT_MS,
				       .timeout_ms = ANSWER_MS };

	return ask(&call, ret, err);
}

int ctl_agent_post(const struct ctl_options *options, const char *path, const cJSON *body,
		   cJSON **ret, struct berm_err *err)
{
	auto_free char *text = cJSON_PrintUnformatted(body);
	struct berm_rest_call call = { .socket = options->socket,
				       .method = "POST",
				       .path = path,
				       .body = text,
				       .connect_ms = CONNECT_MS,
				       .timeout_ms = LONG_ANSWER_MS };

	if (!text)
		return berm_fail(err, -ENOMEM, "ask the agent");
	return ask(&call, ret, err);
}
