"""Which containers may be reported: a new one is held until it is known whose it is."""

from __future__ import annotations

import math
from collections import OrderedDict

EXCLUDED_MAX = 4096
"""Containers remembered as excluded; the one that ended first gives way, else the oldest, and would be asked
about again."""


class Admission:
    """Not thread-safe, but for :meth:`is_excluded`; the owner locks. Times are of the owner's clock.

    ``hold`` is for how many seconds a new container waits for :meth:`admit` or :meth:`exclude` before it
    is reported all the same: 0.0 does not wait, infinity never reports what nobody admitted. With
    ``must_pass`` that time begins at :meth:`passed` only.
    """

    def __init__(self, hold: float = 0.0, *, must_pass: bool = False) -> None:
        self._hold = hold
        self._must_pass = must_pass
        self._held: dict[str, float] = {}
        self._undecided: set[str] = set()  # of those that are held
        self._excluded: OrderedDict[str, None] = OrderedDict()
        self._excluded_ended: OrderedDict[str, None] = OrderedDict()
        self.exclusions = 0
        """Containers excluded since the start."""
        self.unanswered = 0
        """Containers that ended, and were forgotten, before anybody could say whether to report them."""

    def arrived(self, container_id: str, now: float) -> None:
        if self._hold > 0:
            self._held[container_id] = now
            if self._must_pass:
                self._undecided.add(container_id)

    def passed(self, container_id: str, now: float) -> None:
        """Nothing excludes it: it waits for no more than its name."""
        if container_id in self._undecided:
            self._undecided.discard(container_id)
            if self._held[container_id] != math.inf:
                self._held[container_id] = now

    def keep(self, container_id: str, now: float | None) -> None:
        """A container that waits does so without end; with ``now``, one that did waits as others do."""
        if now is None and container_id in self._held:
            self._held[container_id] = math.inf
        elif now is not None and self._held.get(container_id) == math.inf:
            self._held[container_id] = now

    def held(self) -> tuple[str, ...]:
        """Return the ids of the containers that wait."""
        return tuple(self._held)

    def admit(self, container_id: str) -> bool:
        """Return whether it was held."""
        self._undecided.discard(container_id)
        return self._held.pop(container_id, None) is not None

    def exclude(self, container_id: str, *, ended: bool = False) -> None:
        """Ids are never given twice, so it stays excluded when it is started again."""
        self.admit(container_id)
        if not self.is_excluded(container_id):
            self.exclusions += 1
            (self._excluded_ended if ended else self._excluded)[container_id] = None
            if len(self._excluded) + len(self._excluded_ended) > EXCLUDED_MAX:
                (self._excluded_ended or self._excluded).popitem(last=False)

    def ended(self, container_id: str) -> None:
        """One that is excluded has ended: late news of it is all that may come."""
        if container_id in self._excluded:
            self._excluded_ended[container_id] = None  # first: it is asked for meanwhile
            del self._excluded[container_id]

    def is_excluded(self, container_id: str) -> bool:
        return container_id in self._excluded or container_id in self._excluded_ended

    def waits_for_its_name(self, container_id: str) -> bool:
        """Whether a name is all that it waits for, and not without end."""
        since = self._held.get(container_id, math.inf)
        return math.inf not in (since, self._hold) and container_id not in self._undecided

    def may_report(self, container_id: str, now: float) -> bool:
        since = self._held.get(container_id)
        if since is None:
            return True
        if since == math.inf or 0 <= now - since < self._hold:  # a clock set back must not hold it for ever
            return False
        if self._hold == math.inf or container_id in self._undecided:
            return False
        del self._held[container_id]
        return True

    def forget(self, container_id: str) -> None:
        """The container is held no more by its owner."""
        self.unanswered += self.admit(container_id)
