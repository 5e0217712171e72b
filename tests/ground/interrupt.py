"""Signals that ask a command over this ground to end, so that what it made is removed first."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType

_ENDED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked us to end; like KeyboardInterrupt nobody on the way may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def interrupt_on_signals(say: Callable[[str], None]) -> None:
    """From now on such a signal is said and raises :class:`Interrupted` in the main thread, once."""

    def interrupt(number: int, _: FrameType | None) -> None:
        for each in _ENDED_BY:  # a second Ctrl-C must not end the clean-up half-way
            signal.signal(each, signal.SIG_IGN)
        say(f"{signal.Signals(number).name}: cleaning up")
        raise Interrupted(number)

    for number in _ENDED_BY:
        signal.signal(number, interrupt)
