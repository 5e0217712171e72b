"""One deadline for a whole exchange.

A time-out of a socket starts anew with each byte: a server, or something in its place, that sends one a
second holds a reader for ever. Sockets of ours give each call only what is left to their thread.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Thread(threading.local):
    at: float | None = None
    idle: float = 0.0


_thread = _Thread()


@contextmanager
def within(seconds: float, idle: float) -> Iterator[None]:
    """Everything that this thread does with a socket of ours inside ends within ``seconds``, and once nothing
    has come for ``idle`` seconds."""
    before = _thread.at, _thread.idle
    _thread.at, _thread.idle = time.monotonic() + seconds, idle
    try:
        yield
    finally:
        _thread.at, _thread.idle = before


def become_idle_after(seconds: float) -> None:
    """From now on nothing may come for ``seconds`` only."""
    _thread.idle = seconds


def left() -> float:
    """Seconds that the next call may take. Raises :class:`TimeoutError` once there are none."""
    if _thread.at is None:
        raise RuntimeError("a socket with a deadline is used outside of within()")
    seconds = min(_thread.at - time.monotonic(), _thread.idle)
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


class DeadlineSSLSocket(ssl.SSLSocket):
    def recv(self, *args: Any) -> bytes:
        self.settimeout(left())
        try:
            return super().recv(*args)
        except OSError:
            # wrap_socket() reads once if the other side has gone already; where that fails it does not close.
            if self.version() is None:
                self.close()
            raise

    def recv_into(self, *args: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*args)

    def send(self, *args: Any) -> int:
        self.settimeout(left())
        return super().send(*args)

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(left())
        super().do_handshake(block)
