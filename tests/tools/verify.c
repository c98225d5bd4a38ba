/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - lets this kernel verify every program of the data path, in every way in which the product loads
 * it, and prints what that cost: one line "VARIANT PROGRAM INSTRUCTIONS". Where the kernel refuses one, it
 * prints what the kernel says, and the status is 1. Attaches nothing and pins nothing.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi.h"

#include "berm.skel.h" /* wants abi.h before it */
#include "uplink.skel.h"

#define MAX_PROGRAMS 64
#define STATS	     4 /* log_level: the figures, but not every instruction */
#define LOG_SIZE     (64 << 10)
#define BUCKETS	     1024

static const struct variant {
	const char *name;
	__u32 explain, ended, apps;
} variants[] = {
	{ "enforce", 0, 0, 0 },
	{ "explain", 1, 0, 0 },
	{ "ended", 0, 1, 0 },
	{ "apps", 0, 0, 1 },
};

static int print_warnings(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, args) : 0;
}

static struct berm_bpf *open_variant(const struct variant *v)
{
	struct berm_bpf *skel = berm_bpf__open();

	if (!skel || bpf_map__set_max_entries(skel->maps.berm_sessions, BUCKETS)) {
		fprintf(stderr, "verify: the object does not open: %s\n", strerror(errno));
		exit(1);
	}
	skel->rodata->cfg_buckets = BUCKETS;
	skel->rodata->cfg_explain = v->explain;
	skel->rodata->cfg_ended = v->ended;
	skel->rodata->cfg_apps = v->apps;
	return skel;
}

/* Without a buffer of ours libbpf loads once more and prints the whole log. */
static int complain(const struct variant *v)
{
	struct berm_bpf *skel = open_variant(v);
	int rc = berm_bpf__load(skel);

	fprintf(stderr, "verify: the variant '%s' does not load: %s\n", v->name,
		rc ? strerror(-rc) : "not while its figures are asked for");
	berm_bpf__destroy(skel);
	return 1;
}

/* The line of the log is "processed N insns (limit ...". */
static int print_cost(const struct variant *v, const char *program, const char *log)
{
	const char *at = strstr(log, "processed ");

	if (!at) {
		fprintf(stderr, "verify: no figure for %s in '%s'\n", program, log);
		return 1;
	}
	printf("%s %s %lu\n", v->name, program, strtoul(at + strlen("processed "), NULL, 10));
	return 0;
}

static int verify(const struct variant *v)
{
	static char log[MAX_PROGRAMS][LOG_SIZE];
	struct berm_bpf *skel = open_variant(v);
	struct bpf_program *prog;
	int rc, n = 0;

	bpf_object__for_each_program(prog, skel->obj) {
		if (n == MAX_PROGRAMS)
			abort();
		bpf_program__set_log_level(prog, STATS);
		bpf_program__set_log_buf(prog, log[n++], sizeof(log[0]));
	}
	rc = berm_bpf__load(skel) ? complain(v) : 0;
	n = 0;
	bpf_object__for_each_program(prog, skel->obj)
		if (!rc)
			rc = print_cost(v, bpf_program__name(prog), log[n++]);
	berm_bpf__destroy(skel);
	return rc;
}

/* The block list's program is an object of its own. */
static int verify_uplink(void)
{
	static char log[LOG_SIZE];
	static const struct variant v = { "uplink", 0 };
	struct uplink_bpf *skel = uplink_bpf__open();
	int rc;

	if (!skel)
		return 1;
	bpf_program__set_log_level(skel->progs.berm_uplink, STATS);
	bpf_program__set_log_buf(skel->progs.berm_uplink, log, sizeof(log));
	rc = uplink_bpf__load(skel);
	if (rc)
		fprintf(stderr, "verify: berm_uplink does not load: %s\n%s\n", strerror(-rc), log);
	else
		rc = print_cost(&v, "berm_uplink", log);
	uplink_bpf__destroy(skel);
	return !!rc;
}

int main(void)
{
	int rc = verify_uplink();

	libbpf_set_print(print_warnings);
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		rc |= verify(&variants[i]);
	return rc;
}
