/* SPDX-License-Identifier: Apache-2.0 */
/*
 * version.h - data paths of other versions on this node. Each ABI has maps and programs of its own (BERM_PIN_ABI), so
 * those of two versions can stand side by side and never mix; links belong to the devices and are shared.
 */
#ifndef BERM_VERSION_H
#define BERM_VERSION_H

#include <stdint.h>

#include "err.h"

/* A data path of another ABI that somebody has finished loading. -ENOENT: none. */
int berm_version_other(uint32_t *ret_abi) must_check;

/* -EPROTO, and says what to do, if there is one; else 0. */
int berm_version_check(struct berm_err *err) must_check;

/* Unpin its maps and programs: once no link needs them the kernel frees them. What tells that it exists goes last, so
 * that who is killed meanwhile is followed by somebody who sees the rest. */
int berm_version_retire(uint32_t abi, struct berm_err *err) must_check;

/* What is left of others who were killed while they loaded or retired. The caller holds BERM_LOAD_LOCK, so nobody is
 * loading now. */
int berm_version_tidy(struct berm_err *err) must_check;

#endif /* BERM_VERSION_H */
