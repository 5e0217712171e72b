"""Where the members of kernel structs lie on this kernel, as macros for ``bpf/``."""

from __future__ import annotations

from sensor.node.capture.btf import KernelTypes

# macro -> struct, then the names its member has had (the first that exists counts)
_MEMBERS: dict[str, tuple[str, ...]] = {
    "TASK_TGID": ("task_struct", "tgid"),
    "TASK_FILES": ("task_struct", "files"),
    "TASK_FS": ("task_struct", "fs"),
    "TASK_MM": ("task_struct", "mm"),
    "TASK_NSPROXY": ("task_struct", "nsproxy"),
    "TASK_CGROUPS": ("task_struct", "cgroups"),
    "TASK_GROUP_LEADER": ("task_struct", "group_leader"),
    "TASK_START_BOOTTIME": ("task_struct", "start_boottime"),
    "NSPROXY_MNT_NS": ("nsproxy", "mnt_ns"),
    "MM_EXE_FILE": ("mm_struct", "exe_file"),
    "FILES_FDT": ("files_struct", "fdt"),
    "FDT_FD": ("fdtable", "fd"),
    "FDT_MAX_FDS": ("fdtable", "max_fds"),
    "FILE_MODE": ("file", "f_mode"),
    "FILE_FLAGS": ("file", "f_flags"),
    "FILE_INODE": ("file", "f_inode"),
    "INODE_MODE": ("inode", "i_mode"),
    "INODE_SB": ("inode", "i_sb"),
    "INODE_INO": ("inode", "i_ino"),
    "INODE_SIZE": ("inode", "i_size"),
    "INODE_NLINK": ("inode", "i_nlink", "__i_nlink"),
    "SB_DEV": ("super_block", "s_dev"),
    "SB_MAGIC": ("super_block", "s_magic"),
    "DENTRY_PARENT": ("dentry", "d_parent"),
    "DENTRY_INODE": ("dentry", "d_inode"),
    "FS_ROOT": ("fs_struct", "root"),
    "VFSMOUNT_MNT_ROOT": ("vfsmount", "mnt_root"),
    "MOUNT_MNT": ("mount", "mnt"),
    "MOUNT_PARENT": ("mount", "mnt_parent"),
    "MOUNT_MOUNTPOINT": ("mount", "mnt_mountpoint"),
    "CSS_SET_DFL_CGRP": ("css_set", "dfl_cgrp"),
    "CSS_SET_SUBSYS": ("css_set", "subsys"),
    "CSS_CGROUP": ("cgroup_subsys_state", "cgroup"),
    "CGROUP_KN": ("cgroup", "kn"),
    "KERNFS_ID": ("kernfs_node", "id"),
    "KERNFS_NAME": ("kernfs_node", "name"),
    # renamed when it came under RCU, Linux 6.15
    "KERNFS_PARENT": ("kernfs_node", "__parent", "parent"),
}

# Neighbouring members that one read fetches: name of the span -> (macro, size in bytes) of its parts.
_SPANS: dict[str, tuple[tuple[str, int], ...]] = {
    "FILE_SPAN": (
        ("FILE_MODE", 4),
        ("FILE_FLAGS", 4),
        ("FILE_INODE", 8),
        ("FILE_PATH_MNT", 8),
        ("FILE_PATH_DENTRY", 8),
    ),
    "DENTRY_SPAN": (
        ("DENTRY_PARENT", 8),
        ("DENTRY_NAME", 8),
        ("DENTRY_NAME_LENGTH", 4),
        ("DENTRY_INODE", 8),
    ),
    "INODE_SPAN": (
        ("INODE_MODE", 2),
        ("INODE_SB", 8),
        ("INODE_INO", 8),
        ("INODE_SIZE", 8),
        ("INODE_NLINK", 4),
    ),
    "SB_SPAN": (("SB_MAGIC", 8), ("SB_DEV", 4)),
}


def member_macros(types: KernelTypes, machine: str) -> dict[str, int]:
    """Return macro -> offset in bytes for everything ``bpf/`` reads.

    ``machine`` is ``x86_64`` or ``aarch64``. Raises ``BtfError`` for a member this kernel lacks.
    """
    at = types.offset
    macros = {macro: at(*names) for macro, names in _MEMBERS.items()}
    file_path, dentry_name = at("file", "f_path"), at("dentry", "d_name")
    macros["FILE_PATH_MNT"] = file_path + at("path", "mnt")
    macros["FILE_PATH_DENTRY"] = file_path + at("path", "dentry")
    macros["DENTRY_NAME"] = dentry_name + at("qstr", "name")
    macros["DENTRY_NAME_LENGTH"] = dentry_name + at("qstr", "len")
    namespace = at("mnt_namespace", "ns")
    macros["MNT_NS_INUM"] = namespace + at("ns_common", "inum")
    # A number for each namespace that is never used again; moved to the common part in Linux 6.18.
    own = types.find("mnt_namespace", "seq")
    macros["MNT_NS_ID"] = namespace + at("ns_common", "ns_id") if own is None else own
    # Of a function call, by the machine's calling convention.
    macros["REGS_FIRST_ARGUMENT"] = at("pt_regs", "regs" if machine == "aarch64" else "di")
    macros["REGS_SYSCALL"] = at("pt_regs", "syscallno" if machine == "aarch64" else "orig_ax")
    return macros | _spans(macros)


def _spans(macros: dict[str, int]) -> dict[str, int]:
    spans = {}
    for name, parts in _SPANS.items():
        start = min(macros[macro] for macro, _ in parts) & ~7
        end = max(macros[macro] + size for macro, size in parts)
        spans[name] = start
        spans[name + "_SIZE"] = -(-(end - start) // 8) * 8
    return spans
