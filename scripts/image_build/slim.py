"""Makes installed wheels smaller: no debug information, and no sources of generated modules."""

from __future__ import annotations

import base64
import csv
import fnmatch
import hashlib
import py_compile
from collections.abc import Sequence
from pathlib import Path

from scripts.image_build import binutils

_OF_THE_BUILD = ("INSTALLER", "REQUESTED", "direct_url.json")


def strip(site: Path, architecture: str) -> None:
    """Debug information goes: two thirds of what some wheels' libraries are."""
    libraries = sorted(str(path) for path in site.rglob("*.so*") if path.is_file())
    binutils.run(architecture, "strip", "--strip-debug", "--enable-deterministic-archives", *libraries)


def without_sources(site: Path, patterns: Sequence[str]) -> None:
    """``name.pyc`` where ``name.py`` was, which Python imports as well (PEP 3147); no docstrings in it."""
    for path in sorted(site.rglob("*.py")):
        name = str(path.relative_to(site))
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            py_compile.compile(
                str(path),
                cfile=f"{path}c",
                dfile=f"/{name}",
                doraise=True,
                optimize=2,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
            path.unlink()


def write_records(site: Path) -> None:
    """What each distribution consists of now, in its RECORD (PEP 376); without what only this build knows."""
    for record in sorted(site.glob("*.dist-info/RECORD")):
        for left in _OF_THE_BUILD:
            (record.parent / left).unlink(missing_ok=True)
        with record.open(newline="") as file:
            names = sorted({row[0] for row in csv.reader(file)})
        rows = [row for name in names for row in _rows(site, name)]
        with record.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


def _rows(site: Path, name: str) -> list[tuple[str, str, str]]:
    if name.endswith("/RECORD"):
        return [(name, "", "")]
    for there in (name, f"{name}c"):
        if (path := site / there).is_file():
            content = path.read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            return [(there, f"sha256={digest}", str(len(content)))]
    return []
