"""How the runtimes of each ecosystem are told: names of programs, libraries, exported symbols."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sensor.model.package import Ecosystem


@dataclass(frozen=True, slots=True)
class _Runtime:
    ecosystem: Ecosystem
    program: re.Pattern[str]
    library: re.Pattern[str]
    symbols: frozenset[str]
    telling: bool
    """Whether its dynamic executables always link ``library`` or export one of ``symbols``."""


_VERSION = r"(?:-?\d+(?:\.\d+)*)?"
_RUNTIMES = (
    _Runtime(
        Ecosystem.PYPI,
        re.compile(
            rf"(?:platform-)?python{_VERSION}[dmtu]{{0,3}}(?:-dbg)?|pypy{_VERSION}(?:-c)?|graalpy{_VERSION}"
        ),
        re.compile(r"libpython\d[\w.]*\.so[\w.]*|libpypy[\w.-]*\.so[\w.]*|mod_(?:wsgi|python)[\w.-]*\.so"),
        # Py_Main stands in every CPython that is no shared library; Py_BytesMain came with 3.8.
        frozenset({"Py_BytesMain", "Py_Main", "PyImport_ImportModule"}),
        telling=True,
    ),
    _Runtime(
        Ecosystem.NPM,
        re.compile(rf"node(?:js)?{_VERSION}|bun|deno|electron"),
        re.compile(r"libnode\.so[\w.]*"),
        frozenset({"napi_module_register", "node_module_register", "napi_create_function"}),
        telling=True,
    ),
    _Runtime(
        Ecosystem.MAVEN,
        re.compile(r"java"),
        re.compile(r"lib(?:jvm|jli)\.so"),
        frozenset({"JNI_CreateJavaVM"}),
        telling=True,
    ),
    _Runtime(
        Ecosystem.NUGET,
        re.compile(r"dotnet|mono(?:-sgen)?"),
        re.compile(r"lib(?:coreclr|hostfxr)\.so|libmono(?:sgen|boehm)?-2\.0\.so[\w.]*"),
        # Single-file applications have the runtime inside, as Debian's mono-sgen has.
        frozenset({"DotNetRuntimeInfo", "mono_jit_init"}),
        telling=False,
    ),
)

SYMBOLS = tuple(sorted(symbol for runtime in _RUNTIMES for symbol in runtime.symbols))

LIBRARY_NAMES = "|".join(runtime.library.pattern for runtime in _RUNTIMES)
"""A pattern for the file name of any runtime's library."""


def named(program: str) -> frozenset[Ecosystem]:
    """The ecosystems whose runtime is called ``program``."""
    return frozenset(runtime.ecosystem for runtime in _RUNTIMES if runtime.program.fullmatch(program))


def named_only(program: str) -> frozenset[Ecosystem]:
    """Like :func:`named`, of those runtimes that nothing but the name tells."""
    return frozenset(
        runtime.ecosystem
        for runtime in _RUNTIMES
        if not runtime.telling and runtime.program.fullmatch(program)
    )


def library_of(name: str) -> frozenset[Ecosystem]:
    """The ecosystems whose runtime is in a library with the file name ``name``."""
    if ".so" not in name:  # nearly every file
        return frozenset()
    return frozenset(runtime.ecosystem for runtime in _RUNTIMES if runtime.library.fullmatch(name))


def needed_by(libraries: Iterable[str]) -> frozenset[Ecosystem]:
    """The ecosystems whose runtime is linked by a program that needs ``libraries``."""
    # A needed library may be a path (Debian's uwsgi plugins have none, Nix and conda do).
    return frozenset().union(*(library_of(name[name.rfind("/") + 1 :]) for name in libraries))


def exported_by(symbols: frozenset[str]) -> frozenset[Ecosystem]:
    """The ecosystems whose runtime is inside a program that exports ``symbols``."""
    return frozenset(runtime.ecosystem for runtime in _RUNTIMES if runtime.symbols & symbols)
