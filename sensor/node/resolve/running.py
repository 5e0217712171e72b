"""What /proc tells of a process that an event named, if it is still that process."""

from __future__ import annotations

import os
import re

from sensor.model.package import Ecosystem
from sensor.node.process_start import STAT_BYTES, is_same_start, start_ticks
from sensor.node.resolve.runtimes import LIBRARY_NAMES, library_of

_MAPS_BYTES = 4 << 20
_DELETED = " (deleted)"
# A library mapped as code; a program that maps files to read them does not ask for that.
_MAPPED = re.compile(rb"^\S+ ..x. [^\n]*/(" + LIBRARY_NAMES.encode() + rb")(?: \(deleted\))?$", re.MULTILINE)


def is_alive(proc: str, pid: int, start_boottime: int) -> bool:
    """Whether process ``pid`` is the one that started at ``start_boottime`` (ns of CLOCK_BOOTTIME)."""
    ticks = start_ticks(_read(f"{proc}/{pid}/stat", STAT_BYTES))
    return ticks is not None and is_same_start(ticks, start_boottime)


def executable_path(proc: str, pid: int, start_boottime: int) -> str | None:
    """Return the path of the program that the process runs, as its mount namespace names it."""
    try:
        path = os.readlink(f"{proc}/{pid}/exe")
    except OSError:
        return None
    if not path.startswith("/") or path.endswith(_DELETED) or not is_alive(proc, pid, start_boottime):
        return None
    return path


def mapped_runtimes(proc: str, pid: int, start_boottime: int) -> frozenset[Ecosystem] | None:
    """Return the ecosystems whose runtime library the process has mapped as code.

    None when the process has ended or may not be looked at.
    """
    content = _read(f"{proc}/{pid}/maps", _MAPS_BYTES)
    if not content or not is_alive(proc, pid, start_boottime):
        return None
    names = {match[1].decode() for match in _MAPPED.finditer(content)}
    return frozenset().union(*(library_of(name) for name in names))


def _read(path: str, limit: int) -> bytes:
    """The first ``limit`` bytes; empty for a process that is gone or not ours to see."""
    chunks: list[bytes] = []
    try:
        with open(path, "rb", buffering=0) as file:
            # /proc gives at most a page or so per read.
            while limit > 0 and (chunk := file.read(min(limit, 1 << 16))):
                chunks.append(chunk)
                limit -= len(chunk)
    except OSError:
        return b""
    return b"".join(chunks)
