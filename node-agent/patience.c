/* SPDX-License-Identifier: Apache-2.0 */
/* patience.c - delays and the lines about them. */
#include "patience.h"

#include <stdio.h>
#include <sys/random.h>

#include "log.h"

#define SOON_MS	    1000
#define SOON_MAX_MS 60000
#define LATE_MS	    60000
#define LATE_MAX_MS 600000

unsigned int berm_jitter(unsigned int value)
{
	uint32_t chance = 0;

	if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		return value;
	return value / 2 + (unsigned int)((uint64_t)chance * value >> 32);
}

static bool is_refusal(long status)
{
	return status == 401 || status == 403 || status == 404;
}

static unsigned int delay_of(struct berm_patience *patience, const struct berm_apireply *reply)
{
	bool is_late = is_refusal(reply->status);
	unsigned int delay = is_late ? LATE_MS : SOON_MS, max = is_late ? LATE_MAX_MS : SOON_MAX_MS;

	for (unsigned int i = 0; i < patience->failures && delay < max; i++)
		delay *= 2;
	patience->failures++;
	delay = berm_jitter(delay < max ? delay : max);
	return delay > reply->retry_after_s * 1000 ? delay : reply->retry_after_s * 1000;
}

/* A quote would end the log's own quotes. */
static void copy_plain(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text);
	for (; *out; out++)
		if (*out == '"')
			*out = '\'';
}

void berm_patience_lose(struct berm_patience *patience, const struct berm_apireply *reply,
			uint64_t now_ms)
{
	long status = reply->status ? reply->status : -1;

	patience->until_ms = now_ms + delay_of(patience, reply);
	copy_plain(patience->error, sizeof(patience->error), reply->error);
	if (patience->status == status)
		return;
	patience->status = status;
	berm_log(BERM_LOG_WARNING, "feedback-failed",
		 "what=\"%s\" error=\"%s\" advice=\"%s\" effect=\"enforcement goes on\"",
		 patience->what, patience->error,
		 is_refusal(reply->status) ? patience->advice : "the agent tries again");
}

void berm_patience_regain(struct berm_patience *patience)
{
	if (patience->status)
		berm_log(BERM_LOG_INFO, "feedback-recovered", "what=\"%s\"", patience->what);
	patience->failures = 0;
	patience->until_ms = 0;
	patience->status = 0;
	*patience->error = '\0';
}

bool berm_patience_is_out(const struct berm_patience *patience, uint64_t now_ms)
{
	return now_ms < patience->until_ms;
}
