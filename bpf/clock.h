/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * clock.h - time in jiffies: the only clock that every kernel since 5.10 reads for nothing (one inlined
 * load; bpf_ktime_get_ns costs 30 ns). 32 bits wrap after 49 days at 1,000 Hz: compare by difference.
 */
#ifndef BERM_BPF_CLOCK_H
#define BERM_BPF_CLOCK_H

static __always_inline __u32 clock_now(void)
{
	return (__u32)bpf_jiffies64();
}

static __always_inline bool clock_is_past(__u32 now, __u32 deadline)
{
	return (__s32)(now - deadline) >= 0;
}

/* A tick of 64 jiffies (64 ms to 640 ms): how exactly a session remembers its last packet. */
static __always_inline __u8 clock_tick(__u32 now)
{
	return now >> 6;
}

#endif /* BERM_BPF_CLOCK_H */
