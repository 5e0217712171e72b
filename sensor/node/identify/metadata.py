"""Container identity -> name, image and pod, from whatever the node's container runtimes left or answer."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sensor.model.container import ContainerIdentity, ContainerMetadata
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

    is_named: bool = False
    """All names are known; the digest of an image that was never in a registry never is."""
    lacks_owner: bool = False
    """The API server is yet to tell its workload, and tells nobody when it can: it is asked for ever."""

    @property
    def is_settled(self) -> bool:
        is_whole = self.metadata.is_sandbox or self.metadata.image.digest is not None
        return (self.is_named and is_whole) or self.tries >= _TRIES_MAX

    @property
    def may_learn(self) -> bool:
        return not self.is_settled or self.lacks_owner

    @property
    def is_enough(self) -> bool:
        return self.is_settled or (self.is_named and self.tries > 1)


class RuntimeMetadata:
    """Asks its sources in turn, one container at a time, and remembers the answers.

    Of two answers that of the earlier source counts. ``in_cluster`` tells that a source knows workloads:
    a pod's container is complete with one only. ``declared_image`` tells the image that the author of a
    container's pod wrote, which counts before what a runtime calls it. Thread-safe. Blocks while a source
    is asked; ``next_retry`` tells when asking again makes sense.
    """

    def __init__(
        self,
        sources: Sequence[MetadataSource],
        clock: Callable[[], float] = time.monotonic,
        *,
        in_cluster: bool = False,
        declared_image: Callable[[ContainerMetadata], str | None] | None = None,
    ) -> None:
        self._in_cluster = in_cluster
        self._declared_image = declared_image
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
            if known.may_learn and now >= known.next_try:
                self._ask(identity, known, now)
            return known.metadata

    def next_retry(self, identity: ContainerIdentity) -> float | None:
        """Return when (seconds of the clock) to look up again, None if that would bring nothing."""
        with self._lock:
            known = self._known.get(identity)
            return known.next_try if known is not None and known.may_learn else None

    def is_settled(self, identity: ContainerIdentity) -> bool:
        """Whether nothing more is expected to be learnt."""
        with self._lock:
            known = self._known.get(identity)
            return known is not None and known.is_settled

    def is_enough(self, identity: ContainerIdentity) -> bool:
        """Whether what is known is worth a report: all but a digest for which was asked once more."""
        with self._lock:
            known = self._known.get(identity)
            return known is not None and known.is_enough

    def refresh(self, identity: ContainerIdentity) -> None:
        """Something has changed: the next :meth:`lookup` asks again, whatever is known."""
        with self._lock:
            known = self._known.get(identity)
            if known is not None:
                known.tries, known.next_try, known.is_named, known.lacks_owner = 0, 0.0, False, False

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
        found = ContainerMetadata()
        for source in self._sources:
            answer = source.lookup(identity)
            if answer is not None:
                found = found.or_else(answer)
            if self._is_named(found) and (found.is_sandbox or found.image.digest is not None):
                break
        known.metadata = self._as_declared(found.or_else(known.metadata))
        known.is_named = self._is_named(known.metadata)
        known.lacks_owner = self._lacks_owner(known.metadata)
        known.next_try = now + min(_FIRST_RETRY_SECONDS * 2**known.tries, _LAST_RETRY_SECONDS)
        if known.tries >= _TRIES_MAX:
            return  # counted before
        known.tries += 1
        if known.metadata.name is not None:
            self.counters.answered += known.is_settled
        elif known.is_settled:
            self.counters.given_up += 1

    def _as_declared(self, found: ContainerMetadata) -> ContainerMetadata:
        name = self._declared_image(found) if self._declared_image and found.name else None
        return found if name is None else replace(found, image=replace(found.image, name=name))

    def _is_named(self, found: ContainerMetadata) -> bool:
        if found.is_sandbox:
            return True
        is_named = found.name is not None and found.image.name is not None
        return is_named and not self._lacks_owner(found)

    def _lacks_owner(self, found: ContainerMetadata) -> bool:
        in_pod = found.pod_uid is not None and not found.is_sandbox
        return self._in_cluster and in_pod and found.workload is None


def runtime_metadata(
    host_root: str = "/",
    before: Sequence[MetadataSource] = (),
    cri: MetadataSource | None = None,
    declared_image: Callable[[ContainerMetadata], str | None] | None = None,
) -> RuntimeMetadata:
    """Return the sources of every runtime below ``host_root``, the host's root folder as seen here.

    ``before`` are asked first: they know workloads. Raises OSError if the root cannot be opened.
    """
    host = open_folder(host_root)
    asked = () if cri is None else (cri,)
    sources = (*before, *asked, OciBundles(host, RuncStates(host)), EngineApi(host_root), PodmanStorage(host))
    return RuntimeMetadata(sources, in_cluster=bool(before), declared_image=declared_image)
