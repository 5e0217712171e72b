"""What a Go program says of its modules: the text of runtime/debug.BuildInfo.

Format: Go's src/runtime/debug/mod.go. A line each, fields split by tabs: ``path`` of the main package,
``mod`` the main module, ``dep`` for every module that provides a package, ``=>`` what replaces the module of
the line before, ``build`` a setting. All versions begin with ``v``, or are ``(devel)``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

DEVEL = "(devel)"

_LINES = 20_000
# Of the module reference (import paths, versions); what it forbids is no module's.
_PATH = re.compile(r"[A-Za-z0-9._~/+!@$^-]{1,512}")
_VERSION = re.compile(r"v[0-9][A-Za-z0-9.+-]{0,254}")
_FOLDER = re.compile(r"\.{1,2}(/|$)|/|[A-Za-z]:\\")  # a replacement by path

# Where builds put their version, as syft looks for it (golang/parse_go_binary.go).
_LINKED_VERSION = re.compile(
    r"\.(?:(?:[gG]it)?(?:[bB]uild)?[vV]er(?:sion)?|[tT]ag)=(?:\S+/)*(v?\d+\.\d+\.\d+[-\w.]*)"
)


@dataclass(frozen=True, slots=True)
class Module:
    """``prefix`` begins the import paths of its packages; ``path`` and ``version`` say whose code it is.

    They differ from the line's own where another module replaces it. ``version`` is ``None`` for code
    that has none: the application's own.
    """

    prefix: str
    path: str
    version: str | None


@dataclass(frozen=True, slots=True)
class Modules:
    """``main_package`` is what the symbols call ``main``; ``by_prefix`` has the main module among them."""

    main_package: str
    by_prefix: Mapping[str, Module]

    def of(self, import_path: str) -> Module | None:
        """Return the module that provides a package: the longest prefix that ends at an element."""
        prefix = import_path
        while prefix:
            module = self.by_prefix.get(prefix)
            if module is not None:
                return module
            prefix = prefix.rpartition("/")[0]
        return None


def parse_modules(text: str) -> Modules:
    """Return what ``text`` says; lines that make no sense say nothing."""
    main_package = ""
    main: Module | None = None
    dependencies: list[Module] = []
    settings: dict[str, str] = {}
    for line in text.split("\n", _LINES)[:_LINES]:
        kind, *fields = line.split("\t")
        if kind == "path" and fields:
            main_package = fields[0]
        elif kind == "mod":
            main = _module(fields) or main
        elif kind == "dep":
            dependencies += filter(None, (_module(fields),))
        elif kind == "=>" and dependencies:
            dependencies[-1] = _replaced(dependencies[-1], fields)
        elif kind == "build" and fields:
            name, _, value = fields[0].partition("=")
            settings[_unquoted(name)] = _unquoted(value)
    by_prefix = {module.prefix: module for module in dependencies}
    if main is not None:
        by_prefix[main.prefix] = _dated(main, settings)
    return Modules(main_package if _PATH.fullmatch(main_package) else "", by_prefix)


def _module(fields: list[str]) -> Module | None:
    path, version = [*fields, "", ""][:2]
    if not _PATH.fullmatch(path):
        return None
    return Module(path, path, version if _VERSION.fullmatch(version) else None)


def _replaced(module: Module, fields: list[str]) -> Module:
    """Another module's code under this one's import paths; a folder keeps the name it stands in for."""
    other = None if _FOLDER.match(fields[0] if fields else ".") else _module(fields)
    if other is None or other.version is None:
        return module
    return replace(module, path=other.path, version=other.version)


def _dated(main: Module, settings: Mapping[str, str]) -> Module:
    """The main module with the version that the build left elsewhere, if it has none itself.

    From Go 1.24 on the go command does the latter itself (golang.org/x/mod/module: PseudoVersion).
    """
    if main.version is not None:
        return main
    linked = _LINKED_VERSION.search(settings.get("-ldflags", ""))
    if linked is not None:
        return replace(main, version="v" + linked[1].removeprefix("v"))
    revision, time = settings.get("vcs.revision", ""), settings.get("vcs.time", "")
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return main
    if not re.fullmatch("[0-9a-f]{12,64}", revision):
        return main
    dirty = "+dirty" if settings.get("vcs.modified") == "true" else ""
    return replace(main, version=f"v0.0.0-{moment:%Y%m%d%H%M%S}-{revision[:12]}{dirty}")


def _unquoted(text: str) -> str:
    if text[:1] == "`" == text[-1:]:
        return text[1:-1]
    if text[:1] != '"':
        return text
    try:
        value = json.loads(text)  # Go's escapes are those of JSON, but for those of bytes
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, str) else text
