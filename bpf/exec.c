/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Execs, by the raw tracepoint sched_process_exec: after the point of no return, with the new
 * program in place, in the context of the process itself. It is the first sign of life of a
 * container. A program is reported once for each mount namespace.
 */
#include "open.h"

inlined void tell_exec(void *ctx, u64 task, u64 mount_namespace)
{
	struct opened opened;
	int out = read_file(&opened, task_executable(task));

	if (!out && read_identity(&opened, task, mount_namespace) == COUNT_FAULT)
		out = COUNT_FAULT;
	if (out) {
		if (out == COUNT_FAULT)
			count(COUNT_FAULT);
		return;
	}
	opened.key.what = SEEN_EXEC;
	if (seen.lookup(&opened.key)) {
		count(COUNT_EXEC_SEEN);
		return;
	}
	if (submit(ctx, task, EVENT_EXEC, opened.inode.links ? 0 : EVENT_DELETED, &opened.key,
		   opened.key.file_inode, opened.file.path))
		count(COUNT_EXEC_SUBMITTED);
}

int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = CURRENT_TASK(), mount_namespace = task_mount_namespace(task);
	u64 mount_namespace_id = LOAD64(mount_namespace, MNT_NS_ID);
	u64 begun;

	if (is_host(mount_namespace) || ignored.lookup(&mount_namespace_id))
		return 0;
	begun = bpf_ktime_get_ns();
	tell_exec(ctx, task, mount_namespace);
	end_timing(begun, TIMED_EXECS);
	return 0;
}
