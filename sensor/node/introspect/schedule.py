"""When a process is asked again.

Soon after it opened something that only it can tell the use of; while it still loads more, often;
then ever more rarely. Where the runtime keeps a counter that is cheap to read, that is looked at
every few seconds instead, and the process is asked when it has moved.
"""

from __future__ import annotations

from dataclasses import dataclass

QUIET = 0.5
"""Seconds without a further open after which a process is asked: it may have opened all it wants."""
LATEST = 2.0
"""Seconds after the first open by which it is asked even if it opens on."""
SHORTEST, LONGEST = 1.0, 300.0
"""Seconds between two times of asking: it doubles from one to the other while nothing new comes."""
LONGEST_CHECK = 10.0
"""Seconds between two looks at the counter."""
DUTY = 20
"""Asking took d seconds: not again for that many times d. At most 5 % of a core for one process."""


@dataclass(slots=True)
class Schedule:
    """Of one process. Times are monotonic seconds; ``due`` is when to ask, or to look at the counter."""

    due: float
    _first_open: float | None = None
    _gap: float = SHORTEST
    _not_before: float = 0.0
    _check: float = SHORTEST

    def opened(self, now: float) -> None:
        """The process opened a file that leaves the question open."""
        if self._first_open is None:
            self._first_open = now
        self._gap = SHORTEST
        self.due = max(self._not_before, min(now + QUIET, self._first_open + LATEST))

    def unchanged(self, now: float) -> None:
        """The counter stands where it stood."""
        self._check = min(self._check * 1.5, LONGEST_CHECK)
        self.due = now + self._check

    def asked(self, now: float, took: float, *, news: bool, counted: bool) -> None:
        """It was asked until ``now``, for ``took`` seconds; ``news``: something was not known before.

        ``counted``: there is a counter, so that asking again may wait for it to move.
        """
        self._first_open = None
        self._gap = SHORTEST if news else min(self._gap * 2, LONGEST)
        self._check = SHORTEST
        self._not_before = now + took * DUTY
        self.due = max(now + self._gap, self._not_before)
        if counted and not news and self._gap <= LONGEST_CHECK:
            self._check = self._gap
