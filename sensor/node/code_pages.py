"""Gives back the pages of programs and libraries that only the start has used: 12 MiB where gRPC delivers.

They lie in files, unchanged, and are mapped anew from the page cache when they are used again. So what stays
resident is what is used.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from pathlib import Path

FIRST_AFTER = 10.0
"""Seconds: the first reports have been delivered."""
LONGEST = 3600.0
"""Seconds. Each time is twice as long after the last one as that was, up to this."""

_SMAPS = Path("/proc/self/smaps")
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r-xp|r--p) \S+ \S+ [1-9]\d* +/")
_HEADING = re.compile(r"[0-9a-f]+-")
_MADV_DONTNEED = 4


class CodePages:
    """``now`` is monotonic seconds, and the first one of all."""

    def __init__(self, now: float) -> None:
        self._pause = FIRST_AFTER
        self._next = now + FIRST_AFTER

    def turn(self, now: float) -> bool:
        """Give them back where it is time for it, and say whether it was. Raises OSError."""
        if now < self._next:
            return False
        self._pause = min(LONGEST, 2 * self._pause)
        self._next = now + self._pause
        give_back()
        return True


def give_back() -> None:
    """Some 5 ms, and as much for what is mapped anew. Raises OSError."""
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for start, end in _unchanged(_SMAPS.read_text()):
        madvise(start, end - start, _MADV_DONTNEED)


def _unchanged(smaps: str) -> Iterator[tuple[int, int]]:
    """Read-only private mappings of files that have no page of their own: relocations and breakpoints make
    such pages, and those would be lost."""
    mapping: re.Match[str] | None = None
    for line in smaps.splitlines():
        if _HEADING.match(line):
            mapping = _MAPPING.match(line)
        elif mapping is not None and line.startswith("Anonymous:") and line.split()[1] == "0":
            yield int(mapping[1], 16), int(mapping[2], 16)
