/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest.c - compares maps, endpoints and pins with what they were. The maps by a digest, which a thread computes:
 * two scans with none of our own writes between them must agree. Knows no policy.
 */
#include "attest.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "cleanup.h"
#include "loader.h"
#include "log.h"
#include "store.h"

#define SCAN_MS	   2000
#define SCAN_SHARE 100	 /* a scan that takes long is made more seldom: 1 % of a CPU */
#define PROOF_MS   60000 /* a first scan proves nothing: its finding is read back, so often at most */
#define BATCH	   1024

/* What says who may do what. */
static const enum berm_map_id scanned[] = {
	BERM_MAP_peers,	       BERM_MAP_cidrs,	   BERM_MAP_rows,  BERM_MAP_sets,
	BERM_MAP_ports,	       BERM_MAP_cols,	   BERM_MAP_cells, BERM_MAP_rules,
	BERM_MAP_ns_isolation, BERM_MAP_frontends, BERM_MAP_flows,
};

struct shadow { /* what a slot should have */
	uint32_t ifindex, born, flags, allowed_table;
	uint32_t set[BERM_DIR_COUNT];
};

struct berm_attest {
	struct berm_agent *agent;
	int prog[BERM_PROG_COUNT];
	struct shadow slot[BERM_MAX_ENDPOINTS];
	uint64_t writes; /* of ours, so far */
	bool has_base, is_scanning;
	uint64_t base, base_writes; /* the digest, and when it was that */
	int64_t scan_at_ms, proof_at_ms;
	/* of the scan under way; the thread has these */
	uv_work_t work;
	uint32_t extent[ARRAY_SIZE(scanned)];
	uint64_t digest, scan_writes, took_ns;
	int scan_rc;
	bool has_pin_failure;
};

static int64_t now_ms(const struct berm_attest *at)
{
	return (int64_t)uv_now(&at->agent->loop);
}

/* ---- the maps, in a thread ------------------------------------------------------------------------------------ */

/* FNV-1a by words; sizes of all these maps are multiples of 4. */
static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
	const uint32_t *word = data;

	for (size_t i = 0; i < size / sizeof(*word); i++)
		hash = (hash ^ word[i]) * 0x100000001b3u;
	return hash;
}

/* A sum, so that the order does not count, of numbers that depend on every bit. */
static uint64_t element(enum berm_map_id map, const void *key, size_t key_size, const void *value,
			size_t value_size)
{
	uint64_t hash = mix(mix(0xcbf29ce484222325u + map, key, key_size), value, value_size);

	hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdu;
	return hash ^ hash >> 29;
}

struct digest {
	enum berm_map_id map;
	int fd;
	uint32_t left; /* elements still to come, at most */
	uint64_t sum;
};

static void add(struct digest *d, const char *keys, const char *values, uint32_t count)
{
	size_t key_size = berm_store_key_size(d->map), value_size = berm_store_value_size(d->map);

	for (uint32_t i = 0; i < count; i++)
		d->sum += element(d->map, keys + i * key_size, key_size, values + i * value_size,
				  value_size);
	d->left -= count;
}

/* Where the kernel has no batches for a map (tries before 5.13). */
static void digest_singly(struct digest *d)
{
	uint64_t key[8], next[8], value[8];
	bool has_key = false;

	while (d->left && !bpf_map_get_next_key(d->fd, has_key ? key : NULL, next)) {
		memcpy(key, next, berm_store_key_size(d->map));
		has_key = true;
		if (!bpf_map_lookup_elem(d->fd, key, value))
			add(d, (const char *)key, (const char *)value, 1);
	}
}

