"""Parsers of what Go programs hold: the ELF file, build information, table of functions, modules, names."""

from __future__ import annotations

from sensor.model.package import Skipped
from sensor.node.resolve.go.buildinfo import read_build_info
from sensor.node.resolve.go.files import modules_by_files
from sensor.node.resolve.go.identity import go_package, standard_library
from sensor.node.resolve.go.image import NotGo, Span, Unusable
from sensor.node.resolve.go.modules import parse_modules
from sensor.node.resolve.go.names import import_path, package_prefixes
from sensor.node.resolve.go.pclntab import ForeignTable, files, find_table, names
from sensor.node.resolve.go.program import PACKAGES
from sensor.node.resolve.go.resolver import read_file
from tests.fuzz.target import Target

_ROOM = "sensor.node.resolve.go"


class _Flat:
    """Bytes as one segment at address 0; the last bit of the first byte is the byte order."""

    def __init__(self, content: bytes) -> None:
        self.order = ">" if content[:1] and content[0] & 1 else "<"
        self._content = content[1:]
        self.loads: tuple[Span, ...] = (Span(0, len(self._content)),)
        self.data: tuple[Span, ...] = self.loads

    def section(self, *names: bytes) -> Span | None:
        return None

    def read(self, address: int, size: int) -> bytes:
        return self._content[address : address + size] if address >= 0 else b""


def _file(data: bytes) -> None:
    found = read_file(lambda offset, size: data[offset : offset + size] if offset >= 0 else b"")
    if not isinstance(found, Skipped):
        assert 1 <= len(found.linked) <= PACKAGES + 1
        assert all(package.purl.startswith("pkg:golang/") for package in found.linked + found.named)


def _build_info(data: bytes) -> None:
    try:
        info = read_build_info(_Flat(data))
    except (NotGo, Unusable):
        return
    standard_library(info.version)
    parse_modules(info.modules)


def _table(data: bytes) -> None:
    image = _Flat(data)
    try:
        table = find_table(image)
        if table is None:
            return
        for block in (*names(image, table), *files(image, table)):
            assert block.endswith(b"\0")
            package_prefixes(block)
    except (Unusable, ForeignTable):
        return


def _modules(data: bytes) -> None:
    modules = parse_modules(data.decode("utf-8", "replace"))
    for prefix, module in modules.by_prefix.items():
        assert modules.of(f"{prefix}/below") is not None
        assert go_package(module, f"{prefix}/below").purl.isascii()


def _names(data: bytes) -> None:
    paths = {path for prefix in package_prefixes(data + b"\0") if (path := import_path(prefix))}
    assert all(path.isprintable() for path in paths)
    for prefix in modules_by_files([data + b"\0"], paths | {"github.com/gin-gonic/gin"}):
        assert prefix


TARGETS: tuple[Target, ...] = (
    Target("go_elf", "sensor.node.resolve.elf_layout", _file),
    Target("go_buildinfo", f"{_ROOM}.buildinfo", _build_info),
    Target("go_pclntab", f"{_ROOM}.pclntab", _table),
    Target("go_modules", f"{_ROOM}.modules", _modules),
    Target("go_names", f"{_ROOM}.names", _names),
)
