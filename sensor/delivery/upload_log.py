"""What an uploader says, and how often: an outage of days is a line a minute, not one for each try."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sensor.delivery.destination import PermissionDenied, Refused
from sensor.delivery.table import age

log = logging.getLogger(__name__)

SAY_AGAIN = 60.0
CLOCK_SAY_AGAIN = 3600.0
CLOCK_TOLERATED = 300.0
PROBE_EVERY = 900.0
"""Seconds after which a refused token is tried again: its role may have been changed meanwhile."""


class UploadLog:
    """Times are seconds of a clock that never goes back. Used by the uploader's thread."""

    def __init__(self, name: str, waiting: Callable[[], int]) -> None:
        self._name = name
        self._waiting = waiting
        self._failing_since: float | None = None
        self._said_at = 0.0
        self._refused = ""
        self._clock_said_at = -CLOCK_SAY_AGAIN

    def failed(self, error: Exception, now: float, wait: float) -> None:
        """The next try is in ``wait`` seconds."""
        if self._failing_since is None:
            self._failing_since = self._said_at = now
            log.warning("%s: %s (next try in %.1f s)", self._name, error, wait)
        elif now - self._said_at >= SAY_AGAIN:
            self._said_at = now
            log.warning(
                "%s: nothing arrives for %s: %s; %d states wait (next try in %.1f s)",
                *(self._name, age(now - self._failing_since), error, self._waiting(), wait),
            )

    def answered(self, now: float) -> None:
        """The other side took what it was sent, or said what is wrong with it."""
        if self._failing_since is not None:
            log.info("%s: states arrive again after %s", self._name, age(now - self._failing_since))
        elif self._refused:
            log.info("%s: the token is accepted, states arrive again", self._name)
        self._failing_since, self._refused = None, ""

    def refused(self, error: Refused) -> None:
        if str(error) == self._refused:
            return
        self._refused = str(error)
        missing = ""
        if isinstance(error, PermissionDenied) and error.permission not in self._refused:
            missing = f"; the token lacks the permission {error.permission}"
        log.error(
            "%s: %s%s; nothing is sent there meanwhile, %d states wait; it goes on by itself when the token "
            "changes, and is tried every %.0f min",
            *(self._name, error, missing, self._waiting(), PROBE_EVERY / 60),
        )

    def set_aside(self, container: str, reason: str) -> None:
        log.warning(
            "%s: container %s was not taken and is not sent again until it changes: %s",
            *(self._name, container, reason),
        )

    def clock(self, ahead: float | None, now: float) -> None:
        if ahead is None or abs(ahead) <= CLOCK_TOLERATED or now - self._clock_said_at < CLOCK_SAY_AGAIN:
            return
        self._clock_said_at = now
        log.warning(
            "%s: found the clock of this node %s %s of the receiver's, expected at most 5min: the times in "
            "reports are wrong by that; set the clock (NTP)",
            *(self._name, age(abs(ahead)), "ahead" if ahead > 0 else "behind"),
        )
