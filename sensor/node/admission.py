"""Which containers may be reported: a new one is held until it is known whose it is."""

from __future__ import annotations

from collections import OrderedDict

EXCLUDED_MAX = 4096
"""Containers remembered as excluded; the oldest gives way and would be asked about again."""


class Admission:
    """Not thread-safe, but for :meth:`is_excluded`; the owner locks. Times are of the owner's clock.

    ``hold`` is for how many seconds a new container waits for :meth:`admit` or :meth:`exclude` before it
    is reported all the same: 0.0 does not wait, infinity never reports what nobody admitted.
    """

    def __init__(self, hold: float = 0.0) -> None:
        self._hold = hold
        self._held: dict[str, float] = {}
        self._excluded: OrderedDict[str, None] = OrderedDict()
        self.exclusions = 0
        """Containers excluded since the start."""
        self.unanswered = 0
        """Containers that ended, and were forgotten, before anybody could say whether to report them."""

    def arrived(self, container_id: str, now: float) -> None:
        if self._hold > 0:
            self._held[container_id] = now

    def held(self) -> tuple[str, ...]:
        """Return the ids of the containers that wait."""
        return tuple(self._held)

    def admit(self, container_id: str) -> bool:
        """Return whether it was held."""
        return self._held.pop(container_id, None) is not None

    def exclude(self, container_id: str) -> None:
        """Ids are never given twice, so it stays excluded when it is started again."""
        self._held.pop(container_id, None)
        if container_id not in self._excluded:
            self.exclusions += 1
            self._excluded[container_id] = None
            if len(self._excluded) > EXCLUDED_MAX:
                self._excluded.popitem(last=False)

    def is_excluded(self, container_id: str) -> bool:
        return container_id in self._excluded

    def may_report(self, container_id: str, now: float) -> bool:
        since = self._held.get(container_id)
        if since is None:
            return True
        if 0 <= now - since < self._hold:  # a clock set back must not hold it for ever
            return False
        if self._hold == float("inf"):
            return False
        del self._held[container_id]
        return True

    def forget(self, container_id: str) -> None:
        """The container is held no more by its owner."""
        self.unanswered += self._held.pop(container_id, None) is not None
