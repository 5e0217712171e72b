"""What goes over the loopback device, and whether it is TLS."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

_ETH_P_ALL, _SOL_PACKET, _PACKET_STATISTICS, _PACKET_OUTGOING = 3, 263, 6, 4  # linux/if_packet.h
_RECORD_TYPES = range(20, 25)  # RFC 8446 appendix B.1, RFC 6520
_RECORD_MOST = 2**14 + 2048  # RFC 5246 section 6.2.3
APPLICATION_DATA = 23
"""Type of a record."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Of TCP; ``flow`` is the ports from and to."""

    flow: tuple[int, int]
    sequence: int
    starts: bool
    payload: bytes


class Trace:
    """``with Trace() as trace``: every packet on the loopback device (packet(7)), each once."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self._thread = threading.Thread(target=self._read, name="trace", daemon=True)
        self._stop = threading.Event()
        self.packets: list[bytes] = []
        self.dropped = 0

    def __enter__(self) -> Self:
        self._socket.bind(("lo", _ETH_P_ALL))
        self._socket.settimeout(0.1)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        counted = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self.dropped = struct.unpack("II", counted)[1]
        self._socket.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                packet, (_, _, kind, *_) = self._socket.recvfrom(1 << 18)
                if kind == _PACKET_OUTGOING:  # what comes back in is the same again
                    self.packets.append(packet)


def segments(packets: list[bytes]) -> Iterator[Segment]:
    """Those of TCP over IPv4 (RFC 791, RFC 9293)."""
    for packet in packets:
        if packet[12:14] != b"\x08\x00" or packet[23] != socket.IPPROTO_TCP:
            continue
        head = 14 + 4 * (packet[14] & 15)
        length = struct.unpack_from(">H", packet, 16)[0] or len(packet) - 14
        source, target, sequence, _, offset, flags = struct.unpack_from(">HHIIBB", packet, head)
        payload = packet[head + 4 * (offset >> 4) : 14 + length]
        yield Segment((source, target), sequence, bool(flags & 2), payload)


def streams(found: list[Segment]) -> Iterator[bytes]:
    """What each end of each connection sent, whole; a connection that began before the trace is an error."""
    open_ones: dict[tuple[int, int], tuple[int, dict[int, bytes]]] = {}
    for segment in found:
        if segment.starts:
            if segment.flow in open_ones:
                yield _joined(open_ones[segment.flow][1])
            open_ones[segment.flow] = (segment.sequence + 1, {})
        elif segment.payload:
            begin, pieces = open_ones[segment.flow]
            pieces[(segment.sequence - begin) % 2**32] = segment.payload
    for _, pieces in open_ones.values():
        yield _joined(pieces)


def _joined(pieces: dict[int, bytes]) -> bytes:
    whole = bytearray()
    for offset in sorted(pieces):
        assert offset <= len(whole), "a packet is missing in the trace"
        whole += pieces[offset][len(whole) - offset :]
    return bytes(whole)


def records(stream: bytes) -> list[tuple[int, int]]:
    """Type and length of each TLS record; fails where ``stream`` is anything else (RFC 8446 section 5.1)."""
    found, offset = [], 0
    while offset < len(stream):
        kind, major, minor, length = struct.unpack_from(">BBBH", stream, offset)
        told = f"at byte {offset} of {len(stream)}: {stream[offset : offset + 24]!r}"
        assert kind in _RECORD_TYPES and major == 3 and minor <= 4, f"no TLS record {told}"
        assert 0 < length <= _RECORD_MOST and offset + 5 + length <= len(stream), f"no whole record {told}"
        found.append((kind, length))
        offset += 5 + length
    return found
