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

/* The same as a value: 0 when the kernel would not let us read. */
#define READ_VALUE(type, base, offset) ({ type _value = 0; READ(_value, base, offset); _value; })

/* A part of a struct that lies in a buffer read with one call. */
#define FIELD(type, span, offset) (*(type *)((char *)(span) + (offset)))

/* A load from the context of a program, which the verifier checks. */
#define CONTEXT64(ctx, offset) (*(volatile u64 *)((char *)(ctx) + (offset)))

/* A load from where the verifier knows a kernel struct to be: about 1 ns. A fault gives 0. */
#define TYPED(type, base, offset) (*(volatile type *)((char *)(base) + (offset)))

/*
 * Loads that start at the current task. Kernels 5.11 and later type the pointer that
 * bpf_get_current_task_btf returns and follow it through typed members: next to free.
 * Kernel 5.8 to 5.10 read explicitly.
 */
#ifdef HAVE_TASK_BTF
#define CURRENT_TASK() ((u64)bpf_get_current_task_btf())
#define LOAD64(base, offset) TYPED(u64, base, offset)
#define LOAD32(base, offset) TYPED(u32, base, offset)
#else
#define CURRENT_TASK() ((u64)bpf_get_current_task())
#define LOAD64(base, offset) READ_VALUE(u64, base, offset)
#define LOAD32(base, offset) READ_VALUE(u32, base, offset)
#endif

/*
 * Kernels 6.2 and later type any address (bpf_rdonly_cast, which costs no instruction), so that
 * everything can be loaded directly. BCC cannot call functions of the kernel by their BTF, so this
 * calls a helper that does not exist, and sensor/node/capture/casts.py puts the real call in place.
 */
#ifdef HAVE_CASTS
static u64 (*cast_address)(u64 address, u32 type) = (void *)CAST_PLACEHOLDER;
#define AS(type, address) cast_address(address, TYPE_##type)
#define LOAD_FROM(struct_type, type, address, offset) TYPED(type, AS(struct_type, address), offset)
#else
#define LOAD_FROM(struct_type, type, address, offset) READ_VALUE(type, address, offset)
#endif

#endif
