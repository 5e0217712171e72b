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
PROMPT = 2.0
"""The longest of these while the counter moves on and there is credit."""
LONGEST_CHECK = 10.0
"""Seconds between two looks at the counter."""
CREDIT = 10.0
"""Seconds of processor time that may be spent on a process that starts, before it is asked sparingly."""
REFILL = 0.01
"""Seconds of credit for each second: what a process that loads for ever costs, of one core."""
SPARING = 20
"""Without credit: not again for this many times what the last time took."""


@dataclass(slots=True)
class Schedule:
    """Of one process. Times are monotonic seconds; ``due`` is when to ask, or to look at the counter."""

    due: float
    _first_open: float | None = None
    _gap: float = SHORTEST
    _check: float = SHORTEST
    _not_before: float = 0.0
    _credit: float = CREDIT
    _credited: float | None = None

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
        """It was asked until ``now``; ``news``: something was not known before.

        ``took`` is seconds of processor time. ``counted``: there is a counter, so that nothing is asked
        while it stands still.
        """
        self._first_open = None
        self._check = SHORTEST
        has_credit = self._spend(now, took)
        longest = PROMPT if counted and has_credit else LONGEST
        self._gap = SHORTEST if news else min(self._gap * 2, longest)
        self._not_before = now + took * (1 if has_credit else SPARING)
        self.due = max(now + self._gap, self._not_before)

    def _spend(self, now: float, took: float) -> bool:
        """Return whether there is credit left. It may be overdrawn, and is refilled from there."""
        if self._credited is not None:
            self._credit = min(CREDIT, self._credit + (now - self._credited) * REFILL)
        self._credited = now
        self._credit = max(-CREDIT, self._credit - took)
        return self._credit > 0
