"""``bpf/events.h`` in ctypes, and the decoding of one record of the ring.

``tests/unit/test_layout.py`` compiles the header and holds sizes, offsets and numbers against this.
"""

from __future__ import annotations

import ctypes
import enum
import struct
from collections.abc import Iterator

from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent

COMM_SIZE = 16
NAME_SIZE = 256
NAMES_SIZE = 4096
PATH_COMPONENTS = 32
CGROUP_COMPONENTS = 6
SEEN_ENTRIES = 65536
LOSS_ENTRIES = 4096
IGNORED_ENTRIES = 1024


class Counter(enum.IntEnum):
    """``enum counter``: every way out of the programs."""

    HOST = 0
    IGNORED = 1
    UNREADABLE = 2
    NOT_REGULAR = 3
    NOT_WANTED = 4
    PSEUDO = 5
    SEEN = 6
    SUBMITTED = 7
    RING_FULL = 8
    FAULT = 9
    TRUNCATED = 10
    EXEC_SEEN = 11
    EXEC_SUBMITTED = 12
    HEARTBEAT = 13
    INTERNAL = 14


class Timing(enum.IntEnum):
    """What follows in ``enum counter``: how many runs were timed, and the ns they took."""

    OPENS = 15
    OPEN_NS = 16
    EXECS = 17
    EXEC_NS = 18


class SeenKey(ctypes.Structure):
    """``struct seen_key``."""

    _fields_ = (
        ("file_inode", ctypes.c_uint64),
        ("executable_inode", ctypes.c_uint64),
        ("mount_namespace_id", ctypes.c_uint64),
        ("file_device", ctypes.c_uint32),
        ("executable_device", ctypes.c_uint32),
        ("what", ctypes.c_uint32),
        ("zero", ctypes.c_uint32),
    )


class LossKey(ctypes.Structure):
    """``struct loss_key``."""

    _fields_ = (("mount_namespace", ctypes.c_uint32), ("pid", ctypes.c_uint32))


class Event(ctypes.Structure):
    """``struct event``."""

    _fields_ = (
        ("time", ctypes.c_uint64),
        ("start_boottime", ctypes.c_uint64),
        ("cgroup_id", ctypes.c_uint64),
        ("file_inode", ctypes.c_uint64),
        ("executable_inode", ctypes.c_uint64),
        ("mount_namespace_id", ctypes.c_uint64),
        ("file_device", ctypes.c_uint32),
        ("executable_device", ctypes.c_uint32),
        ("mount_namespace", ctypes.c_uint32),
        ("pid", ctypes.c_uint32),
        ("uid", ctypes.c_uint32),
        ("kind", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("names_size", ctypes.c_uint32),
        ("cgroup_count", ctypes.c_uint32),
        ("path_count", ctypes.c_uint32),
        ("key", SeenKey),
        ("comm", ctypes.c_char * COMM_SIZE),
    )


HEADER_SIZE = ctypes.sizeof(Event)
_KEY_START = Event.key.offset
_KEY_END = _KEY_START + ctypes.sizeof(SeenKey)


_PEEK = struct.Struct("<Q")
_KIND = struct.Struct("<I")


def peek_kind(record: bytes) -> int:
    """Return the kind of a record, an :class:`EventKind` if it is sound. Raises ``struct.error``."""
    return int(_KIND.unpack_from(record, Event.kind.offset)[0])


def peek_mount_namespace_id(record: bytes) -> int:
    """Return whose record it is without decoding the rest. Raises ``struct.error``."""
    return int(_PEEK.unpack_from(record, Event.mount_namespace_id.offset)[0])


def split(batch: bytes) -> Iterator[bytes]:
    """Yield the records of a batch, which are sound records put end to end, each as bytes of its own."""
    start = 0
    while start < len(batch):
        (names_size,) = _KIND.unpack_from(batch, start + Event.names_size.offset)
        end = start + HEADER_SIZE + names_size
        yield batch[start:end]
        start = end


def is_whole(record: bytes) -> bool:
    """Whether a record is as long as it says."""
    if len(record) < HEADER_SIZE:
        return False
    return len(record) == HEADER_SIZE + int(_KIND.unpack_from(record, Event.names_size.offset)[0])


class MalformedRecord(Exception):
    """A record that our programs cannot have written: kernel and user space disagree on the layout."""


def decode(record: bytes) -> KernelEvent:
    """Return the event of one record; raises :class:`MalformedRecord`."""
    if len(record) < HEADER_SIZE:
        raise MalformedRecord(f"{len(record)} bytes, a header has {HEADER_SIZE}")
    raw = Event.from_buffer_copy(record)
    names = record[HEADER_SIZE : HEADER_SIZE + raw.names_size].split(b"\0")
    path_start = 1 + raw.cgroup_count
    if len(names) <= path_start + raw.path_count - 1:
        raise MalformedRecord(f"{len(names)} names, {path_start + raw.path_count} were announced")
    flags = EventFlag(raw.flags)
    try:
        kind = EventKind(raw.kind)
    except ValueError as error:
        raise MalformedRecord(f"kind {raw.kind}") from error
    return KernelEvent(
        kind=kind,
        flags=flags,
        time=raw.time,
        pid=raw.pid,
        start_boottime=raw.start_boottime,
        uid=raw.uid,
        comm=_text(raw.comm),
        mount_namespace=raw.mount_namespace,
        mount_namespace_id=raw.mount_namespace_id,
        cgroup_id=raw.cgroup_id,
        cgroup_path=_join(names[1:path_start], bool(flags & EventFlag.CGROUP_TRUNCATED)),
        executable=FileId(raw.executable_inode, raw.executable_device),
        executable_name=_text(names[0]),
        file=FileId(raw.file_inode, raw.file_device),
        path=_join(names[path_start : path_start + raw.path_count], bool(flags & EventFlag.PATH_TRUNCATED)),
        seen_key=record[_KEY_START:_KEY_END],
    )


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _join(names: list[bytes], truncated: bool) -> str:
    """Names come leaf first. A cut path starts with ``…/`` instead of ``/``."""
    return ("…/" if truncated else "/") + _text(b"/".join(reversed(names)))
