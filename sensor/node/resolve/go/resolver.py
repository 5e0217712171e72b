"""Go: an executed program or a loaded library -> the Go packages whose code is in it.

There is nothing to open later on: a Go program carries all its code, and says of which modules. Code that the
linker dropped is not in it, so only packages that have a function count, and the standard library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from sensor.model.package import Ecosystem, Evidence, PackageUse, Skipped, SkipReason
from sensor.node.resolve.elf_layout import NotElf, Read
from sensor.node.resolve.go.buildinfo import SECTION
from sensor.node.resolve.go.image import FileImage, NotGo, Unusable
from sensor.node.resolve.go.pclntab import SECTIONS
from sensor.node.resolve.go.program import Program, read_program
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.lru import LruCache
from sensor.node.rootfs import FileIdentity, FileStat, RootFilesystem, Unreadable

PROGRAMS = 256
PACKAGES = 40_000
"""Kept in all, of programs whose containers live: some 16 MiB."""

_OTHERS = 8192
_NOT_GO = Skipped(SkipReason.NOT_A_PACKAGE)
_LIBRARY = re.compile(r"\.so(\.[0-9.]+)?\Z")
_SECTIONS = (SECTION, *SECTIONS)
_PACKED = b"UPX!"
_HEAD = 4096
_MAX_OFFSET = 1 << 62


class GoResolver:
    """See :class:`sensor.node.resolve.interface.Resolver` and ``ProgramResolver``: it is both."""

    def __init__(self) -> None:
        # The same file in all containers of an image. Most are not Go, and those take little room.
        self.programs: LruCache[FileIdentity, Program] = LruCache(PROGRAMS)
        self.others: LruCache[FileIdentity, Skipped] = LruCache(_OTHERS)
        self._kept = 0  # packages

    @property
    def ecosystem(self) -> Ecosystem:
        return Ecosystem.GOLANG

    @property
    def opener_matters(self) -> bool:
        return False

    def claims(self, path: str) -> bool:
        return ".so" in path and _LIBRARY.search(path) is not None

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        return self._resolve(root, path, Evidence.MAPPED)

    def resolve_program(self, root: RootFilesystem, path: str) -> Resolution:
        return self._resolve(root, path, Evidence.EXECUTED)

    def sweep(self) -> None:
        self.programs.sweep()
        self.others.sweep()
        if not len(self.programs):
            self._kept = 0

    def _resolve(self, root: RootFilesystem, path: str, evidence: Evidence) -> Resolution:
        if not path.startswith("/"):
            return Skipped(SkipReason.PATH_TRUNCATED, path)
        try:
            found = self._look(root, path)
        except Unreadable as error:
            return error.skipped()
        except OSError as error:
            return Skipped(SkipReason.IO_ERROR, f"{path}: {error.strerror}")
        return found if isinstance(found, Skipped) else tuple(uses(found, evidence, path))

    def _look(self, root: RootFilesystem, path: str) -> Program | Skipped:
        status = root.stat(path)
        other = self.others.get(status.identity)
        if other is not None:
            return other
        known = self.programs.get(status.identity)
        if known is not None:
            return known
        with root.open(path) as file:
            descriptor = file.fileno()
            found = read_file(lambda offset, size: _read(descriptor, offset, size))
        self._keep(status, found)
        return found

    def _keep(self, status: FileStat, found: Program | Skipped) -> None:
        if isinstance(found, Skipped):  # too slow as well: it may be so each time, and the worker is one
            self.others.put(status.identity, found)
            return
        size = len(found.linked) + len(found.named)
        if self._kept + size > PACKAGES:
            self.programs = LruCache(PROGRAMS)
            self._kept = 0
        self._kept += size  # never less than what is there: evictions and sweeps do not count down
        self.programs.put(status.identity, found)


def read_file(read: Read) -> Program | Skipped:
    """Return what the ELF file behind ``read(offset, size)`` consists of. Raises what ``read`` raises."""
    try:
        image = FileImage(read, _SECTIONS)
        if image.has_sections and image.section(*_SECTIONS) is None:
            return _NOT_GO
        return read_program(image)
    except NotElf:
        return _NOT_GO
    except NotGo:
        return _packed(read)
    except Unusable as error:
        return Skipped(error.reason, str(error))


def uses(program: Program, evidence: Evidence, path: str) -> Iterator[PackageUse]:
    """Yield the packages of ``program`` as proved by loading ``path``."""
    for package in program.linked:
        yield PackageUse(package, evidence, path)
    for package in program.named:
        yield PackageUse(package, Evidence.BUNDLED, path)


def _packed(read: Read) -> Skipped:
    """UPX leaves its mark behind the program headers (src/p_unix.h: l_info), and no sections."""
    if _PACKED in read(0, _HEAD):
        return Skipped(SkipReason.ASK_PROCESS, "packed with UPX")
    return _NOT_GO


def _read(descriptor: int, offset: int, size: int) -> bytes:
    if not 0 <= offset <= _MAX_OFFSET:
        return b""
    return os.pread(descriptor, size, offset)
