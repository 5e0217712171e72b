"""How long to wait before another try.

Full jitter: a time between nothing and a bound that doubles with each failure. Of the ways to spread
clients that failed together it does the least work in the least time, see
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
"""

from __future__ import annotations

import random

LONGEST_ASKED = 3600.0
"""Seconds of what was asked for that count; up to a quarter more comes of the spread."""
_LEAST = 0.05
_SPREAD = 0.25
_SPREAD_LEAST = 1.0


class Backoff:
    """Times are seconds. Used by one thread."""

    def __init__(self, first: float = 1.0, most: float = 60.0, chance: random.Random | None = None) -> None:
        self._first = first
        self._most = most
        self._chance = chance or random.Random()
        self._failures = 0

    def failed(self, asked: float | None = None) -> float:
        """Count a failure and return how long to wait.

        ``asked`` is what the other side said to wait (Retry-After, RetryInfo): the least then, with up
        to a quarter more, so that those who were told the same do not come back together.
        """
        # 2 ** 1024 is no float any more
        bound = min(self._most, self._first * 2.0 ** min(self._failures, 64))
        self._failures += 1
        wait = max(_LEAST, self._chance.uniform(0, bound))
        if asked is None or not asked > 0:
            return wait
        asked = min(asked, LONGEST_ASKED)
        return max(wait, asked + self._chance.uniform(0, max(_SPREAD_LEAST, asked * _SPREAD)))

    def succeeded(self) -> None:
        self._failures = 0
