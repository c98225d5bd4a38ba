/* SPDX-License-Identifier: Apache-2.0 */
/* document_schedule.h - the windows of time of a rule or a document. */
#ifndef BERM_DOCUMENT_SCHEDULE_H
#define BERM_DOCUMENT_SCHEDULE_H

#include "field.h"
#include "schedule.h"

/* A problem was added if it stays as it was. */
void berm_read_schedule(const struct berm_field *list, struct berm_schedule *ret);

#endif /* BERM_DOCUMENT_SCHEDULE_H */
