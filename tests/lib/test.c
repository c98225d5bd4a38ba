/* SPDX-License-Identifier: Apache-2.0 */
/* test.c - runs the tests of one program, each in a child, and prints TAP. Knows nothing of Berm. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* What a test tells its parent; shared, so that it survives the child's death. */
struct outcome {
	int failures;
	bool ended; /* by the harness's doing, not by a stray exit() */
	bool skipped;
	char reason[256];
	char dir[64];
};

const char *test_case_name;
static struct test *tests, **tail = &tests;
static struct outcome alone; /* when the program has a main() of its own: a benchmark */
static struct outcome *now = &alone;

void test_register(struct test *t)
{
	*tail = t;
	tail = &t->next;
}

void test_failed(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	__atomic_add_fetch(&now->failures, 1, __ATOMIC_RELAXED);
	flockfile(stdout);
	printf("# %s:%d: ", file, line);
	if (test_case_name)
		printf("[%s] ", test_case_name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout); /* a sanitizer that ends the process does not */
	funlockfile(stdout);
}

void test_stop(void)
{
	now->ended = true;
	exit(now == &alone && now->failures); /* the parent looks at the count */
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(now->reason, sizeof(now->reason), fmt, ap);
	va_end(ap);
	now->skipped = true;
	test_stop();
}

/* --- what tests may use ------------------------------------------------------------- */

void test_expect_str_eq(const char *file, int line, const char *what, const char *got,
			const char *want)
{
	if (!got || !want ? got != want : strcmp(got, want))
		test_failed(file, line, "%s is '%s', want '%s'", what, got ? got : "(null)",
			    want ? want : "(null)");
}

void test_expect_str_has(const char *file, int line, const char *what, const char *got,
			 const char *part)
{
	if (!got || !strstr(got, part))
		test_failed(file, line, "%s is '%s', it lacks '%s'", what, got ? got : "(null)",
			    part);
}

void test_expect_str_lacks(const char *file, int line, const char *what, const char *got,
			   const char *part)
{
	if (!got || strstr(got, part))
		test_failed(file, line, "%s is '%s', it must not have '%s'", what,
			    got ? got : "(null)", part);
}

void test_expect_mem_eq(const char *file, int line, const void *got, const void *want, size_t size)
{
	const uint8_t *g = got, *w = want;
	size_t i = 0;

	while (i < size && g[i] == w[i])
		i++;
	if (i < size)
		test_failed(file, line, "byte %zu of %zu is 0x%02x, want 0x%02x", i, size, g[i],
			    w[i]);
}

const char *test_dir(void)
{
	const char *base = getenv("TMPDIR");

	if (!now->dir[0]) {
		snprintf(now->dir, sizeof(now->dir), "%.40s/berm-test.XXXXXX",
			 base ? base : "/tmp");
		if (!mkdtemp(now->dir)) {
			test_failed(__FILE__, __LINE__, "cannot make %s: %s", now->dir,
				    strerror(errno));
			now->dir[0] = '\0';
			test_stop();
		}
	}
	return now->dir;
}

static void make_folders(char *path)
{
	for (char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(path, 0755); /* may be there already; fopen() tells otherwise */
		*p = '/';
	}
}

const char *test_file(const char *name, const char *content)
{
	static char path[8][512];
	static unsigned int turn;
	char *p = path[turn++ % ARRAY_SIZE(path)];
	FILE *f;

	snprintf(p, sizeof(path[0]), "%s/%s", test_dir(), name);
	make_folders(p);
	f = fopen(p, "we");
	if (!f || fputs(content, f) < 0 || fclose(f)) {
		test_failed(__FILE__, __LINE__, "cannot write %s: %s", p, strerror(errno));
		test_stop();
	}
	return p;
}

char *test_keep(char *text)
{
	static struct kept {
		struct kept *next;
		char *text;
	} * all;
	struct kept *k = malloc(sizeof(*k));

	if (!k)
		test_stop();
	*k = (struct kept){ .next = all, .text = text };
	all = k; /* reachable to the end, so no leak */
	return text;
}

bool test_wait_until(bool (*ask)(void *ctx), void *ctx, int timeout_ms)
{
	const struct timespec pause = { .tv_nsec = 5 * 1000 * 1000 };
	struct timespec start, t;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (;;) {
		if (ask(ctx))
			return true;
		clock_gettime(CLOCK_MONOTONIC, &t);
		if ((t.tv_sec - start.tv_sec) * 1000 + (t.tv_nsec - start.tv_nsec) / 1000000 >=
		    timeout_ms)
			return false;
		nanosleep(&pause, NULL);
	}
}

/* --- running ------------------------------------------------------------------------ */

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	if (now->dir[0] && nftw(now->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		printf("# cannot remove %s: %s\n", now->dir, strerror(errno));
}

static void run_child(const struct test *t)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a killed test program leaves no test behind */
	dup2(null, STDIN_FILENO);
	t->run();
	now->ended = true;
	exit(0); /* not _exit(): the leak sanitizer reports here */
}

/* Says why a test did not end as it should; false when it did. */
static bool died(int status)
{
	if (WIFSIGNALED(status))
		printf("# died of signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		printf("# exited with status %d\n", WEXITSTATUS(status));
	else if (!now->ended)
		printf("# the code under test called exit()\n");
	else
		return false;
	return true;
}

static bool run_one(const struct test *t, int n)
{
	const char *text = t->text[0] ? t->text : t->name;
	int status = 0;
	bool bad;
	pid_t pid;

	memset(now, 0, sizeof(*now));
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_child(t);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	bad = pid < 0 || died(status) || now->failures;
	if (now->skipped && !bad)
		printf("ok %d - %s # SKIP %s\n", n, text, now->reason);
	else
		printf("%s %d - %s\n", bad ? "not ok" : "ok", n, text);
	clean_up();
	return !bad;
}

static bool is_wanted(const struct test *t, char **words)
{
	for (char **w = words; *w; w++)
		if (strstr(t->name, *w) || strstr(t->text, *w))
			return true;
	return !*words;
}

static int list(void)
{
	for (const struct test *t = tests; t; t = t->next)
		printf("%s%s%s\n", t->name, t->text[0] ? ": " : "", t->text);
	return 0;
}

__attribute__((weak)) int main(int argc, char **argv)
{
	int n = 0, bad = 0;

	if (argc > 1 && !strcmp(argv[1], "-l"))
		return list();
	now = mmap(NULL, sizeof(*now), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (now == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	for (const struct test *t = tests; t; t = t->next)
		if (is_wanted(t, argv + 1))
			bad += !run_one(t, ++n);
	printf("1..%d\n", n);
	return bad || !n ? 1 : 0;
}
