/* SPDX-License-Identifier: Apache-2.0 */
/* document_peer.c - reads one peer of a rule. Knows no rule and resolves nothing. */
#include "document_peer.h"

#include <string.h>

#include "cleanup.h"
#include "document_rule.h"
#include "document_selector.h"
#include "document_workload.h"

struct peer { /* being read */
	enum berm_policy_kind kind;
	struct berm_peer_term *term;
};

static void read_pod_selector(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = ((struct peer *)into)->term;

	term->has_pod_selector = true;
	(void)berm_read_selector(field, &term->pod_selector); /* errors are counted */
}

static void read_ns_selector(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = ((struct peer *)into)->term;

	term->has_ns_selector = true;
	(void)berm_read_selector(field, &term->ns_selector); /* errors are counted */
}

static void read_workload(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = ((struct peer *)into)->term;

	term->has_pod_selector = true;
	(void)berm_read_workload(field, &term->pod_selector); /* errors are counted */
}

static void read_scope(const struct berm_field *field, void *into)
{
	const char *text = berm_field_text(field);

	if (text && strcmp(text, "any") != 0)
		berm_field_error(field, "write scope: any, or leave it out",
				 "'%.60s' is not a peer's scope", text);
	((struct peer *)into)->term->is_unscoped = true;
}

static void read_any(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = ((struct peer *)into)->term;

	if (berm_field_bool(field, &term->any) && !term->any)
		berm_field_error(field, "write any: true, or say who", "any: false says nothing");
}

/* ---- ipBlock ------------------------------------------------------------------------------------- */

struct block {
	enum berm_policy_kind kind;
	struct berm_peer_term *term;
	bool has_cidr;
};

/* The API server has taken sloppy blocks for years; our own kind need not. */
bool berm_read_cidr(const struct berm_field *field, enum berm_policy_kind kind,
		    struct berm_cidr *out)
{
	const char *text = berm_field_text(field);
	char right[BERM_CIDR_STRLEN], hint[80];
	struct berm_err err = { 0 };
	bool is_changed = false;
	int rc;

	if (!text)
		return false;
	rc = kind == BERM_KIND_SEGMENTATION ? berm_cidr_parse(text, out, &err)
					    : berm_cidr_parse_lenient(text, out, &is_changed, &err);
	if (rc) {
		berm_field_problem(field, BERM_CODE_BAD_CIDR, NULL, "%s", err.msg);
		return false;
	}
	berm_cidr_format(out, right);
	snprintf(hint, sizeof(hint), "write '%s'", right);
	if (!strchr(text, '/')) {
		berm_field_problem(field, BERM_CODE_BAD_CIDR, hint, "'%.60s' has no prefix length",
				   text);
		return false;
	}
	if (is_changed)
		berm_field_warn(field, hint, "'%.60s' is read as '%s'", text, right);
	return true;
}

static void read_block_cidr(const struct berm_field *field, void *into)
{
	struct block *b = into;

	b->has_cidr = berm_read_cidr(field, b->kind, &b->term->block);
}

static void read_except(const struct berm_field *field, void *into)
{
	struct block *b = into;
	struct berm_field item;

	if (!berm_field_is_list(field, BERM_MAX_EXCEPTS))
		return;
	b->term->except = berm_reader_alloc(field->reader, (size_t)cJSON_GetArraySize(field->node),
					    sizeof(*b->term->except));
	if (!b->term->except)
		return;
	berm_field_each(item, field) if (berm_read_cidr(&item, b->kind,
							&b->term->except[b->term->except_count]))
		b->term->except_count++;
}

static void check_excepts(const struct berm_field *field, const struct block *b)
{
	char whole[BERM_CIDR_STRLEN], part[BERM_CIDR_STRLEN];
	struct berm_field except;

	if (!b->has_cidr || !berm_field_get(field, "except", &except))
		return;
	berm_cidr_format(&b->term->block, whole);
	for (size_t i = 0; i < b->term->except_count; i++) {
		const struct berm_cidr *e = &b->term->except[i];

		if (berm_cidr_covers(&b->term->block, e) && e->bits > b->term->block.bits)
			continue;
		berm_cidr_format(e, part);
		berm_field_problem(&except, BERM_CODE_BAD_EXCEPT, NULL, "%s is not a part of %s",
				   part, whole);
	}
}

