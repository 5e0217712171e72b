/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Structs and limits shared by the kernel programs and user space. Nothing else stands here.
 * sensor/node/capture/layout.py mirrors it; tests/unit/test_layout.py compiles this file and
 * holds both against each other.
 */
#ifndef RUNTIME_SENSOR_EVENTS_H
#define RUNTIME_SENSOR_EVENTS_H

#ifdef RUNTIME_SENSOR_USER_SPACE
#include <stdint.h>
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define COMM_SIZE 16
/* One name of a path or cgroup, its final NUL included: NAME_MAX + 1 of Linux. */
#define NAME_SIZE 256
/* Components walked from a file up to its root. 32 keeps kernels before 5.17 under their budget
 * of processed instructions; deeper paths are flagged, not dropped. */
#define PATH_COMPONENTS 32
/* Levels of cgroup names sent, from the leaf up: enough for pod, container and nested cgroups. */
#define CGROUP_COMPONENTS 6
/* Bytes for all names of one event. A power of two: the verifier follows a mask. */
#define NAMES_SIZE 4096

#define SEEN_ENTRIES 65536
#define LOSS_ENTRIES 4096
#define IGNORED_ENTRIES 1024
/* For each CPU; a power of two. */
#define RECENT_ENTRIES_LOG2 9

enum event_kind {
	EVENT_OPEN = 1,
	EVENT_EXEC = 2,
	EVENT_HEARTBEAT = 3,
};

#define EVENT_PATH_TRUNCATED 1
#define EVENT_DELETED 2
#define EVENT_DETACHED 4
#define EVENT_CHROOT 8
#define EVENT_FOLDER 16
#define EVENT_CGROUP_TRUNCATED 32

/* What a remembered file is remembered for. */
#define SEEN_FILE 0
#define SEEN_FOLDER 1
#define SEEN_EXEC 2

/*
 * No padding: a hash key with holes never matches. A mount namespace goes by the kernel's sequence
 * number for it, which is never used again; its inode number is, within milliseconds, and so are
 * the device numbers of overlays: a restarted container would inherit what its forerunner has seen.
 */
struct seen_key {
	u64 file_inode;
	u64 executable_inode;
	u64 mount_namespace_id;
	u32 file_device;
	u32 executable_device;
	u32 what;
	u32 zero;
};

/* Who lost records, so that exactly those processes are looked at again. */
struct loss_key {
	u32 mount_namespace;
	u32 pid;
};

/*
 * A record of the ring: this header, then names_size bytes of NUL-terminated names:
 * the executable's file name, cgroup_count cgroup names (leaf first), path_count path names
 * (leaf first).
 */
struct event {
	u64 time;
	u64 start_boottime;
	u64 cgroup_id;
	u64 file_inode;
	u64 executable_inode;
	u64 mount_namespace_id;
	u32 file_device;
	u32 executable_device;
	u32 mount_namespace; /* its inode number */
	u32 pid;
	u32 uid;
	u32 kind;
	u32 flags;
	u32 names_size;
	u32 cgroup_count;
	u32 path_count;
	struct seen_key key;
	char comm[COMM_SIZE];
};

/* Every way out of the open program, and of the exec program. Per CPU; read as metrics. */
enum counter {
	COUNT_HOST = 0,        /* host mount namespace */
	COUNT_IGNORED,         /* a mount namespace that user space found to be no container */
	COUNT_UNREADABLE,      /* O_PATH, write-only, or closed already */
	COUNT_NOT_REGULAR,
	COUNT_NOT_WANTED,      /* no resolver wants a file of this name */
	COUNT_PSEUDO,          /* proc, sysfs, cgroup and the like */
	COUNT_SEEN,
	COUNT_SUBMITTED,
	COUNT_RING_FULL,       /* lost */
	COUNT_FAULT,           /* a kernel read failed: lost */
	COUNT_TRUNCATED,       /* submitted, with a cut path */
	COUNT_EXEC_SEEN,
	COUNT_EXEC_SUBMITTED,
	COUNT_HEARTBEAT,
	COUNT_INTERNAL,        /* the kernel's own: below an overlay, or for an exec (EVENT_EXEC) */
	TIMED_OPENS,           /* from here on no ways out: what runs took, see timing.h */
	TIMED_OPEN_NS,
	TIMED_EXECS,
	TIMED_EXEC_NS,
	COUNTERS,
};

#endif
