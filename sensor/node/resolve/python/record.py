"""Lists of installed files: RECORD (PEP 376, PEP 627) and setuptools' installed-files.txt."""

from __future__ import annotations

import csv
import os
import posixpath
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sensor.model.package import SkipReason
from sensor.node.rootfs import RootFilesystem, Unreadable

RECORD_BYTES = 32 << 20
_CHUNK = 1 << 18
_LINE_BYTES = 1 << 13  # PATH_MAX, and as much again for hash and size
_COMPONENTS = 64
_CACHE_TAG = re.compile(r"\.[^.]+(?:\.opt-[^.]+)?\Z")  # PEP 3147, PEP 488


@dataclass(slots=True)
class Budget:
    """What reading one site directory may cost; ``deadline`` is of the monotonic clock, in seconds."""

    deadline: float
    lines: int
    folders: int
    files: int

    def spend_lines(self, count: int) -> None:
        self.lines -= count
        if self.lines < 0:
            raise Unreadable(SkipReason.TOO_MANY_ENTRIES, "a site directory that lists too many files")
        self.check_time()

    def spend_folder(self) -> None:
        self.folders -= 1
        if self.folders < 0:
            raise Unreadable(SkipReason.TOO_MANY_ENTRIES, "a site directory that lists too many folders")

    def spend_file(self) -> None:
        """One file is kept by its name."""
        self.files -= 1
        if self.files < 0:
            raise Unreadable(
                SkipReason.TOO_MANY_ENTRIES, "a site directory with too many files in shared folders"
            )

    def check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise Unreadable(SkipReason.TOO_SLOW, "a site directory that takes too long to read")


@dataclass(frozen=True, slots=True)
class FileList:
    """A list of files at ``path``, each relative to ``base``, for the site directory ``site``."""

    path: str
    base: str
    site: str

    def paths(self, root: RootFilesystem, budget: Budget) -> Iterator[bytes]:
        """Yield the listed paths as written. Raises Unreadable."""
        size = root.stat(self.path).size
        if size > RECORD_BYTES:
            raise Unreadable(SkipReason.TOO_LARGE, f"{self.path}: {size} bytes")
        for batch in _batches(root, self.path):
            budget.spend_lines(len(batch))
            for line in batch:
                if line[:1] == b'"':
                    yield _quoted(line)
                else:
                    yield line.partition(b",")[0].rstrip(b"\r")

    def folder(self, written: bytes) -> str | None:
        """Return a listed folder relative to the site directory, or absolute when outside of it.

        ``__pycache__`` stands for the folder above it. ``None`` for what is not worth keeping.
        """
        name = os.fsdecode(written)
        if self.base != self.site or name.startswith(("/", "./")) or ".." in name or "//" in name:
            name = posixpath.normpath(posixpath.join(self.base, name))
            if name == self.site:
                return ""
            name = name.removeprefix(self.site.rstrip("/") + "/")
        if name == "__pycache__" or name.endswith("/__pycache__"):
            name = name[: -len("/__pycache__")] if "/" in name else ""
        return None if "\0" in name or name.count("/") > _COMPONENTS else name


def _batches(root: RootFilesystem, path: str) -> Iterator[list[bytes]]:
    """Yield whole lines in batches, so that memory does not follow the size of the file."""
    rest = b""
    left = RECORD_BYTES
    try:
        with root.open(path) as file:
            while left > 0 and (chunk := file.read(_CHUNK)):
                left -= len(chunk)
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _LINE_BYTES:
                    raise Unreadable(SkipReason.MALFORMED, f"{path}: a line of more than {_LINE_BYTES} bytes")
                yield lines
    except OSError as error:
        raise Unreadable(SkipReason.IO_ERROR, f"{path}: {error}") from error
    yield [rest]


def _quoted(line: bytes) -> bytes:
    try:
        row = next(csv.reader([os.fsdecode(line)]), [""])
    except csv.Error:
        return b""
    return os.fsencode(row[0]) if row else b""


def source_path(path: str) -> str:
    """Return the ``.py`` that a ``.pyc`` was compiled from (PEP 3147); any other path as it is."""
    if not path.endswith((".pyc", ".pyo")):
        return path
    folder, _, name = path.rpartition("/")
    stem = name[:-4]
    if folder == "__pycache__" or folder.endswith("/__pycache__"):
        folder = folder[: -len("/__pycache__")] if "/" in folder else ""
        stem = _CACHE_TAG.sub("", stem)
    return f"{folder}/{stem}.py" if folder else f"{stem}.py"
