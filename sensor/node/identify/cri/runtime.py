"""One container runtime: asked in bulk where that helps, its answers remembered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from sensor.model.container import ContainerMetadata, Image
from sensor.node.identify.cri import answers
from sensor.node.identify.cri.answers import Container
from sensor.node.identify.cri.cache import CONTAINERS_MAX, SANDBOXES_MAX, Cache
from sensor.node.identify.cri.connection import Connection
from sensor.node.identify.cri.counters import CriCounters

if TYPE_CHECKING:
    from sensor.node.identify.cri.proto import cri_pb2 as cri

LIST_SECONDS = 1.0
"""Between two lists of everything. What is new in between is asked for one by one."""


@dataclass(frozen=True, slots=True)
class RunningContainer:
    """A container that runs, as its runtime has it. Times are seconds since the epoch, None if not told.

    ``started_at`` is known where the runtime has a stream of events only.
    """

    id: str
    metadata: ContainerMetadata
    created_at: float | None
    started_at: float | None


class Runtime:
    """Answers for the containers behind one connection. Thread-safe. Deadlines are times of ``clock``."""

    def __init__(
        self,
        connection: Connection,
        counters: CriCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.connection = connection
        self.cache = Cache(clock)
        self._counters = counters
        self._clock = clock
        self._asking = threading.Lock()
        self._listed_at = float("-inf")

    def lookup(self, container_id: str, deadline: float) -> ContainerMetadata | None:
        """Return what is known of a container or a sandbox, None if nothing."""
        if not self._is_known(container_id):
            self._ask(container_id, deadline)
        sandbox = self.cache.sandbox(container_id)
        if sandbox is not None:
            return answers.metadata_of_sandbox(sandbox)
        known = self.cache.container(container_id)
        return None if known is None else self._metadata(known, deadline)

    def running(self, deadline: float) -> tuple[RunningContainer, ...] | None:
        """Return the containers that run, without sandboxes; None if the runtime did not tell."""
        with self._asking:
            there = self._list(deadline)
        if there is None:
            return None
        known = filter(None, map(self.cache.container, there))
        return tuple(
            RunningContainer(one.id, self._metadata(one, deadline), one.created_at, one.started_at)
            for one in known
            if one.is_running
        )

    def took_event(self, event: cri.ContainerEventResponse) -> Container | None:
        """Remember what an event tells. Returns the container that it is about, None if it is a sandbox."""
        sandboxes = []
        if event.pod_sandbox_status.id:
            sandboxes.append(answers.pod_sandbox(event.pod_sandbox_status))
        sandbox_id = sandboxes[0].id if sandboxes else None
        statuses = islice(event.containers_statuses, CONTAINERS_MAX)
        self.cache.add((answers.container_of_status(told, sandbox_id) for told in statuses), sandboxes)
        return self.cache.container(event.container_id)

    def metadata_by_now(self, known: Container) -> ContainerMetadata:
        """Return what is known without asking."""
        return answers.metadata_of(known, self.cache.sandbox(known.sandbox_id), known.image_by_now)

    def _is_known(self, container_id: str) -> bool:
        if self.cache.sandbox(container_id) is not None:
            return True
        known = self.cache.container(container_id)
        return known is not None and known.is_listed and self._has_sandbox(known)

    def _has_sandbox(self, known: Container) -> bool:
        return known.sandbox_id is None or self.cache.sandbox(known.sandbox_id) is not None

    def _ask(self, container_id: str, deadline: float) -> None:
        """Only one thread asks: what it learns answers those that wait too."""
        if not self._asking.acquire(timeout=max(0.0, deadline - self._clock())):
            return
        try:
            if self._is_known(container_id):
                return
            is_due = self._clock() - self._listed_at >= LIST_SECONDS
            if not is_due or self._list(deadline) is None:
                self._ask_for_one(container_id, deadline)
        finally:
            self._asking.release()

    def _list(self, deadline: float) -> list[str] | None:
        """Learn of all that the runtime has. Returns the ids of its containers, None if it did not tell."""
        self._listed_at = self._clock()
        # Containers first: their sandboxes are older, so they are in the second list unless already removed.
        told = self.connection.call(lambda channel, left: channel.containers(left), deadline)
        pods = self.connection.call(lambda channel, left: channel.sandboxes(left), deadline)
        if told is None or pods is None:
            return None
        containers, sandboxes = told.containers, pods.items
        cut = max(0, len(containers) - CONTAINERS_MAX) + max(0, len(sandboxes) - SANDBOXES_MAX)
        self._counters.add("cut", cut)
        ids = [one.id for one in islice(containers, CONTAINERS_MAX)]
        self.cache.add(
            map(answers.container, islice(containers, CONTAINERS_MAX)),
            map(answers.pod_sandbox, islice(sandboxes, SANDBOXES_MAX)),
        )
        self.cache.listed(set(ids), {one.id for one in islice(sandboxes, SANDBOXES_MAX)})
        return ids

    def _ask_for_one(self, container_id: str, deadline: float) -> None:
        told = self.connection.call(lambda channel, left: channel.containers(left, container_id), deadline)
        if told is None:
            return
        found = [answers.container(one) for one in islice(told.containers, 1) if one.id == container_id]
        self.cache.add(found, ())
        sandbox_id = found[0].sandbox_id if found else container_id
        if sandbox_id is None or self.cache.sandbox(sandbox_id) is not None:
            return
        pods = self.connection.call(lambda channel, left: channel.sandboxes(left, sandbox_id), deadline)
        if pods is not None:
            same = (answers.pod_sandbox(one) for one in islice(pods.items, 1) if one.id == sandbox_id)
            self.cache.add((), same)

    def _metadata(self, known: Container, deadline: float) -> ContainerMetadata:
        return answers.metadata_of(known, self.cache.sandbox(known.sandbox_id), self._image(known, deadline))

    def _image(self, known: Container, deadline: float) -> Image:
        key = known.image_key
        if key is None or (known.image.name is not None and known.image.digest is not None):
            return known.image
        names = self.cache.image(key)
        if names is None:
            image = self.connection.call(lambda channel, left: channel.image(left, key), deadline)
            if image is None:
                return known.image_by_now
            names = answers.image_names(image)
            self.cache.add_image(key, names)
        return answers.image_of(known, names)
