// SPDX-License-Identifier: Apache-2.0
/*
 * shield.c - compares interfaces and maps of the block list with what should be there, by a clock and around judgements.
 * Which blocks qualify is blocklist.c's business; how they get into the kernel lib/uplink.c's.
 */
#include "shield.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "agent.h"
#include "array.h"
#include "blocklist.h"
#include "cleanup.h"
#include "log.h"

#define TICK_MS	    1000
#define RETRY_TICKS 30 /* to load the program, after that has failed */

/* Such pods may get what the emergency rules do not decide, or their rules are not in force yet. */
#define FLAGS_NOT_SHIELDED (BERM_EP_FALLBACK | BERM_EP_DHCP | BERM_EP_ALLOW_SPOOF)

struct entry {
	struct berm_cidr cidr;
	struct berm_block value;
};

struct port {
	const char *name;
	uint32_t ifindex; /* 0: no such interface */
	bool is_on, is_native;
	struct berm_err failure; /* code 0: none */
};

struct wanted {
	BERM_ARRAY(struct entry) block;	   /* sorted by cidr, each once */
	BERM_ARRAY(struct berm_addr) addr; /* sorted */
};

struct berm_shield {
	struct berm_agent *agent;
	struct berm_uplink *uplink; /* NULL: not loaded, see load_failure */
	struct berm_err load_failure;
	unsigned int ticks;
	struct wanted now; /* what the maps hold */
	bool is_filled;	   /* once: before that nothing takes the place of what is attached */
	struct berm_err fill_failure;
	struct port port[BERM_SHIELD_UPLINKS];
	size_t port_count;
	uv_timer_t tick;
};

/* ---- options ---------------------------------------------------------------------------------------------- */

static int add_name(const char *name, size_t len, struct berm_shield_opts *opts,
		    struct berm_err *err)
{
	if (!len || len >= sizeof(opts->ifname[0]) || memchr(name, '/', len) ||
	    memchr(name, ' ', len))
		return berm_refuse(err, -EINVAL, "'%.*s' is not the name of an interface", (int)len,
				   name);
	if (opts->count == BERM_SHIELD_UPLINKS)
		return berm_refuse(err, -EINVAL, "at most %d interfaces", BERM_SHIELD_UPLINKS);
	for (size_t i = 0; i < opts->count; i++)
		if (!strncmp(opts->ifname[i], name, len) && !opts->ifname[i][len])
			return 0;
	memcpy(opts->ifname[opts->count++], name, len);
	return 0;
}

int berm_shield_parse(const char *text, struct berm_shield_opts *opts, struct berm_err *err)
{
	int rc = 0;

	memset(opts->ifname, 0, sizeof(opts->ifname));
	opts->count = 0;
	while (!rc) {
		size_t len = strcspn(text, ",");

		rc = add_name(text, len, opts, err);
		if (!text[len])
			break;
		text += len + 1;
	}
	return rc;
}

/* ---- what should be in the maps ----------------------------------------------------------------------------- */

static void wanted_clear(struct wanted *w)
{
	array_free(&w->block);
	array_free(&w->addr);
}

/* Index in berm_hits of a rule that is in force; 0: it is not. */
static uint32_t hit_of(const struct berm_shield *shield, const struct berm_block_of *block)
{
	const struct berm_names *names = berm_apply_names(shield->agent->engine.apply);
	char number[16];
	const char *rule = block->rule->name;

	snprintf(number, sizeof(number), "#%u", block->rule->index);
	for (size_t i = 0; i < names->count; i++) {
		const struct berm_rule_name *n = &names->item[i];

		if (n->dir == BERM_INGRESS && n->action == BERM_ACTION_DENY &&
		    !strcmp(n->tier, "emergency") && !strcmp(n->policy, block->policy->name) &&
		    !strcmp(n->ns, block->policy->ns) && !strcmp(n->rule, rule ? rule : number))
			return n->index;
	}
	return 0;
}

