"""Distributions inside what zipimport can import: eggs, wheels, pex files, zipped applications.

Only the central directory and the head of each metadata file are read. The zip module of the
standard library keeps an object for each entry, as many as the archive claims; here what is kept
is bounded, whatever it claims.
"""

from __future__ import annotations

import io
import re
import struct
import time
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from sensor.model.package import Evidence, Package, SkipReason
from sensor.node.resolve.python.identity import read_package
from sensor.node.rootfs import RootFilesystem, Unreadable

ENTRIES = 20_000
DIRECTORY_BYTES = 4 << 20
METADATA_BYTES = 1 << 20
DISTRIBUTIONS = 500
SECONDS = 2.0

_END = struct.Struct("<4s4H2LH")  # PKZIP APPNOTE 4.3.16, end of central directory
_ENTRY = struct.Struct("<4s6H3L5H2L")  # 4.3.12, central directory header
_LOCAL = struct.Struct("<4s5H3L2H")  # 4.3.7, local file header
_END_SEARCH = _END.size + 0xFFFF
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1

_METADATA = re.compile(
    rb"(?:.*/)?(?:[^/]+\.dist-info/METADATA|EGG-INFO/PKG-INFO|[^/]+\.egg-info(?:/PKG-INFO)?)", re.IGNORECASE
)
# Copies that live inside another distribution belong to it.
_VENDORED = re.compile(rb"(?:^|/)(?:_?vendor(?:ed)?|_vendored|\.bootstrap)/")
_OWN_METADATA = {".egg": re.compile(r"EGG-INFO/PKG-INFO"), ".whl": re.compile(r"[^/]+\.dist-info/METADATA")}

Bundled = tuple[tuple[Package, Evidence], ...]


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    method: int
    flags: int
    packed: int
    offset: int


def read_archive(root: RootFilesystem, path: str) -> Bundled:
    """Return the distributions in an archive, none if it has none or is no archive. Raises Unreadable.

    An egg or a wheel is one distribution, and opening it opens that one; what else is inside, and all
    that is inside other archives, is bundled.
    """
    deadline = time.monotonic() + SECONDS
    with root.open(path) as file:
        try:
            return _read(file, path, deadline)
        except OSError as error:
            raise Unreadable(SkipReason.IO_ERROR, f"{path}: {error}") from error
        except (struct.error, zlib.error, ValueError) as error:
            raise Unreadable(SkipReason.MALFORMED, f"{path}: not a readable archive: {error}") from error


def _read(file: BinaryIO, path: str, deadline: float) -> Bundled:
    directory, shift = _directory(file, path)
    members = _members(directory, shift, path)
    own = _OWN_METADATA.get(path[-4:].lower())
    is_single = own is not None and sum(bool(own.fullmatch(member.name)) for member in members) == 1
    found: dict[str, tuple[Package, Evidence]] = {}
    for member in members:
        if time.monotonic() > deadline:
            raise Unreadable(SkipReason.TOO_SLOW, f"{path}: metadata not read in time")
        package = read_package(_head(file, member), f"{path}/{member.name}")
        if package is not None:
            is_own = is_single and own is not None and own.fullmatch(member.name) is not None
            evidence = Evidence.OPENED if is_own else Evidence.BUNDLED
            if is_own or package.purl not in found:
                found[package.purl] = (package, evidence)
    return tuple(found.values())


def _directory(file: BinaryIO, path: str) -> tuple[bytes, int]:
    """Return the central directory and by how much offsets are off: a pex has a script in front."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _END_SEARCH))
    tail = file.read(_END_SEARCH)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0:
        return b"", 0
    *_, count, length, offset, _comment = _END.unpack_from(tail, at)
    if count > ENTRIES or length > DIRECTORY_BYTES:  # ZIP64 writes 0xffff for the count
        raise Unreadable(SkipReason.ARCHIVE_BOUNDS, f"{path}: {count} entries, {length} bytes of directory")
    start = max(0, size - _END_SEARCH) + at - length
    if start < offset:
        raise Unreadable(SkipReason.MALFORMED, f"{path}: its directory is outside of it")
    file.seek(start)
    return file.read(length), start - offset


def _members(directory: bytes, shift: int, path: str) -> list[_Member]:
    found: list[_Member] = []
    position = entries = 0
    while position < len(directory):
        entry = _ENTRY.unpack_from(directory, position)
        if entry[0] != b"PK\x01\x02":
            raise Unreadable(SkipReason.MALFORMED, f"{path}: its directory has no entry at {position}")
        entries += 1
        start = position + _ENTRY.size
        name = directory[start : start + entry[10]]
        position = start + entry[10] + entry[11] + entry[12]
        if _METADATA.fullmatch(name) and not _VENDORED.search(name):
            text = name.decode("utf-8", "replace")
            found.append(_Member(text, entry[4], entry[3], entry[8], entry[16] + shift))
        if entries > ENTRIES or len(found) > DISTRIBUTIONS:
            raise Unreadable(SkipReason.ARCHIVE_BOUNDS, f"{path}: more entries than are read")
    return found


def _head(file: BinaryIO, member: _Member) -> BinaryIO:
    """Return the first bytes of a member. At most 1 MiB is read and at most 1 MiB comes out."""
    if member.flags & _ENCRYPTED or member.method not in (_STORED, _DEFLATED):
        raise Unreadable(SkipReason.MALFORMED, f"{member.name}: encrypted, or compressed by {member.method}")
    file.seek(member.offset)
    local = _LOCAL.unpack(file.read(_LOCAL.size))
    if local[0] != b"PK\x03\x04":
        raise Unreadable(SkipReason.MALFORMED, f"{member.name}: no entry where the directory says")
    file.seek(local[9] + local[10], io.SEEK_CUR)
    content = file.read(min(member.packed, METADATA_BYTES))
    if member.method == _DEFLATED:
        content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, METADATA_BYTES)
    return io.BytesIO(content)
