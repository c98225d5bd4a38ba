/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jiffies.c - asks the kernel for jiffies with a program of two instructions, run by BPF_PROG_TEST_RUN:
 * there is no system call for it and /proc/timer_list is root's text. Knows nothing of sessions.
 */
#include "jiffies.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <math.h>
#include <time.h>

#include "cleanup.h"

/* arch/x86 and arm64 offer these (kernel/Kconfig.hz). */
static const uint32_t rates[] = { 100, 250, 300, 1000 };

static double monotonic_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int load_clock(struct berm_err *err)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "berm_clock", "Dual BSD/GPL", insns,
			       ARRAY_SIZE(insns), NULL);

	return fd < 0 ? berm_fail(err, -errno,
				  "load the program that reads jiffies (needs CAP_BPF)")
		      : fd;
}

static int run_clock(int fd, uint32_t *ret_now, struct berm_err *err)
{
	char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(fd, &opts))
		return berm_fail(err, -errno, "run the program that reads jiffies");
	*ret_now = opts.retval;
	return 0;
}

static uint32_t nearest_rate(double hz)
{
	uint32_t best = rates[0];

	for (size_t i = 1; i < ARRAY_SIZE(rates); i++)
		if (fabs(hz - rates[i]) < fabs(hz - best))
			best = rates[i];
	return best;
}

/* How far off, in seconds, `now` would be if the kernel ticked at this rate. It starts at -300 * HZ. */
static double error_of(uint32_t now, double uptime_s, uint32_t hz)
{
	uint32_t expected = (uint32_t)(int64_t)((uptime_s - 300) * hz);

	return fabs((double)(int32_t)(now - expected)) / hz;
}

uint32_t berm_jiffies_guess_hz(uint32_t now, double uptime_s)
{
	double best = error_of(now, uptime_s, rates[0]), second = INFINITY;
	uint32_t hz = rates[0];

	for (size_t i = 1; i < ARRAY_SIZE(rates); i++) {
		double off = error_of(now, uptime_s, rates[i]);

		if (off < best) {
			second = best;
			best = off;
			hz = rates[i];
		} else if (off < second) {
			second = off;
		}
	}
	return second > best + 5 ? hz : 0;
}

/* Only in the first minutes after boot: count ticks for a while. */
static int measure_hz(int fd, uint32_t *ret_hz, struct berm_err *err)
{
	const struct timespec pause = { .tv_nsec = 60 * 1000 * 1000 };
	double start = monotonic_s();
	uint32_t first, last;
	int rc = run_clock(fd, &first, err);

	if (rc)
		return rc;
	nanosleep(&pause, NULL);
	rc = run_clock(fd, &last, err);
	if (!rc)
		*ret_hz = nearest_rate((last - first) / (monotonic_s() - start));
	return rc;
}

int berm_jiffies_read(uint32_t *ret_now, uint32_t *ret_hz, struct berm_err *err)
{
	auto_close int fd = load_clock(err);
	uint32_t now, hz;
	int rc;

	if (fd < 0)
		return fd;
	rc = run_clock(fd, &now, err);
	if (rc)
		return rc;
	hz = berm_jiffies_guess_hz(now, monotonic_s());
	if (!hz)
		rc = measure_hz(fd, &hz, err);
	if (rc)
		return rc;
	*ret_now = now;
	*ret_hz = hz;
	return 0;
}

uint32_t berm_jiffies_hz(void)
{
	struct timespec tick;

	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || !tick.tv_nsec)
		return 250; /* cannot happen: every kernel since 2.6.32 has this clock */
	return (uint32_t)((1000000000 + tick.tv_nsec / 2) / tick.tv_nsec);
}
