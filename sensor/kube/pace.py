"""When to ask the API server again, so that 5,000 nodes that lost it together do not come back together.

Nothing here may keep a node from what is true for more than 30 s once the server is back.
"""

from __future__ import annotations

import random

CUT_SPREAD = 3.0
"""Seconds over which those come back whose watch ended together: a server that stops ends all of them."""
FIRST, MOST = 1.0, 15.0
"""A server that is back is found after ``MOST`` at the latest; it may then answer 403 and 410, each of which
takes ``CUT_SPREAD`` more."""
FORBIDDEN = (60.0, 300.0)
WATCH = (300.0, 600.0)
_LEAST = 0.05


class Pace:
    """Times are seconds. Used by one thread."""

    def __init__(self, chance: random.Random | None = None, *, start_spread: float = 2.0) -> None:
        self._chance = chance or random.Random()
        self._start_spread = start_spread
        self._failures = 0

    def start(self) -> float:
        """The wait before the first request: a new release starts on many nodes at once."""
        return self._chance.uniform(0, self._start_spread)

    def failed(self, asked: float | None = None) -> float:
        """Full jitter: a time up to a bound that doubles with each failure, and at least what was ``asked``,
        but no more than the longest of ours."""
        bound = min(MOST, FIRST * 2.0 ** min(self._failures, 16))
        self._failures += 1
        wait = max(_LEAST, self._chance.uniform(0, bound))
        if asked is None:
            return wait
        return max(wait, min(MOST, asked + self._chance.uniform(0, max(1.0, asked / 4))))

    def cut(self) -> float:
        """The wait after a watch that ended before its time."""
        return self._chance.uniform(_LEAST, CUT_SPREAD)

    def forbidden(self) -> float:
        return self._chance.uniform(*FORBIDDEN)

    def watch(self) -> float:
        """For how long to ask for a watch."""
        return self._chance.uniform(*WATCH)

    def succeeded(self) -> None:
        self._failures = 0
