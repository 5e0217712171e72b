"""A node's clock that is wrong makes every time in its reports wrong: that is said, now and then."""

from __future__ import annotations

import logging
import time

from sensor.snyk.diagnosis import clock_warning
from sensor.snyk.target import Target

_INTERVAL = 3600.0

log = logging.getLogger(__name__)


class ClockWatch:
    """Warns of a clock that is off, at most once an hour."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._quiet_until = 0.0

    def saw(self, ahead: float | None) -> None:
        """``ahead`` is by how many seconds our clock is ahead of the other side's."""
        text = clock_warning(ahead, self._target) if ahead is not None else None
        if text and time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _INTERVAL
            log.warning("%s", text)
