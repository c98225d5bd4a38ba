/* SPDX-License-Identifier: Apache-2.0 */
/* output.c - where output goes and how it ends: colours, formats, watching, broken pipes. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"
#include "ctl.h"

const char *ctl_program = "bermctl";

bool ctl_has_color(const struct ctl_options *options, FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (options->color != CTL_COLOR_AUTO)
		return options->color == CTL_COLOR_ALWAYS;
	if (no_color && *no_color) /* https://no-color.org */
		return false;
	return isatty(fileno(out)) && term && strcmp(term, "dumb") != 0;
}

const char *ctl_tone_start(enum ctl_tone tone, bool color)
{
	static const char *const sequence[] = {
		[CTL_PLAIN] = "",	  [CTL_GOOD] = "\033[32m", [CTL_WARN] = "\033[33m",
		[CTL_BAD] = "\033[1;31m", [CTL_DIM] = "\033[2m",   [CTL_BOLD] = "\033[1m",
	};

	return color ? sequence[tone] : "";
}

const char *ctl_tone_end(bool color)
{
	return color ? "\033[0m" : "";
}

void ctl_json_print(const cJSON *doc, bool one_line, FILE *out)
{
	auto_free char *text = one_line ? cJSON_PrintUnformatted(doc) : cJSON_Print(doc);

	if (text)
		fprintf(out, "%s\n", text);
}

/* While watching, each JSON document is one line, so that a reader can tell them apart. */
void ctl_document_print(const struct ctl_options *options, const cJSON *doc, FILE *out)
{
	if (options->format == CTL_JSON) {
		ctl_json_print(doc, options->watch, out);
		return;
	}
	if (options->watch)
		fputs("---\n", out);
	ctl_yaml_print(doc, out);
}

static void print_names(const struct ctl_view *view, const cJSON *items, FILE *out)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, items) {
		auto_free char *name = view->name(item);

		if (name)
			fprintf(out, "%s\n", name);
	}
}

int ctl_show(const struct ctl_options *options, const struct ctl_view *view, const cJSON *doc)
{
	const cJSON *items = ctl_at(doc, view->list);
	struct berm_err err = { 0 };

	if (options->format == CTL_JSON || options->format == CTL_YAML) {
		ctl_document_print(options, doc, stdout);
		return CTL_OK;
	}
	if (!cJSON_IsArray(items) || !items->child) {
		ctl_note("no %s", view->noun);
		return CTL_OK;
	}
	if (options->format == CTL_NAME && view->name) {
		print_names(view, items, stdout);
		return CTL_OK;
	}
	if (ctl_table_print(options, view, items, stdout, &err))
		return ctl_complain(view->list, &err);
	return CTL_OK;
}

static void sleep_s(double seconds)
{
	struct timespec ts = { .tv_sec = (time_t)seconds };

	ts.tv_nsec = (long)((seconds - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

static void clear_screen(const struct ctl_options *options)
{
	bool is_text = options->format == CTL_TABLE || options->format == CTL_WIDE;

	if (!is_text)
		return;
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	else
		fputc('\n', stdout);
}

int ctl_repeat(const struct ctl_options *options, int (*once)(void *arg), void *arg)
{
	int code = once(arg);

	while (options->watch) {
		int written = ctl_finish(CTL_OK);

		if (written)
			return written;
		sleep_s(options->interval_s);
		clear_screen(options);
		code = once(arg);
	}
	return code;
}

/* errno may be that of another call by now: ask the pipe itself. */
static bool reader_is_gone(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int ctl_finish(int code)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	if (errno == EPIPE || reader_is_gone())
		_exit(CTL_OK); /* exit() would try to write the rest again */
	fprintf(stderr, "%s: cannot write the output: %s\n", ctl_program,
		strerror(errno ? errno : EIO));
	_exit(CTL_FAILED);
}

int ctl_complain(const char *command, const struct berm_err *err)
{
	(void)fflush(stdout); /* ctl_finish() looks at its error */
	fprintf(stderr, "%s %s: %s\n", ctl_program, command, err->msg);
	return CTL_FAILED;
}

void ctl_note(const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout); /* ctl_finish() looks at its error */
	fprintf(stderr, "%s: ", ctl_program);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}
