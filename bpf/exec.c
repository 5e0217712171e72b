/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Execs, by the raw tracepoint sched_process_exec: after the point of no return, with the new
 * program in place, in the context of the process itself. It is the first sign of life of a
 * container. A program is reported once for each mount namespace.
 */
#include "open.h"

int on_exec(struct bpf_raw_tracepoint_args *ctx)
{
	u64 task = CURRENT_TASK(), mount_namespace = task_mount_namespace(task), file;
	struct opened opened = {};

	opened.key.mount_namespace_id = LOAD64(mount_namespace, MNT_NS_ID);
	if (is_host(mount_namespace) || ignored.lookup(&opened.key.mount_namespace_id))
		return 0;
	file = task_executable(task);
	if (read_file(&opened, file) == COUNT_FAULT || read_inode(&opened) == COUNT_FAULT) {
		count(COUNT_FAULT);
		return 0;
	}
	read_executable(&opened.key, task);
	opened.key.what = SEEN_EXEC;
	if (seen.lookup(&opened.key)) {
		count(COUNT_EXEC_SEEN);
		return 0;
	}
	if (submit(ctx, task, EVENT_EXEC, opened.links ? 0 : EVENT_DELETED, &opened.key,
		   opened.key.file_inode, opened.path))
		count(COUNT_EXEC_SUBMITTED);
	return 0;
}
