"""Container identity -> name, image and pod, from whatever the node's container runtimes left or answer."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.node.identify.engine_api import EngineApi
from sensor.node.identify.oci_bundle import OciBundles
from sensor.node.identify.podman_storage import PodmanStorage
from sensor.node.identify.roots import open_folder
from sensor.node.identify.runc import RuncStates

_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 60.0
_TRIES_MAX = 10  # over about four minutes
_REMEMBERED = 2048


class MetadataSource(Protocol):
    """One place that knows containers."""

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        """Return what it knows, None if nothing. Never raises; takes at most a few seconds."""
        ...


@dataclass(slots=True)
class MetadataCounters:
    """Since the start. ``given_up`` counts containers still incomplete after the last try."""

    asked: int = 0
    answered: int = 0
    given_up: int = 0


@dataclass(slots=True)
class _Known:
    metadata: ContainerMetadata
    tries: int = 0
    next_try: float = 0.0

    @property
    def is_settled(self) -> bool:
        complete = self.metadata.name is not None and self.metadata.image.name is not None
        return complete or self.tries >= _TRIES_MAX


class RuntimeMetadata:
    """Asks its sources in turn, one container at a time, and remembers the answers.

    Thread-safe. Blocks while a source is asked; ``next_retry`` tells when asking again makes sense.
    """

    def __init__(
        self, sources: Sequence[MetadataSource], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.counters = MetadataCounters()
        self._sources = tuple(sources)
        self._clock = clock
        self._known: OrderedDict[ContainerIdentity, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata:
        """Return what is known by now; fields are None where nothing is. Never raises."""
        with self._lock:
            known = self._remember(identity)
            now = self._clock()
            if not known.is_settled and now >= known.next_try:
                self._ask(identity, known, now)
            return known.metadata

    def next_retry(self, identity: ContainerIdentity) -> float | None:
        """Return when (seconds of the clock) to look up again, None if that would bring nothing."""
        with self._lock:
            known = self._known.get(identity)
            return None if known is None or known.is_settled else known.next_try

    def forget(self, identity: ContainerIdentity) -> None:
        """Drop what is known of a container that has ended."""
        with self._lock:
            self._known.pop(identity, None)

    def _remember(self, identity: ContainerIdentity) -> _Known:
        known = self._known.get(identity)
        if known is None:
            known = self._known[identity] = _Known(ContainerMetadata(pod_uid=identity.pod_uid))
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(identity)
        return known

    def _ask(self, identity: ContainerIdentity, known: _Known, now: float) -> None:
        self.counters.asked += 1
        for source in self._sources:
            if known.is_settled and known.metadata.image.digest is not None:
                break
            found = source.lookup(identity)
            if found is not None:
                known.metadata = merge(known.metadata, found)
        known.next_try = now + min(_FIRST_RETRY_SECONDS * 2**known.tries, _LAST_RETRY_SECONDS)
        known.tries += 1
        if known.metadata.name is not None:
            self.counters.answered += known.is_settled
        elif known.is_settled:
            self.counters.given_up += 1


def merge(known: ContainerMetadata, more: ContainerMetadata) -> ContainerMetadata:
    """Return ``known`` with its gaps filled from ``more``."""
    return ContainerMetadata(
        name=known.name or more.name,
        image=Image(known.image.name or more.image.name, known.image.digest or more.image.digest),
        namespace=known.namespace or more.namespace,
        pod_name=known.pod_name or more.pod_name,
        pod_uid=known.pod_uid or more.pod_uid,
        workload=known.workload or more.workload,
    )


def runtime_metadata(host_root: str = "/") -> RuntimeMetadata:
    """Return the sources of every runtime below ``host_root``, the host's root folder as seen here.

    Raises OSError if it cannot be opened.
    """
    host = open_folder(host_root)
    return RuntimeMetadata((OciBundles(host, RuncStates(host)), EngineApi(host_root), PodmanStorage(host)))
