"""Container identity -> name, image and pod, from the container runtimes that kubelets use."""

from __future__ import annotations

import logging
import re
import threading
import time

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.node.identify.cri.connection import Connection
from sensor.node.identify.cri.counters import CriCounters
from sensor.node.identify.cri.events import EventStream, OnContainer
from sensor.node.identify.cri.runtime import RunningContainer, Runtime
from sensor.node.identify.cri.sockets import KNOWN, Endpoint, given, socket_id
from sensor.node.identify.roots import open_folder

log = logging.getLogger(__name__)

LOOKUP_SECONDS = 2.0
"""For one look-up, whatever the runtimes do."""
RUNNING_SECONDS = 10.0

_ID = re.compile("[0-9a-f]{64}")


class CriMetadata:
    """Asks the runtimes below ``host_root``, or the one at ``socket``, a path on the host.

    A runtime is used from when its socket is first seen, which each call looks for. Thread-safe. Raises
    OSError if ``host_root`` cannot be opened.
    """

    def __init__(
        self, host_root: str = "/", socket: str | None = None, on_container: OnContainer | None = None
    ) -> None:
        self._host = open_folder(host_root)
        self._endpoints = KNOWN if socket is None else (given(socket),)
        self._said_absent = socket is None
        self._on_container = on_container
        self._counters = CriCounters()
        self._lock = threading.Lock()
        self._runtimes: dict[Endpoint, Runtime] = {}
        self._sockets: set[tuple[int, int, int] | None] = set()
        self._streams: dict[Endpoint, EventStream] = {}
        self._streaming = False
        self._closed = False

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        """Return what the first runtime that knows the container tells, None if none does. Never raises."""
        if not _ID.fullmatch(identity.id):
            return None
        deadline = time.monotonic() + LOOKUP_SECONDS
        for endpoint, runtime in self._present():
            if identity.runtime in endpoint.runtimes:
                found = runtime.lookup(identity.id, deadline)
                if found is not None:
                    return found
        return None

    def running(self) -> tuple[RunningContainer, ...] | None:
        """Return the containers that run on this node, sandboxes excluded.

        None if no runtime told, or not one that has told before: then a container's absence means nothing.
        """
        deadline = time.monotonic() + RUNNING_SECONDS
        found: list[RunningContainer] = []
        any_told = False
        for _, runtime in self._present():
            told = runtime.running(deadline)
            if told is not None:
                found += told
                any_told = True
            elif runtime.connection.speaker is not None:
                return None
        return tuple(found) if any_told else None

    def start(self) -> None:
        """Read the runtimes' streams of events from now on, in a thread for each runtime."""
        with self._lock:
            self._streaming = True
        self._present()

    def close(self, timeout: float = 1.0) -> None:
        """End streams and connections; later calls find nothing."""
        with self._lock:
            self._closed = True
        for stream in self._streams.values():
            stream.stop(timeout)
        for runtime in self._runtimes.values():
            runtime.connection.close()

    @property
    def counters(self) -> CriCounters:
        """What was done so far; do not write to it."""
        with self._lock:
            sizes = [runtime.cache.sizes for runtime in self._runtimes.values()]
        self._counters.containers = sum(containers for containers, _ in sizes)
        self._counters.sandboxes = sum(sandboxes for _, sandboxes in sizes)
        return self._counters

    def _present(self) -> list[tuple[Endpoint, Runtime]]:
        """The runtimes whose sockets have been seen, in the order of :data:`KNOWN`."""
        with self._lock:
            if self._closed:
                return []
            for endpoint in self._endpoints:
                if endpoint not in self._runtimes:
                    self._find(endpoint)
                if self._streaming and endpoint in self._runtimes and endpoint not in self._streams:
                    self._stream(endpoint)
            return [(one, self._runtimes[one]) for one in self._endpoints if one in self._runtimes]

    def _find(self, endpoint: Endpoint) -> None:
        found = socket_id(self._host, endpoint.path)
        # Some link the path of one distribution to that of another.
        if found is not None and found not in self._sockets:
            self._sockets = {socket_id(self._host, known.path) for known in self._runtimes}
            if found in self._sockets:  # made anew, under all its names
                return
            self._sockets.add(found)
            connection = Connection(self._host, endpoint.path, self._counters)
            self._runtimes[endpoint] = Runtime(connection, self._counters)
        elif found is None and not self._said_absent:
            self._said_absent = True
            log.warning(
                "--cri-socket: found no socket at %s on the host, expected that of containerd, CRI-O or"
                " cri-dockerd; it is used as soon as it is there",
                endpoint.path,
            )

    def _stream(self, endpoint: Endpoint) -> None:
        stream = EventStream(self._runtimes[endpoint], self._counters, self._on_container)
        self._streams[endpoint] = stream
        stream.start()