static int want_blocks(const struct berm_shield *shield, struct wanted *out)
{
	const struct berm_engine *engine = &shield->agent->engine;
	const struct berm_policy_rule *last = NULL;
	struct berm_blocklist list = { 0 };
	uint32_t hit = 0;
	int rc = berm_blocklist_make(&engine->model, &engine->problems, &list);

	for (size_t i = 0; !rc && i < list.count; i++) {
		const struct berm_block_of *block = &list.item[i];

		if (block->rule != last)
			hit = hit_of(shield, block);
		last = block->rule;
		if (hit)
			rc = array_push(&out->block,
					(struct entry){ block->cidr,
							{ block->all ? BERM_BLOCK_ALL : 0, hit } });
	}
	berm_blocklist_clear(&list);
	return rc;
}

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct berm_addr));
}

static int want_pods(const struct berm_shield *shield, struct wanted *out)
{
	const struct berm_model *model = &shield->agent->engine.model;

	for (size_t i = 0; i < model->endpoint_count; i++) {
		const struct berm_local_endpoint *local = &model->endpoints[i];
		const struct berm_endpoint *ep = &shield->agent->maps.endpoints[local->slot];

		if (ep->ifindex != local->ifindex || ep->flags & FLAGS_NOT_SHIELDED)
			continue;
		for (size_t a = 0; a < ep->addr_count && a < BERM_MAX_ADDRS; a++)
			if (array_push(&out->addr, ep->addr[a]))
				return -ENOMEM;
	}
	if (out->addr.count)
		qsort(out->addr.item, out->addr.count, sizeof(struct berm_addr), compare_addr);
	return 0;
}

/* ---- bringing it there -------------------------------------------------------------------------------------- */

