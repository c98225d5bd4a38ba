/* SPDX-License-Identifier: Apache-2.0 */
/*
 * level.h - how full is too full: normal below 70 %, warning, critical above 90 %. Knows no table.
 */
#ifndef BERM_LEVEL_H
#define BERM_LEVEL_H

enum berm_level { BERM_LEVEL_NORMAL, BERM_LEVEL_WARNING, BERM_LEVEL_CRITICAL };

#define BERM_LEVEL_WARNING_FROM	 0.70
#define BERM_LEVEL_CRITICAL_FROM 0.90
#define BERM_LEVEL_SLACK	 0.05 /* so much must be free again before a level is left downwards */

/* `before`: the level so far, so that a load that sways about a limit is told of once; NORMAL if none is known. */
static inline enum berm_level berm_level_of(double load, enum berm_level before)
{
	if (load > BERM_LEVEL_CRITICAL_FROM)
		return BERM_LEVEL_CRITICAL;
	if (before == BERM_LEVEL_CRITICAL && load > BERM_LEVEL_CRITICAL_FROM - BERM_LEVEL_SLACK)
		return BERM_LEVEL_CRITICAL;
	if (load >= BERM_LEVEL_WARNING_FROM)
		return BERM_LEVEL_WARNING;
	if (before != BERM_LEVEL_NORMAL && load > BERM_LEVEL_WARNING_FROM - BERM_LEVEL_SLACK)
		return BERM_LEVEL_WARNING;
	return BERM_LEVEL_NORMAL;
}

static inline const char *berm_level_name(enum berm_level level)
{
	static const char *const names[] = { "normal", "warning", "critical" };

	return names[level];
}

#endif /* BERM_LEVEL_H */
