/* SPDX-License-Identifier: Apache-2.0 */
/* document_schedule.c - reads a list of windows. Knows not what they are the windows of. */
#include "document_schedule.h"

#include "cleanup.h"

static void read_days(const struct berm_field *field, void *into)
{
	struct berm_window *w = into;
	struct berm_field item;
	struct berm_err err = { 0 };
	uint8_t days;

	if (!berm_field_is_list(field, 7))
		return;
	w->days = 0;
	berm_field_each(item, field)
	{
		const char *text = berm_field_text(&item);

		if (text && berm_schedule_days(text, &days, &err))
			berm_field_error(&item,
					 "Mon, Tue, Wed, Thu, Fri, Sat, Sun, or a range: Mon-Fri",
					 "%s", err.msg);
		else if (text)
			w->days |= days;
	}
	if (!field->node->child)
		berm_field_error(field, "leave it out to mean every day",
				 "a window without days never opens");
}

static void read_clock(const struct berm_field *field, int *ret)
{
	const char *text = berm_field_text(field);
	struct berm_err err = { 0 };

	if (text && berm_schedule_clock(text, ret, &err))
		berm_field_error(field,
				 "write it like \"08:00\" or \"17:30:15\", at most \"24:00\"", "%s",
				 err.msg);
}

static void read_from(const struct berm_field *field, void *into)
{
	struct berm_window *w = into;

	read_clock(field, &w->from_s);
	if (w->from_s < BERM_DAY_S)
		return;
	w->from_s = 0;
	berm_field_error(field, "write \"00:00\" and the next day",
			 "no window begins at the end of a day");
}

static void read_to(const struct berm_field *field, void *into)
{
	read_clock(field, &((struct berm_window *)into)->to_s);
}

static void read_zone(const struct berm_field *field, void *into)
{
	const char *text = berm_field_text(field);
	struct berm_err err = { 0 };

	if (text && berm_schedule_zone(text, &((struct berm_window *)into)->offset_s, &err))
		berm_field_error(field, "write UTC, or an offset such as \"+01:00\"", "%s",
				 err.msg);
}

static void read_window(const struct berm_field *field, struct berm_window *ret)
{
	static const struct berm_member table[] = {
		{ "days", BERM_MEMBER_OPTIONAL, read_days, NULL },
		{ "from", BERM_MEMBER_OPTIONAL, read_from, NULL },
		{ "to", BERM_MEMBER_OPTIONAL, read_to, NULL },
		{ "timeZone", BERM_MEMBER_OPTIONAL, read_zone, NULL },
	};

	*ret = (struct berm_window){ .days = BERM_EVERY_DAY, .to_s = BERM_DAY_S };
	if (!berm_field_members(field, table, ARRAY_SIZE(table), ret))
		return;
	if (ret->from_s == ret->to_s)
		berm_field_problem(field, BERM_CODE_BAD_RANGE, "leave both out to mean whole days",
				   "it ends when it begins");
}

void berm_read_schedule(const struct berm_field *list, struct berm_schedule *ret)
{
	struct berm_window window[BERM_MAX_WINDOWS];
	unsigned int before = list->reader->errors;
	struct berm_field item;
	size_t count = 0;

	if (!berm_field_is_list(list, BERM_MAX_WINDOWS))
		return;
	berm_field_each(item, list) read_window(&item, &window[count++]);
	if (!count)
		berm_field_error(list, "leave it out to mean always",
				 "a schedule without windows never opens");
	else if (list->reader->errors == before && berm_schedule_make(window, count, ret))
		list->reader->no_memory = true;
}
