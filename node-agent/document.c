/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document.c - a file's text to objects: splits it at --- lines, parses each part and hands it to the reader
 * of its kind. Knows the kinds' names and nothing else of them.
 */
#include "document.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"
#include "cleanup.h"
#include "hint.h"
#include "tree.h"

#define MAX_FILE   (8u << 20)
#define MAX_CHUNKS 50000 /* of a file */
#define MAX_OF_KEY 5000	 /* of a key of a ConfigMap, which is somebody else's */

/* ---- kinds --------------------------------------------------------------------------------------- */

struct kind {
	const char *name;
	const char *version; /* apiVersion; NULL: the reader looks at it */
	void (*take)(struct berm_chunk *chunk, const struct berm_field *root);
	bool is_policy; /* may stand in a ConfigMap */
};

static const struct kind kinds[] = {
	{ "Namespace", "v1", berm_take_namespace, false },
	{ "Pod", "v1", berm_take_pod, false },
	{ "Service", "v1", berm_take_service, false },
	{ "EndpointSlice", "discovery.k8s.io/v1", berm_take_slice, false },
	{ "ServiceCIDR", "networking.k8s.io/v1", berm_take_service_cidr, false },
	{ "ConfigMap", "v1", berm_take_configmap, false },
	{ "NetworkPolicy", "networking.k8s.io/v1", berm_take_network, true },
	{ "ClusterNetworkPolicy", "policy.networking.k8s.io/v1alpha2", berm_take_cluster_network,
	  true },
	{ "SegmentationPolicy", NULL, berm_take_segmentation, true },
	{ "LabelMapping", NULL, berm_take_mapping, true },
	{ "IPSet", NULL, berm_take_ipset, true },
	{ "AgentConfig", NULL, berm_take_agent_config, true },
};

/* Policies by name that other versions or other software know. */
static const char *const unsupported_kinds[] = {
	"AdminNetworkPolicy",
	"BaselineAdminNetworkPolicy",
};

static const struct kind *kind_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, name))
			return &kinds[i];
	return NULL;
}

static bool is_unsupported(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(unsupported_kinds); i++)
		if (!strcmp(unsupported_kinds[i], name))
			return true;
	return false;
}

/* A kind that we do not read. In a ConfigMap of ours that is an error; in a file full of other Kubernetes
 * objects only what looks like a policy is worth a word. */
static void take_stranger(struct berm_chunk *chunk, const struct berm_field *root, const char *name)
{
	struct berm_nearest nearest = { .word = name };
	bool is_ours = chunk->sheet->carrier, is_later = is_unsupported(name);
	struct berm_field kind;
	char hint[128];

	berm_nearest_try(&nearest, "SegmentationPolicy");
	berm_nearest_try(&nearest, "NetworkPolicy");
	berm_nearest_try(&nearest, "ClusterNetworkPolicy");
	berm_nearest_try(&nearest, "IPSet");
	berm_nearest_try(&nearest, "LabelMapping");
	berm_nearest_try(&nearest, "AgentConfig");
	if ((!is_ours && !is_later && !nearest.best) || !berm_field_get(root, "kind", &kind))
		return;
	berm_chunk_title(chunk, name, NULL, NULL);
	if (is_later)
		berm_field_problem(&kind, BERM_CODE_UNSUPPORTED, NULL,
				   "kind %s is not supported by this version", name);
	else
		berm_field_problem(&kind, BERM_CODE_UNKNOWN_KIND,
				   berm_nearest_text(&nearest,
						     "known: SegmentationPolicy, NetworkPolicy, "
						     "ClusterNetworkPolicy, IPSet, LabelMapping, AgentConfig",
						     hint, sizeof(hint)),
				   "'%.60s' is not a known kind", name);
	if (is_ours || nearest.best)
		berm_chunk_unreadable(chunk, NULL, NULL);
}

