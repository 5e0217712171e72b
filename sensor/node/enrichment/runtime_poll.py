"""Asks the container runtimes now and then which containers run: a thread, because they may be slow."""

from __future__ import annotations

import logging
import random
import threading

from sensor.model.container import ContainerIdentity
from sensor.node.identify.cri.source import CriMetadata

log = logging.getLogger(__name__)

PERIOD = 30.0
"""Seconds; what the kernel shows does not wait for it."""


class RuntimePoll(threading.Thread):
    """``failures`` counts rounds that raised; the log says why."""

    def __init__(self, cri: CriMetadata) -> None:
        super().__init__(name="runtime-poll", daemon=True)
        self._cri = cri
        self._ending = threading.Event()
        self._running: tuple[ContainerIdentity, ...] | None = None
        self.failures = 0

    def running(self) -> tuple[ContainerIdentity, ...] | None:
        """Return the containers that ran when the runtimes were asked, ``None`` if they did not answer."""
        return self._running

    def run(self) -> None:
        while not self._ending.is_set():
            try:
                self._ask()
            except Exception:  # the edge of the loop: the next round may do better
                self.failures += 1
                self._running = None
                log.exception("cannot ask the container runtimes what runs")
            self._ending.wait(PERIOD * random.uniform(0.9, 1.1))

    def stop(self, timeout: float) -> None:
        self._ending.set()
        if self.is_alive():
            self.join(timeout)

    def _ask(self) -> None:
        told = self._cri.running()
        self._running = (
            None
            if told is None
            else tuple(ContainerIdentity(one.id, "unknown", one.metadata.pod_uid) for one in told)
        )
