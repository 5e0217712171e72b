"""Mount namespaces found to be no container's, which the kernel was told to ignore."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sensor.node.identify.holdings import ContainerKey
from sensor.node.identify.watch import ExitWatch

EXPIRY_SECONDS = 300.0

_MAX = 512  # half of the kernel's IGNORED_ENTRIES; each costs a pidfd
# A process may be moved into its container's cgroup, and runc may write its state, after its first event.
_UNSURE_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Entry:
    pid: int
    namespace_id: int
    since: float


class Ignored:
    """At most 512; the oldest gives way and expires. Not thread-safe; the owner locks."""

    def __init__(self, watch: ExitWatch[ContainerKey | int]) -> None:
        self._watch = watch
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._expired: list[int] = []

    def __len__(self) -> int:
        return len(self._entries)

    def holds(self, mount_namespace: int, namespace_id: int) -> bool:
        """Whether the namespace is ignored; one that was given the same number is not."""
        entry = self._entries.get(mount_namespace)
        return entry is not None and entry.namespace_id == namespace_id

    def add(self, mount_namespace: int, namespace_id: int, pid: int, now: float) -> bool:
        """Ignore a namespace while ``pid`` lives in it; False if that has gone.

        Also False, for now, while another one of the same number is ignored or expires: who lifts it
        by its number must not mean the new one.
        """
        if mount_namespace in self._entries:
            self.forget(mount_namespace)
        if mount_namespace in self._expired or not self._watch.add(mount_namespace, pid):
            return False
        self._entries[mount_namespace] = _Entry(pid, namespace_id, now)
        if len(self._entries) > _MAX:
            self.forget(next(iter(self._entries)))
        return True

    def forget(self, mount_namespace: int) -> None:
        """Ignore a namespace no longer; the next :meth:`expired` names it."""
        if self._entries.pop(mount_namespace, None) is not None:
            self._watch.remove(mount_namespace)
            self._expired.append(mount_namespace)

    def exited(self, mount_namespace: int) -> None:
        """The process that was seen in the namespace has ended."""
        self.forget(mount_namespace)

    def expired(self, now: float, is_container_now: Callable[[int], bool]) -> tuple[int, ...]:
        """Return the namespaces that are no longer ignored, each once."""
        for number, entry in tuple(self._entries.items()):
            age = now - entry.since
            if age >= EXPIRY_SECONDS or (age <= _UNSURE_SECONDS and is_container_now(entry.pid)):
                self.forget(number)
        expired, self._expired = tuple(self._expired), []
        return expired
