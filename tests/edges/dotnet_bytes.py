"""Builders of small .NET files: assemblies, version resources, deps.json, single-file programs."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence

SIGNATURE = bytes.fromhex("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae")
_SECTION_AT = 0x200  # in the file, and 0x2000 in memory
_ADDRESS = 0x2000

Attributes = Mapping[str, str | None]
"""Name of an attribute without its suffix -> its argument; None for one without."""


def assembly(
    name: str,
    version: tuple[int, int, int, int] = (0, 0, 0, 0),
    attributes: Attributes | None = None,
    *,
    culture: str = "",
    runnable: bool = False,
    wide: bool = False,
    resource: Mapping[str, str] | None = None,
    rows: int = 0,
    stray: str = "",
) -> bytes:
    """A PE file with CLI metadata (ECMA-335 II.24, II.25). ``wide``: PE32+.

    ``rows`` more of the table CustomAttribute, on something else, stand before those of the assembly, and
    an attribute ``stray`` with the argument "stray" after them.
    """
    metadata = metadata_bytes(name, version, attributes or {}, culture, rows, stray)
    cli = struct.pack("<IHHIIII", 72, 2, 5, _ADDRESS + 72, len(metadata), 1, 0x06000001 if runnable else 0)
    body = cli.ljust(72, b"\0") + metadata
    directories = {14: (_ADDRESS, 72)}
    if resource is not None:
        body += b"\0" * (-len(body) % 16)
        address = _ADDRESS + len(body)
        content = resource_bytes(resource, address)
        directories[2] = (address, len(content))
        body += content
    return portable(body, directories, wide)


def portable(body: bytes, directories: Mapping[int, tuple[int, int]], wide: bool = False) -> bytes:
    """A PE file with one section, ``body``, at address 0x2000."""
    table = b"".join(struct.pack("<II", *directories.get(number, (0, 0))) for number in range(16))
    magic, size = (0x20B, 112) if wide else (0x10B, 96)
    optional = struct.pack("<H", magic).ljust(size - 4, b"\0") + struct.pack("<I", 16) + table
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x14C, 1, 0, 0, 0, len(optional), 0x2102)
    section = struct.pack(
        "<8sIIIIIIHHI", b".text", len(body), _ADDRESS, len(body), _SECTION_AT, 0, 0, 0, 0, 0x60000020
    )
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x80)
    return (head.ljust(0x80, b"\0") + coff + optional + section).ljust(_SECTION_AT, b"\0") + body


def metadata_bytes(  # noqa: PLR0917 - as above
    name: str,
    version: tuple[int, int, int, int],
    attributes: Attributes,
    culture: str = "",
    rows: int = 0,
    stray: str = "",
) -> bytes:
    strings = _Heap()
    blobs = _Heap()
    types, members, customs = [], [], [struct.pack("<HHH", 1 << 5, 0, 0)] * rows
    told = [(attribute, value, 1 << 5 | 14) for attribute, value in attributes.items()]
    told += [(stray, "stray", 2 << 5)] if stray else []
    for row, (attribute, value, parent) in enumerate(told, 1):
        types.append(struct.pack("<HHH", 0, strings.add(f"{attribute}Attribute".encode() + b"\0"), 0))
        members.append(struct.pack("<HHH", row << 3 | 1, strings.add(b".ctor\0"), 0))
        argument = b"" if value is None else _length(len(value.encode())) + value.encode()
        content = b"\x01\0" + argument + b"\0\0"
        blob = blobs.add(_length(len(content)) + content)
        customs.append(struct.pack("<HHH", parent, row << 3 | 3, blob))
    module = struct.pack("<5H", 0, strings.add(f"{name}.dll".encode() + b"\0"), 0, 0, 0)
    own, spoken = strings.add(name.encode() + b"\0"), strings.add(culture.encode() + b"\0") if culture else 0
    manifest = struct.pack("<I4HI3H", 0x8004, *version, 0, 0, own, spoken)
    tables = {0: [module], 1: types, 0x0A: members, 0x0C: customs, 0x20: [manifest]}
    present = {number: found for number, found in tables.items() if found}
    header = struct.pack("<IBBBBQQ", 0, 2, 0, 0, 1, sum(1 << number for number in present), 0)
    counts = b"".join(struct.pack("<I", len(found)) for found in present.values())
    stream = header + counts + b"".join(row for found in present.values() for row in found)
    return _root({"#~": stream, "#Strings": strings.content, "#GUID": b"\0" * 16, "#Blob": blobs.content})


class _Heap:
    def __init__(self) -> None:
        self.content = b"\0"

    def add(self, content: bytes) -> int:
        place = len(self.content)
        self.content += content
        return place


def _root(streams: Mapping[str, bytes]) -> bytes:
    named = b"v4.0.30319\0\0"
    names = {name: name.encode().ljust(len(name) + 4 & ~3, b"\0") for name in streams}
    place = 16 + len(named) + 4 + sum(8 + len(name) for name in names.values())
    headers, bodies = b"", b""
    for name, content in streams.items():
        padded = content + b"\0" * (-len(content) % 4)
        headers += struct.pack("<II", place + len(bodies), len(padded)) + names[name]
        bodies += padded
    root = struct.pack("<4sHHII", b"BSJB", 1, 1, 0, len(named)) + named
    return root + struct.pack("<HH", 0, len(streams)) + headers + bodies


def _length(value: int) -> bytes:
    """A compressed number (ECMA-335 II.23.2)."""
    return bytes([value]) if value < 0x80 else struct.pack(">H", value | 0x8000)


def resource_bytes(strings: Mapping[str, str], address: int) -> bytes:
    """A resource folder with a version resource alone."""
    table = b""
    for key, value in strings.items():
        table += _block(key, value.encode("utf-16-le") + b"\0\0", len(value) + 1, 1)
    info = _block("StringFileInfo", _block("040904b0", table, 0, 1), 0, 1)
    fixed = struct.pack("<I", 0xFEEF04BD).ljust(52, b"\0")
    version = _block("VS_VERSION_INFO", fixed + info, 52, 0)
    folders = b""
    for number, place in ((16, 24 | 1 << 31), (1, 48 | 1 << 31), (1033, 72)):
        folders += struct.pack("<12xHHII", 0, 1, number, place)
    return folders + struct.pack("<IIII", address + 88, len(version), 0, 0) + version


def _block(key: str, content: bytes, value: int, kind: int) -> bytes:
    head = key.encode("utf-16-le") + b"\0\0"
    head += b"\0" * (-(len(head) + 6) % 4)
    body = head + content
    return struct.pack("<HHH", 6 + len(body), value, kind) + body + b"\0" * (-(6 + len(body)) % 4)


Assets = Mapping[str, Mapping[str, object]]


def deps(
    packages: Mapping[str, Assets],
    *,
    projects: Mapping[str, Assets] | None = None,
    kinds: Mapping[str, str] | None = None,
    target: str = ".NETCoreApp,Version=v8.0",
) -> bytes:
    """A deps.json: ``Name/version`` -> group -> path -> facts."""
    projects = projects or {}
    libraries = {name: {"type": "project", "serviceable": False, "sha512": ""} for name in projects}
    for name in packages:
        kind = (kinds or {}).get(name, "package")
        libraries[name] = {"type": kind, "serviceable": True, "sha512": "sha512-", "path": name.lower()}
    document = {
        "runtimeTarget": {"name": target, "signature": ""},
        "compilationOptions": {},
        "targets": {target: {**projects, **packages}},
        "libraries": libraries,
    }
    return json.dumps(document).encode()


def runtime(*paths: str, version: str = "") -> Assets:
    """The assets of a package: assemblies, of the file version ``version`` if given."""
    facts: dict[str, object] = {"fileVersion": version} if version else {}
    return {"runtime": dict.fromkeys(paths, facts)}


def program(header: int = 0, size: int = 4096) -> bytes:
    """The start of a 64-bit ELF with the marker of a .NET host in its data."""
    marker = struct.pack("<q", header) + SIGNATURE
    elf = struct.pack("<4sBBB9x", b"\x7fELF", 2, 1, 1)
    elf += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    elf += struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, size, size, 4096)
    return (elf + marker).ljust(size, b"\0")


def bundle(
    files: Mapping[str, bytes],
    version: int = 6,
    *,
    packed: Sequence[str] = (),
    identifier: str = "Wm5aQ0hJcWc",
    align: int = 16,
    start: bytes | None = None,
) -> bytes:
    """A single-file program. ``packed`` names the files that are deflated; ``start`` is its ELF."""
    content = bytearray(program() if start is None else start)
    manifest = b""
    for name, data in files.items():
        content += b"\0" * (-len(content) % align)
        stored = _deflated(data) if name in packed else data
        place = struct.pack("<qq", len(content), len(data))
        if version >= 6:
            place += struct.pack("<q", len(stored) if name in packed else 0)
        manifest += place + bytes([_kind(name)]) + _text(name)
        content += stored
    head = struct.pack("<IIi", version, 0, len(files)) + _text(identifier)
    if version >= 2:
        head += struct.pack("<qqqqQ", 0, 0, 0, 0, 0)
    marker = content.index(SIGNATURE) - 8
    content[marker : marker + 8] = struct.pack("<q", len(content))
    return bytes(content) + head + manifest


def _deflated(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(data) + stream.flush()


def _kind(name: str) -> int:
    return 3 if name.endswith(".deps.json") else 4 if name.endswith(".json") else 1


def _text(text: str) -> bytes:
    content = text.encode()
    length = len(content)
    head = bytes([length]) if length < 0x80 else bytes([length & 0x7F | 0x80, length >> 7])
    return head + content
