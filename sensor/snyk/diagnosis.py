"""Why nothing arrives, in words that name the cause and the cure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sensor.snyk.causes import Cause
from sensor.snyk.deadline import within
from sensor.snyk.probe import probe
from sensor.snyk.target import Target
from sensor.snyk.trust import Trust

PROBE_INTERVAL = 60.0
PROBE_SECONDS = 3.0
CLOCK_TOLERANCE = 120.0
_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60


class Diagnosis:
    """Looks at ``target`` itself when a library cannot say what is wrong, at most once a minute."""

    def __init__(self, target: Target, trust: Trust, clock: Callable[[], float] = time.monotonic) -> None:
        self._target = target
        self._trust = trust
        self._clock = clock
        self._probed_at: float | None = None
        self._symptom = ""
        self._found: Cause | None = None
        self._lock = threading.Lock()

    def cause(self, symptom: str, seconds: float) -> Cause | None:
        """Return the cause behind ``symptom``, a library's own words, within ``seconds``.

        The same symptom within a minute has the same cause; of another one nothing is known until then. Any
        thread may ask.
        """
        if not self._lock.acquire(timeout=seconds):
            return None
        try:
            now = self._clock()
            if self._probed_at is None or now - self._probed_at >= PROBE_INTERVAL:
                self._probed_at, self._symptom = now, symptom
                with within(min(seconds, PROBE_SECONDS)):
                    self._found = probe(self._target, self._trust)
            return self._found if symptom == self._symptom else None
        finally:
            self._lock.release()


def clock_warning(ahead: float, target: Target) -> str | None:
    """Return what to tell about a clock that is ``ahead`` seconds ahead of that of ``target``; ``None`` where
    it is near enough."""
    if abs(ahead) <= CLOCK_TOLERANCE:
        return None
    return (
        f"this node's clock is {_duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} that of "
        f"{target.address}: the times in reports are wrong by as much; synchronise it (NTP)"
    )


def _duration(seconds: float) -> str:
    for size, name in ((_DAY, "days"), (_HOUR, "hours"), (_MINUTE, "minutes")):
        if seconds >= 1.5 * size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} seconds"
