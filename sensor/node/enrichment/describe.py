"""Gives containers their names: asks the runtimes, in a thread of its own because they may be slow."""

from __future__ import annotations

import logging
import queue
import threading
import time

from sensor.config.filters import EVERYTHING, Filters
from sensor.model.container import HOST_CONTAINER_ID, ContainerIdentity
from sensor.node.filter import Verdict, verdict
from sensor.node.identify.metadata import RuntimeMetadata
from sensor.node.inventory import Inventory

MOST_PAUSE = 10.0

log = logging.getLogger(__name__)

WAITING = 2048
"""Containers waiting for a name; beyond, :attr:`Describer.dropped` counts. As many as the inventory holds."""


class Describer(threading.Thread):
    """Looks a new container up at once, since a short one takes its files along when it goes, and
    again when the runtime had no answer yet. What is found decides whether the container is reported.

    ``keep_ended`` is for how many seconds after a container's end it is still asked for: an API server
    that was away may know it when it comes back.
    """

    def __init__(
        self,
        inventory: Inventory,
        metadata: RuntimeMetadata,
        filters: Filters = EVERYTHING,
        *,
        keep_ended: float = 0.0,
    ) -> None:
        super().__init__(name="describe", daemon=True)
        self._inventory = inventory
        self._metadata = metadata
        self._filters = filters
        self._keep_ended = keep_ended
        self._new: queue.Queue[tuple[ContainerIdentity, bool] | None] = queue.Queue(WAITING)
        self._ended: dict[ContainerIdentity, float] = {}
        """When each is forgotten, the first first."""
        self._later: dict[ContainerIdentity, float] = {}
        self.dropped = 0
        self.failures = 0

    def add(self, container: ContainerIdentity) -> None:
        """A container that needs a name. Never waits."""
        if container.id == HOST_CONTAINER_ID:
            self._inventory.admit(container)
            return
        self._put(container, anew=self._ended.pop(container, None) is not None)

    def refresh(self, container: ContainerIdentity) -> None:
        """Something new is known of a container: look it up anew. Never waits."""
        if container.id != HOST_CONTAINER_ID:  # whatever a pod's status says
            self._put(container, anew=True)

    def _put(self, container: ContainerIdentity, *, anew: bool) -> None:
        try:
            self._new.put_nowait((container, anew))
        except queue.Full:
            self.dropped += 1

    def forget(self, container: ContainerIdentity) -> None:
        """It has ended: soon ask no more. Never waits, not even while a runtime is slow to answer."""
        if len(self._ended) < WAITING:
            self._ended[container] = time.monotonic() + self._keep_ended
        else:
            self.dropped += 1

    def run(self) -> None:
        while True:
            try:
                work = self._new.get(timeout=self._pause())
            except queue.Empty:
                self._look_up_due()
                continue
            if work is None:
                return
            self._forget_ended()
            container, anew = work
            if anew:
                self._metadata.refresh(container)
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
        return MOST_PAUSE if due is None else min(MOST_PAUSE, max(0.05, due - time.monotonic()))

    def _look_up_due(self) -> None:
        self._forget_ended()
        now = time.monotonic()
        for container in [container for container, due in self._later.items() if due <= now]:
            del self._later[container]
            self._look_up(container)

    def _forget_ended(self) -> None:
        now = time.monotonic()
        # A copy, in one step: other threads add to it, even while a collection runs within a walk.
        for container, due in self._ended.copy().items():
            if due > now:
                return
            self._ended.pop(container, None)
            self._later.pop(container, None)
            self._metadata.forget(container)

    def _look_up(self, container: ContainerIdentity) -> None:
        try:
            again = None if self._decide(container) is Verdict.OUT else self._metadata.next_retry(container)
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

    def _decide(self, container: ContainerIdentity) -> Verdict:
        metadata = self._metadata.lookup(container)
        # Of a pod more may be learnt at any time: it is not excluded for what is not known of it.
        settled = metadata.pod_uid is None and self._metadata.is_settled(container)
        found = verdict(self._filters, metadata, settled)
        if found is Verdict.OUT:
            self._inventory.exclude(container)
            return found
        self._inventory.describe(container, metadata)
        # The first report of a pod's container has all names, if they come soon enough.
        if found is Verdict.IN:
            self._inventory.passed(container)
            if metadata.pod_uid is None or self._metadata.is_enough(container):
                self._inventory.admit(container)
        # Of a pod that the API server knows, and nobody has a name for it yet: as a rule its sandbox, where
        # no runtime is there to say so.
        self._inventory.keep(container, kept=metadata.name is None and metadata.pod_name is not None)
        return found