static const struct entry *find_block(const struct wanted *w, const struct berm_cidr *cidr)
{
	size_t low = 0, high = w->block.count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int rc = berm_cidr_compare(&w->block.item[middle].cidr, cidr);

		if (!rc)
			return &w->block.item[middle];
		if (rc < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool has_addr(const struct wanted *w, const struct berm_addr *addr)
{
	return w->addr.count &&
	       bsearch(addr, w->addr.item, w->addr.count, sizeof(*addr), compare_addr);
}

static bool is_same(const struct berm_block *a, const struct berm_block *b)
{
	return a->flags == b->flags && a->hit == b->hit;
}

/* What must not be dropped any more. One that is to be dropped less goes, too: it comes back as it should be. */
static void take_away(struct berm_shield *shield, const struct wanted *want)
{
	struct wanted *now = &shield->now;
	size_t kept = 0;

	for (size_t i = 0; i < now->block.count; i++) {
		struct entry *e = &now->block.item[i];
		const struct entry *w = find_block(want, &e->cidr);

		if (w && !(e->value.flags & ~w->value.flags))
			now->block.item[kept++] = *e;
		else
			berm_uplink_unblock(shield->uplink, &e->cidr);
	}
	now->block.count = kept;
	kept = 0;
	for (size_t i = 0; i < now->addr.count; i++)
		if (has_addr(want, &now->addr.item[i]))
			now->addr.item[kept++] = now->addr.item[i];
		else
			berm_uplink_unshield(shield->uplink, &now->addr.item[i]);
	now->addr.count = kept;
}

static int add_missing(struct berm_shield *shield, const struct wanted *want, struct berm_err *err)
{
	int rc = 0;

	for (size_t i = 0; !rc && i < want->addr.count; i++)
		if (!has_addr(&shield->now, &want->addr.item[i]))
			rc = berm_uplink_shield(shield->uplink, &want->addr.item[i], err);
	for (size_t i = 0; !rc && i < want->block.count; i++) {
		const struct entry *w = &want->block.item[i];
		const struct entry *e = find_block(&shield->now, &w->cidr);

		if (!e || !is_same(&e->value, &w->value))
			rc = berm_uplink_block(shield->uplink, &w->cidr, &w->value, err);
	}
	return rc;
}

/* Room for everything is there before anything is written, so what is written is known. */
static int bring(struct berm_shield *shield, bool may_add, struct berm_err *err)
{
	struct wanted want = { 0 };
	int rc = want_blocks(shield, &want);

	if (!rc)
		rc = want_pods(shield, &want);
	if (rc) {
		wanted_clear(&want);
		return berm_fail(err, rc, "make the block list of the uplink");
	}
	take_away(shield, &want);
	if (!may_add) {
		wanted_clear(&want);
		return 0;
	}
	rc = add_missing(shield, &want, err);
	wanted_clear(&shield->now);
	shield->now =
		want; /* after a failure more than there is: deleting what is absent is no error */
	return rc;
}

static void forget(struct berm_shield *shield)
{
	struct wanted nothing = { 0 };

	take_away(shield, &nothing);
	wanted_clear(&shield->now);
}

/* ---- interfaces --------------------------------------------------------------------------------------------- */

static void look_at_port(struct berm_shield *shield, struct port *port, struct berm_err *err)
{
	uint32_t ifindex = if_nametoindex(port->name);

	port->ifindex = ifindex;
	if (!ifindex) {
		port->is_on = false;
		(void)berm_refuse(err, -ENODEV,
				  "there is no such interface; it is attached to as soon as there is");
		return;
	}
	port->is_on = berm_uplink_is_on(shield->uplink, ifindex, &port->is_native);
	if (port->is_on ||
	    berm_uplink_attach(shield->uplink, ifindex, shield->agent->opts.shield.mode, err))
		return;
	port->is_on = berm_uplink_is_on(shield->uplink, ifindex, &port->is_native);
	if (port->is_on)
		berm_log(BERM_LOG_INFO, "uplink-attached", "interface=%s ifindex=%u mode=%s",
			 port->name, ifindex, port->is_native ? "native" : "generic");
}

static void load(struct berm_shield *shield)
{
	struct berm_err err = { 0 };

	if (berm_uplink_open(&shield->agent->maps, shield->agent->opts.shield.any_destination,
			     &shield->uplink, &err) &&
	    strcmp(err.msg, shield->load_failure.msg) != 0)
		berm_log(BERM_LOG_ERROR, "uplink-not-loaded",
			 "error=\"%s\" effect=\"the walls of the pods drop\"", err.msg);
	shield->load_failure = err;
}

static void look_at_ports(struct berm_shield *shield)
{
	uint32_t kept[BERM_SHIELD_UPLINKS];
	size_t count = 0;

	for (size_t i = 0; i < shield->port_count; i++) {
		struct port *port = &shield->port[i];
		struct berm_err err = { 0 };

		look_at_port(shield, port, &err);
		if (err.code && strcmp(err.msg, port->failure.msg) != 0)
			berm_log(BERM_LOG_ERROR, "uplink-not-attached",
				 "interface=%s error=\"%s\" effect=\"the walls of the pods drop\"",
				 port->name, err.msg);
		port->failure = err;
		if (port->ifindex)
			kept[count++] = port->ifindex;
	}
	berm_uplink_keep(shield->uplink, kept, count);
}

static void on_tick(uv_timer_t *timer)
{
	struct berm_shield *shield = timer->data;

	if (!shield->uplink && !(++shield->ticks % RETRY_TICKS)) {
		load(shield);
		berm_shield_judged(shield, shield->agent->engine.has_judged &&
						   !shield->agent->engine.failure.code);
	}
	if (shield->is_filled)
		look_at_ports(shield);
}

int berm_shield_start(struct berm_agent *agent, struct berm_shield **ret, struct berm_err *err)
{
	const struct berm_shield_opts *opts = &agent->opts.shield;
	struct berm_shield *shield;

	if (!opts->count) {
		berm_uplink_keep(NULL, NULL, 0);
		return 0;
	}
	shield = calloc(1, sizeof(*shield));
	if (!shield)
		return berm_fail(err, -ENOMEM, "start the block list of the uplink");
	shield->agent = agent;
	shield->port_count = opts->count;
	for (size_t i = 0; i < opts->count; i++)
		shield->port[i].name = opts->ifname[i];
	load(shield);
	uv_timer_init(&agent->loop, &shield->tick);
	shield->tick.data = shield;
	uv_timer_start(&shield->tick, on_tick, TICK_MS, TICK_MS);
	*ret = shield;
	return 0;
}

void berm_shield_free(struct berm_shield *shield)
{
	if (!shield)
		return;
	berm_uplink_close(shield->uplink);
	wanted_clear(&shield->now);
	free(shield);
}

/* ---- judgements ----------------------------------------------------------------------------------------------- */

void berm_shield_judging(struct berm_shield *shield)
{
	struct berm_err err = { 0 };

	if (shield && shield->uplink && bring(shield, false, &err))
		forget(shield); /* who does not know what to drop drops nothing */
}

void berm_shield_judged(struct berm_shield *shield, bool is_in_force)
{
	struct berm_err err = { 0 };

	if (!shield || !shield->uplink || !is_in_force)
		return;
	if (bring(shield, true, &err) && strcmp(err.msg, shield->fill_failure.msg) != 0)
		berm_log(BERM_LOG_ERROR, "uplink-not-filled", "error=\"%s\"", err.msg);
	shield->fill_failure = err;
	if (shield->is_filled)
		return;
	shield->is_filled = true;
	look_at_ports(shield);
}

/* ---- telling --------------------------------------------------------------------------------------------------- */

static cJSON *port_json(const struct port *port)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "name", port->name);
	cJSON_AddBoolToObject(object, "attached", port->is_on);
	if (port->is_on)
		cJSON_AddStringToObject(object, "mode", port->is_native ? "native" : "generic");
	if (port->failure.code)
		cJSON_AddStringToObject(object, "error", port->failure.msg);
	return object;
}

