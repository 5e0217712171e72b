"""Holds the image against itself: what its programs and libraries are linked with is in it."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from scripts.image_build.problem import ImageError

_LOAD, _DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB = 1, 5
_MACHINES = {"amd64": 62, "arm64": 183}  # e_machine


def check(layers: Iterable[Path], architecture: str) -> int:
    """Number of ELF files looked at. Raises ImageError that names each library that is missing and who
    needs it, or the first file that is for another architecture."""
    needs: dict[str, str] = {}
    provided: set[str] = set()
    count = 0
    for layer in layers:
        for path in sorted(layer.rglob("*")):
            if ".so" in path.name:
                provided.add(path.name)
            if path.is_file() and not path.is_symlink() and (data := _elf(path)):
                count += 1
                [machine] = struct.unpack_from("<H", data, 18)
                if machine != _MACHINES[architecture]:
                    raise ImageError(
                        f"{path}: found ELF machine {machine}, expected {_MACHINES[architecture]}"
                    )
                needs |= {name: f"/{path.relative_to(layer)}" for name in _needed(data)}
    if missing := sorted(needs.keys() - provided):
        raise ImageError(
            "no package provides "
            + ", ".join(f"{name} (for {needs[name]})" for name in missing)
            + ": add its package to packages.toml, or leave out what asks for it"
        )
    return count


def _elf(path: Path) -> bytes:
    """The content of a 64-bit little-endian ELF file, nothing of others."""
    with path.open("rb") as file:
        head = file.read(6)
        return head + file.read() if head == b"\x7fELF\x02\x01" else b""


def _needed(data: bytes) -> Iterator[str]:
    """Names in DT_NEEDED (System V ABI, chapter 5)."""
    offset, size, count = *struct.unpack_from("<Q", data, 32), *struct.unpack_from("<HH", data, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", data, offset + index * size) for index in range(count)]
    loads = [(virtual, place, length) for kind, _, place, virtual, _, length, *_ in headers if kind == _LOAD]
    for kind, _, place, _, _, length, *_ in headers:
        if kind == _DYNAMIC:
            entries = list(struct.iter_unpack("<qQ", data[place : place + length]))
            [table] = [value for tag, value in entries if tag == _DT_STRTAB]
            [strings] = [at + table - virtual for virtual, at, n in loads if virtual <= table < virtual + n]
            for tag, value in entries:
                if tag == _DT_NEEDED:
                    start = strings + value
                    yield data[start : data.index(b"\0", start)].decode()
