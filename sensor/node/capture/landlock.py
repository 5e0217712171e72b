"""Takes /proc from the loader's sight, so that bcc does not read the kernel's symbols for nothing.

Before it compiles, libbcc reads all of /proc/kallsyms (123,000 lines here) into a hash table to learn whether
the kernel has ``bpf_probe_read_kernel``, which every kernel since 5.5 has: 100 ms of CPU, a fifth of the
loader. Where the file cannot be read it takes the kernel for an older one and defines that name as
``bpf_probe_read``, the older helper that looks at the address first; :data:`PROLOGUE` takes that back.

Landlock (https://docs.kernel.org/userspace-api/landlock.html, Linux 5.13) needs no privilege. Where the
kernel has none, nothing is different but the time.
"""

from __future__ import annotations

import ctypes
import os
import struct

PROLOGUE = """\
#undef bpf_probe_read_kernel
#undef bpf_probe_read_kernel_str
#undef bpf_probe_read_user
#undef bpf_probe_read_user_str
"""
"""The first lines of what bcc compiles; without effect where bcc has defined none of these."""

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # of every architecture
_ACCESS_FS_READ_FILE = 1 << 2
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38


def hide_proc(root: str = "/") -> bool:
    """Refuse this thread, and what it starts, to open files of /proc for reading, for good.

    Files that are open stay readable, and so is everything outside of ``root``/proc that is below ``root``.
    ``False`` where the kernel does not offer it; then nothing has changed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    handled = struct.pack("=Q", _ACCESS_FS_READ_FILE)
    ruleset = libc.syscall(_CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if ruleset < 0:
        return False
    try:
        with os.scandir(root) as entries:
            for entry in entries:
                if entry.name != "proc" and entry.is_dir(follow_symlinks=False):
                    _allow(libc, ruleset, entry.path)
        # Without CAP_SYS_ADMIN, only those who renounce new privileges may.
        libc.prctl(
            _PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)
        )
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    except OSError:
        return False
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, folder: str) -> None:
    """Let files below ``folder`` be read. Raises OSError."""
    descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack(
            "=Qi", _ACCESS_FS_READ_FILE, descriptor
        )  # struct landlock_path_beneath_attr, packed
        if libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), folder)
    finally:
        os.close(descriptor)
