"""Who opens what in a folder of this machine (fanotify(7)): proof that nothing of the host was read."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

_FAN_CLOEXEC, _FAN_NONBLOCK, _FAN_MARK_ADD = 0x1, 0x2, 0x1
_FAN_OPEN, _FAN_ACCESS, _FAN_EVENT_ON_CHILD, _FAN_ONDIR = 0x20, 0x1, 0x08000000, 0x40000000
_AT_FDCWD = -100
# struct fanotify_event_metadata: event_len, vers, reserved, metadata_len, mask, fd, pid
_EVENT = struct.Struct("=IBBHQii")


class Watch:
    """Opens and reads of ``folder`` itself and of the files straight in it, while in ``with``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1

    def __enter__(self) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.fanotify_init(_FAN_CLOEXEC | _FAN_NONBLOCK, os.O_RDONLY | os.O_CLOEXEC)
        mask = _FAN_OPEN | _FAN_ACCESS | _FAN_EVENT_ON_CHILD | _FAN_ONDIR
        done = libc.fanotify_mark(
            self._descriptor, _FAN_MARK_ADD, ctypes.c_uint64(mask), _AT_FDCWD, os.fsencode(self._folder)
        )
        if self._descriptor < 0 or done < 0:
            raise OSError(ctypes.get_errno(), f"fanotify on {self._folder}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def opened_by(self, pid: int) -> list[str]:
        """Paths that process ``pid`` opened or read since the last call."""
        paths = []
        while events := self._events():
            for descriptor, opener in events:
                if opener == pid:
                    paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
                os.close(descriptor)
        return paths

    def _events(self) -> list[tuple[int, int]]:
        try:
            data = os.read(self._descriptor, 65_536)
        except BlockingIOError:
            return []
        found, offset = [], 0
        while offset < len(data):
            length, _, _, _, _, descriptor, pid = _EVENT.unpack_from(data, offset)
            found.append((descriptor, pid))
            offset += length
        return found
