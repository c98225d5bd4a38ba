/* SPDX-License-Identifier: Apache-2.0 */
/*
 * analyzer.h - what clang-tidy has to be told, and no compiler ever sees: that a failure never
 * returns 0. Without it the analyser follows "errno was 0" and finds what cannot be.
 */
#ifndef BERM_ANALYZER_H
#define BERM_ANALYZER_H

#include "err.h"

#define berm_fail(...)	 (berm_fail(__VA_ARGS__), -5)
#define berm_refuse(...) (berm_refuse(__VA_ARGS__), -5)

#endif /* BERM_ANALYZER_H */
