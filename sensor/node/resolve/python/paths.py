"""What the path of a module says by itself: the site directory, the archive, the cache it is in."""

from __future__ import annotations

import re
from collections.abc import Iterator

SITE_NAMES = ("/site-packages/", "/dist-packages/")
MODULES = (".py", ".pyc", ".so")
ARCHIVES = (".egg", ".zip", ".whl", ".pex", ".pyz")
CLIMB = 40
"""Folders above a file that are looked at."""

_VERSIONED_LIBRARY = re.compile(r"\.so\.[^/]*\Z")
_ARCHIVE = re.compile(r"\.(?:egg|zip|whl|pex|pyz)(?=/)", re.IGNORECASE)
_ARCHIVES_IN_PATH = 4
_PREFIXED = re.compile(r"/([^/]+)\.(?:cpython|pypy|graalpy)-?\d[^/.]*(?:\.opt-[^/.]+)?\.pyc\Z")
_PREFIXES = 16
# pkg_resources.ResourceManager.get_cache_path: where a zipped egg's extensions are extracted to.
_EXTRACTED = re.compile(r"/([^/]+\.egg)-tmp/")


def is_module_or_archive(path: str) -> bool:
    """Whether a file of this name could be imported, or imported from."""
    name = path.lower()
    return (
        name.endswith(MODULES)
        or name.endswith(ARCHIVES)
        or (".so." in name and _VERSIONED_LIBRARY.search(name) is not None)
    )


def site_end(path: str) -> int:
    """Return where the nearest site directory in ``path`` ends, 0 when none is named as one."""
    return max(path.rfind(name) + len(name) - 1 if name in path else 0 for name in SITE_NAMES)


def folders_above(path: str, end: int) -> Iterator[str]:
    """Yield the folders above ``path``, nearest first, those below ``path[:end]`` only."""
    position = len(path)
    for _ in range(CLIMB):
        position = path.rfind("/", 0, position)
        if position <= end:
            break
        yield path[:position]
    if not end and position == 0:
        yield "/"


def twin(site: str) -> str | None:
    """Return the site directory of the other of lib and lib64."""
    head, name, tail = site.rpartition("/lib64/")
    if name:
        return f"{head}/lib/{tail}"
    head, name, tail = site.rpartition("/lib/")
    return f"{head}/lib64/{tail}" if name else None


def archives_above(path: str) -> list[str]:
    """Return the folders above ``path`` that are archives by their names, outermost first."""
    return [path[: found.end()] for found in _ARCHIVE.finditer(path)][:_ARCHIVES_IN_PATH]


def extracted_egg(path: str) -> str | None:
    """Return the name of the egg that an extension module was extracted from, else ``None``."""
    found = _EXTRACTED.search(path)
    return None if found is None else found[1]


def prefixed_sources(path: str) -> Iterator[str]:
    """Yield what byte code below a PYTHONPYCACHEPREFIX may have been compiled from.

    There the source's whole path stands below the prefix (importlib._bootstrap_external,
    cache_from_source), and no ``__pycache__``.
    """
    if "__pycache__/" in path or (found := _PREFIXED.search(path)) is None:
        return
    source = f"{path[: found.start(1)]}{found[1]}.py"
    position = source.find("/", 1)
    for _ in range(_PREFIXES):
        if position <= 0:
            return
        yield source[position:]
        position = source.find("/", position + 1)
