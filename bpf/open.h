/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What happens to an opened file, whichever hook saw it: filters from cheap to dear, then the
 * memory of what was seen, then the event. A hook is the few lines that find the task, its mount
 * namespace (dropped_namespace first: it needs no file) and the file.
 */
#ifndef RUNTIME_SENSOR_OPEN_H
#define RUNTIME_SENSOR_OPEN_H

#include "submit.h"
#include "timing.h"
#include "wanted.h"
#include "folders.h"

#define FMODE_READ 1
/* Of include/linux/fs.h: the file that an overlay opens below its own (4.19 and later), and an
 * open for execve. Neither ever has a descriptor. */
#define FMODE_NOACCOUNT 0x20000000
#define FMODE_EXEC 0x20
#define S_IFMT 0170000
#define S_IFREG 0100000

struct opened {
	struct seen_key key;
	struct entry entry;
	struct file file;
	struct inode inode;
	int wanted;
};

/* Magic numbers of include/uapi/linux/magic.h: nothing there is a package. */
inlined int is_pseudo(u64 magic)
{
	switch (magic) {
	case 0x9fa0:     /* proc */
	case 0x62656572: /* sysfs */
	case 0x64626720: /* debugfs */
	case 0x74726163: /* tracefs */
	case 0x27e0eb:   /* cgroup */
	case 0x63677270: /* cgroup2 */
	case 0x1cd1:     /* devpts */
	case 0xcafe4a11: /* bpf */
	case 0x73636673: /* securityfs */
	case 0x19800202: /* mqueue */
	case 0x50494446: /* pidfs */
	case 0x6e736673: /* nsfs */
		return 1;
	}
	return 0;
}

inlined int dropped_namespace(u64 mount_namespace)
{
	if (!is_host(mount_namespace))
		return 0;
	count(COUNT_HOST);
	return 1;
}

/* Reads file and inode. Returns 0, or the counter of the way out. */
inlined int read_file(struct opened *opened, u64 file)
{
	if (!file) /* another thread closed it already */
		return COUNT_UNREADABLE;
	if (read_struct_file(&opened->file, file) < 0)
		return COUNT_FAULT;
	/* write-only and O_PATH descriptors read nothing */
	if (!(opened->file.mode & FMODE_READ))
		return COUNT_UNREADABLE;
	if (read_struct_inode(&opened->inode, opened->file.inode) < 0)
		return COUNT_FAULT;
	return (opened->inode.mode & S_IFMT) == S_IFREG ? 0 : COUNT_NOT_REGULAR;
}

inlined int is_internal(struct opened *opened)
{
	return opened->file.mode & FMODE_NOACCOUNT || opened->file.flags & FMODE_EXEC;
}

inlined int read_name(struct opened *opened)
{
	int wanted;

	if (read_entry(&opened->entry, opened->file.path.dentry) < 0)
		return COUNT_FAULT;
	wanted = wanted_name(opened->entry.name, opened->entry.name_length);
	if (wanted == WANTED_NODE_BARE && !below_node_modules(opened->entry.parent))
		wanted = WANTED_NOT;
	if (wanted == WANTED_JDK_MODULES && !is_lib(opened->entry.parent))
		wanted = WANTED_NOT;
	opened->wanted = wanted;
	return wanted == WANTED_NOT ? COUNT_NOT_WANTED : 0;
}

inlined void read_executable(struct seen_key *key, u64 task)
{
	u64 inode = LOAD64(task_executable(task), FILE_INODE);
	u64 super = LOAD64(inode, INODE_SB);

	key->executable_inode = LOAD64(inode, INODE_INO);
	key->executable_device = LOAD32(super, SB_DEV);
}

/* Fills in the key, all of it. */
inlined int read_identity(struct opened *opened, u64 task, u64 mount_namespace)
{
	struct super super;

	if (read_struct_super(&super, opened->inode.super) < 0)
		return COUNT_FAULT;
	opened->key.file_inode = opened->inode.number;
	opened->key.file_device = super.device;
	opened->key.mount_namespace_id = LOAD64(mount_namespace, MNT_NS_ID);
	opened->key.what = SEEN_FILE;
	opened->key.zero = 0;
	read_executable(&opened->key, task);
	return is_pseudo(super.magic) ? COUNT_PSEUDO : 0;
}

