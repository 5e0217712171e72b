"""Site directories read so far: once for all containers of an image, believed for a second."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from weakref import WeakKeyDictionary

from sensor.model.package import Skipped
from sensor.node.resolve.lru import LruCache
from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.editable import likely_prefixes, sites_with_projects
from sensor.node.resolve.python.site import Site, read_site
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

BELIEVED_SECONDS = 1.0
"""How long a folder is taken as unchanged without a look: a ``pip install`` shows after it."""

YOUNG_SECONDS = 60.0
REREAD_SECONDS = 2.0
COST_FACTOR = 20
"""Reading again what changes or fails takes at most a twentieth of the time."""

PREFIX_SECONDS = 30.0
"""How long a place without an environment is not looked at again."""

_LOOK_SECONDS = 0.25
_FOLDERS_OF_ROOT = 1024
_PREFIXES_OF_ROOT = 512
_EDITABLES_OF_ROOT = 64
_SITES = 4096
SITES_WEIGHT = 200_000
_PATH_LENGTH = 1024

_EMPTY_FOLDERS = 16_384

_Key = tuple[str, FileIdentity]
_NO_SITE = Site("")


class SiteCache:
    """The least recently used goes when there are too many, or when all together are too big.

    ``hits``, ``misses`` and ``evictions`` only grow.
    """

    def __init__(self, size: int = _SITES, weight: int = SITES_WEIGHT) -> None:
        self._size = size
        self._limit = weight
        self._sites: OrderedDict[_Key, _Cached] = OrderedDict()
        self._unused: set[_Key] = set()  # since the last sweep
        self.weight = 0
        self.hits = 0
        self.misses = 0
        self.evictions = 0

    def __len__(self) -> int:
        return len(self._sites)

    def get(self, key: _Key, now: float) -> Site | None:
        cached = self._sites.get(key)
        if cached is None or now >= cached.until:
            self.misses += 1
            return None
        self.hits += 1
        self._unused.discard(key)
        self._sites.move_to_end(key)
        return cached.site

    def put(self, key: _Key, site: Site, until: float) -> None:
        replaced = self._sites.pop(key, None)
        self.weight += site.weight - (0 if replaced is None else replaced.site.weight)
        self._sites[key] = _Cached(site, until)
        self._unused.discard(key)
        while len(self._sites) > self._size or (self.weight > self._limit and len(self._sites) > 1):
            self.weight -= self._sites.popitem(last=False)[1].site.weight
            self.evictions += 1

    def sweep(self) -> None:
        """Drop what was not used since the last sweep."""
        for key in self._unused & self._sites.keys():
            self.weight -= self._sites.pop(key).site.weight
        self._sites = OrderedDict(self._sites)  # a table does not shrink by itself
        self._unused = set(self._sites)


@dataclass(frozen=True, slots=True)
class _Cached:
    site: Site
    until: float


@dataclass(frozen=True, slots=True)
class _Known:
    found: Site | Skipped
    until: float


@dataclass(slots=True)
class _Root:
    folders: dict[str, _Known] = field(default_factory=dict)
    editable: dict[str, Distribution] = field(default_factory=dict)
    prefixes: dict[str, float] = field(default_factory=dict)
    """Where environments were looked for, and until when not again."""


class Folders:
    """What each folder of each container is. For one thread."""

    def __init__(self, weight: int = SITES_WEIGHT) -> None:
        self.sites = SiteCache(weight=weight)
        # Folders that are no site directory, most of all, by a digest: an entry takes 150 bytes so.
        self.empty: LruCache[bytes, bool] = LruCache(_EMPTY_FOLDERS)
        self.resets = 0
        """How often a container had more folders than are remembered, and all were forgotten."""
        self._roots: WeakKeyDictionary[RootFilesystem, _Root] = WeakKeyDictionary()

    def get(self, root: RootFilesystem, folder: str) -> Site:
        """Return the site directory ``folder``, one without distributions if it is none.

        Raises Unreadable.
        """
        state = self._state(root)
        known = state.folders.get(folder)
        now = time.monotonic()
        if known is None or now >= known.until:
            known = self._look(root, folder, now)
            self._remember(state, folder, known)
        if isinstance(known.found, Skipped):
            raise Unreadable(known.found.reason, known.found.detail)
        return known.found

    def sweep(self) -> None:
        """Drop what was not used since the last sweep, and what was only believed for a while."""
        self.sites.sweep()
        self.empty.sweep()
        now = time.monotonic()
        for state in self._roots.values():
            state.prefixes = {prefix: until for prefix, until in state.prefixes.items() if now < until}
            state.folders = {folder: known for folder, known in state.folders.items() if now < known.until}

    def editable(self, root: RootFilesystem, path: str) -> Distribution | None:
        """Return the editable install whose project ``path`` is part of.

        Site directories known by then are not enough: a project is imported by way of a .pth file, and
        that may be all that is read of its site directory. So the usual places are looked at as well.
        """
        state = self._state(root)
        if len(path) <= _PATH_LENGTH:
            self._look_for_projects(root, state, path)
        sources = [source for source in state.editable if path.startswith(f"{source}/")]
        return state.editable[max(sources, key=len)] if sources else None

    def _look_for_projects(self, root: RootFilesystem, state: _Root, path: str) -> None:
        now = time.monotonic()
        until = now + PREFIX_SECONDS
        for prefix in likely_prefixes(path):
            if now < state.prefixes.get(prefix, 0):
                continue
            if time.monotonic() > now + _LOOK_SECONDS:
                return  # the rest at the next file
            if len(state.prefixes) >= _PREFIXES_OF_ROOT:
                state.prefixes.clear()
            state.prefixes[prefix] = until
            for site in sites_with_projects(root, prefix):
                with contextlib.suppress(Unreadable):
                    self.get(root, site)

    def _state(self, root: RootFilesystem) -> _Root:
        state = self._roots.get(root)
        if state is None:
            state = self._roots[root] = _Root()
        return state

    def _remember(self, state: _Root, folder: str, known: _Known) -> None:
        if len(folder) > _PATH_LENGTH:
            return
        if len(state.folders) >= _FOLDERS_OF_ROOT:
            state.folders.clear()
            self.resets += 1
        state.folders[folder] = known
        if isinstance(known.found, Site) and len(state.editable) < _EDITABLES_OF_ROOT:
            state.editable.update(known.found.editable)

    def _look(self, root: RootFilesystem, folder: str, now: float) -> _Known:
        try:
            status = root.stat(folder)
            key = (folder, status.identity)
            if self.empty.get(_digest(key)):
                return _Known(_NO_SITE, now + BELIEVED_SECONDS)
            site = self.sites.get(key, now)
            if site is None:
                site = self._read(root, key, status.mtime_ns)
            return _Known(site, now + BELIEVED_SECONDS)
        except Unreadable as error:
            took = time.monotonic() - now
            return _Known(error.skipped(), now + max(BELIEVED_SECONDS, COST_FACTOR * took))

    def _read(self, root: RootFilesystem, key: _Key, mtime_ns: int) -> Site:
        """Read a site directory and keep it, shortly if an installer may still be writing there.

        pip writes RECORD last, and that changes the folder of the metadata, not the site directory.
        """
        start = time.monotonic()
        site = read_site(root, key[0])
        end = time.monotonic()
        is_young = 0 <= time.time() - mtime_ns / 1e9 < YOUNG_SECONDS
        until = end + max(REREAD_SECONDS, COST_FACTOR * (end - start)) if is_young else float("inf")
        if not is_young and not site.distributions:
            self.empty.put(_digest(key), True)
            return _NO_SITE
        self.sites.put(key, site, until)
        return site


def _digest(key: _Key) -> bytes:
    return blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()
