"""Projects that were installed for development: their files stand outside of every site directory.

Said in two ways: direct_url.json names the project's folder (PEP 610), and a ``.pth`` file that the
distribution lists as its own names the folder for sys.path (hatch, poetry, pdm, flit, setuptools with
a src layout). Where setuptools leaves an egg-info beside the sources, that tells by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.identity import normalise
from sensor.node.resolve.python.paths import SITE_NAMES, folders_above
from sensor.node.rootfs import Entry, RootFilesystem, Unreadable

_PTH_BYTES = 1 << 16
_PTH_FILES = 200
_PTH_LINES = 200
_SOURCE_LENGTH = 1024
# setuptools/command/editable_wheel.py: __editable__.{name}-{version}.pth; hatchling: _{name}.pth.
_PTH_NAME = re.compile(r"(?:__editable__\.)?_?(.+?)(?:-[0-9][^-]*)?\.pth")

_PREFIXES = (
    *("/usr", "/usr/local", "/opt/venv", "/venv", "/.venv", "/opt/conda", "/root/.local"),
    *("/opt/app-root", "/opt/poetry-venv", "/app/venv", "/app/.venv"),
)
_VENVS = ("venv", ".venv", "env")
_FOLDERS = 512
"""In which environments were looked for, of all containers: to have their names once."""
_INTERPRETER = re.compile(r"python3\.[0-9]{1,2}t?|pypy3\.[0-9]{1,2}")
_SITES_OF_PREFIX = 8
_ENTRIES_OF_LIB = 2_000
# Every virtual environment of virtualenv or with setuptools has these, and they name no project.
_USUAL = frozenset({"distutils-precedence.pth", "_virtualenv.pth"})


def path_entries(text: bytes, site: str) -> Iterator[str]:
    """Yield the folders outside of site directories that a .pth file in ``site`` adds to sys.path.

    By the site module's rules: a line each, no comments, none that begins with ``import``.
    """
    for raw in text.splitlines()[:_PTH_LINES]:
        line = raw.decode("utf-8", "surrogateescape").strip()
        if not line or line.startswith(("#", "import ", "import\t")) or len(line) > _SOURCE_LENGTH:
            continue
        folder = line.rstrip("/")
        outside = folder.startswith("/") and not folder.startswith(f"{site}/") and folder != site
        if outside and not any(name in f"{folder}/" for name in SITE_NAMES) and "\0" not in folder:
            yield folder


def editable_projects(
    root: RootFilesystem,
    site: str,
    entries: Sequence[Entry],
    distributions: Sequence[Distribution],
    owners: Callable[[str], tuple[Distribution, ...]],
) -> Iterator[tuple[str, Distribution]]:
    """Yield (folder, distribution) for what is installed for development in ``site``.

    ``owners`` tells who lists a file of ``site``, by its absolute path.
    """
    for distribution in distributions:
        source = distribution.editable_source(root)
        if source is not None:
            yield source, distribution
    names = sorted(entry.name for entry in entries if entry.name.endswith(".pth"))
    for name in names[:_PTH_FILES]:
        owner = (owners(f"{site}/{name}") or _named(name, distributions) or (None,))[0]
        if owner is None:
            continue
        try:
            text = root.read(f"{site}/{name}", _PTH_BYTES)
        except Unreadable:
            continue
        for folder in path_entries(text, site):
            yield folder, owner


def likely_prefixes(path: str) -> Iterator[str]:
    """Yield where the environment that ``path`` was imported in may stand, most likely first."""
    for folder in folders_above(path, 0):
        yield from _environments(folder)
    yield from _PREFIXES


@lru_cache(_FOLDERS)
def _environments(folder: str) -> tuple[str, ...]:
    """One object for all containers, which have the same few folders."""
    return tuple(f"{folder.rstrip('/')}/{name}" for name in _VENVS)


def sites_with_projects(root: RootFilesystem, prefix: str) -> list[str]:
    """Return the site directories below ``prefix`` that have a .pth file beyond the usual ones."""
    try:
        names = [
            entry.name
            for entry in root.list(f"{prefix}/lib", _ENTRIES_OF_LIB)
            if _INTERPRETER.fullmatch(entry.name)
        ]
    except Unreadable:
        return []
    folders = [
        f"{prefix}/lib/{name}/{kind}" for name in sorted(names) for kind in ("site-packages", "dist-packages")
    ]
    folders.append(f"{prefix}/lib/python3/dist-packages")
    return [folder for folder in folders[:_SITES_OF_PREFIX] if _has_projects(root, folder)]


def _has_projects(root: RootFilesystem, site: str) -> bool:
    try:
        return any(entry.name.endswith(".pth") and entry.name not in _USUAL for entry in root.list(site))
    except Unreadable:
        return False


def _named(name: str, distributions: Sequence[Distribution]) -> tuple[Distribution, ...]:
    """For installers that list nothing: by the name of the .pth file, which is the project's."""
    found = _PTH_NAME.fullmatch(name)
    if found is None:
        return ()
    wanted = normalise(found[1])
    return tuple(each for each in distributions if normalise(each.name) == wanted)
