/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollback.h - takes this node back to the policies of an earlier generation, until their documents say something else. The documents stay
 * as they are, and so do other nodes.
 */
#ifndef BERM_ROLLBACK_H
#define BERM_ROLLBACK_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "err.h"
#include "intake.h"
#include "undo.h"

struct berm_rollback {
	struct berm_intake *intake;
	struct berm_undo *undo;
	const struct berm_history *history;
};

/*
 * What somebody asks for, as docs/rest-api.md has it. -EBADMSG: that is no such question; else like those two below.
 * *ret_is_cancel: the sources are to be read again.
 */
int berm_rollback_ask(const struct berm_rollback *rollback, const char *text, size_t size,
		      bool *ret_is_cancel, cJSON **ret, struct berm_err *err) must_check;

/*
 * {generation, changes: [{policy, action}], unknown: [policy]} (docs/rest-api.md). is_dry: changes nothing. Else it is in the model, and
 * the caller judges. On failure nothing has changed. -ENOENT, -ENODATA: undo.h; -EINVAL: a version is not taken any more.
 */
int berm_rollback_run(const struct berm_rollback *rollback, const struct berm_undo_wish *wish,
		      bool is_dry, cJSON **ret, struct berm_err *err) must_check;

/* As the documents say again, which are read once more for it: {changes: [...]}. */
int berm_rollback_cancel(const struct berm_rollback *rollback, cJSON **ret,
			 struct berm_err *err) must_check;

#endif /* BERM_ROLLBACK_H */
