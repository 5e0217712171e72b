"""The stream of what happens to a runtime's containers, where it has one."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sensor.delivery.backoff import Backoff
from sensor.model.container import ContainerMetadata
from sensor.node.identify.cri.counters import CriCounters
from sensor.node.identify.cri.runtime import Runtime

if TYPE_CHECKING:
    from sensor.node.identify.cri.channel import Channel, CriError
    from sensor.node.identify.cri.proto import cri_pb2 as cri

log = logging.getLogger(__name__)

OnContainer = Callable[[ContainerMetadata, str, bool], None]
"""Metadata as known without asking, the container's id, whether it runs. Called by the stream's thread: it
must not block."""

WITHOUT_STREAM_SECONDS = 300.0
"""After which a runtime that has none is asked again: it may have been replaced, or configured."""
LONGEST_PAUSE = 30.0
_OPEN_WITHIN = 2.0
_STARTED, _STOPPED, _DELETED = 1, 2, 3  # ContainerEventType


class EventStream(threading.Thread):
    """Keeps a stream open to one runtime until :meth:`stop`, and what it tells in the runtime's cache."""

    def __init__(
        self, runtime: Runtime, counters: CriCounters, on_container: OnContainer | None = None
    ) -> None:
        super().__init__(name="runtime-events", daemon=True)
        self._runtime = runtime
        self._counters = counters
        self._on_container = on_container
        self._backoff = Backoff(first=0.5, most=LONGEST_PAUSE)
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._cancel: Callable[[], object] | None = None
        self._said = False

    def run(self) -> None:
        while not self._ending.is_set():
            try:
                wait = self._read_once()
            except Exception:  # the edge of the loop: a defect must not end the stream for good
                self._counters.add("failures")
                log.exception("cannot read the events of %s", self._runtime.connection.path)
                wait = self._backoff.failed()
            self._ending.wait(wait)

    def stop(self, timeout: float) -> None:
        """End the stream and wait for the thread."""
        with self._lock:
            self._ending.set()
            if self._cancel is not None:
                self._cancel()
        if self.is_alive():
            self.join(timeout)

    def _read_once(self) -> float:
        """Read one stream to its end. Returns the seconds to wait before the next."""
        connection = self._runtime.connection
        channel, _ = connection.channel(time.monotonic() + _OPEN_WITHIN)
        speaker = connection.speaker
        if channel is None or speaker is None:
            return self._backoff.failed()
        if not speaker.bears_readers:
            return self._without_stream("has a stream of events that bears no reader but the kubelet, if any")
        from sensor.node.identify.cri.channel import CriError  # noqa: PLC0415 - loaded by now

        opened = time.monotonic()
        try:
            taken = self._read(channel)
        except CriError as error:
            return self._failed(channel, error)
        if taken or time.monotonic() - opened > _OPEN_WITHIN:
            return self._backoff.failed()
        # So does CRI-O at once, unless enable_pod_events is set.
        return self._without_stream("ends its stream of events, as it does where that is switched off")

    def _failed(self, channel: Channel, error: CriError) -> float:
        if error.code == "unimplemented":
            return self._without_stream("has no stream of events")
        self._runtime.connection.failed(channel, error)
        return self._backoff.failed()

    def _read(self, channel: Channel) -> int:
        """Take events until the stream ends. Returns how many there were. Raises CriError."""
        call = channel.events()
        with self._lock:
            self._cancel = call.cancel
            if self._ending.is_set():
                call.cancel()
        self._counters.add("streams")
        taken = 0
        try:
            for event in call:
                taken += 1
                self._take(event)
                self._backoff.succeeded()
        finally:
            self._counters.add("streams", -1)
            call.cancel()
        return taken

    def _take(self, event: cri.ContainerEventResponse) -> None:
        known = self._runtime.took_event(event)
        kind = event.container_event_type
        if kind == _DELETED:
            self._runtime.cache.removed(event.container_id)
        if known is not None and self._on_container is not None and kind in (_STARTED, _STOPPED, _DELETED):
            self._on_container(self._runtime.metadata_by_now(known), known.id, kind == _STARTED)

    def _without_stream(self, why: str) -> float:
        if not self._said:
            self._said = True
            log.info(
                "the container runtime at %s %s: it is asked for each new container instead",
                *(self._runtime.connection.path, why),
            )
        return WITHOUT_STREAM_SECONDS * random.uniform(0.75, 1.25)
