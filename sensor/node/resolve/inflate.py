"""Parts of a file as files of their own: a stored member of an archive, and a deflated one.

Memory is bounded whatever the member holds: a deflated one is never expanded as a whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

TAIL_BYTES = 1 << 20
"""Kept of the end of a deflated member: the central directory of an archive, most often."""

_CHUNK = 64 << 10


class Readable(Protocol):
    """What an archive is read from: an open file, or a member of another archive."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


class Slice:
    """A part of a file, as a file."""

    def __init__(self, file: Readable, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size
        self._at = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, size: int, /) -> bytes:
        self._file.seek(self._start + self._at)
        content = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(content)
        return content


class Inflated:
    """What a raw deflate stream expands to, as a file: going back inflates again from its start.

    ``spend`` is told of every byte expanded, as often as it is, and raises when it has been enough.
    Raises ValueError when the stream does not expand to ``size`` bytes, and zlib.error.
    """

    def __init__(self, packed: Slice, size: int, spend: Callable[[int], None]) -> None:
        self._packed = packed
        self._size = size
        self._spend = spend
        self._at = 0
        self._restart()
        self._tail = b""
        self._tail_start = size
        self._keep_tail()

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def read(self, size: int, /) -> bytes:
        size = max(0, min(size, self._size - self._at))
        if self._at >= self._tail_start:
            start = self._at - self._tail_start
            content = self._tail[start : start + size]
        else:
            content = self._inflate(size)
        self._at += len(content)
        return content

    def _inflate(self, size: int) -> bytes:
        if self._at < self._position - len(self._pending):
            self._restart()
        while self._position <= self._at:
            self._advance()
        start = len(self._pending) - (self._position - self._at)
        parts = [self._pending[start : start + size]]
        missing = size - len(parts[0])
        while missing:
            self._advance()
            parts.append(self._pending[:missing])
            missing -= len(parts[-1])
        return b"".join(parts)

    def _restart(self) -> None:
        self._packed.seek(0)
        self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
        self._position = 0  # bytes expanded so far
        self._pending = b""  # the last of them

    def _advance(self) -> None:
        """Expand the next few bytes. Raises ValueError at the end."""
        content = b""
        while not content:
            packed = self._stream.unconsumed_tail or self._packed.read(_CHUNK)
            content = self._stream.decompress(packed, _CHUNK)
            if not content and (self._stream.eof or not packed):
                raise ValueError(f"a deflated member ends after {self._position} of {self._size} bytes")
        self._spend(len(content))
        self._position += len(content)
        self._pending = content

    def _keep_tail(self) -> None:
        start = max(0, self._size - TAIL_BYTES)
        tail = bytearray()
        while self._position < self._size:
            self._advance()
            tail += self._pending[max(0, start - (self._position - len(self._pending))) :]
        if self._position != self._size:
            raise ValueError(f"a deflated member does not expand to {self._size} bytes")
        self._tail = bytes(tail)
        self._tail_start = start
