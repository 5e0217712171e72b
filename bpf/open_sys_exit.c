/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Opens, by the raw tracepoint sys_exit: it works on every kernel with raw tracepoints, needs no
 * perf event, no tracefs and no trampoline, and sees opens that succeeded. Its price: every
 * system call of every process passes here. It misses io_uring, the kernel's own opens, and the
 * system calls of 32-bit programs on a 64-bit kernel.
 */
#include "open.h"

#ifdef ARM64
#define SYS_OPENAT 56
#define SYS_OPENAT2 437
#define SYS_OPEN_BY_HANDLE_AT 265
#else
#define SYS_OPEN 2
#define SYS_OPENAT 257
#define SYS_OPENAT2 437
#define SYS_OPEN_BY_HANDLE_AT 304
#endif

inlined int is_open(u32 number)
{
#ifdef SYS_OPEN
	if (number == SYS_OPEN)
		return 1;
#endif
	return number == SYS_OPENAT || number == SYS_OPENAT2 || number == SYS_OPEN_BY_HANDLE_AT;
}

inlined u64 file_of(u64 task, u64 descriptor)
{
	u64 files = LOAD64(task, TASK_FILES);
	u64 table = LOAD64(files, FILES_FDT);
	u64 array = LOAD64(table, FDT_FD);

	if (descriptor >= LOAD32(table, FDT_MAX_FDS))
		return 0;
	return read_word(array + descriptor * 8);
}

/* TP_PROTO(struct pt_regs *regs, long ret) */
int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	long result = (long)ctx->args[1];
	u64 task, mount_namespace;

	if (result < 0 || !is_open(LOAD_FROM(REGISTERS, u32, ctx->args[0], REGS_SYSCALL)))
		return 0;
	task = CURRENT_TASK();
	mount_namespace = task_mount_namespace(task);
	if (dropped_namespace(mount_namespace))
		return 0;
	return handle_open(ctx, task, mount_namespace, file_of(task, result));
}
