/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What is needed of the kernel structs on the way from a file descriptor to a name, fetched in the
 * cheapest way that the kernel allows: direct loads, else one explicit read of all that is needed.
 * Every reader returns 0, or negative when the kernel would not let us read.
 */
#ifndef RUNTIME_SENSOR_KERNEL_STRUCTS_H
#define RUNTIME_SENSOR_KERNEL_STRUCTS_H

#include "kernel_read.h"

#ifdef HAVE_CASTS
#define OPEN_STRUCT(type, address) u64 _struct = AS(type, address)
#define MEMBER(kind, type, name) TYPED(kind, _struct, type##_##name)
#else
/* Negative from the enclosing function when the read fails. */
#define OPEN_STRUCT(type, address)                   \
	char _struct[type##_SPAN_SIZE];              \
	if (READ(_struct, address, type##_SPAN) < 0) \
		return -1
#define MEMBER(kind, type, name) FIELD(kind, _struct, type##_##name - type##_SPAN)
#endif

struct path {
	u64 mnt;
	u64 dentry;
};

struct file {
	struct path path;
	u64 inode;
	u32 mode;
	u32 flags;
};

struct inode {
	u64 number;
	u64 size;
	u64 super;
	u32 links;
	u16 mode;
};

struct super {
	u64 magic;
	u32 device;
};

/* A name in a folder. */
struct entry {
	u64 inode;
	u64 parent;
	u64 name;
	u32 name_length;
};

inlined int read_struct_file(struct file *file, u64 address)
{
	OPEN_STRUCT(FILE, address);

	file->path.mnt = MEMBER(u64, FILE, PATH_MNT);
	file->path.dentry = MEMBER(u64, FILE, PATH_DENTRY);
	file->inode = MEMBER(u64, FILE, INODE);
	file->mode = MEMBER(u32, FILE, MODE);
	file->flags = MEMBER(u32, FILE, FLAGS);
	return file->inode ? 0 : -1;
}

inlined int read_struct_inode(struct inode *inode, u64 address)
{
	OPEN_STRUCT(INODE, address);

	inode->number = MEMBER(u64, INODE, INO);
	inode->size = MEMBER(u64, INODE, SIZE);
	inode->super = MEMBER(u64, INODE, SB);
	inode->links = MEMBER(u32, INODE, NLINK);
	inode->mode = MEMBER(u16, INODE, MODE);
	return inode->super ? 0 : -1;
}

inlined int read_struct_super(struct super *super, u64 address)
{
	OPEN_STRUCT(SB, address);

	super->magic = MEMBER(u64, SB, MAGIC);
	super->device = MEMBER(u32, SB, DEV);
	return 0;
}

inlined int read_entry(struct entry *entry, u64 address)
{
	OPEN_STRUCT(DENTRY, address);

	entry->name = MEMBER(u64, DENTRY, NAME);
	entry->name_length = MEMBER(u32, DENTRY, NAME_LENGTH);
	entry->parent = MEMBER(u64, DENTRY, PARENT);
	entry->inode = MEMBER(u64, DENTRY, INODE);
	return entry->name ? 0 : -1;
}

inlined u64 inode_number(u64 address)
{
	return LOAD_FROM(INODE, u64, address, INODE_INO);
}

/* 8 and 16 bytes of anything. */
inlined u64 read_word(u64 address)
{
	return LOAD_FROM(WORDS, u64, address, 0);
}

struct words {
	u64 first, second;
};

inlined int read_words(struct words *words, u64 address)
{
#ifdef HAVE_CASTS
	u64 typed = AS(WORDS, address);

	words->first = TYPED(u64, typed, 0);
	words->second = TYPED(u64, typed, 8);
	return 0;
#else
	return READ(*words, address, 0);
#endif
}

#endif
