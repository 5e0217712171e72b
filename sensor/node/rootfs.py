"""The only reader of a container's files, which are hostile.

Three things hold for every call. No path leaves the root: openat2(2) resolves ``..``, absolute
symbolic links and races inside it (RESOLVE_IN_ROOT) and refuses /proc's magic links. Nothing but
regular files is opened: each file is taken with O_PATH first, which runs no open method of a
driver, looked at, and only then opened through /proc/self/fd. Every size, count and time is bounded.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from sensor.model.package import Skipped, SkipReason

TIME_LIMIT_SECONDS = 2.0
"""Bound of one call. A single read(2) on a hung network mount cannot be cut short by it."""

_CHUNK = 1 << 20
_RACE_RETRIES = 8
_DETAIL_LENGTH = 512

_SYS_OPENAT2 = 437  # the same on every architecture, since 5.6
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10

# Regular files there run kernel code when opened or read: /proc/kmsg eats messages, tracefs pipes
# block, files of debugfs have side effects. Magic numbers of linux/magic.h.
_PSEUDO_FILE_SYSTEMS = frozenset(
    {
        0x9FA0,  # proc
        0x62656572,  # sysfs
        0x64626720,  # debugfs
        0x74726163,  # tracefs
        0x27E0EB,  # cgroup
        0x63677270,  # cgroup2
        0xCAFE4A11,  # bpf
        0x73636673,  # securityfs
        0xF97CFF8C,  # selinuxfs
        0x43415D53,  # smackfs
        0x62656570,  # configfs
        0xDE5E81E4,  # efivarfs
        0x6165676C,  # pstore
        0x42494E4D,  # binfmt_misc
        0x19800202,  # mqueue
        0x0187,  # autofs
    }
)

_REASONS = {
    errno.ENOENT: SkipReason.VANISHED,
    errno.ENOTDIR: SkipReason.VANISHED,
    errno.ESTALE: SkipReason.VANISHED,
    errno.ELOOP: SkipReason.ESCAPES_ROOT,  # a magic link, or a loop of links
    errno.EXDEV: SkipReason.ESCAPES_ROOT,
    errno.EACCES: SkipReason.PERMISSION,
    errno.EPERM: SkipReason.PERMISSION,
    errno.ENAMETOOLONG: SkipReason.MALFORMED,
    errno.EAGAIN: SkipReason.TOO_SLOW,  # renames all the time, or somebody holds a lease
    errno.ENXIO: SkipReason.NOT_REGULAR,
    errno.EISDIR: SkipReason.NOT_REGULAR,
}


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _StatFs(ctypes.Structure):
    """``struct statfs``: only its first word is read; 120 bytes on 64-bit Linux, rounded up."""

    _fields_ = (("type", ctypes.c_long), ("rest", ctypes.c_byte * 248))


_libc = ctypes.CDLL(None, use_errno=True)
_syscall = _libc.syscall
_syscall.restype = ctypes.c_long
_syscall.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)
_fstatfs = _libc.fstatfs
_fstatfs.restype = ctypes.c_int
_fstatfs.argtypes = (ctypes.c_int, ctypes.POINTER(_StatFs))


class Unreadable(Exception):
    """A file that could not be read, and why. Every method here raises this and nothing else."""

    def __init__(self, reason: SkipReason, detail: str = "") -> None:
        # Details quote names the container chose: kept printable and short for logs.
        detail = (detail if detail.isprintable() else ascii(detail)[1:-1])[:_DETAIL_LENGTH]
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

    def skipped(self) -> Skipped:
        """The same as a value, to be counted."""
        return Skipped(self.reason, self.detail)


FileIdentity = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileStat:
    """What fstat(2) said. ``size`` is in bytes, times are nanoseconds since the epoch."""

    inode: int
    device: int
    size: int
    mtime_ns: int
    ctime_ns: int
    is_directory: bool
    is_regular: bool
    links: int = 1
    """0 for what was unlinked; folders of an overlay always say 1."""
    is_of_container: bool = False
    """Changed since the container was made: not what the image brought."""

    @property
    def identity(self) -> FileIdentity:
        """Equal for one file of an image layer in every container on the node.

        Without the device for these: overlayfs gives every container a device number of its own, while
        inode and times come through from the layer. With it for what the container changed: a folder keeps
        its inode number then, and two containers of one image that start together change theirs within
        one tick of the clock that files go by.
        """
        device = self.device if self.is_of_container else 0
        return (self.inode, self.size, self.mtime_ns, self.ctime_ns, device)


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder. Links are not followed: a link is neither regular nor a folder."""

    name: str
    is_directory: bool
    is_regular: bool
    is_symlink: bool


