/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - errors are -errno plus one sentence, kept in the caller's frame. Knows nothing else. */
#ifndef BERM_ERR_H
#define BERM_ERR_H

struct berm_err {
	int code; /* negative errno, 0 = no error */
	char msg[512];
};

/* Record a failure and return it:  return berm_fail(err, -errno, "open %s", path);
 * Appends ": " and the errno's text. err may be NULL. */
int berm_fail(struct berm_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same without the errno's text, for messages that already say everything. */
int berm_refuse(struct berm_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put context in front of a failure and return the same code. */
int berm_wrap(struct berm_err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define must_check __attribute__((warn_unused_result))

#endif /* BERM_ERR_H */
