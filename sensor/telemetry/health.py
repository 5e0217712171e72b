"""Which stages work, as they themselves say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

ALIVE_FOR = 30.0
"""Seconds after which a main loop that gave no sign of life counts as stuck."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """``reasons`` is empty exactly when ``ready``; each names a stage and what it lacks."""

    ready: bool
    reasons: tuple[str, ...]


class Health:
    """Ready once every one of ``stages`` said that it works, and while each last said so.

    ``clock`` gives monotonic seconds. May be used from any thread.
    """

    def __init__(self, *stages: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._lacks: dict[str, str] = dict.fromkeys(stages, "has not started")
        self._beat = clock()

    def set(self, stage: str, ok: bool, reason: str = "") -> None:
        """Say that ``stage`` works, or for what ``reason`` it does not."""
        with self._lock:
            self._lacks[stage] = "" if ok else reason or "does not work"

    def ready(self) -> Readiness:
        with self._lock:
            reasons = tuple(f"{stage}: {lack}" for stage, lack in self._lacks.items() if lack)
        return Readiness(not reasons, reasons)

    def beat(self) -> None:
        """The main loop turns. To be called a few times every :data:`ALIVE_FOR` seconds."""
        self._beat = self._clock()

    def silence(self) -> float:
        """Seconds since the last :meth:`beat`."""
        return self._clock() - self._beat

    def alive(self) -> bool:
        """Whether the main loop turned within :data:`ALIVE_FOR` seconds; if not, restarting helps."""
        return self.silence() < ALIVE_FOR
