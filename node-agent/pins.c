// SPDX-License-Identifier: Apache-2.0
/* pins.c - a short list and its file. */
#include "pins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "fsutil.h"

#define FORMAT	  1
#define MAX_BYTES (256u << 20)

void berm_pin_clear(struct berm_pin *pin)
{
	berm_kept_clear(&pin->is);
}

struct berm_pin *berm_pins_find(const struct berm_pins *pins, enum berm_policy_kind kind,
				const char *ns, const char *name)
{
	for (size_t i = 0; pins && i < pins->count; i++) {
		struct berm_pin *pin = &pins->item[i];

		if (pin->is.kind == kind && !strcmp(pin->is.name, name) && !strcmp(pin->is.ns, ns))
			return pin;
	}
	return NULL;
}

int berm_pins_put(struct berm_pins *pins, struct berm_pin *pin)
{
	struct berm_pin *old = berm_pins_find(pins, pin->is.kind, pin->is.ns, pin->is.name);
	struct berm_pin *grown;

	pins->is_dirty = true;
	if (old) {
		pin->said = old->said;
		berm_pin_clear(old);
		*old = *pin;
		return 0;
	}
	grown = reallocarray(pins->item, pins->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	pins->item = grown;
	grown[pins->count++] = *pin;
	return 0;
}

void berm_pins_drop(struct berm_pins *pins, struct berm_pin *pin)
{
	berm_pin_clear(pin);
	*pin = pins->item[--pins->count];
	pins->is_dirty = true;
}

int berm_pin_make(const struct berm_pin *pin, struct berm_policy **ret, struct berm_err *err)
{
	struct berm_object object = { .kind = BERM_OBJ_POLICY,
				      .policy_kind = pin->is.kind,
				      .ns = pin->is.ns,
				      .name = pin->is.name,
				      .key = pin->is.key,
				      .carrier = pin->is.carrier,
				      .text = pin->is.text,
				      .line = pin->is.line };

	*ret = NULL;
	return pin->is.text ? berm_document_parse_kept("rollback", &object, ret, err) : 0;
}

/* ---- the file ------------------------------------------------------------------------------------------------------ */

static cJSON *pin_json(const struct berm_pin *pin)
{
	cJSON *object = berm_kept_json(&pin->is);
	char said[17];

	snprintf(said, sizeof(said), "%016llx", (unsigned long long)pin->said);
	if (object && cJSON_AddStringToObject(object, "said", said))
		return object;
	cJSON_Delete(object);
	return NULL;
}

static char *print(const struct berm_pins *pins)
{
	cJSON *root = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(root, "pins");
	bool ok = list && cJSON_AddNumberToObject(root, "format", FORMAT) &&
		  cJSON_AddNumberToObject(root, "generation", pins->generation);
	char *text;

	for (size_t i = 0; ok && i < pins->count; i++) {
		cJSON *pin = pin_json(&pins->item[i]);

		ok = cJSON_AddItemToArray(list, pin);
		if (!ok)
			cJSON_Delete(pin);
	}
	text = ok ? cJSON_PrintUnformatted(root) : NULL;
	cJSON_Delete(root);
	return text;
}

int berm_pins_save(struct berm_pins *pins, struct berm_err *err)
{
	auto_free char *text = NULL;
	int rc;

	if (!pins->is_dirty)
		return 0;
	text = print(pins);
	if (!text)
		return berm_fail(err, -ENOMEM, "write what has been rolled back");
	rc = berm_file_write(pins->path, text, strlen(text), 0600, err);
	pins->is_dirty = rc != 0;
	return rc ? berm_wrap(err, rc, "what has been rolled back is not on disk") : 0;
}

static char *text_of(const cJSON *object, const char *name)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

	return text ? strdup(text) : NULL;
}

/* Not berm_kept_of_json(): a pin may have no text. */
static bool read_pin(const cJSON *object, struct berm_pin *out)
{
	const cJSON *line = cJSON_GetObjectItemCaseSensitive(object, "line");
	const char *kind = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "kind"));
	const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "said"));

	*out = (struct berm_pin){ 0 };
	out->is.ns = text_of(object, "namespace");
	out->is.name = text_of(object, "name");
	out->is.key = text_of(object, "key");
	out->is.carrier = text_of(object, "carrier");
	out->is.text = text_of(object, "text");
	out->is.line = cJSON_IsNumber(line) ? line->valueint : 0;
	out->said = said ? strtoull(said, NULL, 16) : 0;
	return kind && said && berm_policy_kind_of(kind, &out->is.kind) && out->is.ns &&
	       out->is.name && (out->is.key || !out->is.text);
}

static int take(struct berm_pins *pins, const char *text, size_t size)
{
	cJSON *root = cJSON_ParseWithLength(text, size);
	const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
	const cJSON *generation = cJSON_GetObjectItemCaseSensitive(root, "generation");
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "pins"), *item;
	bool ok = cJSON_IsNumber(format) && format->valueint == FORMAT && cJSON_IsArray(list) &&
		  cJSON_IsNumber(generation);

	pins->item = ok ? calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*pins->item)) : NULL;
	ok = pins->item != NULL;
	if (ok)
		pins->generation = generation->valuedouble;
	if (ok)
		cJSON_ArrayForEach(item, list)
			ok = ok && read_pin(item, &pins->item[pins->count++]);
	cJSON_Delete(root);
	return ok ? 0 : -EBADMSG;
}

static void forget(struct berm_pins *pins)
{
	for (size_t i = 0; i < pins->count; i++)
		berm_pin_clear(&pins->item[i]);
	free(pins->item);
	pins->item = NULL;
	pins->count = 0;
}

int berm_pins_open(const char *path, struct berm_pins **ret, struct berm_err *err)
{
	struct berm_pins *pins = calloc(1, sizeof(*pins));
	auto_free char *text = NULL;
	size_t size = 0;
	int rc;

	if (pins)
		pins->path = strdup(path);
	if (!pins || !pins->path) {
		free(pins);
		return berm_fail(err, -ENOMEM, "open what has been rolled back");
	}
	rc = berm_file_read(path, MAX_BYTES, &text, &size, err);
	if (!rc && take(pins, text, size)) {
		forget(pins);
		rc = berm_refuse(err, -EBADMSG,
				 "%s is damaged, or of another version: what was rolled back is as the documents say again",
				 path);
	}
	*ret = pins;
	return rc == -ENOENT ? 0 : rc;
}

void berm_pins_close(struct berm_pins *pins)
{
	if (!pins)
		return;
	forget(pins);
	free(pins->path);
	free(pins);
}
