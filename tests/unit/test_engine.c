// SPDX-License-Identifier: Apache-2.0
/* test_engine.c - what the engine says of a policy before and after it is in the kernel. */
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "test.h"

static const struct berm_policy *put(struct berm_engine *engine, const char *name)
{
	struct berm_policy *policy = calloc(1, sizeof(*policy));

	ASSERT_TRUE(policy);
	policy->kind = BERM_KIND_SEGMENTATION;
	policy->ns = strdup("shop");
	policy->name = strdup(name);
	ASSERT_EQ(berm_model_put_policy(&engine->model, policy), 0);
	return berm_model_policy(&engine->model, BERM_KIND_SEGMENTATION, "shop", name);
}

TEST(in_force,
     "a policy is in force when a judgement that knew it has succeeded, not when it has been read")
{
	struct berm_engine engine = { 0 };
	const struct berm_policy *first = put(&engine, "first"), *second;

	EXPECT_FALSE(berm_engine_is_in_force(&engine, first));
	engine.has_judged = true;
	engine.judged_version = engine.model.version;
	EXPECT_TRUE(berm_engine_is_in_force(&engine, first));
	second = put(&engine, "second");
	EXPECT_FALSE(berm_engine_is_in_force(&engine, second));
	EXPECT_TRUE(berm_engine_is_in_force(&engine, first)); /* as it was */
	first = put(&engine, "first");			      /* a newer version of it */
	EXPECT_FALSE(berm_engine_is_in_force(&engine, first));
	engine.judged_version = engine.model.version;
	EXPECT_TRUE(berm_engine_is_in_force(&engine, first));
	EXPECT_TRUE(berm_engine_is_in_force(&engine, second));
	berm_model_clear(&engine.model);
}
