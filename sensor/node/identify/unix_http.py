"""HTTP GET over a unix socket: bounded in time and size whatever the other side does."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from typing import Any

from sensor.node.identify.untrusted import ANSWER_MAX, parse_json

TIMEOUT_SECONDS = 2.0
"""For one whole request, from connecting to the last byte."""

_SILENT_SECONDS = 30.0  # a server that hangs is left alone for this long
_OK = 200


class UnixHttp:
    """Sends each request over a connection of its own. Not thread-safe."""

    def __init__(
        self, path: str, timeout: float = TIMEOUT_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._timeout = timeout
        self._clock = clock
        self._silent_until = 0.0

    def get_json(self, target: str) -> Any:
        """Return the JSON answer, None for any other: no server, an error, too slow, too large."""
        if self._clock() < self._silent_until:
            return None
        connection = _UnixConnection(self._path, time.monotonic() + self._timeout)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
            answer = connection.getresponse()
            content = answer.read(ANSWER_MAX + 1)
        except TimeoutError:
            self._silent_until = self._clock() + _SILENT_SECONDS
            return None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return parse_json(content) if answer.status == _OK and len(content) <= ANSWER_MAX else None


class _DeadlineSocket(socket.socket):
    """Its deadline (seconds of time.monotonic) holds for all reads together, not for each alone."""

    deadline = 0.0

    def recv_into(self, *arguments: Any, **named: Any) -> int:
        self.limit()
        return super().recv_into(*arguments, **named)

    def limit(self) -> None:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self.settimeout(left)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, deadline: float) -> None:
        super().__init__("localhost")
        self._path = path
        self._deadline = deadline

    def connect(self) -> None:
        connected = _DeadlineSocket(socket.AF_UNIX, socket.SOCK_STREAM)
        connected.deadline = self._deadline
        connected.limit()
        try:
            connected.connect(self._path)
        except BaseException:
            connected.close()
            raise
        self.sock = connected
