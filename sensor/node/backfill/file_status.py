"""statx(2) without asking a file server: the state of a container's file must not be able to hang us.

stat(2) on FUSE or NFS waits for whoever serves it. With AT_STATX_DONT_SYNC the kernel answers from
what it has. Python 3.11 has no statx.
"""

from __future__ import annotations

import ctypes
import os
import stat
from dataclasses import dataclass

from sensor.model.events import FileId

_AT_FDCWD = -100
_AT_STATX_DONT_SYNC = 0x4000
_STATX_TYPE_AND_INODE = 0x001 | 0x100
_MINOR_BITS = 20  # of the kernel's own device numbers (linux/kdev_t.h), which events carry


class _Statx(ctypes.Structure):
    """``struct statx`` of linux/stat.h, 256 bytes, as far as it is used."""

    _fields_ = (
        ("head", ctypes.c_byte * 28),
        ("mode", ctypes.c_uint16),
        ("spare", ctypes.c_uint16),
        ("inode", ctypes.c_uint64),
        ("middle", ctypes.c_byte * 96),
        ("device_major", ctypes.c_uint32),
        ("device_minor", ctypes.c_uint32),
        ("rest", ctypes.c_byte * 112),
    )


_statx = ctypes.CDLL(None, use_errno=True).statx
_statx.restype = ctypes.c_int
_statx.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Statx))


@dataclass(frozen=True, slots=True)
class FileStatus:
    file: FileId
    is_regular: bool


def status_of(path: str) -> FileStatus:
    """Return what ``path``, a link of /proc/PID, leads to. Raises OSError."""
    result = _Statx()
    name = os.fsencode(path)
    if _statx(_AT_FDCWD, name, _AT_STATX_DONT_SYNC, _STATX_TYPE_AND_INODE, ctypes.byref(result)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    device = result.device_major << _MINOR_BITS | result.device_minor
    return FileStatus(FileId(result.inode, device), stat.S_ISREG(result.mode))
