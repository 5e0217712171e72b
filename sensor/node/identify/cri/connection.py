"""The connection to one container runtime: found when it is there, lost and found again as it restarts."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from sensor.delivery.backoff import Backoff
from sensor.node.identify.cri.counters import CriCounters
from sensor.node.identify.cri.sockets import HeldSocket, hold, socket_id
from sensor.node.rootfs import RootFilesystem

if TYPE_CHECKING:
    from sensor.node.identify.cri.channel import Channel, CriError

log = logging.getLogger(__name__)

LONGEST_PAUSE = 10.0
"""Seconds, at most, for which a runtime that failed is left alone. Nobody else waits: it is on this node."""
WITHOUT_CRI_SECONDS = 300.0
"""For which a socket without the interface is left alone, unless it is made anew."""
_NAME_LENGTH = 64
_VERSION = re.compile(r"v?(\d{1,4})\.(\d{1,4})")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who answers, as it calls itself (``containerd``, ``1.6.20``)."""

    name: str
    version: str

    @property
    def bears_readers(self) -> bool:
        """Whether a further reader of its events does no harm.

        containerd 1.7 deals its events out among its readers (issue 7318): we would take the kubelet's. Since
        2.0 it makes no pods while a reader takes none (internal/eventq): were this process stopped, the node
        would make 37 more. CRI-O of old panicked when a reader hung up while events were sent (a WaitGroup
        below zero); 1.34 does not.
        """
        if self.name == "containerd":
            return False
        least = {"cri-o": (1, 34)}.get(self.name, (0, 0))
        found = _VERSION.match(self.version)
        return found is not None and (int(found[1]), int(found[2])) >= least


class Connection:
    """To the socket at ``path`` below ``host``. Thread-safe."""

    def __init__(
        self,
        host: RootFilesystem,
        path: str,
        counters: CriCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._host = host
        self._counters = counters
        self._clock = clock
        self._lock = threading.Lock()
        self._backoff = Backoff(first=0.5, most=LONGEST_PAUSE)
        self._socket: HeldSocket | None = None
        self._channel: Channel | None = None
        self._tried_socket: tuple[int, int, int] | None = None
        self._pause_until = 0.0
        self._closed = False
        self._is_down = False
        self._connects = 0
        self.speaker: Speaker | None = None
        """None before it has first answered, and for a socket that serves something else."""

    def call(self, ask: Callable[[Channel, float], T], deadline: float) -> T | None:
        """Return what ``ask`` gets from the channel within the seconds it is given, None without an answer.

        A call over a connection that turns out to be lost is made once more over a new one.
        """
        for _ in range(2):
            channel, is_new = self.channel(deadline)
            left = deadline - self._clock()
            if channel is None or left <= 0:
                return None
            from sensor.node.identify.cri.channel import CriError  # noqa: PLC0415 - loaded by now

            try:
                answer = ask(channel, left)
            except CriError as error:
                self.failed(channel, error)
                if is_new or error.code != "unavailable":
                    return None
            else:
                self._backoff.succeeded()
                return answer
        return None

    def channel(self, deadline: float) -> tuple[Channel | None, bool]:
        """Return the open channel and whether it was opened just now; None where the runtime is not there."""
        if not self._lock.acquire(timeout=max(0.0, deadline - self._clock())):
            return None, False
        try:
            if self._closed or not self._may_try():
                return None, False
            if self._channel is not None:
                return self._channel, False
            held = hold(self._host, self.path)
            if held is None:
                self._lost("there is no socket")
                return None, False
            return self._open(held, deadline), True
        finally:
            self._lock.release()

    def failed(self, channel: Channel, error: CriError) -> None:
        """``channel`` gave no answer: what it means for the next call."""
        with self._lock:
            if channel is not self._channel:
                return
            if error.code == "unavailable":
                self._drop()
            elif error.code == "deadline_exceeded":
                # Slow, not gone: those who want names must not wait one after the other.
                self._pause(self._backoff.failed())

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._drop()

    def _may_try(self) -> bool:
        if self._clock() >= self._pause_until:
            return True
        now_there = socket_id(self._host, self.path)
        return now_there is not None and now_there != self._tried_socket  # made anew meanwhile

    def _open(self, held: HeldSocket, deadline: float) -> Channel | None:
        from sensor.node.identify.cri.channel import Channel, CriError  # noqa: PLC0415 - 16 MiB

        self._tried_socket = held.id
        channel = Channel(held.address, self._counters)
        try:
            told = channel.version(max(0.05, deadline - self._clock()))
        except CriError as error:
            channel.close()
            held.close()
            self._refused(error)
            return None
        self._socket, self._channel = held, channel
        self._greeted(Speaker(told.runtime_name[:_NAME_LENGTH], told.runtime_version[:_NAME_LENGTH]))
        return channel

    def _refused(self, error: CriError) -> None:
        if error.code != "unimplemented":
            self._pause(self._backoff.failed())
            self._lost(str(error))
            return
        if self.speaker is not None or not self._is_down:
            log.info(
                "found no Container Runtime Interface at %s: normal beside Docker, whose containerd has it"
                " switched off; names are taken from elsewhere",
                self.path,
            )
        self.speaker, self._is_down = None, True
        self._pause(WITHOUT_CRI_SECONDS)

    def _greeted(self, speaker: Speaker) -> None:
        again = self._connects > 0
        self._connects += 1
        self._counters.add("reconnects", int(again))
        if self._is_down or not again:
            log.info(
                "container runtime %r %r at %s %s",
                *(speaker.name, speaker.version, self.path, "is back" if again else "found"),
            )
        self.speaker, self._is_down = speaker, False

    def _lost(self, why: str) -> None:
        """Said once until it is back. A runtime that was never there is no loss."""
        if self._is_down or self._closed:
            return
        self._is_down = True
        log.warning(
            "the container runtime at %s does not answer (%s): new containers get their names from elsewhere"
            " until it is back",
            *(self.path, why),
        )

    def _pause(self, seconds: float) -> None:
        self._pause_until = self._clock() + seconds

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
