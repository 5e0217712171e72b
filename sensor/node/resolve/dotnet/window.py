"""A bounded view of a part of a file: all that the parsers of this room read through."""

from __future__ import annotations

import struct
from typing import BinaryIO

READ_LIMIT = 1 << 20
"""Bytes of one read. Nothing that is read here is larger."""


class BadImage(Exception):
    """Bytes that contradict their format, or exceed our bounds. Every parser here raises this alone."""


class Window:
    """``size`` bytes of ``file`` from ``start``: a whole file, or an assembly inside a bundle.

    Reads may raise OSError besides BadImage.
    """

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self.size = size

    def at(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes. Raises BadImage when they are not all inside."""
        if length < 0 or length > READ_LIMIT or offset < 0 or offset + length > self.size:
            raise BadImage(f"{length} bytes at {offset} of {self.size}")
        self._file.seek(self._start + offset)
        content = self._file.read(length)
        if len(content) != length:
            raise BadImage(f"only {len(content)} of {length} bytes at {offset}")
        return content

    def upto(self, offset: int, length: int) -> bytes:
        """Return at most ``length`` bytes, fewer where the window ends."""
        return self.at(offset, max(0, min(length, self.size - offset)))

    def unpack(self, offset: int, layout: struct.Struct) -> tuple[int, ...]:
        return layout.unpack(self.at(offset, layout.size))

    def part(self, offset: int, length: int) -> Window:
        """Return the window of ``length`` bytes at ``offset``. Raises BadImage when it is not inside."""
        if length < 0 or offset < 0 or offset + length > self.size:
            raise BadImage(f"{length} bytes at {offset} of {self.size}")
        return Window(self._file, self._start + offset, length)
