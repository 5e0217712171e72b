"""From the linker's names of functions to import paths.

The linker names a function by its package's import path, a dot, and what the package calls it:
``gopkg.in/yaml%2ev3.(*Decoder).Decode``, ``slices.SortFunc[go.shape.[]github.com/x/y.T,…]``. In the last
element of the path, dots and all that is not plain ASCII stand as ``%xx`` (cmd/internal/objabi:
PathToPrefix), so the path ends at the first dot after the last slash of what precedes receivers and type
arguments (debug/gosym: Sym.PackageName). What the compiler makes up (``type:.eq.…``, ``go:…``, up to
Go 1.19 ``type..eq.…``) begins with no import path and so leads to none that a module has.
"""

from __future__ import annotations

import re

# One match for a run of functions of one package: there are some 40 of each in a row. Every quantifier is
# possessive, so a name is walked twice at most, whatever it is.
_RUN = re.compile(
    rb"((?:[^\0\[({ /]*+/)*+[^\0\[({ ./]++)\.[^\0]*+\0(?:\1\.[^\0]*+\0)*+"  # the path, as group 1
    rb"|[^\0]*+\0"
)
_ESCAPED = re.compile(rb"%([0-9a-fA-F]{2})")

PATH_BYTES = 512
"""Longer import paths are no package's: the module proxy protocol has a file name for each."""


def package_prefixes(names: bytes) -> set[bytes]:
    """Return the import paths, still escaped, of ``names``, each ended by a zero byte."""
    found = set(_RUN.findall(names))
    found.discard(b"")
    return found


def import_path(prefix: bytes) -> str | None:
    """Return the import path, ``None`` if it cannot be one."""
    if len(prefix) > PATH_BYTES:
        return None
    if b"%" in prefix:
        prefix = _ESCAPED.sub(lambda match: bytes((int(match[1], 16),)), prefix)
    try:
        path = prefix.decode()
    except UnicodeDecodeError:
        return None
    return path if path.isprintable() else None
