"""A small file that is read again when it changes."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

# Time stamps of files are as coarse as the kernel's tick, up to 10 ms, and on some network file systems
# a second: a file written twice within it looks the same after the second time.
_SETTLED_NS = 2_000_000_000

_Seen = tuple[int, int, int, int, int]


class WatchedFile:
    """Kubernetes changes a mounted secret by swapping the symbolic link to its folder: the path stays, the
    file behind it is another. So the file that the path leads to is looked at each time, not the path."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        self.path = path
        self._most_bytes = most_bytes
        self._seen: _Seen | None = None

    def read_if_changed(self) -> bytes | None:
        """Return the content, or ``None`` where it is what was returned last, which costs one stat().

        At most one byte more than ``most_bytes`` is read, so that the caller sees that it is too long.
        Raises :class:`OSError`.
        """
        if self._seen is not None and self._seen == _settled(os.stat(self.path)):
            return None
        # O_NONBLOCK: a pipe in place of the file must not hold us.
        with open(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError("it is no regular file")
            content = file.read(self._most_bytes + 1)
        self._seen = _settled(found)
        return content


def _settled(found: os.stat_result) -> _Seen | None:
    """What tells one state of a file from another, ``None`` while it may still change unseen."""
    if abs(time.time_ns() - found.st_mtime_ns) < _SETTLED_NS:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
