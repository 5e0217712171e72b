"""Modules told by the names of source files, for programs without module information.

Some builds drop that information (Bazel, linker flags, a tool run over the program). The table of source
files often still tells: a file of a dependency lies in the module cache, ``…/example.com/m@v1.2.3/dir/x.go``,
capitals there as ``!c`` (module reference: "Module cache"), or with -trimpath under ``m@v1.2.3/dir/x.go``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from sensor.node.resolve.go.modules import Module

_DEPENDENCY = re.compile(rb"([^\0@]+)@(v[0-9][0-9A-Za-z.+-]*)((?:/[^\0/]+)*)/[^\0/]+\0")
_ESCAPED = re.compile(r"!([a-z])")
_MODULES = 8192
_ELEMENTS = 24  # of the folder before the module's own path: looked at from the file's end


def modules_by_files(blocks: Iterable[bytes], paths: Collection[str]) -> dict[str, Module]:
    """Return the modules of ``paths``, the import paths linked, by prefix.

    A name counts only where module and folder make up an import path that is linked. ``blocks`` are
    names ended by zero bytes.
    """
    found: dict[str, Module] = {}
    tried: set[tuple[bytes, ...]] = set()
    for block in blocks:
        new = set(_DEPENDENCY.findall(block)) - tried
        tried |= new
        for left, version, folder in new:
            prefix = _prefix(_text(left), _text(folder), paths)
            if prefix:
                found[prefix] = Module(prefix, prefix, version.decode())
        if len(found) > _MODULES or len(tried) > 8 * _MODULES:
            break
    return found


def _prefix(left: str, folder: str, paths: Collection[str]) -> str | None:
    """The module's path: the tail of ``left`` that makes an import path with ``folder``."""
    tail = ""
    for element in reversed(left.split("/")[-_ELEMENTS:]):
        tail = f"{element}/{tail}" if tail else element
        for candidate in (tail, _ESCAPED.sub(lambda match: match[1].upper(), tail)):
            if candidate + folder in paths:
                return candidate
    return None


def _text(part: bytes) -> str:
    return part.decode("utf-8", "replace")