/* Somebody else's kind of the same name is not ours; a NetworkPolicy that nobody enforces deserves a word. */
static bool is_version_right(struct berm_chunk *chunk, const struct berm_field *root,
			     const struct kind *kind)
{
	const cJSON *node = cJSON_GetObjectItemCaseSensitive(root->node, "apiVersion");
	struct berm_field version;
	char hint[64];

	if (!kind->version || !node || cJSON_IsNull(node))
		return true;
	if (cJSON_IsString(node) && !strcmp(node->valuestring, kind->version))
		return true;
	if (!kind->is_policy || !berm_field_get(root, "apiVersion", &version))
		return false;
	berm_chunk_title(chunk, kind->name, NULL, NULL);
	snprintf(hint, sizeof(hint), "write %s", kind->version);
	berm_field_problem(&version, BERM_CODE_UNKNOWN_KIND, hint, "a %s of this API is not read",
			   kind->name);
	berm_chunk_unreadable(chunk, NULL, NULL);
	return false;
}

static void take(struct berm_chunk *chunk, const struct berm_field *root, const char *name)
{
	const struct kind *kind = kind_of(name);

	if (!kind || (chunk->sheet->carrier && !kind->is_policy))
		take_stranger(chunk, root, name);
	else if (is_version_right(chunk, root, kind))
		kind->take(chunk, root);
}

/* ---- lists --------------------------------------------------------------------------------------- */

/* "List", or "PodList" whose items need not say their kind. */
static bool is_list(const struct berm_chunk *chunk, const char *kind)
{
	size_t len = strlen(kind);

	return !chunk->sheet->carrier && len >= 4 && !strcmp(kind + len - 4, "List");
}

/* Each item is a document of its own: its errors are its own too. */
static void take_item(struct berm_chunk *list, const struct berm_field *field,
		      const char *list_kind)
{
	struct berm_chunk item = *list;
	struct berm_field root = { &item.reader, field->parent, field->node, field->index };
	const char *kind = berm_meta_text(field, "kind");
	char implied[64];

	item.is_item = true;
	item.reader.errors = 0;
	item.reader.shown = 0;
	if (!berm_field_is_map(&root))
		return;
	snprintf(implied, sizeof(implied), "%.*s", (int)strlen(list_kind) - 4, list_kind);
	if (kind || implied[0])
		take(&item, &root, kind ? kind : implied);
	list->reader.no_memory |= item.reader.no_memory;
}

static void take_list(struct berm_chunk *chunk, const struct berm_field *root, const char *kind)
{
	struct berm_field items, item;

	if (!berm_field_get(root, "items", &items) ||
	    !berm_field_is_list(&items, BERM_TREE_MAX_NODES))
		return;
	berm_field_each(item, &items) take_item(chunk, &item, kind);
}

/* ---- chunks -------------------------------------------------------------------------------------- */

static void take_tree(struct berm_chunk *chunk, const cJSON *tree)
{
	struct berm_field root = { .reader = &chunk->reader, .node = tree, .index = -1 }, kind;
	const char *name;

	if (!cJSON_IsObject(tree)) {
		berm_field_error(&root, "write kind: SegmentationPolicy and so on",
				 "a document must be a mapping");
		berm_chunk_unreadable(chunk, NULL, NULL);
		return;
	}
	if (chunk->sheet->kind) {
		kind_of(chunk->sheet->kind)->take(chunk, &root);
		return;
	}
	if (!berm_field_get(&root, "kind", &kind)) {
		berm_field_problem(&root, BERM_CODE_MISSING_FIELD,
				   "write kind: SegmentationPolicy, or whatever it is",
				   "the field 'kind' is missing");
		berm_chunk_unreadable(chunk, NULL, NULL);
		return;
	}
	name = berm_field_text(&kind);
	if (!name)
		berm_chunk_unreadable(chunk, NULL, NULL);
	else if (is_list(chunk, name))
		take_list(chunk, &root, name);
	else
		take(chunk, &root, name);
}

