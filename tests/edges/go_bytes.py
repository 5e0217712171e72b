"""Go programs in a few hundred bytes: ELF, build information and table of functions, in all their formats.

Written after the Go linker (cmd/link/internal/ld: data.go, pcln.go) and the ELF specification.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.edges.case import Expected

MAGIC = b"\xff Go buildinf:"
SENTINELS = (
    bytes.fromhex("3077af0c9274080241e1c107e6d618e6"),
    bytes.fromhex("f932433186182072008242104116d8f2"),
)
MAGICS = {"1.2": 0xFFFFFFFB, "1.16": 0xFFFFFFFA, "1.18": 0xFFFFFFF0, "1.20": 0xFFFFFFF1}

TABLE_ADDRESS = 0x401000
DATA_ADDRESS = 0x600000
_PAGE = 0x1000


@dataclass(frozen=True, slots=True)
class Part:
    """A segment; ``flags`` are those of its program header: 4 readable, 2 writable, 1 executable."""

    address: int
    content: bytes
    flags: int


@dataclass(frozen=True, slots=True)
class Machine:
    bits: int = 64
    order: str = "<"

    @property
    def pointer(self) -> int:
        return self.bits // 8

    def words(self, *values: int) -> bytes:
        return struct.pack(f"{self.order}{len(values)}{'Q' if self.bits == 64 else 'I'}", *values)


AMD64 = Machine()


def elf(
    parts: Sequence[Part], sections: Sequence[tuple[str, int, int]] = (), machine: Machine = AMD64
) -> bytes:
    """An ELF program; ``sections`` are name, address and size, each inside a part."""
    order, wide = machine.order, machine.bits == 64
    header_size, program_size, section_size = (64, 56, 64) if wide else (52, 32, 40)
    place = header_size + program_size * len(parts)
    headers, body = b"", b""
    offsets = []
    for part in parts:
        offset = place + len(body)
        offsets.append(offset)
        size = len(part.content)
        fields = (1, part.flags, offset, part.address, part.address, size, size, _PAGE)
        if not wide:
            fields = (1, offset, part.address, part.address, size, size, part.flags, _PAGE)
        headers += struct.pack(order + ("2I6Q" if wide else "8I"), *fields)
        body += part.content
    names, table = b"\0", b""
    rows = [("", 0, 0, 0, 0)]
    for name, address, size in sections:
        part, offset = next(
            (part, offset)
            for part, offset in zip(parts, offsets, strict=True)
            if part.address <= address < part.address + max(1, len(part.content))
        )
        rows.append((name, 1, address, offset + address - part.address, size))
    if sections:
        rows.append((".shstrtab", 3, 0, place + len(body), 0))
        starts = []
        for name, *_ in rows:
            starts.append(len(names) if name else 0)
            names += f"{name}\0".encode() if name else b""
        rows[-1] = (".shstrtab", 3, 0, place + len(body), len(names))
        for start, (_, kind, address, offset, size) in zip(starts, rows, strict=True):
            table += struct.pack(
                order + ("2I4Q2I2Q" if wide else "10I"), start, kind, 2, address, offset, size, 0, 0, 1, 0
            )
    count = len(rows) if sections else 0
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    header = ident + struct.pack(
        order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"),
        *(2, 62, 1, TABLE_ADDRESS, header_size, place + len(body) + len(names) if sections else 0, 0),
        *(header_size, program_size, len(parts), section_size, count, count - 1 if sections else 0),
    )
    return header + headers + body + (names + table if sections else b"")


def varint(value: int) -> bytes:
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def wrapped(modules: str) -> bytes:
    """Module information between its sentinels, nothing for a program without modules."""
    return SENTINELS[0] + modules.encode() + SENTINELS[1] if modules else b""


def build_info(version: str, modules: str, machine: Machine = AMD64, pointers: bool = False) -> bytes:
    """The blob at :data:`DATA_ADDRESS`: strings inlined as since Go 1.18, or pointers as before."""
    text, info = version.encode(), wrapped(modules)
    head = MAGIC + bytes([machine.pointer])
    if not pointers:
        return (head + b"\2").ljust(32, b"\0") + varint(len(text)) + text + varint(len(info)) + info
    flag = b"\0" if machine.order == "<" else b"\1"
    size = machine.pointer
    strings = DATA_ADDRESS + 32
    texts = strings + 4 * size
    first = head + flag + machine.words(strings, strings + 2 * size)
    where = machine.words(texts, len(text), texts + len(text) if info else 0, len(info))
    return first.ljust(32, b"\0") + where + text + info


def pclntab(
    names: Sequence[str], files: Sequence[str] = (), form: str = "1.20", machine: Machine = AMD64
) -> bytes:
    """A table of functions of these names and source files. Line tables are left out."""
    head = struct.pack(machine.order + "I4B", MAGICS[form], 0, 0, 1, machine.pointer)
    if form == "1.2":
        return _old_table(names, machine, head)
    words = 7 if form == "1.16" else 8
    text = [name.encode() + b"\0" for name in names]
    name_table = b"".join(text)
    file_table = b"".join(file.encode() + b"\0" for file in files) or b"<autogenerated>\0"
    start = 8 + words * machine.pointer
    units = start + len(name_table)
    file_start = units + 8
    counters = file_start + len(file_table)
    fields = [len(names), max(1, len(files)), 0, start, units, file_start, counters, counters + 8]
    if form == "1.16":
        del fields[2]
    return head + machine.words(*fields) + name_table + bytes(8) + file_table + bytes(8) + bytes(64)


def _old_table(names: Sequence[str], machine: Machine, head: bytes) -> bytes:
    size = machine.pointer
    place = 8 + size + (2 * len(names) + 1) * size + 4
    entries, body = b"", b""
    for number, name in enumerate(names):
        text = place + len(body)
        body += name.encode() + b"\0"
        function = place + len(body)
        body += machine.words(0x1000 + number) + struct.pack(machine.order + "i", text) + bytes(24)
        entries += machine.words(0x1000 + number, function)
    entries += machine.words(0x1000 + len(names)) + struct.pack(machine.order + "I", place + len(body))
    return head + machine.words(len(names)) + entries + body + bytes(8)


@dataclass(frozen=True, slots=True)
class Program:
    """A Go program; ``content`` is its file. Defaults are those of ``go build`` with Go 1.22 on amd64."""

    names: Sequence[str] = ("runtime.main", "main.main")
    modules: str = ""
    version: str = "go1.22.1"
    files: Sequence[str] = ()
    form: str = "1.20"
    machine: Machine = field(default_factory=Machine)
    pointers: bool = False
    sections: bool = True
    table_section: str = ".gopclntab"
    info_section: str = ".go.buildinfo"
    table: bytes | None = None
    info: bytes | None = None
    before: bytes = b""

    @property
    def content(self) -> bytes:
        table = pclntab(self.names, self.files, self.form, self.machine) if self.table is None else self.table
        info = self.info
        if info is None:
            info = build_info(self.version, self.modules, self.machine, self.pointers)
        parts = [
            Part(TABLE_ADDRESS, table or b"\0", 4),
            Part(DATA_ADDRESS - len(self.before), self.before + info, 6),
        ]
        sections = [(".text", TABLE_ADDRESS, 0)]
        if self.table_section and table:
            sections.append((self.table_section, TABLE_ADDRESS, len(table)))
        if self.info_section and info:
            sections.append((self.info_section, DATA_ADDRESS, len(info)))
        return elf(parts, sections if self.sections else (), self.machine)


def info(*lines: str, path: str = "example.com/app", main: str = "(devel)") -> str:
    """Module information: ``dep`` and other lines with blanks for tabs, after those of the main module."""
    whole = [f"path {path}", f"mod {path} {main} ", *lines]
    return "".join(line.replace(" ", "\t", 1 if line.startswith("build") else 3) + "\n" for line in whole)


def std(version: str | None = "1.22.1", snyk: str | None = "", evidence: str = "executed") -> Expected:
    """The standard library of a toolchain."""
    purl = "pkg:golang/stdlib" + (f"@{version}" if version else "")
    return Expected(purl, "stdlib", version if snyk == "" else snyk, evidence)


def go(path: str, version: str, module: str = "", evidence: str = "executed") -> Expected:
    """The package ``path`` of ``module``, by default the module's root."""
    module = module or path
    below = path[len(module) + 1 :]
    purl = f"pkg:golang/{module}@{version.replace('+', '%2B')}" + (f"#{below}" if below else "")
    return Expected(purl, path, version, evidence)
