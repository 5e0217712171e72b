"""The package.json inside an archive of Yarn Plug'n'Play.

Only its central directory and one member are read, both within bounds: the zip module of the standard
library reads as many bytes as the archive claims.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import BinaryIO

from sensor.model.package import SkipReason

_TAIL = struct.Struct("<4s4H2LH")  # end of central directory, PKZIP APPNOTE 4.3.16
_MEMBER = struct.Struct("<4s6H3L5H2L")  # central directory header, 4.3.12
_LOCAL = struct.Struct("<4s5H3L2H")  # local file header, 4.3.7
_TAIL_SEARCH = _TAIL.size + 0xFFFF
_DIRECTORY_LIMIT = 4 << 20
_MANIFEST = re.compile(rb"node_modules/(?:@[^/]+/)?[^/@][^/]*/package\.json")
_STORED, _DEFLATED = 0, 8


class BadArchive(Exception):
    """``reason`` is MALFORMED or ARCHIVE_BOUNDS."""

    def __init__(self, reason: SkipReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def read_manifest(file: BinaryIO, limit: int) -> bytes:
    """Return ``node_modules/<name>/package.json`` of the archive, at most ``limit`` bytes.

    Raises BadArchive, and OSError when the file cannot be read.
    """
    try:
        method, packed, unpacked, offset = _find(_directory(file))
        if max(packed, unpacked) > limit:
            raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"package.json of {max(packed, unpacked)} bytes")
        file.seek(offset)
        local = _LOCAL.unpack(file.read(_LOCAL.size))
        file.seek(local[-1] + local[-2], 1)
        return _unpack(method, file.read(packed), limit)
    except (struct.error, zlib.error, ValueError) as error:
        raise BadArchive(SkipReason.MALFORMED, f"not a readable zip: {error}") from error


def _directory(file: BinaryIO) -> bytes:
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_SEARCH))
    tail = file.read(_TAIL_SEARCH)
    start = tail.rfind(b"PK\x05\x06")
    if start < 0:
        raise BadArchive(SkipReason.MALFORMED, "no end of central directory")
    *_, length, offset, _comment = _TAIL.unpack_from(tail, start)
    if length > _DIRECTORY_LIMIT:  # also what ZIP64 writes here; no package is that large
        raise BadArchive(SkipReason.ARCHIVE_BOUNDS, f"central directory of {length} bytes")
    file.seek(offset)
    return file.read(length)


def _find(directory: bytes) -> tuple[int, int, int, int]:
    """Return method, packed size, unpacked size and offset of the package's own package.json."""
    position = 0
    while position < len(directory):
        member = _MEMBER.unpack_from(directory, position)
        if member[0] != b"PK\x01\x02":
            break
        name_start = position + _MEMBER.size
        name_length, extra, comment = member[10:13]
        if _MANIFEST.fullmatch(directory, name_start, name_start + name_length):
            return member[4], member[8], member[9], member[16]
        position = name_start + name_length + extra + comment
    raise BadArchive(SkipReason.MALFORMED, "no node_modules/<name>/package.json inside")


def _unpack(method: int, content: bytes, limit: int) -> bytes:
    if method == _STORED:
        return content
    if method != _DEFLATED:
        raise BadArchive(SkipReason.MALFORMED, f"compression method {method}, expected 0 or 8")
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, limit)
