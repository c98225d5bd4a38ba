/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - a program in a directory from which others run it meanwhile: replaced as a whole, never written in
 * place (running ones would make that fail, "text file busy"), and on disk before it has its name.
 */
#ifndef BERM_PROGRAM_H
#define BERM_PROGRAM_H

#include <stdbool.h>

#include "err.h"

#define BERM_BIN_DIR "/opt/cni/bin"

/* A copy of `source` as dir/name, mode 0755. *ret_changed: it was absent or another one. */
int berm_program_install(const char *source, const char *dir, const char *name, bool *ret_changed,
			 struct berm_err *err) must_check;

/* Could a runtime run it? A regular file with content and x bits. */
bool berm_program_is_there(const char *dir, const char *name);

/* With what a killed berm_program_install() left. Absent is fine. */
int berm_program_remove(const char *dir, const char *name, struct berm_err *err) must_check;

#endif /* BERM_PROGRAM_H */
