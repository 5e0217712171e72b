/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Opens, by the function security_file_open(struct file *), which every way to open a file passes:
 * the system calls, io_uring, 32-bit programs. Nothing else pays. The file has its inode, path
 * and mode by then, but no descriptor yet; what refuses the open after this point (another
 * security module, a device) is too rare to matter to regular files.
 */
#ifndef RUNTIME_SENSOR_FILE_OPEN_H
#define RUNTIME_SENSOR_FILE_OPEN_H

#include "open.h"

inlined int on_file_open(void *ctx, u64 file)
{
	u64 task = CURRENT_TASK();
	u64 mount_namespace = task_mount_namespace(task);

	if (dropped_namespace(mount_namespace))
		return 0;
	return handle_open(ctx, task, mount_namespace, file);
}

#endif
