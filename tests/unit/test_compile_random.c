// SPDX-License-Identifier: Apache-2.0
/*
 * test_compile_random.c - random clusters, random packets: the plan must say what the documents say,
 * verdict, reason and rule. BERM_SEED replays a run; BERM_WORLDS makes it longer.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "compile.h"
#include "interpret.h"
#include "test.h"
#include "worlds.h"

static unsigned int worlds(unsigned int usual)
{
	const char *given = getenv("BERM_WORLDS");

	return given ? (unsigned int)atoi(given) : usual;
}

static struct berm_plan *compile(const struct berm_model *m)
{
	struct berm_problems problems = { 0 };
	struct berm_plan *plan = NULL;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_compile(m, &plan, &problems, &err), &err);
	EXPECT_EQ(problems.count, 0);
	return plan;
}

/* Ends the test at the first difference: the rest of that world would only repeat it. */
static void compare(const struct berm_model *m, const struct berm_plan *plan,
		    const struct question *q, uint64_t seed)
{
	struct answer want = evaluate(m, q), got = interpret(plan, q);
	char text[512];

	if (want.action == got.action && want.reason == got.reason && !strcmp(want.rule, got.rule))
		return;
	world_describe(q, text, sizeof(text));
	test_failed(__FILE__, __LINE__,
		    "BERM_SEED=%" PRIu64
		    " BERM_WORLDS=1: %s: plan says %u/%u '%s', documents say %u/%u '%s'",
		    seed, text, got.action, got.reason, got.rule, want.action, want.reason,
		    want.rule);
	test_stop();
}

TEST(random_worlds, "plans say what documents say, for random clusters and packets")
{
	uint64_t first = world_seed();
	unsigned int cases = 0, denied = 0, mixed = 0, unknown = 0, flows = 0, count = worlds(400);

	for (unsigned int i = 0; i < count; i++) {
		uint64_t seed = first + i;
		struct berm_plan *plan;
		struct question q;
		struct world w;

		world_make(&w, seed);
		plan = compile(&w.model);
		interpret_check(plan);
		for (int k = 0; k < 150 && w.model.endpoint_count; k++, cases++) {
			world_question(&w, &q);
			compare(&w.model, plan, &q, seed);
			q.would = true;
			compare(&w.model, plan, &q, seed);
			q.would = false;
			denied += interpret(plan, &q).action == BERM_ACTION_DENY;
			flows += evaluate(&w.model, &q).by_flow;
			mixed += interpret(plan, &q).reason == BERM_REASON_SERVICE_MIXED;
			unknown += interpret(plan, &q).reason == BERM_REASON_SERVICE_UNKNOWN;
		}
		berm_plan_free(plan);
		world_clear(&w);
	}
	printf("# %u cases, %u denied, %u mixed, %u unknown Services, %u by a flow\n", cases,
	       denied, mixed, unknown, flows);
	if (count < 100)
		return;
	EXPECT_GT(cases, 20000);
	EXPECT_GT(flows, cases / 100);
	EXPECT_GT(mixed, cases / 500);
	EXPECT_GT(unknown, cases / 200);
	EXPECT_GT(denied, cases / 10); /* the generator is worth something */
	EXPECT_LT(denied, cases - cases / 10);
}

/* Byte for byte what a compilation from nothing makes. */
static void compare_plans(const struct berm_plan *kept, const struct berm_model *m, uint64_t seed)
{
	struct berm_plan *anew = compile(m);
	size_t size, kept_size;
	char *bytes = interpret_dump(anew, &size), *kept_bytes = interpret_dump(kept, &kept_size);

	if (size != kept_size || memcmp(bytes, kept_bytes, size)) {
		test_failed(__FILE__, __LINE__, "BERM_SEED=%" PRIu64 " BERM_WORLDS=1: plans differ",
			    seed);
		test_stop();
	}
	free(bytes);
	free(kept_bytes);
	berm_plan_free(anew);
}

static struct berm_compiled *compile_kept(struct berm_model *m)
{
	struct berm_compiled *kept = NULL;
	struct berm_err err = { 0 };

	ASSERT_OK(berm_compile_kept(m, &kept, NULL, &err), &err);
	berm_model_changes_clear(m);
	return kept;
}

static void renew(struct berm_compiled **kept, struct berm_model *m)
{
	struct berm_err err = { 0 };

	ASSERT_OK(berm_compiled_renew(kept, &m->changes, NULL, &err), &err);
}

TEST(random_follow,
     "a plan that follows pods is the plan that would be made from nothing, after every event")
{
	uint64_t first = world_seed();
	unsigned int followed = 0, moved = 0, anew = 0;

	for (unsigned int i = 0; i < worlds(150); i++) {
		struct berm_compiled *kept;
		struct world w;

		world_make(&w, first + i);
		kept = compile_kept(&w.model);
		for (int event = 0; event < 40; event++) {
			for (uint32_t n = world_below(&w, 3) + 1; n; n--)
				world_change_pod(&w);
			moved += (unsigned int)w.model.changes.pod_count;
			if (berm_compiled_follow(kept, &w.model.changes)) {
				renew(&kept, &w.model);
				anew++;
			} else {
				followed++;
			}
			berm_model_changes_clear(&w.model);
			compare_plans(berm_compiled_plan(kept), &w.model, first + i);
		}
		berm_compiled_free(kept);
		world_clear(&w);
	}
	printf("# %u followed with %u pods, %u made anew\n", followed, moved, anew);
	EXPECT_GT(followed, anew / 10); /* the generator is worth something */
}

TEST(random_renew,
     "a plan that is renewed after changes of any kind is the plan that would be made from nothing, after every event")
{
	uint64_t first = world_seed();
	unsigned int renewed = 0, anew = 0, followed = 0;

	for (unsigned int i = 0; i < worlds(150); i++) {
		struct berm_compiled *kept;
		struct world w;

		world_make(&w, first + i);
		kept = compile_kept(&w.model);
		for (int event = 0; event < 40; event++) {
			for (uint32_t n = world_below(&w, 3) + 1; n; n--)
				world_change_any(&w);
			anew += w.model.changes.all;
			renewed += !w.model.changes.all;
			if (berm_compiled_follow(kept, &w.model.changes))
				renew(&kept, &w.model);
			else
				followed++;
			berm_model_changes_clear(&w.model);
			compare_plans(berm_compiled_plan(kept), &w.model, first + i);
		}
		berm_compiled_free(kept);
		world_clear(&w);
	}
	printf("# %u renewed, of which %u pods were followed; %u made anew\n", renewed, followed, anew);
	EXPECT_GT(renewed, anew);
}

TEST(random_changes,
     "after each of a random sequence of events the plan says what the documents say")
{
	uint64_t first = world_seed();

	for (unsigned int i = 0; i < worlds(40); i++) {
		struct world w;

		world_make(&w, first + i);
		for (int event = 0; event < 12; event++) {
			struct berm_plan *plan;
			struct question q;

			world_change(&w);
			plan = compile(&w.model);
			for (int k = 0; k < 40 && w.model.endpoint_count; k++) {
				world_question(&w, &q);
				if (berm_model_pod_of(&w.model, q.ep))
					compare(&w.model, plan, &q, first + i);
			}
			berm_plan_free(plan);
		}
		world_clear(&w);
	}
}
