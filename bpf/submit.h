/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* One event: filled in, named, and written to the ring; remembered only once it is there. */
#ifndef RUNTIME_SENSOR_SUBMIT_H
#define RUNTIME_SENSOR_SUBMIT_H

#include "maps.h"
#include "task.h"
#include "names.h"

inlined void note_loss(struct event *event)
{
	struct loss_key key = {event->mount_namespace, event->pid};
	u64 one = 1, *lost = losses.lookup(&key);

	count(COUNT_RING_FULL);
	if (lost)
		__sync_fetch_and_add(lost, 1);
	else
		losses.update(&key, &one);
}

inlined void fill_event(struct event *event, u64 task, u32 kind, u32 flags, struct seen_key *key)
{
	event->time = bpf_ktime_get_boot_ns();
	event->start_boottime = task_start_boottime(task);
	event->file_inode = key->file_inode;
	event->file_device = key->file_device;
	event->executable_inode = key->executable_inode;
	event->executable_device = key->executable_device;
	event->mount_namespace_id = key->mount_namespace_id;
	event->mount_namespace = LOAD32(task_mount_namespace(task), MNT_NS_INUM);
	event->pid = bpf_get_current_pid_tgid() >> 32;
	event->uid = (u32)bpf_get_current_uid_gid();
	event->kind = kind;
	event->flags = flags;
	event->names_size = 0;
	event->cgroup_count = 0;
	event->path_count = 0;
	event->key = *key;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
}

/* file_inode names the file itself; key may name its folder. Returns whether it was written. */
inlined int submit(void *ctx, u64 task, u32 kind, u32 flags, struct seen_key *key, u64 file_inode,
		   struct path at)
{
	u32 zero = 0, size;
	struct scratch *scratch = scratches.lookup(&zero);
	u64 node = task_cgroup_node(task);
	u8 one = 1;

	if (!scratch)
		return 0;
	fill_event(&scratch->event, task, kind, flags, key);
	scratch->event.file_inode = file_inode;
	READ(scratch->event.cgroup_id, node, KERNFS_ID);
	append_executable_name(scratch, task);
	append_cgroup_names(scratch, node);
	append_path(scratch, task, at);
	size = scratch->event.names_size;
	if (size > NAMES_SIZE)
		size = NAMES_SIZE;
	if (events.ringbuf_output(scratch, sizeof(struct event) + size, 0) < 0) {
		note_loss(&scratch->event);
		return 0;
	}
	if (scratch->event.flags & EVENT_PATH_TRUNCATED)
		count(COUNT_TRUNCATED);
	if (kind != EVENT_HEARTBEAT)
		seen.update(key, &one);
	return 1;
}

#endif
