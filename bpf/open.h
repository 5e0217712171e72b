/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What happens to an opened file, whichever hook saw it: filters from cheap to dear, then the
 * memory of what was seen, then the event. A hook is the few lines that find the task, its mount
 * namespace (dropped_namespace first: it needs no file) and the file.
 */
#ifndef RUNTIME_SENSOR_OPEN_H
#define RUNTIME_SENSOR_OPEN_H

#include "submit.h"
#include "wanted.h"
#include "folders.h"

#define FMODE_READ 1
#define S_IFMT 0170000
#define S_IFREG 0100000

struct opened {
	struct seen_key key;
	struct entry entry;
	struct path path;
	u64 inode;
	u64 size;
	u32 links;
	u32 wanted;
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

/* Reads the struct file. Returns 0, or the counter of the way out. */
inlined int read_file(struct opened *opened, u64 file)
{
	char span[FILE_SPAN_SIZE];
	unsigned short mode = 0;

	if (!file) /* another thread closed it already */
		return COUNT_UNREADABLE;
	if (READ(span, file, FILE_SPAN) < 0)
		return COUNT_FAULT;
	/* write-only and O_PATH descriptors read nothing */
	if (!(FIELD(u32, span, FILE_MODE - FILE_SPAN) & FMODE_READ))
		return COUNT_UNREADABLE;
	opened->path.mnt = FIELD(u64, span, FILE_PATH_MNT - FILE_SPAN);
	opened->path.dentry = FIELD(u64, span, FILE_PATH_DENTRY - FILE_SPAN);
	opened->inode = FIELD(u64, span, FILE_INODE - FILE_SPAN);
	if (READ(mode, opened->inode, INODE_MODE) < 0)
		return COUNT_FAULT;
	return (mode & S_IFMT) == S_IFREG ? 0 : COUNT_NOT_REGULAR;
}

inlined int read_name(struct opened *opened)
{
	int wanted;

	if (read_entry(&opened->entry, opened->path.dentry) < 0)
		return COUNT_FAULT;
	wanted = wanted_name(opened->entry.name, opened->entry.name_length);
	if (wanted == WANTED_NODE_BARE && !below_node_modules(opened->entry.parent))
		wanted = WANTED_NOT;
	if (wanted == WANTED_JDK_MODULES && !is_lib(opened->entry.parent))
		wanted = WANTED_NOT;
	opened->wanted = wanted;
	return wanted == WANTED_NOT ? COUNT_NOT_WANTED : 0;
}

inlined int read_inode(struct opened *opened)
{
	char inode[INODE_SPAN_SIZE];
	u64 super = 0, magic = 0;

	if (READ(inode, opened->inode, INODE_SPAN) < 0)
		return COUNT_FAULT;
	super = FIELD(u64, inode, INODE_SB - INODE_SPAN);
	opened->key.file_inode = FIELD(u64, inode, INODE_INO - INODE_SPAN);
	opened->size = FIELD(u64, inode, INODE_SIZE - INODE_SPAN);
	opened->links = FIELD(u32, inode, INODE_NLINK - INODE_SPAN);
	if (READ(magic, super, SB_MAGIC) < 0 || READ(opened->key.file_device, super, SB_DEV) < 0)
		return COUNT_FAULT;
	return is_pseudo(magic) ? COUNT_PSEUDO : 0;
}

inlined void read_executable(struct seen_key *key, u64 task)
{
	u64 inode = LOAD64(task_executable(task), FILE_INODE);
	u64 super = LOAD64(inode, INODE_SB);

	key->executable_inode = LOAD64(inode, INODE_INO);
	key->executable_device = LOAD32(super, SB_DEV);
}

/* Whether the file was spoken for before. Else `remember` is what to remember: the file or,
 * with EVENT_FOLDER in flags, its folder. */
inlined int was_seen(struct opened *opened, struct seen_key *remember, u32 *flags)
{
	struct entry folder = {};

	*remember = opened->key;
	if (opened->wanted == WANTED_PYTHON || opened->wanted == WANTED_NODE) {
		int python = opened->wanted == WANTED_PYTHON;
		struct seen_key key = {};
		int failed = python ? python_folder(&folder, opened->entry.parent)
				    : read_entry(&folder, opened->entry.parent);

		if (!failed && (python || !holds_node_packages(&folder))) {
			make_folder_key(&key, &opened->key, folder.inode);
			if (seen.lookup(&key))
				return 1;
			if (!python || speaks_for_folder(&opened->entry, &folder, opened->size,
							 &opened->key)) {
				*remember = key;
				*flags |= EVENT_FOLDER;
				return 0;
			}
		}
	}
	return seen.lookup(remember) != 0;
}

inlined int filter(struct opened *opened, u64 task, u64 file)
{
	int out = read_file(opened, file);

	if (!out)
		out = read_name(opened);
	if (!out)
		out = read_inode(opened);
	if (!out && ignored.lookup(&opened->key.mount_namespace_id))
		out = COUNT_IGNORED;
	if (!out)
		read_executable(&opened->key, task);
	return out;
}

inlined int handle_open(void *ctx, u64 task, u64 mount_namespace, u64 file)
{
	struct opened opened = {};
	struct seen_key remember = {};
	u32 kind = EVENT_OPEN, flags = 0;
	int out;

	opened.key.mount_namespace_id = LOAD64(mount_namespace, MNT_NS_ID);
	out = filter(&opened, task, file);
	if (out) {
		count(out);
		return 0;
	}
	remember = opened.key;
	if (is_agent()) {
		/* Its heartbeat always comes through; its other files are its own business. */
		if (opened.key.file_inode != HEARTBEAT_INODE)
			return 0;
		kind = EVENT_HEARTBEAT;
	} else if (was_seen(&opened, &remember, &flags)) {
		count(COUNT_SEEN);
		return 0;
	}
	if (!opened.links)
		flags |= EVENT_DELETED;
	if (submit(ctx, task, kind, flags, &remember, opened.key.file_inode, opened.path))
		count(kind == EVENT_HEARTBEAT ? COUNT_HEARTBEAT : COUNT_SUBMITTED);
	return 0;
}

#endif
