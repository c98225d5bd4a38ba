/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - items of a document as a table (libsmartcols). Knows columns, not what they mean. */
#include <errno.h>
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ctl.h"

static void table_unrefp(struct libscols_table **table)
{
	scols_unref_table(*table);
}

static bool is_shown(const struct ctl_options *options, const struct ctl_column *column)
{
	return !(column->flags & CTL_COL_WIDE) || options->format == CTL_WIDE;
}

static int add_columns(struct libscols_table *table, const struct ctl_options *options,
		       const struct ctl_view *view)
{
	for (size_t i = 0; i < view->columns; i++) {
		const struct ctl_column *column = &view->column[i];
		int flags = column->flags & CTL_COL_RIGHT ? SCOLS_FL_RIGHT : 0;

		if (is_shown(options, column) &&
		    !scols_table_new_column(table, column->title, 0, flags))
			return -ENOMEM;
	}
	return 0;
}

static int fill_cell(struct libscols_cell *cell, const struct ctl_column *column, const cJSON *item,
		     bool color)
{
	char *text = column->text ? column->text(item) : ctl_text_at(item, column->path);
	enum ctl_tone tone = column->tone ? column->tone(item) : CTL_PLAIN;

	if (!text || !*text) {
		free(text);
		text = strdup("-");
	}
	if (!text)
		return -ENOMEM;
	if (color && tone != CTL_PLAIN)
		(void)scols_cell_set_color(cell,
					   ctl_tone_start(tone, true)); /* plain text is fine too */
	return scols_cell_refer_data(cell, text);
}

static int add_line(struct libscols_table *table, const struct ctl_options *options,
		    const struct ctl_view *view, const cJSON *item)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	bool color = scols_table_colors_wanted(table);
	size_t at = 0;
	int rc = line ? 0 : -ENOMEM;

	for (size_t i = 0; i < view->columns && !rc; i++)
		if (is_shown(options, &view->column[i]))
			rc = fill_cell(scols_line_get_cell(line, at++), &view->column[i], item,
				       color);
	return rc;
}

int ctl_table_print(const struct ctl_options *options, const struct ctl_view *view,
		    const cJSON *items, FILE *out, struct berm_err *err)
{
	__attribute__((cleanup(table_unrefp))) struct libscols_table *table = scols_new_table();
	const cJSON *item;
	int rc;

	if (!table)
		return berm_fail(err, -ENOMEM, "make a table");
	scols_table_enable_colors(table, ctl_has_color(options, out));
	scols_table_enable_nowrap(table, 1);
	scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER); /* never cut a name */
	scols_table_set_stream(table, out);
	rc = add_columns(table, options, view);
	for (item = items->child; item && !rc; item = item->next)
		rc = add_line(table, options, view, item);
	if (!rc)
		rc = scols_print_table(table);
	return rc ? berm_fail(err, rc, "print a table of %s", view->list) : 0;
}
