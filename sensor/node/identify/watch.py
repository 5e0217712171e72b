"""Tells when processes end: one pidfd each, all in one epoll instance."""

from __future__ import annotations

import os
import select
from typing import Generic, TypeVar

from sensor.node.identify.processes import Process

Key = TypeVar("Key")

_AT_ONCE = 1024


class ExitWatch(Generic[Key]):
    """Watches at most one process per key. Not thread-safe; the owner locks."""

    def __init__(self, proc: str = "/proc") -> None:
        self._proc = proc
        self._epoll = select.epoll()
        self._pidfds: dict[Key, int] = {}
        self._keys: dict[int, Key] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._pidfds

    def __len__(self) -> int:
        return len(self._pidfds)

    def add(self, key: Key, pid: int) -> bool:
        """Watch ``pid`` under ``key`` in place of whatever was there; False if it has gone already."""
        self.remove(key)
        try:
            with Process(pid, self._proc) as process:
                pidfd = process.open_pidfd()
        except OSError:
            return False
        self._epoll.register(pidfd, select.EPOLLIN)
        self._pidfds[key] = pidfd
        self._keys[pidfd] = key
        return True

    def remove(self, key: Key) -> None:
        """Watch nothing under ``key`` any more."""
        pidfd = self._pidfds.pop(key, None)
        if pidfd is not None:
            del self._keys[pidfd]
            self._epoll.unregister(pidfd)
            os.close(pidfd)

    def exited(self) -> list[Key]:
        """Return the keys whose process has ended, without waiting; they are not watched any more."""
        keys = [self._keys[pidfd] for pidfd, _ in self._epoll.poll(0, _AT_ONCE)]
        for key in keys:
            self.remove(key)
        return keys

    def close(self) -> None:
        """Let go of every descriptor."""
        for key in tuple(self._pidfds):
            self.remove(key)
        self._epoll.close()
