/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_guard.h - the annotations berm.dev/confirm-within and berm.dev/confirmed of a ConfigMap: its documents go back to what they
 * were unless somebody confirms them in time. Reads them; what they lead to is confirm.c's business.
 */
#ifndef BERM_DOCUMENT_GUARD_H
#define BERM_DOCUMENT_GUARD_H

#include "chunk.h"

#define BERM_CONFIRM_WITHIN "berm.dev/confirm-within"
#define BERM_CONFIRMED	    "berm.dev/confirmed"
#define BERM_CONFIRM_MAX_S  (168 * 3600)

/* The guard of the ConfigMap `root`, if it has one. false: it cannot be read, and nothing of the ConfigMap may be. */
bool berm_take_guard(struct berm_chunk *chunk, const struct berm_field *root,
		     const struct berm_meta *meta, const char *key) must_check;

/* Of what confirms a version of a ConfigMap's data: 16 hex digits and a NUL. The order of the keys does not count. */
void berm_guard_digest(const cJSON *data, const cJSON *binary, char out[BERM_GUARD_DIGEST]);

/* An object that is no ConfigMap cannot be guarded: warns if somebody believes it. */
void berm_warn_guard(const struct berm_meta *meta);

#endif /* BERM_DOCUMENT_GUARD_H */
