/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * When one file may speak for its folder, so that a package of 500 modules costs a few events.
 *
 * Node.js: a folder's files belong to one package, that of the nearest package.json. Only the
 * module folders themselves (node_modules, Debian's /usr/share/nodejs) hold files of several.
 *
 * Python: the files of a folder may be packages of their own (site-packages, dist-packages, a
 * `pip install --target` folder, any namespace package of PEP 420), and no list of names is ever
 * whole. What they have in common: no __init__ file of substance. So a folder is spoken for by
 * its __init__ only, which every import of its modules opens first, and only if that is no mere
 * stub of a pkgutil or pkg_resources namespace: it has REGULAR_INIT_SIZE bytes, or the folder
 * above is spoken for already (inside a regular package there are no foreign portions).
 * All other files stand for themselves, but for those of the standard library (lib/python3.N),
 * which holds no package: its first file speaks.
 */
#ifndef RUNTIME_SENSOR_FOLDERS_H
#define RUNTIME_SENSOR_FOLDERS_H

#include "kernel_structs.h"
#include "maps.h"

/* The first bytes of names, little endian. */
#define SITE_PAC 0x6361702d65746973ULL
#define DIST_PAC 0x6361702d74736964ULL
#define NODE_MOD 0x646f6d5f65646f6eULL
#define NODEJS 0x736a65646f6eULL
#define PYCACH 0x6863616379705f5fULL /* "__pycach" */
#define INIT 0x5f5f74696e695f5fULL   /* "__init__" */
#define LIB 0x62696c                 /* "lib" */
#define PYTHON3 0x2e336e6f68747970ULL /* "python3." */

#define REGULAR_INIT_SIZE 2048

inlined u64 name_head(struct entry *entry)
{
	return read_word(entry->name);
}

inlined int holds_python_packages(struct entry *folder)
{
	u64 head;

	if (folder->name_length != 13)
		return 0;
	head = name_head(folder);
	return head == SITE_PAC || head == DIST_PAC;
}

inlined int holds_node_packages(struct entry *folder)
{
	if (folder->name_length == 12)
		return name_head(folder) == NODE_MOD;
	return folder->name_length == 6 && (name_head(folder) & 0xffffffffffffULL) == NODEJS;
}

/* A file without a suffix counts below the module folders; deeper than this they are not looked for. */
#define NODE_MODULES_DEPTH 6

inlined int below_node_modules(u64 dentry)
{
	struct entry folder = {};

	for (int level = 0; level < NODE_MODULES_DEPTH; level++) {
		if (read_entry(&folder, dentry) < 0 || folder.parent == dentry)
			return 0;
		if (holds_node_packages(&folder))
			return 1;
		dentry = folder.parent;
	}
	return 0;
}

inlined int is_lib(u64 dentry)
{
	struct entry folder = {};

	return read_entry(&folder, dentry) == 0 && folder.name_length == 3 &&
	       (name_head(&folder) & 0xffffff) == LIB;
}

/* The folder that holds a module: for byte code the one above __pycache__. */
inlined int python_folder(struct entry *folder, u64 dentry)
{
	if (read_entry(folder, dentry) < 0)
		return -1;
	if (folder->name_length == 11 && name_head(folder) == PYCACH)
		return read_entry(folder, folder->parent);
	return 0;
}

inlined int is_init(struct entry *file)
{
	return file->name_length >= 9 && name_head(file) == INIT &&
	       (read_word(file->name + 8) & 0xff) == '.';
}

/* python3.6 to python3.99t below lib, lib32, lib64 or wherever: the parent's name starts with lib */
inlined int is_standard_library(struct entry *folder)
{
	struct entry above = {};

	if (folder->name_length < 9 || folder->name_length > 11 || name_head(folder) != PYTHON3)
		return 0;
	return read_entry(&above, folder->parent) == 0 &&
	       (name_head(&above) & 0xffffff) == LIB;
}

inlined void make_folder_key(struct seen_key *key, struct seen_key *file, u64 inode)
{
	*key = *file;
	key->what = SEEN_FOLDER;
	key->file_inode = inode_number(inode);
}

/* Whether this file of a Python folder speaks for all of them. */
inlined int speaks_for_folder(struct entry *file, struct entry *folder, u64 size,
			       struct seen_key *file_key)
{
	struct seen_key above = {};
	struct entry parent = {};

	if (!is_init(file))
		return is_standard_library(folder);
	if (holds_python_packages(folder))
		return 0;
	if (size >= REGULAR_INIT_SIZE)
		return 1;
	if (read_entry(&parent, folder->parent) < 0)
		return 0;
	make_folder_key(&above, file_key, parent.inode);
	return seen.lookup(&above) != 0;
}

#endif