cJSON *berm_shield_json(const struct berm_shield *shield)
{
	cJSON *object = cJSON_CreateObject(), *list;
	struct berm_uplink_counters sum;
	size_t whole = 0;

	for (size_t i = 0; i < shield->now.block.count; i++)
		whole += shield->now.block.item[i].value.flags & BERM_BLOCK_ALL;
	cJSON_AddNumberToObject(object, "blocks", (double)shield->now.block.count);
	cJSON_AddNumberToObject(object, "blocks_whole", (double)whole);
	cJSON_AddNumberToObject(object, "addresses", (double)shield->now.addr.count);
	cJSON_AddBoolToObject(object, "any_destination",
			      shield->agent->opts.shield.any_destination);
	if (shield->uplink && !berm_uplink_counters(shield->uplink, &sum, NULL)) {
		cJSON_AddNumberToObject(object, "dropped_packets", (double)sum.packets);
		cJSON_AddNumberToObject(object, "dropped_bytes", (double)sum.bytes);
	}
	list = cJSON_AddArrayToObject(object, "interfaces");
	for (size_t i = 0; i < shield->port_count; i++)
		cJSON_AddItemToArray(list, port_json(&shield->port[i]));
	return object;
}

void berm_shield_problems(const struct berm_shield *shield,
			  void (*tell)(void *ctx, const char *message, const char *hint), void *ctx)
{
	char text[700];

	if (!shield)
		return;
	if (shield->load_failure.code)
		tell(ctx, shield->load_failure.msg,
		     "the walls of the pods still drop; leave --uplink out where the kernel cannot");
	if (shield->fill_failure.code)
		tell(ctx, shield->fill_failure.msg, "the walls of the pods still drop");
	for (size_t i = 0; i < shield->port_count; i++) {
		if (!shield->port[i].failure.code)
			continue;
		snprintf(text, sizeof(text), "uplink %s: %s", shield->port[i].name,
			 shield->port[i].failure.msg);
		tell(ctx, text, "the walls of the pods still drop");
	}
}
