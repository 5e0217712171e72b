"""What an uploader says, and how often: an outage of days is a line a minute, not one for each try."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sensor.delivery.destination import PermissionDenied, Refused
from sensor.delivery.table import age

log = logging.getLogger(__name__)

SAY_AGAIN = 60.0
SET_ASIDE_LINES = 10
"""A minute: somebody who takes no container at all is told of by a few."""
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
        self._set_aside_since = -SAY_AGAIN
        self._set_aside_lines = 0

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

    def set_aside(self, container: str, reason: str, now: float) -> None:
        if now - self._set_aside_since >= SAY_AGAIN:
            self._set_aside_since, self._set_aside_lines = now, 0
        self._set_aside_lines += 1
        if self._set_aside_lines > SET_ASIDE_LINES:
            return
        further = "; further ones are counted by upload_set_aside_total, and told again in a minute"
        log.warning(
            "%s: container %s was not taken and is not sent again until it changes: %s%s",
            *(self._name, container, reason),
            further if self._set_aside_lines == SET_ASIDE_LINES else "",
        )
