/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What our own programs take on this very node, without anyone's leave: the kernel's statistics of
 * BPF programs are off by default, and to turn them on takes CAP_SYS_ADMIN. Reading the clock
 * twice costs about as much as an open that is no package's, so of the opens one in TIMED_ONE_IN is
 * timed, by chance; execs are rare, and all are.
 */
#ifndef RUNTIME_SENSOR_TIMING_H
#define RUNTIME_SENSOR_TIMING_H

#include "maps.h"

#define TIMED_ONE_IN 1024

/* When it began (ns of CLOCK_MONOTONIC), or 0: not to be timed. */
inlined u64 begin_timing(void)
{
	return bpf_get_prandom_u32() % TIMED_ONE_IN ? 0 : bpf_ktime_get_ns();
}

/* `runs` and the one after it, its ns, of enum counter. */
inlined void end_timing(u64 begun, u32 runs)
{
	if (!begun)
		return;
	add(runs, 1);
	add(runs + 1, bpf_ktime_get_ns() - begun);
}

#endif
