/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Names written behind the event: the executable's, the cgroup's, the path's. */
#ifndef RUNTIME_SENSOR_NAMES_H
#define RUNTIME_SENSOR_NAMES_H

#include "maps.h"
#include "kernel_structs.h"

/* Returns 0, or negative when there is no room left or the kernel would not let us read. The
 * names never start at offset 0 of a buffer: kernels 5.8 to 6.1 write one byte before the target
 * of a faulting bpf_probe_read_kernel_str. */
inlined int append_name(struct scratch *scratch, u64 name)
{
	u32 size = scratch->event.names_size;
	long length;

	if (size > NAMES_SIZE - NAME_SIZE)
		return -1;
	length = bpf_probe_read_kernel_str(&scratch->names[size & (NAMES_SIZE - 1)], NAME_SIZE,
					   (void *)name);
	if (length <= 0)
		return -1;
	scratch->event.names_size = size + length;
	return 0;
}

inlined void append_executable_name(struct scratch *scratch, u64 task)
{
	u64 executable = task_executable(task), dentry = 0, name = 0;

	READ(dentry, executable, FILE_PATH_DENTRY);
	READ(name, dentry, DENTRY_NAME);
	if (append_name(scratch, name) < 0) {
		/* The name is always there, if empty, so that the rest can be told apart. */
		scratch->names[0] = 0;
		scratch->event.names_size = 1;
	}
}

inlined void append_cgroup_names(struct scratch *scratch, u64 node)
{
	u64 parent = 0, name = 0;

#pragma unroll
	for (int level = 0; level < CGROUP_COMPONENTS; level++) {
		READ(parent, node, KERNFS_PARENT);
		if (!parent) /* the root of the hierarchy has no name */
			return;
		READ(name, node, KERNFS_NAME);
		if (append_name(scratch, name) < 0)
			return;
		scratch->event.cgroup_count++;
		node = parent;
	}
	READ(parent, node, KERNFS_PARENT);
	if (parent)
		scratch->event.flags |= EVENT_CGROUP_TRUNCATED;
}

/* A task whose root is not the top of its mount namespace sits in a chroot. The top may itself be
 * mounted on a root (pivot_root leaves the container's root on the kernel's rootfs). */
inlined int is_chroot(struct path *root)
{
	u64 mount = root->mnt - MOUNT_MNT;
	u64 mnt_root = 0, parent = 0, mountpoint = 0, parent_root = 0;

	READ(mnt_root, root->mnt, VFSMOUNT_MNT_ROOT);
	if (mnt_root != root->dentry)
		return 1;
	READ(parent, mount, MOUNT_PARENT);
	if (parent == mount)
		return 0;
	READ(mountpoint, mount, MOUNT_MOUNTPOINT);
	READ(parent_root, parent + MOUNT_MNT, VFSMOUNT_MNT_ROOT);
	return mountpoint != parent_root;
}

/* From the file to the task's root, across mounts. Sets the flags that say what went wrong. */
inlined void append_path(struct scratch *scratch, u64 task, struct path at)
{
	struct path root = {};
	u64 fs = LOAD64(task, TASK_FS), mnt_root = 0, parent = 0;
	char span[DENTRY_SPAN_SIZE];

	READ(root, fs, FS_ROOT);
	if (is_chroot(&root))
		scratch->event.flags |= EVENT_CHROOT;
	for (int step = 0; step < PATH_COMPONENTS; step++) {
		if (at.dentry == root.dentry && at.mnt == root.mnt)
			return;
		READ(mnt_root, at.mnt, VFSMOUNT_MNT_ROOT);
		if (at.dentry == mnt_root) {
			u64 mount = at.mnt - MOUNT_MNT;

			READ(parent, mount, MOUNT_PARENT);
			if (!parent || parent == mount) {
				scratch->event.flags |= EVENT_DETACHED;
				return;
			}
			READ(at.dentry, mount, MOUNT_MOUNTPOINT);
			at.mnt = parent + MOUNT_MNT;
			continue;
		}
		if (READ(span, at.dentry, DENTRY_SPAN) < 0)
			break;
		parent = FIELD(u64, span, DENTRY_PARENT - DENTRY_SPAN);
		if (parent == at.dentry) {
			scratch->event.flags |= EVENT_DETACHED;
			return;
		}
		if (append_name(scratch, FIELD(u64, span, DENTRY_NAME - DENTRY_SPAN)) < 0)
			break;
		scratch->event.path_count++;
		at.dentry = parent;
	}
	scratch->event.flags |= EVENT_PATH_TRUNCATED;
}

#endif
