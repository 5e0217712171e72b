"""System calls that Python's library lacks, by ctypes: no compiler needed in the guest."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import struct

MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH, CLONE_NEWNS = 0x1000, 0x4000, 0x40000, 2, 0x20000
AT_FDCWD = -100

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_NUMBERS = {
    "x86_64": {"open": 2, "openat": 257, "name_to_handle_at": 303, "open_by_handle_at": 304},
    "aarch64": {"openat": 56, "name_to_handle_at": 264, "open_by_handle_at": 265},
}
# The same everywhere since they are new.
_COMMON = {"io_uring_setup": 425, "io_uring_enter": 426, "openat2": 437}
_calls = _NUMBERS[platform.machine()] | _COMMON


def syscall(call: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char]) -> int:
    """Make one; raises OSError."""
    given = [ctypes.c_long(part) if isinstance(part, int) else part for part in arguments]
    result = int(_libc.syscall(ctypes.c_long(_calls[call]), *given))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result


def unshare_mounts() -> None:
    """Give this process a mount namespace of its own, whose mounts the host's do not see."""
    _checked(_libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", "none", MS_REC | MS_PRIVATE)


def mount(source: str, target: str, kind: str, flags: int = 0, options: str = "") -> None:
    """mount(2); raises OSError."""
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode() or None
    )
    _checked(result, target)


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2); raises OSError."""
    _checked(_libc.umount2(target.encode(), flags), target)


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2); raises OSError."""
    _checked(_libc.pivot_root(new.encode(), old.encode()), new)


def _checked(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def openat2(path: str) -> int:
    """Open for reading by openat2(2), ``struct open_how`` of 24 zero bytes."""
    return syscall("openat2", AT_FDCWD, path.encode(), bytes(24), 24)


def open_by_handle_at(path: str) -> int:
    """Open for reading by a handle, as a file server does."""
    handle, mount_id = ctypes.create_string_buffer(136), ctypes.create_string_buffer(4)
    struct.pack_into("I", handle, 0, 128)
    syscall("name_to_handle_at", AT_FDCWD, path.encode(), handle, mount_id, 0)
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        return syscall("open_by_handle_at", folder, handle, os.O_RDONLY)
    finally:
        os.close(folder)


_OPENAT, _ASYNC, _GETEVENTS = 18, 1 << 4, 1
_SUBMISSIONS, _ENTRIES = 0, 0x10000000  # offsets of the two mappings


def io_uring_open(path: str, *, worker: bool) -> int:
    """Open for reading by io_uring; ``worker`` makes a thread of the kernel do it."""
    parameters = ctypes.create_string_buffer(120)
    ring = syscall("io_uring_setup", 4, parameters)
    fields = struct.unpack("30I", parameters.raw)
    # struct io_uring_params: 10 words, then the offsets of the submission ring and of the completion ring.
    sq_tail, sq_array = fields[11], fields[16]
    cq_head, cq_mask, cq_entries = fields[20], fields[22], fields[25]
    size = max(sq_array + fields[0] * 4, cq_entries + fields[1] * 16)
    rings = mmap.mmap(ring, size, offset=_SUBMISSIONS)
    entries = mmap.mmap(ring, fields[0] * 64, offset=_ENTRIES)
    name = ctypes.create_string_buffer(path.encode())
    flags = _ASYNC if worker else 0
    struct.pack_into(
        "BBHiQQIIQ", entries, 0, *(_OPENAT, flags, 0, AT_FDCWD, 0, ctypes.addressof(name), 0, os.O_RDONLY, 7)
    )
    struct.pack_into("I", rings, sq_array, 0)
    struct.pack_into("I", rings, sq_tail, 1)
    syscall("io_uring_enter", ring, 1, 1, _GETEVENTS, 0, 0)
    (head,), (mask,) = struct.unpack_from("I", rings, cq_head), struct.unpack_from("I", rings, cq_mask)
    _, result = struct.unpack_from("Qi", rings, cq_entries + (head & mask) * 16)
    entries.close()
    rings.close()
    os.close(ring)
    if result < 0:
        raise OSError(-result, f"io_uring openat: {os.strerror(-result)}")
    return int(result)
