"""Gives containers their names: asks the runtimes, in a thread of its own because they may be slow."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque

from sensor.model.container import HOST_CONTAINER_ID, ContainerIdentity
from sensor.node.identify.metadata import RuntimeMetadata
from sensor.node.inventory import Inventory

FORGET_WITHIN = 10.0
"""Seconds for which what is known of an ended container is kept."""

log = logging.getLogger(__name__)

WAITING = 2048
"""Containers waiting for a name; beyond, :attr:`Describer.dropped` counts. As many as the inventory holds."""


class Describer(threading.Thread):
    """Looks a new container up at once, since a short one takes its files along when it goes, and
    again when the runtime had no answer yet."""

    def __init__(self, inventory: Inventory, metadata: RuntimeMetadata) -> None:
        super().__init__(name="describe", daemon=True)
        self._inventory = inventory
        self._metadata = metadata
        self._new: queue.Queue[ContainerIdentity | None] = queue.Queue(WAITING)
        self._ended: deque[ContainerIdentity] = deque(maxlen=WAITING)
        self._later: dict[ContainerIdentity, float] = {}
        self.dropped = 0
        self.failures = 0

    def add(self, container: ContainerIdentity) -> None:
        """A container that needs a name. Never waits."""
        if container.id == HOST_CONTAINER_ID:
            return
        try:
            self._new.put_nowait(container)
        except queue.Full:
            self.dropped += 1

    def forget(self, container: ContainerIdentity) -> None:
        """It has ended: ask no more. Never waits, not even while a runtime is slow to answer."""
        self._ended.append(container)

    def run(self) -> None:
        while True:
            try:
                container = self._new.get(timeout=self._pause())
            except queue.Empty:
                self._look_up_due()
                continue
            if container is None:
                return
            self._forget_ended()
            self._look_up(container)
            self._look_up_due()  # many new ones must not keep the others waiting

    def stop(self, timeout: float) -> None:
        """End after what is being asked just now."""
        try:
            self._new.put_nowait(None)
        except queue.Full:
            return  # a daemon thread: it ends with the process
        self.join(timeout)

    def _pause(self) -> float:
        due = min(self._later.values(), default=None)
        return FORGET_WITHIN if due is None else min(FORGET_WITHIN, max(0.05, due - time.monotonic()))

    def _look_up_due(self) -> None:
        self._forget_ended()
        now = time.monotonic()
        for container in [container for container, due in self._later.items() if due <= now]:
            del self._later[container]
            self._look_up(container)

    def _forget_ended(self) -> None:
        while self._ended:
            container = self._ended.popleft()
            self._later.pop(container, None)
            self._metadata.forget(container)

    def _look_up(self, container: ContainerIdentity) -> None:
        try:
            self._inventory.describe(container, self._metadata.lookup(container))
            again = self._metadata.next_retry(container)
        except Exception:  # the edge of the loop: one container's name must not cost the others theirs
            self.failures += 1
            log.exception("cannot look up container %s", container.id)
            return
        if again is None:
            return
        if len(self._later) < WAITING:
            self._later[container] = again
        else:
            self.dropped += 1
