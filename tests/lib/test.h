/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test.h - the test harness. Each test is a process of its own: it may crash, leak or
 * stop half-way, and the others run all the same. A failed EXPECT is counted in
 * memory shared with the parent, so no caller can drop it. Output is TAP.
 *
 *	TEST(cidr_parse) { ... }
 *	TEST(vlan_dropped, "a VLAN tag from a pod is dropped [pkt.vlan]") { ... }
 *
 * The text, if given, is what TAP shows; a scenario's name stands in it in brackets.
 * A program takes words: only tests whose name or text contains one of them run;
 * -l lists them.
 */
#ifndef BERM_TEST_H
#define BERM_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif

struct test {
	const char *name;
	const char *text; /* "" = show the name */
	void (*run)(void);
	struct test *next;
};

extern const char *test_case_name; /* label of the table row being run */

void test_register(struct test *t);
void test_failed(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the test here; what it holds is freed with its process. Destructors of auto_
 * variables do not run, so what outlives a process must be undone before. */
void test_stop(void) __attribute__((noreturn));

/* Ends the test as skipped. The reason begins with "kernel: " or "hardware: " and says
 * what is lacking; hack/test counts any other as a failure. */
void test_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

/* An empty directory that is removed after the test, with all that is in it then. */
const char *test_dir(void);

/* Writes a file below test_dir(), folders included, and returns its path (valid until
 * the test ends). */
const char *test_file(const char *name, const char *content);

/* Takes over a malloc'ed text until the test ends, and returns it: for helpers whose results go
 * straight into an EXPECT. */
char *test_keep(char *text);

/* Asks every 5 ms until the answer is true or timeout_ms is over; returns the last answer. */
bool test_wait_until(bool (*ask)(void *ctx), void *ctx, int timeout_ms);

#define TEST(name_, ...)                                                                           \
	static void case_##name_(void);                                                            \
	static struct test reg_##name_ = { #name_, "" __VA_ARGS__, case_##name_, NULL };           \
	__attribute__((constructor)) static void add_##name_(void)                                 \
	{                                                                                          \
		test_register(&reg_##name_);                                                       \
	}                                                                                          \
	static void case_##name_(void)

/* for_each_case(c, cases) { ... } - every row needs a .name */
#define for_each_case(c, table)                                                                    \
	for ((c) = (table);                                                                        \
	     (test_case_name = (c) < (table) + ARRAY_SIZE(table) ? (c)->name : NULL); (c)++)

/*
 * EXPECT_x counts a failure and goes on; ASSERT_x ends the test, for when going on would
 * only crash. Arguments are evaluated once.
 */
#define TEST_CMP(got, op, want, then)                                                              \
	do {                                                                                       \
		long long g_ = (long long)(got), w_ = (long long)(want);                           \
		if (!(g_ op w_)) {                                                                 \
			test_failed(__FILE__, __LINE__, "%s is %lld, want " #op " %lld (%s)",      \
				    #got, g_, w_, #want);                                          \
			then;                                                                      \
		}                                                                                  \
	} while (0)

#define TEST_TRUE(cond, want, then)                                                                \
	do {                                                                                       \
		if ((bool)(cond) != (want)) {                                                      \
			test_failed(__FILE__, __LINE__, "%s is %s", #cond,                         \
				    (want) ? "false" : "true");                                    \
			then;                                                                      \
		}                                                                                  \
	} while (0)

/* rc of a call that reports through a struct berm_err */
#define TEST_OK(rc, err, then)                                                                     \
	do {                                                                                       \
		int rc_ = (rc);                                                                    \
		if (rc_) {                                                                         \
			test_failed(__FILE__, __LINE__, "%s is %d: %s", #rc, rc_, (err)->msg);     \
			then;                                                                      \
		}                                                                                  \
	} while (0)

#define EXPECT_EQ(got, want)	       TEST_CMP(got, ==, want, (void)0)
#define EXPECT_NE(got, want)	       TEST_CMP(got, !=, want, (void)0)
#define EXPECT_LT(got, want)	       TEST_CMP(got, <, want, (void)0)
#define EXPECT_LE(got, want)	       TEST_CMP(got, <=, want, (void)0)
#define EXPECT_GT(got, want)	       TEST_CMP(got, >, want, (void)0)
#define EXPECT_GE(got, want)	       TEST_CMP(got, >=, want, (void)0)
#define EXPECT_TRUE(cond)	       TEST_TRUE(cond, true, (void)0)
#define EXPECT_FALSE(cond)	       TEST_TRUE(cond, false, (void)0)
#define EXPECT_OK(rc, err)	       TEST_OK(rc, err, (void)0)
#define EXPECT_STR_EQ(got, want)       test_expect_str_eq(__FILE__, __LINE__, #got, got, want)
#define EXPECT_STR_HAS(got, part)      test_expect_str_has(__FILE__, __LINE__, #got, got, part)
#define EXPECT_STR_LACKS(got, part)    test_expect_str_lacks(__FILE__, __LINE__, #got, got, part)
#define EXPECT_MEM_EQ(got, want, size) test_expect_mem_eq(__FILE__, __LINE__, got, want, size)

#define ASSERT_EQ(got, want) TEST_CMP(got, ==, want, test_stop())
#define ASSERT_NE(got, want) TEST_CMP(got, !=, want, test_stop())
#define ASSERT_GE(got, want) TEST_CMP(got, >=, want, test_stop())
#define ASSERT_TRUE(cond)    TEST_TRUE(cond, true, test_stop())
#define ASSERT_FALSE(cond)   TEST_TRUE(cond, false, test_stop())
#define ASSERT_OK(rc, err)   TEST_OK(rc, err, test_stop())

void test_expect_str_eq(const char *file, int line, const char *what, const char *got,
			const char *want);
void test_expect_str_has(const char *file, int line, const char *what, const char *got,
			 const char *part);
void test_expect_str_lacks(const char *file, int line, const char *what, const char *got,
			   const char *part);
void test_expect_mem_eq(const char *file, int line, const void *got, const void *want, size_t size);

#endif /* BERM_TEST_H */
