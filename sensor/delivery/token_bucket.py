"""A bound on how often something is done, that lets what was not done be caught up."""

from __future__ import annotations


class TokenBucket:
    """Holds at most ``capacity`` tokens and gets ``rate`` of them a second; starts full.

    The caller says what time it is: seconds of a clock that never goes back. Used by one thread.
    """

    def __init__(self, rate: float, capacity: float, now: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._tokens = capacity
        self._at = now

    def wait(self, now: float) -> float:
        """Return how many seconds it takes until :meth:`take` may be called; nothing is 0."""
        self._fill(now)
        return max(0.0, (1.0 - self._tokens) / self._rate)

    def take(self, now: float) -> None:
        self._fill(now)
        self._tokens -= 1.0

    def _fill(self, now: float) -> None:
        self._tokens = min(self._capacity, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = max(now, self._at)