/* Whether the file was spoken for before. Else `remember` is what to remember: the file or,
 * with EVENT_FOLDER in flags, its folder. */
inlined int was_seen(struct opened *opened, struct seen_key *remember, u32 *flags)
{
	struct entry folder;

	*remember = opened->key;
	if (opened->wanted == WANTED_PYTHON || opened->wanted == WANTED_NODE) {
		int python = opened->wanted == WANTED_PYTHON;
		struct seen_key key;
		int failed = python ? python_folder(&folder, opened->entry.parent)
				    : read_entry(&folder, opened->entry.parent);

		if (!failed && (python || !holds_node_packages(&folder))) {
			make_folder_key(&key, &opened->key, folder.inode);
			if (seen.lookup(&key))
				return 1;
			if (!python || speaks_for_folder(&opened->entry, &folder, opened->inode.size,
							 &opened->key)) {
				*remember = key;
				*flags |= EVENT_FOLDER;
				return 0;
			}
		}
	}
	return seen.lookup(remember) != 0;
}

inlined u64 current_epoch(void)
{
	u32 zero = 0;
	u64 *value = epoch.lookup(&zero);

	return value ? *value : 0;
}

inlined struct recent *recent_place(struct seen_key *key)
{
	u64 mixed = key->file_inode ^ key->executable_inode << 20 ^ key->mount_namespace_id << 40;
	u32 place = mixed * 0x9e3779b97f4a7c15ULL >> (64 - RECENT_ENTRIES_LOG2);

	return recents.lookup(&place);
}

inlined int is_recent(struct recent *recent, struct seen_key *key, u64 now)
{
	return recent->file_inode == key->file_inode &&
	       recent->executable_inode == key->executable_inode &&
	       recent->mount_namespace_id == key->mount_namespace_id &&
	       recent->file_device == key->file_device &&
	       recent->executable_device == key->executable_device && recent->epoch == now;
}

inlined void make_recent(struct recent *recent, struct seen_key *key, u64 now)
{
	recent->epoch = now;
	recent->file_inode = key->file_inode;
	recent->executable_inode = key->executable_inode;
	recent->mount_namespace_id = key->mount_namespace_id;
	recent->file_device = key->file_device;
	recent->executable_device = key->executable_device;
}

inlined int filter(struct opened *opened, u64 task, u64 mount_namespace, u64 file)
{
	int out = read_file(opened, file);

	if (!out && is_internal(opened))
		out = COUNT_INTERNAL;
	if (!out)
		out = read_name(opened);
	if (!out)
		out = read_identity(opened, task, mount_namespace);
	return out;
}

inlined void tell_open(void *ctx, u64 task, u64 mount_namespace, u64 file)
{
	struct opened opened;
	struct seen_key remember;
	u32 kind = EVENT_OPEN, flags = 0;
	int out = filter(&opened, task, mount_namespace, file);

	if (out) {
		count(out);
		return;
	}
	if (is_agent(task)) {
		/* Its heartbeat always comes through; its other files are its own business. */
		if (opened.key.file_inode != HEARTBEAT_INODE)
			return;
		remember = opened.key;
		kind = EVENT_HEARTBEAT;
	} else {
		struct recent *recent = recent_place(&opened.key);
		u64 now = current_epoch(); /* before looking into seen */

		if (recent && is_recent(recent, &opened.key, now)) {
			count(COUNT_SEEN);
			return;
		}
		if (ignored.lookup(&opened.key.mount_namespace_id)) {
			count(COUNT_IGNORED);
			return;
		}
		if (was_seen(&opened, &remember, &flags)) {
			if (recent)
				make_recent(recent, &opened.key, now);
			count(COUNT_SEEN);
			return;
		}
	}
	if (!opened.inode.links)
		flags |= EVENT_DELETED;
	if (submit(ctx, task, kind, flags, &remember, opened.key.file_inode, opened.file.path))
		count(kind == EVENT_HEARTBEAT ? COUNT_HEARTBEAT : COUNT_SUBMITTED);
}

inlined int handle_open(void *ctx, u64 task, u64 mount_namespace, u64 file)
{
	u64 begun = begin_timing();

	tell_open(ctx, task, mount_namespace, file);
	end_timing(begun, TIMED_OPENS);
	return 0;
}

#endif
