/* SPDX-License-Identifier: Apache-2.0 */
/* err.c - formats errors. Does not log and does not exit: that is the programs' business. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void append(struct berm_err *err, const char *text)
{
	size_t used = strlen(err->msg);

	snprintf(err->msg + used, sizeof(err->msg) - used, ": %s", text);
}

int berm_fail(struct berm_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->code = code;
	append(err, strerror(-code));
	return code;
}

int berm_refuse(struct berm_err *err, int code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int berm_wrap(struct berm_err *err, int code, const char *fmt, ...)
{
	char inner[sizeof(err->msg)];
	va_list ap;

	if (!err)
		return code;
	memcpy(inner, err->msg, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(err->msg, sizeof(err->msg), fmt, ap);
	va_end(ap);
	err->code = code;
	append(err, inner);
	return code;
}
