/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/* Who it is that opens or executes. */
#ifndef RUNTIME_SENSOR_TASK_H
#define RUNTIME_SENSOR_TASK_H

#include "kernel_read.h"
#include "maps.h"

inlined u64 task_mount_namespace(u64 task)
{
	u64 proxy = LOAD64(task, TASK_NSPROXY);

	return LOAD64(proxy, NSPROXY_MNT_NS);
}

inlined u64 task_executable(u64 task)
{
	u64 mm = LOAD64(task, TASK_MM);

	return LOAD64(mm, MM_EXE_FILE);
}

inlined int is_agent(u64 task)
{
	return LOAD32(task, TASK_TGID) == AGENT_TGID;
}

/* The agent's own opens pass so that its heartbeat can; open.h drops the rest of them. */
inlined int is_host(u64 mount_namespace)
{
#ifdef INCLUDE_HOST
	return 0;
#else
	return LOAD32(mount_namespace, MNT_NS_INUM) == HOST_MOUNT_NAMESPACE &&
	       !is_agent(CURRENT_TASK());
#endif
}

/* The kernfs node of the cgroup that names the container: the v2 one, or on v1 and hybrid hosts
 * that of the controller that every runtime uses (CGROUP_SUBSYS: memory, else pids). */
inlined u64 task_cgroup_node(u64 task)
{
	u64 set = LOAD64(task, TASK_CGROUPS);
	u64 cgroup = 0, node = 0;
#ifdef CGROUP_SUBSYS
	u64 state = 0;

	READ(state, set, CSS_SET_SUBSYS + 8 * CGROUP_SUBSYS);
	READ(cgroup, state, CSS_CGROUP);
#else
	READ(cgroup, set, CSS_SET_DFL_CGRP);
#endif
	READ(node, cgroup, CGROUP_KN);
	return node;
}

inlined u64 task_start_boottime(u64 task)
{
	u64 leader = 0, start = 0;

	READ(leader, task, TASK_GROUP_LEADER);
	READ(start, leader, TASK_START_BOOTTIME);
	return start;
}

#endif
