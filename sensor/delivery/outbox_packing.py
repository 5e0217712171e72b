"""Bytes as small as they get, and back: compressed, and times as differences. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

from sensor.delivery.container_json import milliseconds
from sensor.model.report import LoadedPackage

MAX_BYTES = 64 << 20
"""Of anything unpacked: what is larger is damaged."""


class Damaged(Exception):
    """What was read is not what was written."""


def pack_times(packages: Sequence[LoadedPackage], base: int) -> bytes:
    """First all first times, from the container's own, then how much later each last time is."""
    firsts = [milliseconds(loaded.first_seen) for loaded in packages]
    lasts = [milliseconds(loaded.last_seen) for loaded in packages]
    numbers = bytearray()
    for first in firsts:
        _add_number(numbers, first - base)
    for first, last in zip(firsts, lasts, strict=True):
        _add_number(numbers, last - first)
    return packed(numbers, 9)


def _add_number(numbers: bytearray, number: int) -> None:
    """Zigzag and seven bits a byte: https://protobuf.dev/programming-guides/encoding/#signed-ints"""
    rest = number << 1 if number >= 0 else (-number << 1) - 1
    while rest > 0x7F:
        numbers.append(0x80 | rest & 0x7F)
        rest >>= 7
    numbers.append(rest)


def _numbers(raw: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in raw:
        number |= (byte & 0x7F) << shift
        if byte > 0x7F:
            shift += 7
            continue
        yield -(number + 1 >> 1) if number & 1 else number >> 1
        number = shift = 0


def packed(raw: bytes | bytearray, level: int) -> bytes:
    return zlib.compress(raw, level, -zlib.MAX_WBITS)  # bare: there are checksums already


def unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        raw = unpacker.decompress(body, MAX_BYTES)
    except (zlib.error, TypeError) as error:
        raise Damaged(f"cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise Damaged("was cut off")
    return raw


def unpack_times(times: bytes, base: int) -> tuple[list[int], list[int]]:
    """Return when each package was first and last seen; raises :class:`Damaged`."""
    numbers = list(_numbers(unpacked(times)))
    if len(numbers) % 2:
        raise Damaged("a state has half a pair of times")
    half = len(numbers) // 2
    firsts = [base + delta for delta in numbers[:half]]
    return firsts, [first + delta for first, delta in zip(firsts, numbers[half:], strict=True)]
