// SPDX-License-Identifier: Apache-2.0
/* test_overdue.c - when waiting begins, ends, and has been too long. */
#include "overdue.h"
#include "test.h"

TEST(overdue, "what waits for longer than the limit is overdue, from when it began to wait")
{
	struct berm_overdue o = { 0 };

	EXPECT_FALSE(berm_overdue_is(&o, 10, 1000)); /* nothing has ever waited */
	berm_overdue_note(&o, true, 1000);
	berm_overdue_note(&o, true, 1009); /* more of the same */
	EXPECT_FALSE(berm_overdue_is(&o, 10, 1010));
	EXPECT_TRUE(berm_overdue_is(&o, 10, 1011));
	berm_overdue_note(&o, false, 1012);
	EXPECT_FALSE(berm_overdue_is(&o, 10, 2000));
	berm_overdue_note(&o, true, 2000); /* begins anew */
	EXPECT_FALSE(berm_overdue_is(&o, 10, 2005));
	EXPECT_TRUE(berm_overdue_is(&o, 10, 2011));
}