class RootFilesystem:
    """The file system of one container, seen from its root.

    Paths are absolute in the container; bytes that are not UTF-8 stand as surrogate escapes.
    ``root_fd`` is a descriptor of the container's root folder (O_PATH is enough). It stays the
    caller's, who closes it after the last call.
    """

    def __init__(self, root_fd: int, *, time_limit: float = TIME_LIMIT_SECONDS) -> None:
        self._root_fd = root_fd
        self._time_limit = time_limit
        # Layers are unpacked before a container of them is made, which makes its root anew.
        self._made_ns = _changed(root_fd)

    def stat(self, path: str) -> FileStat:
        """Return the state of the file that ``path`` leads to. Raises Unreadable."""
        with self._opened(path, os.O_PATH) as fd:
            return _file_stat(fd, path, self._made_ns)

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        """Return the whole of a regular file of at most ``limit`` bytes. Raises Unreadable."""
        deadline = time.monotonic() + self._time_limit
        with self._opened(path, os.O_PATH) as fd:
            size = _require_regular(fd, path).size
            if size > limit:
                raise Unreadable(SkipReason.TOO_LARGE, f"{path}: {size} bytes, at most {limit} are read")
            readable = _reopen(fd, path)
        try:
            return _read_all(readable, path, size, limit, deadline)
        finally:
            os.close(readable)

    def list(self, path: str, limit: int = 10_000) -> tuple[Entry, ...]:
        """Return the entries of a folder, unsorted, without ``.`` and ``..``. Raises Unreadable."""
        deadline = time.monotonic() + self._time_limit
        with self._opened(path, os.O_PATH) as fd:
            if not _file_stat(fd, path).is_directory:
                raise Unreadable(SkipReason.NOT_REGULAR, f"{path}: not a folder")
        with self._opened(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK) as fd:
            return _scan(fd, path, limit, deadline)

    def open(self, path: str) -> BinaryIO:
        """Return a regular file, seekable, of any size. The caller closes it. Raises Unreadable.

        Reads from it may raise OSError.
        """
        with self._opened(path, os.O_PATH) as fd:
            _require_regular(fd, path)
            return os.fdopen(_reopen(fd, path), "rb")

    def open_path(self, path: str) -> int:
        """Return a descriptor (O_PATH) of whatever ``path`` leads to: nothing is read, no driver is asked.

        A socket is connected to through /proc/self/fd. The caller closes it. Raises Unreadable.
        """
        return _open_in_root(self._root_fd, path, os.O_PATH)

    @contextmanager
    def _opened(self, path: str, flags: int) -> Iterator[int]:
        fd = _open_in_root(self._root_fd, path, flags)
        try:
            yield fd
        finally:
            os.close(fd)


def _open_in_root(root_fd: int, path: str, flags: int) -> int:
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    name = _encode(path)
    for _ in range(_RACE_RETRIES):
        fd = int(_syscall(_SYS_OPENAT2, root_fd, name, ctypes.byref(how), ctypes.sizeof(how)))
        if fd >= 0:
            return fd
        # EAGAIN: a rename ran while `..` was resolved, and the kernel could not vouch for the result.
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    raise _unreadable(ctypes.get_errno(), path)