static void report_fault(struct berm_chunk *chunk, const struct berm_tree_fault *fault,
			 const struct berm_err *err)
{
	struct berm_pos see = berm_place_map(&chunk->reader.place, fault->see);
	char hint[40];

	snprintf(hint, sizeof(hint), "see line %d too", see.line);
	berm_reader_error(&chunk->reader, fault->at,
			  fault->see.line && fault->see.line != fault->at.line ? hint : NULL, "%s",
			  err->msg);
}

static void parse_chunk(struct berm_chunk *chunk)
{
	struct berm_err err = { 0 };
	struct berm_tree_fault fault = { 0 };
	cJSON *tree = NULL;
	int rc;

	rc = chunk->sheet->is_json ? berm_json_parse(chunk->text, chunk->size, &tree, &fault, &err)
				   : berm_yaml_parse(chunk->text, chunk->size, &tree, &fault, &err);
	if (rc == -ENOMEM) {
		chunk->reader.no_memory = true;
	} else if (rc) {
		report_fault(chunk, &fault, &err);
		berm_chunk_unreadable(chunk, NULL, NULL);
	} else if (tree) {
		take_tree(chunk, tree);
	}
	cJSON_Delete(tree);
}

static const char *line_end(const char *p, const char *end)
{
	const char *nl = memchr(p, '\n', (size_t)(end - p));

	return nl ? nl + 1 : end;
}

/* "---" alone or with something behind a blank: YAML's document marker. */
static bool is_separator(const char *line, const char *end)
{
	return end - line >= 3 && !memcmp(line, "---", 3) &&
	       (end - line == 3 || strchr(" \t\r\n", line[3]));
}

/* The end of the chunk at p; lines are counted. A marker on its first line belongs to it. */
static const char *chunk_end(const char *p, const char *end, int *lines)
{
	*lines = 0;
	do {
		p = line_end(p, end);
		++*lines;
	} while (p < end && !is_separator(p, end));
	return p;
}

static bool is_blank(const char *p, const char *end)
{
	p += is_separator(p, end) ? 3 : 0;
	while (p < end && strchr(" \t\r\n", *p) && *p)
		p++;
	return p == end;
}

static void read_chunk(struct berm_sheet *sheet, const char *text, size_t size)
{
	struct berm_chunk chunk = {
		.sheet = sheet,
		.text = text,
		.size = size,
		.reader = { .source = sheet->source,
			    .place = sheet->place,
			    .problems = sheet->problems },
	};

	parse_chunk(&chunk);
	sheet->no_memory |= chunk.reader.no_memory;
}

static int most_chunks(const struct berm_sheet *sheet)
{
	return sheet->carrier ? MAX_OF_KEY : MAX_CHUNKS;
}

static void refuse_rest(struct berm_sheet *sheet)
{
	struct berm_chunk chunk = {
		.sheet = sheet,
		.reader = { .source = sheet->source,
			    .place = sheet->place,
			    .problems = sheet->problems },
	};

	berm_reader_error(&chunk.reader, (struct berm_pos){ 1, 1 }, "use several files",
			  "more than %d documents: the rest is not read", most_chunks(sheet));
	berm_chunk_unreadable(&chunk, NULL, NULL);
	sheet->no_memory |= chunk.reader.no_memory;
}

void berm_sheet_read(struct berm_sheet *sheet, const char *text, size_t size)
{
	const char *end = text + size, *next;
	int count = 0, lines;

	for (const char *p = text; p < end && !sheet->no_memory; p = next) {
		next = chunk_end(p, end, &lines);
		if (!is_blank(p, next)) {
			if (++count > most_chunks(sheet)) {
				refuse_rest(sheet);
				return;
			}
			read_chunk(sheet, p, (size_t)(next - p));
		}
		berm_place_advance(&sheet->place, lines);
	}
}

/* ---- twice in one file ---------------------------------------------------------------------------- */

