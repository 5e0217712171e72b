/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Reading kernel memory by base and offset. BCC's rewriter is never trusted with a->b: it read 0
 * for members of anonymous structs (mm_struct.exe_file, bcc 0.26), and each fault costs 0.9 us.
 * Offsets (TASK_FILES and so on) come from the node's own BTF as macros, see
 * sensor/node/capture/offsets.py.
 */
#ifndef RUNTIME_SENSOR_KERNEL_READ_H
#define RUNTIME_SENSOR_KERNEL_READ_H

#define inlined static inline __attribute__((always_inline))

/* Explicit read, about 10 to 15 ns. Returns 0, or a negative errno with the target zeroed. */
#define READ(target, base, offset) \
	bpf_probe_read_kernel(&(target), sizeof(target), (void *)((u64)(base) + (offset)))

/* A part of a struct that lies in a buffer read with one call. */
#define FIELD(type, span, offset) (*(type *)((char *)(span) + (offset)))

/*
 * Loads that start at the current task. Kernels 5.11 and later type the pointer that
 * bpf_get_current_task_btf returns, follow it through typed members, and fix up faults to 0:
 * next to free. Kernel 5.8 to 5.10 read explicitly.
 */
#ifdef HAVE_TASK_BTF
#define CURRENT_TASK() ((u64)bpf_get_current_task_btf())
#define LOAD64(base, offset) (*(volatile u64 *)((char *)(base) + (offset)))
#define LOAD32(base, offset) (*(volatile u32 *)((char *)(base) + (offset)))
#else
#define CURRENT_TASK() ((u64)bpf_get_current_task())
#define LOAD64(base, offset) ({ u64 _value = 0; READ(_value, base, offset); _value; })
#define LOAD32(base, offset) ({ u32 _value = 0; READ(_value, base, offset); _value; })
#endif

#endif
