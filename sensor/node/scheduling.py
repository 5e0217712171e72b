"""Puts the ring's thread first in line: its reaction time decides what can be read of a short life.

A container's files are reached through a process of it, for as long as one lives. On a busy node an
ordinary thread waits 5 to 20 ms for a CPU now and then, and that is as long as some containers live. Nice
values do not help, they weigh within one cgroup only; a thread of real-time scheduling goes before
all of them. It works microseconds for each new container and sleeps in between.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from sensor.node.capability import Capability, effective, holds

log = logging.getLogger(__name__)

_LOWEST = 1


def go_first() -> bool:
    """Give the calling thread the lowest real-time priority; False, and said, where that is refused.

    It needs CAP_SYS_NICE, and on kernels with CONFIG_RT_GROUP_SCHED a real-time budget of the cgroup
    (sched(7)). Threads that it starts are ordinary ones.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(_LOWEST))
    except OSError as error:
        cure = "CAP_SYS_NICE allows it"
        if holds(effective(), Capability.SYS_NICE):
            cure = "cgroups have a real-time budget here (CONFIG_RT_GROUP_SCHED), and this one has none"
        log.info(
            "events wait in line for a CPU: real-time scheduling is refused (%s); on a busy node, containers "
            "that live for milliseconds may end unread: %s",
            *(error.strerror, cure),
        )
        return False
    return True


class FirstInLine(threading.Thread):
    """A thread that goes first, and does nothing before :meth:`begin`.

    It is in place when the constructor returns, so that the right to it may be given up before anything else
    starts: ``prepared`` is called in it last.
    """

    def __init__(self, name: str, prepared: Callable[[], object]) -> None:
        super().__init__(name=name, daemon=True)
        self._prepared = prepared
        self._in_place = threading.Event()
        self._told = threading.Event()
        self._work: Callable[[], object] | None = None
        self.start()
        self._in_place.wait()

    def begin(self, work: Callable[[], object]) -> None:
        """Do ``work`` and end."""
        self._work = work
        self._told.set()

    def run(self) -> None:
        try:
            go_first()
            self._prepared()
        finally:
            self._in_place.set()
        self._told.wait()
        if self._work is not None:
            self._work()
