"""Coverage reasons that asking processes gives, and takes back."""

from __future__ import annotations

from collections.abc import Callable

from sensor.model.container import ContainerIdentity

MAX_OPEN = 8192
"""(container, reason) pairs remembered; beyond, a reason is never taken back."""

Tell = Callable[[ContainerIdentity, str], None]


class Problems:
    """A reason holds for a container as long as one of its processes gives it.

    A process that ends with one leaves it behind for good: what it had loaded is not known.
    """

    def __init__(self, partial: Tell, covered: Tell) -> None:
        self._partial = partial
        self._covered = covered
        self._open: dict[tuple[str, str], set[int]] = {}

    def found(self, container: ContainerIdentity, pid: int, reason: str) -> None:
        """The process could not tell everything; what it said before (another reason, say) is void."""
        self.solved(container, pid, but=reason)
        pids = self._open.get((container.id, reason))
        if pids is None and len(self._open) < MAX_OPEN:
            pids = self._open[container.id, reason] = set()
        if pids is not None:
            pids.add(pid)
        self._partial(container, reason)

    def solved(self, container: ContainerIdentity, pid: int, but: str = "", only: str = "") -> None:
        """The process has told everything, ``but`` aside; or of its reasons ``only`` this one is void."""
        mine = [key for key in self._open if key[0] == container.id and key[1] != but]
        for key in [key for key in mine if only in ("", key[1])]:
            pids = self._open[key]
            if pid in pids:
                pids.discard(pid)
                if not pids:
                    del self._open[key]
                    self._covered(container, key[1])

    def forget(self, container: ContainerIdentity) -> None:
        """The container has ended."""
        for key in [key for key in self._open if key[0] == container.id]:
            del self._open[key]
