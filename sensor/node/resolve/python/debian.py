"""Which modules Debian installed with a distribution that names none itself.

Packages of distutils and meson have an egg-info file and no top_level.txt, and dh_python3 takes RECORD
away: ``PyGObject-3.42.2.egg-info`` says nothing of ``gi``. dpkg keeps the list of a package's files in
/var/lib/dpkg/info/<package>.list (dpkg-query(1), --listfiles).
"""

from __future__ import annotations

import time
from collections.abc import Collection

from sensor.node.rootfs import RootFilesystem, Unreadable

_LISTS = "/var/lib/dpkg/info"
_ENTRIES = 32_768
_FILES = 1_000
_BYTES = 1 << 20
_MODULES = 100
_SECONDS = 0.5


def debian_modules(root: RootFilesystem, site: str, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return, for the metadata entries of ``site`` that are ``wanted``, the top-level modules beside them.

    Empty on other systems. At most 1,000 lists and half a second are spent.
    """
    if not wanted:
        return {}
    try:
        entries = root.list(_LISTS, _ENTRIES)
    except Unreadable:
        return {}
    names = sorted(entry.name for entry in entries if _may_be_python(entry.name))
    deadline = time.monotonic() + _SECONDS
    found: dict[str, tuple[str, ...]] = {}
    for name in names[:_FILES]:
        if len(found) == len(wanted) or time.monotonic() > deadline:
            break
        try:
            text = root.read(f"{_LISTS}/{name}", _BYTES)
        except Unreadable:
            continue
        found.update(modules_listed(text, site, wanted))
    return found


def _may_be_python(name: str) -> bool:
    return name.startswith("python") and name.endswith(".list")


def modules_listed(text: bytes, site: str, wanted: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return the same of one list; nothing when it has several of the ``wanted``: whose is which?"""
    below = f"{site}/".encode()
    if below not in text:
        return {}
    tops: set[str] = set()
    for line in text.splitlines():
        if line.startswith(below):
            tops.add(line[len(below) :].partition(b"/")[0].decode("utf-8", "surrogateescape"))
    mine = [top for top in tops if top in wanted]
    if len(mine) != 1:
        return {}
    modules = {top.partition(".")[0] for top in tops if not top.endswith((".egg-info", ".dist-info", ".pth"))}
    return {mine[0]: tuple(sorted(modules - {"", "__pycache__"})[:_MODULES])}
