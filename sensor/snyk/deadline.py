"""One deadline for a whole exchange.

A time-out of a socket starts anew with each byte that arrives: a server that sends one byte a second holds a
reader for ever. The sockets here give each call only what is left until the deadline of their thread.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_thread = threading.local()


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Everything that this thread does with a socket of ours inside ends within ``seconds``. May be nested:
    the nearer deadline holds."""
    outer: float | None = getattr(_thread, "at", None)
    inner = time.monotonic() + seconds
    _thread.at = inner if outer is None else min(inner, outer)
    try:
        yield
    finally:
        _thread.at = outer


def left() -> float:
    """Seconds until the deadline of this thread. Raises :class:`TimeoutError` once it has passed."""
    at: float | None = getattr(_thread, "at", None)
    if at is None:
        raise RuntimeError("a socket with a deadline is used outside of within()")
    seconds = at - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


class DeadlineSocket(socket.socket):
    def recv(self, *args: Any) -> bytes:
        self.settimeout(left())
        return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(left())
        return super().recv_into(*args)

    def sendall(self, *args: Any) -> None:
        self.settimeout(left())
        super().sendall(*args)


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


def dial(host: str, port: int) -> DeadlineSocket:
    """Connect by TCP within the deadline, whatever the resolver and however many addresses there are.

    Raises :class:`OSError`: :class:`socket.gaierror`, :class:`TimeoutError`, :class:`ConnectionError` …
    """
    failure: OSError | None = None
    for family, kind, protocol, _, address in _resolve(host, port):
        connection = DeadlineSocket(family, kind, protocol)
        try:
            connection.settimeout(left())
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure or socket.gaierror(socket.EAI_NONAME, "no address")


def _resolve(host: str, port: int) -> list[Any]:
    """getaddrinfo() knows no time-out and may take half a minute: a thread of its own waits for it."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass
    answers: list[list[Any] | OSError] = []
    asking = threading.Thread(target=_ask, args=(host, port, answers), name="resolve-name", daemon=True)
    asking.start()
    asking.join(left())
    if not answers:
        raise socket.gaierror(socket.EAI_AGAIN, "the resolver did not answer in time")
    if isinstance(answers[0], OSError):
        raise answers[0]
    return answers[0]


def _ask(host: str, port: int, answers: list[list[Any] | OSError]) -> None:
    try:
        answers.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        answers.append(error)
    except UnicodeError as error:  # a label that is empty or longer than 63 characters
        answers.append(socket.gaierror(socket.EAI_NONAME, str(error)))
