"""Parsers of what Python containers hold: metadata, lists of files, links to projects, archives."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

from sensor.model.package import Skipped, SkipReason
from sensor.node.resolve.python.debian import modules_listed
from sensor.node.resolve.python.direct_url import project_of
from sensor.node.resolve.python.editable import path_entries
from sensor.node.resolve.python.identity import named_by_folder, read_package, snyk_version
from sensor.node.resolve.python.paths import archives_above, extracted_egg, prefixed_sources
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.rootfs import Entry, FileStat, RootFilesystem, Unreadable
from tests.fuzz.target import Target

_ROOM = "sensor.node.resolve.python"
_SITE = "/lib/python3/site-packages"
_DEBIAN = "/usr/lib/python3/dist-packages"
_METADATA = b"Name: a\nVersion: 1\n"


class _Memory(RootFilesystem):
    """A root whose files are given: path -> content."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(-1)
        self._files = files
        self._folders: dict[str, dict[str, bool]] = {}
        for path in files:
            folder, _, name = path.rpartition("/")
            is_file = True
            while name:
                self._folders.setdefault(folder or "/", {})[name] = is_file
                folder, _, name = folder.rpartition("/")
                is_file = False

    def stat(self, path: str) -> FileStat:
        if path in self._folders:
            return FileStat(hash(path), 0, 0, 0, 0, is_directory=True, is_regular=False)
        return FileStat(hash(path), 0, len(self._found(path)), 0, 0, is_directory=False, is_regular=True)

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        content = self._found(path)
        if len(content) > limit:
            raise Unreadable(SkipReason.TOO_LARGE)
        return content

    def list(self, path: str, limit: int = 10_000) -> tuple[Entry, ...]:
        if path not in self._folders:
            raise Unreadable(SkipReason.VANISHED)
        return tuple(
            Entry(name, is_directory=not is_file, is_regular=is_file, is_symlink=False)
            for name, is_file in self._folders[path].items()
        )

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self._found(path))

    def _found(self, path: str) -> bytes:
        if path not in self._files:
            raise Unreadable(SkipReason.VANISHED)
        return self._files[path]


def _asked(files: dict[str, bytes], *paths: str) -> None:
    """Ask a fresh resolver; whatever it says must be a value of the interface."""
    root, resolver = _Memory(files), PythonResolver()
    for path in paths:
        found = resolver.resolve(root, path)
        assert isinstance(found, Skipped) or found


def _metadata(data: bytes) -> None:
    try:
        package = read_package(io.BytesIO(data), "METADATA")
    except Unreadable:
        return
    if package is not None and package.version is not None:
        snyk_version(package.version)


def _in_site(name: str) -> Callable[[bytes], None]:
    """A site directory of two distributions that share a folder; ``data`` is the file ``name``."""
    files = {
        f"{_SITE}/a-1.dist-info/METADATA": _METADATA,
        f"{_SITE}/a-1.dist-info/RECORD": b"ns/a.py,,\na.py,,\n",
        f"{_SITE}/b-1.dist-info/METADATA": b"Name: b\n",
        f"{_SITE}/b-1.dist-info/RECORD": b"ns/b.py,,\n",
        f"{_SITE}/c.egg-info/PKG-INFO": b"Name: c\n",
        f"{_SITE}/c.egg-info/top_level.txt": b"c\nns\n",
        f"{_SITE}/ns/c.py": b"",
        f"{_SITE}/ns/a.py": b"",
    }

    def run(data: bytes) -> None:
        given = {**files, f"{_SITE}/{name}": data}
        _asked(given, f"{_SITE}/ns/a.py", f"{_SITE}/ns/c.py", f"{_SITE}/a.py", "/srv/project/x.py")

    return run


def _conda(data: bytes) -> None:
    site = "/opt/conda/lib/python3.12/site-packages"
    files = {"/opt/conda/conda-meta/a-1-py312_0.json": data, f"{site}/a/b.py": b""}
    _asked(files, f"{site}/a/b.py")


def _direct_url(data: bytes) -> None:
    project_of(_Memory({"/direct_url.json": data}), "/direct_url.json")
    files = {f"{_SITE}/a-1.dist-info/METADATA": _METADATA, f"{_SITE}/a-1.dist-info/direct_url.json": data}
    _asked({**files, f"{_SITE}/a.pth": b""}, f"{_SITE}/a.py", "/srv/project/x.py")


def _pth(data: bytes) -> None:
    for folder in path_entries(data, _SITE):
        assert folder.startswith("/")
    _in_site("a.pth")(data)


def _dpkg(data: bytes) -> None:
    modules_listed(data, _DEBIAN, {"a-1.egg-info", "b.egg-info"})
    files = {f"{_DEBIAN}/a-1.egg-info": _METADATA, "/var/lib/dpkg/info/python3-a.list": data}
    _asked({**files, f"{_DEBIAN}/m/x.py": b""}, f"{_DEBIAN}/m/x.py")


def _archive(data: bytes) -> None:
    inside = ("six.py", "a/__init__.pyc", "site-packages/a/b.py", "EGG-INFO/x.py")
    _asked({"/x.pyz": data, "/y": data}, "/x.pyz", "/y/a.py", *(f"/x.pyz/{name}" for name in inside))


def _names(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    named_by_folder(text)
    path = f"/{text}"
    archives_above(path)
    extracted_egg(path)
    list(prefixed_sources(path))
    _asked({f"{_SITE}/a-1.dist-info/METADATA": _METADATA}, path, f"{_SITE}/{text}", f"{_SITE}{text}.py")


TARGETS: tuple[Target, ...] = (
    Target("python_metadata", f"{_ROOM}.identity", _metadata),
    Target("python_record", f"{_ROOM}.record", _in_site("a-1.dist-info/RECORD")),
    Target("python_installed_files", f"{_ROOM}.record", _in_site("c.egg-info/installed-files.txt")),
    Target("python_top_level", f"{_ROOM}.site", _in_site("c.egg-info/top_level.txt")),
    Target("python_conda", f"{_ROOM}.conda", _conda),
    Target("python_direct_url", f"{_ROOM}.direct_url", _direct_url),
    Target("python_pth", f"{_ROOM}.editable", _pth),
    Target("python_dpkg", f"{_ROOM}.debian", _dpkg),
    Target("python_archive", f"{_ROOM}.contents", _archive),
    Target("python_names", f"{_ROOM}.paths", _names),
)
