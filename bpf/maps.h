/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Every map: what it holds, its bound, and what happens when it is full. */
#ifndef RUNTIME_SENSOR_MAPS_H
#define RUNTIME_SENSOR_MAPS_H

#include "events.h"
#include "kernel_read.h"

/* Full: the record is lost, counted (COUNT_RING_FULL) and its mount namespace noted in losses. */
BPF_RINGBUF_OUTPUT(events, RING_PAGES);

/* What was reported. Full: the least recently used entry goes and may be reported once more. */
BPF_TABLE("lru_hash", struct seen_key, u8, seen, SEEN_ENTRIES);

/* Processes that lost records, and how many. Full: the loss is only in the counters. */
BPF_HASH(losses, struct loss_key, u64, LOSS_ENTRIES);

/* Mount namespaces that are no container's, written by user space. Full: user space is asked again.
 * By the number that is never used again, so an entry cannot hit a later container. */
BPF_HASH(ignored, u64, u8, IGNORED_ENTRIES);

/*
 * The last files found in `seen`, each at the one place that its key gives it: spares the walk to
 * the folder and two dear lookups. By CPU, so that no two write one entry. An entry counts as long
 * as `epoch` is what it was: user space raises it after taking anything out of `seen` and after
 * adding to `ignored`.
 */
struct recent {
	u64 epoch;
	u64 file_inode;
	u64 executable_inode;
	u64 mount_namespace_id;
	u32 file_device;
	u32 executable_device;
};
BPF_PERCPU_ARRAY(recents, struct recent, 1 << RECENT_ENTRIES_LOG2);
BPF_ARRAY(epoch, u64, 1);

BPF_PERCPU_ARRAY(counters, u64, COUNTERS);

/* Where a record is put together: too large for the stack of 512 bytes. The last name may start
 * at NAMES_SIZE - 1 as far as the verifier can tell, hence the spare room. */
struct scratch {
	struct event event;
	char names[NAMES_SIZE + NAME_SIZE];
};
BPF_PERCPU_ARRAY(scratches, struct scratch, 1);

inlined void add(u32 which, u64 amount)
{
	u64 *value = counters.lookup(&which);

	if (value)
		*value += amount;
}

inlined void count(u32 which)
{
	add(which, 1);
}

#endif