static int digest_map(struct digest *d)
{
	auto_free char *keys = calloc(BATCH, berm_store_key_size(d->map));
	auto_free char *values = calloc(BATCH, berm_store_value_size(d->map));
	uint64_t at[8] = { 0 }, next[8] = { 0 };
	bool has_at = false;
	int rc = 0;

	if (!keys || !values)
		return -ENOMEM;
	while (!rc && d->left) {
		__u32 n = d->left < BATCH ? d->left : BATCH;

		rc = bpf_map_lookup_batch(d->fd, has_at ? at : NULL, next, keys, values, &n, NULL);
		if (rc && rc != -ENOENT) { /* -ENOENT: these were the last */
			if (has_at)
				return rc;
			digest_singly(d);
			return 0;
		}
		add(d, keys, values, n);
		memcpy(at, next, sizeof(at));
		has_at = true;
	}
	return 0;
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void on_scan(uv_work_t *work)
{
	struct berm_attest *at = work->data;
	uint64_t start = cpu_ns(), sum = 0;
	int rc = 0;

	for (size_t i = 0; !rc && i < ARRAY_SIZE(scanned); i++) {
		struct digest d = { scanned[i], at->agent->maps.fd[scanned[i]], at->extent[i], 0 };

		rc = digest_map(&d);
		sum += d.sum;
	}
	at->digest = sum;
	at->scan_rc = rc;
	at->took_ns = cpu_ns() - start;
}

/* ---- what follows ------------------------------------------------------------------------------------------------ */

static void mend(struct berm_attest *at)
{
	berm_engine_distrust(&at->agent->engine);
	berm_agent_touch(at->agent);
}

static void tampered(struct berm_attest *at, const char *what, uint32_t slot)
{
	at->agent->tampered++;
	berm_log(BERM_LOG_ERROR, "tampered",
		 "what=%s slot=%u text=\"somebody else has written there; it is mended\"", what,
		 slot);
	mend(at);
}

/* What was written before the first scan would pass for ours. */
static void prove(struct berm_attest *at)
{
	if (now_ms(at) < at->proof_at_ms)
		return;
	at->proof_at_ms = now_ms(at) + PROOF_MS;
	mend(at);
}

static void judge_scan(struct berm_attest *at)
{
	if (at->scan_rc || at->scan_writes != at->writes)
		return; /* our own writes came between: the next one */
	if (at->has_base && at->base_writes == at->writes) {
		if (at->digest != at->base) {
			at->has_base = false;
			tampered(at, "maps", 0);
		}
		return;
	}
	at->has_base = true;
	at->base = at->digest;
	at->base_writes = at->writes;
	prove(at);
}

static void on_scanned(uv_work_t *work, int status)
{
	struct berm_attest *at = work->data;
	int64_t rest_ms = (int64_t)(at->took_ns / 1000000) * SCAN_SHARE;

	at->is_scanning = false;
	berm_log(BERM_LOG_DEBUG, "maps-scanned", "cpu-us=%llu digest=%016llx rc=%d",
		 (unsigned long long)at->took_ns / 1000, (unsigned long long)at->digest,
		 at->scan_rc);
	at->scan_at_ms = now_ms(at) + (rest_ms > SCAN_MS ? rest_ms : SCAN_MS);
	if (!status && at->agent->engine.has_judged && !at->agent->engine.is_distrusted)
		judge_scan(at);
}

static void scan(struct berm_attest *at)
{
	if (at->is_scanning || now_ms(at) < at->scan_at_ms || !at->agent->engine.has_judged)
		return;
	at->scan_writes = at->writes;
	for (size_t i = 0; i < ARRAY_SIZE(scanned); i++)
		at->extent[i] = berm_apply_extent(at->agent->engine.apply, scanned[i]);
	at->work.data = at;
	at->is_scanning = !uv_queue_work(&at->agent->loop, &at->work, on_scan, on_scanned);
}

/* ---- endpoints ------------------------------------------------------------------------------------------------------ */

void berm_attest_judged(struct berm_attest *at)
{
	const struct berm_endpoint *ep;

	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++) {
		ep = &at->agent->maps.endpoints[slot];
		at->slot[slot] = (struct shadow){ ep->ifindex,
						  ep->born,
						  ep->flags,
						  ep->allowed_table,
						  { ep->set[0], ep->set[1] } };
	}
}

/* The plugin takes and frees slots, which shows in born; whatever else changes is no business of others. */
static bool has_changed(const struct shadow *want, const struct berm_endpoint *ep)
{
	if (!want->ifindex || want->flags & BERM_EP_FALLBACK || ep->born != want->born ||
	    ep->ifindex != want->ifindex)
		return false;
	return ep->set[0] != want->set[0] || ep->set[1] != want->set[1] ||
	       ep->flags != want->flags || ep->allowed_table != want->allowed_table;
}

/* A plugin in the middle of a DEL holds the lock: then the next tick knows more. */
static bool is_tampered(const struct shadow *want, const struct berm_endpoint *ep)
{
	auto_close int lock = -1;
	struct berm_err ignored = { 0 };

	return has_changed(want, ep) && !berm_lock_take(0, &lock, &ignored) &&
	       has_changed(want, ep);
}

void berm_attest_endpoints(struct berm_attest *at)
{
	for (uint32_t slot = 1; slot < BERM_MAX_ENDPOINTS; slot++)
		if (is_tampered(&at->slot[slot], &at->agent->maps.endpoints[slot])) {
			at->slot[slot].ifindex = 0; /* told once; the judgement knows it anew */
			tampered(at, "endpoint", slot);
		}
}

/* ---- pins ----------------------------------------------------------------------------------------------------------- */

static int check_pins(struct berm_attest *at)
{
	struct berm_err err = { 0 };
	int rc = berm_pins_check(&at->agent->maps);

	if (!rc) {
		at->has_pin_failure = false;
		return 0;
	}
	if (rc == -ENOENT)
		rc = berm_pins_restore(&at->agent->maps, at->prog, &at->agent->opts.sessions, &err);
	if (!rc) {
		at->agent->tampered++;
		at->has_pin_failure = false;
		berm_log(BERM_LOG_ERROR, "pins-restored",
			 "text=\"maps and programs had lost their pins: was bpffs unmounted, or mounted over?\"");
	} else if (rc != -ESTALE && !at->has_pin_failure) {
		at->has_pin_failure = true;
		berm_log(BERM_LOG_ERROR, "pins-lost",
			 "error=\"%s\" effect=\"new pods cannot start\"", err.msg);
	}
	return rc == -ESTALE ? rc : 0;
}

/* ---- the interface -------------------------------------------------------------------------------------------------- */

int berm_attest_new(struct berm_agent *agent, struct berm_attest **ret, struct berm_err *err)
{
	struct berm_attest *at = calloc(1, sizeof(*at));
	int rc;

	if (!at)
		return berm_fail(err, -ENOMEM, "attest");
	at->agent = agent;
	at->scan_at_ms = now_ms(at) + SCAN_MS;
	memset(at->prog, -1, sizeof(at->prog));
	rc = berm_pins_hold(at->prog, err);
	if (rc)
		berm_attest_free(at);
	else
		*ret = at;
	return rc;
}

void berm_attest_free(struct berm_attest *at)
{
	if (!at)
		return;
	for (int i = 0; i < BERM_PROG_COUNT; i++)
		if (at->prog[i] >= 0)
			close(at->prog[i]);
	free(at);
}

void berm_attest_wrote(struct berm_attest *at)
{
	at->writes++;
}

int berm_attest_tick(struct berm_attest *at)
{
	berm_attest_endpoints(at);
	scan(at);
	return check_pins(at);
}
