"""A Go program -> the packages whose code the linker put into it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sensor.model.package import Package
from sensor.node.resolve.go.buildinfo import BuildInfo, read_build_info
from sensor.node.resolve.go.files import modules_by_files
from sensor.node.resolve.go.identity import go_package, standard_library
from sensor.node.resolve.go.image import BadGo, Image, NotGo, Obfuscated, TooManyPackages
from sensor.node.resolve.go.modules import Module, Modules, parse_modules
from sensor.node.resolve.go.names import import_path, package_prefixes
from sensor.node.resolve.go.pclntab import SECTIONS, ForeignTable, Table, files, find_table, names

PACKAGES = 20_000
"""Of one program. The largest known have some 6,000."""

_TOOLCHAIN = re.compile(r"(devel )?(go|\+)|devel ")  # what every toolchain calls itself
_METHOD = re.compile(r"\.[^\W\d]\w*\.(?=[^/]+/)")
# Of the standard library, what begins an import path with a slash.
_STANDARD = re.compile(
    "(archive|compress|container|crypto|database|debug|encoding|go|hash|html|image|index|internal|io|log"
    "|math|mime|net|os|path|regexp|runtime|sync|syscall|testing|text|time|unicode|vendor)/"
)


@dataclass(frozen=True, slots=True)
class Program:
    """``linked`` has code in the program. ``named`` are only named by it, where nothing tells more."""

    linked: tuple[Package, ...]
    named: tuple[Package, ...]


def read_program(image: Image) -> Program:
    """Return what a Go program consists of.

    Raises NotGo, Unusable, and what a read raises.
    """
    info = _build_info(image)
    modules = parse_modules(info.modules)
    try:
        table = find_table(image)
    except ForeignTable as error:
        if not modules.by_prefix:
            raise Obfuscated(str(error)) from error
        table = None
    # garble leaves no modules, and "unknown" where Go's version stood.
    if info.version and not modules.by_prefix and not _TOOLCHAIN.match(info.version):
        raise Obfuscated(f"Go version {info.version!r}, no modules")
    return _listed(info, modules) if table is None else _linked(image, table, info, modules)


def _build_info(image: Image) -> BuildInfo:
    """Before Go 1.13 there was none, and tools can take it away; the section of the table tells Go then."""
    try:
        return read_build_info(image)
    except NotGo:
        if image.section(*SECTIONS) is None:
            raise
        return BuildInfo("", "")


def _listed(info: BuildInfo, modules: Modules) -> Program:
    """Without names of functions nobody can tell which modules have code in it."""
    named = (module for module in modules.by_prefix.values() if module.version is not None)
    packages = tuple(go_package(module, module.prefix) for module in named)
    return Program((standard_library(info.version),), packages[:PACKAGES])


def _linked(image: Image, table: Table, info: BuildInfo, modules: Modules) -> Program:
    paths = _import_paths(image, table, modules)
    if not modules.by_prefix and paths:
        modules = Modules("", modules_by_files(files(image, table), paths))
    packages = [standard_library(info.version), *_packages(modules, paths)]
    return Program(tuple(packages), ())


def _import_paths(image: Image, table: Table, modules: Modules) -> set[str]:
    """The import paths with linked code; only those of ``modules`` where there are any."""
    seen: set[bytes] = set()
    paths: set[str] = set()
    for block in names(image, table):
        for prefix in package_prefixes(block) - seen:
            seen.add(prefix)
            path = modules.main_package if prefix == b"main" else import_path(prefix)
            if path and (not modules.by_prefix or _known(modules.of(path))):
                paths.add(_without_method(path, modules))
        if len(paths) > PACKAGES or len(seen) > 8 * PACKAGES:
            raise TooManyPackages(f"more than {PACKAGES} packages")
    if not seen:
        raise BadGo("no function has a name")
    return paths


def _without_method(path: str, modules: Modules) -> str:
    """Drop ``.Server.example.com/other`` from a path.

    A struct that embeds an interface of another package has that one's unexported methods, named
    ``example.com/health.Server.example.com/other.method``, and the last slash is not the path's.
    """
    for dot in _METHOD.finditer(path):
        head, other = path[: dot.start()], path[dot.end() :]
        known = _STANDARD.match(other) or modules.of(other) is not None
        if known and modules.of(head) is not None:
            return head
    return path


def _known(module: Module | None) -> bool:
    return module is not None and module.version is not None


def _packages(modules: Modules, paths: Iterable[str]) -> Iterable[Package]:
    for path in sorted(paths):
        module = modules.of(path)
        if module is not None and module.version is not None:
            yield go_package(module, path)
