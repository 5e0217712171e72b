"""Ends a TCP connection under a request, so that the client sees a reset.

gRPC gives no handle on its connections. Their sockets are our own process's all the same: the one whose
other end is the caller is found among our descriptors and shut down; as it lingers for no time, what gRPC
then closes is reset (tcp(7): SO_LINGER of zero seconds).
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
from urllib.parse import unquote

_NO_LINGER = struct.pack("ii", 1, 0)
_PEER = re.compile(r"(?:ipv4:(?P<v4>[0-9.]+)|ipv6:\[(?P<v6>[^\]]+)\]):(?P<port>[0-9]+)")


def reset_when_closed(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


def cut_peer(peer: str) -> bool:
    """Cut the connection of a caller as gRPC names it: ``ipv4:127.0.0.1:40000``. Return whether it was
    found."""
    match = _PEER.fullmatch(unquote(peer))
    if match is None:
        return False
    wanted = (match["v4"] or match["v6"].partition("%")[0], int(match["port"]))
    return any(_cut_if(int(descriptor), wanted) for descriptor in os.listdir("/proc/self/fd"))


def _cut_if(descriptor: int, wanted: tuple[str, int]) -> bool:
    try:
        if not os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:"):
            return False
        ours = os.dup(descriptor)
    except OSError:  # closed meanwhile
        return False
    with socket.socket(fileno=ours) as connection:
        if _peer(connection) != wanted:
            return False
        reset_when_closed(connection)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
    return True


def _peer(connection: socket.socket) -> tuple[str, int] | None:
    try:
        address = connection.getpeername()
    except OSError:
        return None
    if not isinstance(address, tuple):
        return None
    return str(address[0]).removeprefix("::ffff:").partition("%")[0], int(address[1])