static int compare_texts(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_objects(const void *a, const void *b)
{
	const struct berm_object *x = *(struct berm_object *const *)a,
				 *y = *(struct berm_object *const *)b;
	int rc = (int)x->kind - (int)y->kind;

	rc = rc ? rc : (int)x->policy_kind - (int)y->policy_kind;
	rc = rc ? rc : compare_texts(x->ns, y->ns);
	return rc ? rc : compare_texts(x->name, y->name);
}

static int compare_in_file(const void *a, const void *b)
{
	const struct berm_object *x = *(struct berm_object *const *)a,
				 *y = *(struct berm_object *const *)b;
	int rc = compare_objects(a, b);

	return rc ? rc : (x > y) - (x < y);
}

/* Its key in the ConfigMap, if it came in one from an API server: there nobody knows the file around it. */
static const char *key_of(const struct berm_sheet *sheet, const struct berm_object *object)
{
	const char *slash =
		sheet->kind && object->carrier && object->key ? strrchr(object->key, '/') : NULL;

	return slash ? slash + 1 : NULL;
}

static int report_twice(struct berm_sheet *sheet, const struct berm_object *first,
			const struct berm_object *again)
{
	static const char *const kind[] = {
		[BERM_OBJ_NAMESPACE] = "Namespace",	 [BERM_OBJ_POD] = "Pod",
		[BERM_OBJ_SERVICE] = "Service",		 [BERM_OBJ_SLICE] = "EndpointSlice",
		[BERM_OBJ_SERVICE_CIDR] = "ServiceCIDR",
	};
	const char *key = key_of(sheet, again), *first_key = key_of(sheet, first);
	bool has_ns = again->ns && *again->ns;
	bool is_elsewhere = key && first_key && strcmp(key, first_key) != 0;
	char document[400], message[400], source[700];

	snprintf(source, sizeof(source), "%s%s%s", sheet->source, key ? " key " : "",
		 key ? key : "");
	snprintf(document, sizeof(document), "%s %s%s%s",
		 again->kind == BERM_OBJ_POLICY ? berm_policy_kind_name(again->policy_kind)
						: kind[again->kind],
		 has_ns ? again->ns : "", has_ns ? "/" : "", again->name);
	snprintf(message, sizeof(message),
		 "defined twice, first in line %d%s%s: the second one is not used", first->line,
		 is_elsewhere ? " of key " : "", is_elsewhere ? first_key : "");
	return berm_problems_add(sheet->problems,
				 &(struct berm_problem){
					 .severity = BERM_ERROR,
					 .code = BERM_CODE_DUPLICATE,
					 .source = source,
					 .line = again->line,
					 .column = 1,
					 .message = message,
					 .hint = "give it another name, or remove one",
					 .document = document,
				 });
}

/* Drops what the marks say, keeping the order. */
static void drop_marked(struct berm_objects *out, const bool *is_twice)
{
	size_t kept = 0;

	for (size_t i = 0; i < out->count; i++) {
		if (is_twice[i])
			berm_object_clear(&out->item[i]);
		else
			out->item[kept++] = out->item[i];
	}
	out->count = kept;
}

static int drop_twice(struct berm_sheet *sheet)
{
	struct berm_objects *out = sheet->out;
	auto_free struct berm_object **sorted = calloc(out->count + 1, sizeof(*sorted));
	auto_free bool *is_twice = calloc(out->count + 1, sizeof(*is_twice));
	int rc = 0;

	if (!sorted || !is_twice)
		return -ENOMEM;
	for (size_t i = 0; i < out->count; i++)
		sorted[i] = &out->item[i];
	qsort(sorted, out->count, sizeof(*sorted), compare_in_file);
	for (size_t i = 1, first = 0; i < out->count; i++) {
		if (compare_objects(&sorted[first], &sorted[i])) {
			first = i;
			continue;
		}
		is_twice[sorted[i] - out->item] = true;
		rc = rc ? rc : report_twice(sheet, sorted[first], sorted[i]);
	}
	drop_marked(out, is_twice);
	return rc;
}

/* ---- entry points --------------------------------------------------------------------------------- */

static bool is_json_name(const char *source)
{
	size_t len = strlen(source);

	return len > 5 && !strcmp(source + len - 5, ".json");
}

int berm_document_parse(const char *source, const char *text, size_t size, struct berm_objects *out,
			struct berm_problems *problems, struct berm_err *err)
{
	struct berm_sheet sheet = {
		.source = source,
		.key = source,
		.is_json = is_json_name(source),
		.place = BERM_PLACE_FILE,
		.out = out,
		.problems = problems,
	};

	if (size > MAX_FILE)
		return berm_refuse(err, -E2BIG, "%s has %zu bytes; at most %u are read: split it",
				   source, size, MAX_FILE);
	*out = (struct berm_objects){ 0 };
	berm_sheet_read(&sheet, text, size);
	if (!sheet.no_memory && !drop_twice(&sheet))
		return 0;
	berm_objects_clear(out);
	return berm_fail(err, -ENOMEM, "read %s", source);
}

/* Lines and columns of what no user has written. */
static void drop_places(const struct berm_sheet *sheet, size_t problems_before)
{
	struct berm_object *object;
	struct berm_problem *problem;

	for (size_t i = problems_before; i < sheet->problems->count; i++) {
		problem = &sheet->problems->item[i];
		if (!strcmp(problem->source, sheet->source))
			problem->line = problem->column = 0;
	}
	for (size_t i = 0; i < sheet->out->count; i++) {
		object = &sheet->out->item[i];
		if (object->carrier)
			continue;
		object->line = 0;
		if (object->policy)
			object->policy->line = 0;
		if (object->isolation)
			object->isolation->line = 0;
	}
}

int berm_document_parse_object(const struct berm_document *document, struct berm_objects *out,
			       struct berm_problems *problems, struct berm_err *err)
{
	struct berm_sheet sheet = {
		.source = document->source,
		.key = document->source,
		.kind = document->kind,
		.is_json = true,
		.place = BERM_PLACE_FILE,
		.out = out,
		.problems = problems,
	};
	size_t before = problems->count;

	if (document->size > MAX_FILE)
		return berm_refuse(err, -E2BIG, "%s has %zu bytes; at most %u are read",
				   document->source, document->size, MAX_FILE);
	*out = (struct berm_objects){ 0 };
	read_chunk(&sheet, document->text, document->size);
	if (!sheet.no_memory && !drop_twice(&sheet)) {
		drop_places(&sheet, before);
		return 0;
	}
	berm_objects_clear(out);
	return berm_fail(err, -ENOMEM, "read %s", document->source);
}

/* The only good policy in what was parsed. */
static struct berm_policy *only_policy(struct berm_objects *objects)
{
	struct berm_object *o = objects->item;

	if (objects->count != 1 || objects->unreadable_count || o->kind != BERM_OBJ_POLICY ||
	    o->broken)
		return NULL;
	return TAKE_PTR(o->policy);
}

int berm_document_parse_kept(const char *source, const struct berm_object *kept,
			     struct berm_policy **ret, struct berm_err *err)
{
	struct berm_objects objects = { 0 };
	struct berm_problems problems = { 0 };
	struct berm_sheet sheet = {
		.source = source,
		.key = kept->key,
		.carrier = kept->carrier,
		.is_kept = true,
		.place = BERM_PLACE_FILE,
		.out = &objects,
		.problems = &problems,
	};
	struct berm_policy *policy;
	char line[400] = "it is not one policy";
	int rc = 0;

	sheet.place.start.line = kept->line > 0 ? kept->line : 1;
	berm_sheet_read(&sheet, kept->text, strlen(kept->text));
	policy = sheet.no_memory ? NULL : only_policy(&objects);
	if (problems.count)
		(void)berm_problem_format(&problems.item[0], line, sizeof(line)); /* cut is fine */
	if (sheet.no_memory)
		rc = berm_fail(err, -ENOMEM, "read the last good version of %s", kept->name);
	else if (!policy)
		rc = berm_refuse(err, -EINVAL,
				 "the last good version of %s is not taken any more: %s",
				 kept->name, line);
	else
		*ret = policy;
	berm_objects_clear(&objects);
	berm_problems_clear(&problems);
	return rc;
}