def _encode(path: str) -> bytes:
    if "\0" in path:
        raise Unreadable(SkipReason.MALFORMED, "a path with a NUL byte")
    try:
        return os.fsencode(path)
    except UnicodeEncodeError as error:
        raise Unreadable(SkipReason.MALFORMED, f"{path!r}: no file name") from error


def _unreadable(number: int, path: str) -> Unreadable:
    return Unreadable(_REASONS.get(number, SkipReason.IO_ERROR), f"{path}: {os.strerror(number)}")


def _changed(fd: int) -> int:
    """When the folder last changed, ns since the epoch; 0 where it cannot be told."""
    try:
        return os.fstat(fd).st_ctime_ns
    except OSError:
        return 0


def _file_stat(fd: int, path: str, made_ns: int = 0) -> FileStat:
    try:
        status = os.fstat(fd)
    except OSError as error:
        raise _unreadable(error.errno or errno.EIO, path) from error
    return FileStat(
        inode=status.st_ino,
        device=status.st_dev,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        is_directory=stat.S_ISDIR(status.st_mode),
        is_regular=stat.S_ISREG(status.st_mode),
        links=status.st_nlink,
        is_of_container=status.st_ctime_ns >= made_ns,
    )


def _require_regular(fd: int, path: str) -> FileStat:
    status = _file_stat(fd, path)
    if not status.is_regular:
        raise Unreadable(SkipReason.NOT_REGULAR, f"{path}: not a regular file")
    kind = _StatFs()
    if _fstatfs(fd, ctypes.byref(kind)) != 0:
        raise _unreadable(ctypes.get_errno(), path)
    if kind.type & 0xFFFFFFFF in _PSEUDO_FILE_SYSTEMS:
        raise Unreadable(SkipReason.NOT_REGULAR, f"{path}: on a pseudo file system")
    return status


def _reopen(fd: int, path: str) -> int:
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        return os.open(f"/proc/self/fd/{fd}", flags)
    except OSError as error:
        raise _unreadable(error.errno or errno.EIO, path) from error


def _read_all(fd: int, path: str, size: int, limit: int, deadline: float) -> bytes:
    """Read to the end, one byte past ``limit`` at most: the file may grow or shrink meanwhile."""
    chunks: list[bytes] = []
    total = 0
    while total <= limit:
        try:
            chunk = os.read(fd, min(_CHUNK, limit + 1 - total))
        except OSError as error:
            raise _unreadable(error.errno or errno.EIO, path) from error
        if not chunk:
            break
        chunks.append(chunk)
        total += len(chunk)
        _check(deadline, path)
    if total > limit:
        raise Unreadable(SkipReason.TOO_LARGE, f"{path}: grew past {limit} bytes while read")
    if total < size:
        raise Unreadable(SkipReason.VANISHED, f"{path}: shrank from {size} to {total} bytes while read")
    return b"".join(chunks)


def _scan(fd: int, path: str, limit: int, deadline: float) -> tuple[Entry, ...]:
    try:
        with os.scandir(fd) as scan:
            entries = [_entry(found) for found in itertools.islice(_until(scan, deadline, path), limit + 1)]
    except OSError as error:
        raise _unreadable(error.errno or errno.EIO, path) from error
    if len(entries) > limit:
        raise Unreadable(SkipReason.TOO_MANY_ENTRIES, f"{path}: more than {limit} entries")
    return tuple(entries)


def _until(scan: Iterator[os.DirEntry[str]], deadline: float, path: str) -> Iterator[os.DirEntry[str]]:
    for found in scan:
        _check(deadline, path)
        yield found


def _entry(found: os.DirEntry[str]) -> Entry:
    return Entry(
        # Interned: a node has thousands of folders with the same few names in them.
        name=sys.intern(found.name),
        is_directory=found.is_dir(follow_symlinks=False),
        is_regular=found.is_file(follow_symlinks=False),
        is_symlink=found.is_symlink(),
    )


def _check(deadline: float, path: str) -> None:
    if time.monotonic() > deadline:
        raise Unreadable(SkipReason.TOO_SLOW, f"{path}: not read in time")