static void read_block(const struct berm_field *field, void *into)
{
	static const struct berm_member table[] = {
		{ "cidr", BERM_MEMBER_REQUIRED, read_block_cidr, NULL },
		{ "except", BERM_MEMBER_OPTIONAL, read_except, NULL },
	};
	const struct peer *peer = into;
	struct block b = { .kind = peer->kind, .term = peer->term };

	peer->term->is_block = true;
	if (berm_field_members(field, table, ARRAY_SIZE(table), &b))
		check_excepts(field, &b);
}

/* ---- ipSet --------------------------------------------------------------------------------------- */

/* Until somebody looks up the set, the peer is one that nobody knows: it fails closed. */
static void read_ipset(const struct berm_field *field, void *into)
{
	struct berm_peer_term *term = ((struct peer *)into)->term;
	const char *name = berm_field_text(field);

	term->unsupported = true;
	if (name && !berm_is_dns_subdomain(name))
		berm_field_error(field, "at most 253 of a-z, 0-9, '-' and '.'",
				 "'%.80s' is not an IPSet's name", name);
	else if (name)
		term->ipset = berm_reader_copy(field->reader, name);
}

static void read_set_except(const struct berm_field *field, void *into)
{
	const struct peer *peer = into;
	struct block b = { .kind = peer->kind, .term = peer->term };

	read_except(field, &b);
}

/* ---- peer ---------------------------------------------------------------------------------------- */

static const struct berm_member network_peer[] = {
	{ "podSelector", BERM_MEMBER_OPTIONAL, read_pod_selector, NULL },
	{ "namespaceSelector", BERM_MEMBER_OPTIONAL, read_ns_selector, NULL },
	{ "ipBlock", BERM_MEMBER_OPTIONAL, read_block, NULL },
};

static const struct berm_member segmentation_peer[] = {
	{ "podSelector", BERM_MEMBER_OPTIONAL, read_pod_selector, NULL },
	{ "namespaceSelector", BERM_MEMBER_OPTIONAL, read_ns_selector, NULL },
	{ "ipBlock", BERM_MEMBER_OPTIONAL, read_block, NULL },
	{ "any", BERM_MEMBER_OPTIONAL, read_any, NULL },
	{ "workload", BERM_MEMBER_OPTIONAL, read_workload, NULL },
	{ "scope", BERM_MEMBER_OPTIONAL, read_scope, NULL },
	{ "fqdns", BERM_MEMBER_UNSUPPORTED, NULL, "use ipBlock" },
	{ "ipSet", BERM_MEMBER_OPTIONAL, read_ipset, NULL },
	{ "except", BERM_MEMBER_OPTIONAL, read_set_except, NULL },
};

static void check_form(const struct berm_field *field, const struct berm_peer_term *term,
		       bool is_network)
{
	int forms = term->any + term->is_block + (term->ipset != NULL) +
		    (term->has_ns_selector || term->has_pod_selector);
	struct berm_field except;

	if (forms == 0)
		berm_field_error(field,
				 is_network ? "leave out the whole list to mean everyone"
					    : "write {any: true} to mean everyone",
				 "an empty peer says nothing");
	if (forms > 1)
		berm_field_error(field, "make two items of it: items are OR",
				 term->any     ? "any goes with nothing else"
				 : term->ipset ? "ipSet goes with no other form"
					       : "ipBlock goes with no selector");
	if (forms && !term->ipset && berm_field_get(field, "except", &except))
		berm_field_name_error(&except, "write it into ipBlock, or beside ipSet",
				      "there is nothing here that it takes away from");
}

void berm_read_peer(const struct berm_field *field, enum berm_policy_kind kind,
		    struct berm_peer_term *out)
{
	bool is_network = kind == BERM_KIND_NETWORK;
	const struct berm_member *table = is_network ? network_peer : segmentation_peer;
	size_t count = is_network ? ARRAY_SIZE(network_peer) : ARRAY_SIZE(segmentation_peer);
	unsigned int before = field->reader->errors;
	struct peer peer = { .kind = kind, .term = out };

	if (berm_field_members(field, table, count, &peer) && field->reader->errors == before)
		check_form(field, out, is_network);
}
