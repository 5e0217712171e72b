/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Which file names any resolver wants; the case of letters does not matter. A superset is fine:
 * user space asks again, exactly. The last 16 bytes of the name decide, read at once. They
 * may reach back before a short name; that stays inside the dentry or its external name.
 */
#ifndef RUNTIME_SENSOR_WANTED_H
#define RUNTIME_SENSOR_WANTED_H

#include "kernel_structs.h"

enum wanted {
	WANTED_NOT = 0,
	WANTED_FILE,        /* stands for itself */
	WANTED_PYTHON,      /* Python source or byte code: its folder may stand for it */
	WANTED_NODE,        /* JavaScript source: the first of a folder stands for the folder */
	WANTED_NODE_BARE,   /* no suffix: wanted below node_modules and nodejs only */
	WANTED_JDK_MODULES, /* lib/modules of a JDK */
};

#define T2(a, b) ((u64)'.' | (u64)(a) << 8 | (u64)(b) << 16)
#define T3(a, b, c) (T2(a, b) | (u64)(c) << 24)
#define T4(a, b, c, d) (T3(a, b, c) | (u64)(d) << 32)
#define T5(a, b, c, d, e) (T4(a, b, c, d) | (u64)(e) << 40)
#define LOWER 0x2020202020202020ULL

inlined int wanted_2(u64 tail)
{
	switch (tail >> 40) {
	case T2('p', 'y'):
		return WANTED_PYTHON;
	case T2('j', 's'):
		return WANTED_NODE;
	case T2('t', 's'):
		/* .d.ts only declares */
		return ((tail >> 24) & 0xffff) == ('.' | 'd' << 8) ? WANTED_NOT : WANTED_NODE;
	case T2('s', 'o'):
		return WANTED_FILE;
	}
	return WANTED_NOT;
}

inlined int wanted_3(u64 tail)
{
	switch (tail >> 32) {
	case T3('p', 'y', 'c'):
		return WANTED_PYTHON;
	case T3('c', 'j', 's'):
	case T3('m', 'j', 's'):
		return WANTED_NODE;
	case T3('m', 't', 's'):
	case T3('c', 't', 's'):
		return ((tail >> 16) & 0xffff) == ('.' | 'd' << 8) ? WANTED_NOT : WANTED_NODE;
	case T3('e', 'g', 'g'): /* Python archives */
	case T3('z', 'i', 'p'):
	case T3('w', 'h', 'l'):
	case T3('p', 'e', 'x'):
	case T3('p', 'y', 'z'):
	case T3('j', 'a', 'r'): /* Java archives */
	case T3('w', 'a', 'r'):
	case T3('e', 'a', 'r'):
	case T3('h', 'p', 'i'):
	case T3('j', 'p', 'i'):
	case T3('p', 'a', 'r'):
	case T3('s', 'a', 'r'):
	case T3('n', 'a', 'r'):
	case T3('k', 'a', 'r'):
	case T3('f', 'a', 'r'):
	case T3('r', 'a', 'r'):
	case T3('z', 'a', 'p'):
	case T3('j', 's', 'a'):
	case T3('d', 'l', 'l'): /* .NET assemblies */
	case T3('e', 'x', 'e'):
		return WANTED_FILE;
	}
	return WANTED_NOT;
}

inlined int is_package_json(u64 name, u32 length, u64 tail)
{
	if (length != 12 || tail != 0x6e6f736a2e656761ULL /* "age.json" */)
		return 0;
	return (read_word(name) | LOWER) == 0x2e6567616b636170ULL; /* "package." */
}

inlined int wanted_4(u64 name, u32 length, u64 tail)
{
	switch (tail >> 24) {
	case T4('j', 's', 'o', 'n'):
		/* read by every resolution and listing, so never evidence */
		return is_package_json(name, length, tail) ? WANTED_NOT : WANTED_FILE;
	case T4('n', 'o', 'd', 'e'):
	case T4('w', 'a', 's', 'm'):
	case T4('l', 'p', 'k', 'g'):
	case T4('j', 'm', 'o', 'd'):
		return WANTED_FILE;
	}
	return WANTED_NOT;
}

/* lib.so.1, lib.so.6.0.30: the version may take all of the 16 bytes but ".so." */
inlined int is_versioned_library(u64 head, u64 tail)
{
	u64 last = tail >> 56;

	if (last < '0' || last > '9')
		return 0;
#pragma unroll
	for (int at = 0; at < 12; at++) {
		u64 window = at == 0 ? head : at < 8 ? head >> (8 * at) | tail << (64 - 8 * at)
						     : tail >> (8 * (at - 8));

		if ((u32)window == 0x2e6f732eU /* ".so." */)
			return 1;
	}
	return 0;
}

/* Whether one of the 8 bytes is a dot; the classic test for a zero byte. */
inlined int has_dot(u64 bytes)
{
	u64 x = bytes ^ 0x2e2e2e2e2e2e2e2eULL;

	return ((x - 0x0101010101010101ULL) & ~x & 0x8080808080808080ULL) != 0;
}

inlined int wanted_bare(u32 length, u64 head, u64 tail)
{
	if (length == 7 && tail >> 8 == 0x73656c75646f6dULL /* "modules" */)
		return WANTED_JDK_MODULES;
	/* Bytes before a short name are not its own. */
	if (length < 8)
		return has_dot(tail & (~0ULL << (8 * (8 - length)))) ? WANTED_NOT : WANTED_NODE_BARE;
	if (has_dot(tail))
		return WANTED_NOT;
	if (length < 16)
		head = length == 8 ? 0 : head & (~0ULL << (8 * (16 - length)));
	return has_dot(head) ? WANTED_NOT : WANTED_NODE_BARE;
}

/* By the place of the dot first: most names then take one comparison instead of dozens. */
inlined int wanted_suffix(u64 name, u32 length, u64 tail)
{
	if ((tail >> 40 & 0xff) == '.')
		return wanted_2(tail);
	if ((tail >> 32 & 0xff) == '.')
		return wanted_3(tail);
	if ((tail >> 24 & 0xff) == '.')
		return wanted_4(name, length, tail);
	return tail >> 16 == T5('c', 'l', 'a', 's', 's') ? WANTED_FILE : WANTED_NOT;
}

inlined int wanted_name(u64 name, u32 length)
{
	struct words end;
	u64 head, tail;
	int wanted;

	if (length < 1 || length > 255 || read_words(&end, name + length - 16) < 0)
		return WANTED_NOT;
	head = end.first | LOWER;
	tail = end.second | LOWER;
	wanted = wanted_suffix(name, length, tail);
	if (wanted)
		return wanted;
	if (is_versioned_library(head, tail))
		return WANTED_FILE;
	return wanted_bare(length, head, tail);
}

#endif
