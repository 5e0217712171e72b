"""Parsers of what Node.js containers hold: package.json, archives of Yarn, and the paths themselves."""

from __future__ import annotations

import io
from typing import BinaryIO

from sensor.model.package import Package, Skipped, SkipReason
from sensor.node.resolve.node.archive import BadArchive, read_manifest
from sensor.node.resolve.node.manifest import parse_manifest
from sensor.node.resolve.node.path import install_folder
from sensor.node.resolve.node.resolver import MANIFEST_LIMIT, NodeResolver
from sensor.node.rootfs import FileStat, RootFilesystem, Unreadable
from tests.fuzz.target import Target

_ROOM = "sensor.node.resolve.node"
_HOST = "/app/node_modules/host"
_ARCHIVE = "/app/.yarn/cache/a-npm-1.0.0-0123456789-10c0.zip"


class _Memory(RootFilesystem):
    """A root with these files and no others: path -> content."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(-1)
        self._files = files

    def stat(self, path: str) -> FileStat:
        content = self._found(path)
        return FileStat(hash(path), 0, len(content), 0, 0, is_directory=False, is_regular=True)

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        content = self._found(path)
        if len(content) > limit:
            raise Unreadable(SkipReason.TOO_LARGE)
        return content

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self._found(path))

    def _found(self, path: str) -> bytes:
        if path not in self._files:
            raise Unreadable(SkipReason.VANISHED)
        return self._files[path]


def _asked(files: dict[str, bytes], *paths: str) -> None:
    """Ask a fresh resolver; whatever it says must be a value of the interface."""
    root, resolver = _Memory(files), NodeResolver()
    for path in paths:
        resolver.claims(path)
        for result in (resolver.resolve(root, path), resolver.resolve_program(root, path)):
            if not isinstance(result, Skipped):
                assert result
                for use in result:
                    _check(use.package)


def _check(package: Package) -> None:
    assert package.purl.isascii()
    assert package.purl.startswith("pkg:npm/")
    assert ".." not in package.name.split("/")
    assert package.name.isprintable()
    assert package.version is None or package.version.isprintable()


def _manifest(data: bytes) -> None:
    package = parse_manifest(data).package
    if package is not None:
        _check(package)


def _nested(data: bytes) -> None:
    """As the host's package.json, and as one below it."""
    host = b'{"name": "host", "version": "1.0.0"}'
    _asked({f"{_HOST}/package.json": data}, f"{_HOST}/x.js", f"{_HOST}/a/b/x.js")
    _asked(
        {f"{_HOST}/package.json": host, f"{_HOST}/a/package.json": data}, f"{_HOST}/a/b/x.js", f"{_HOST}/x.js"
    )


def _archive(data: bytes) -> None:
    try:
        content = read_manifest(io.BytesIO(data), MANIFEST_LIMIT)
    except BadArchive:
        pass
    else:
        assert len(content) <= MANIFEST_LIMIT
    _asked({_ARCHIVE: data}, _ARCHIVE)


def _path(data: bytes) -> None:
    path = "/" + data[:8192].replace(b"\0", b"").decode(errors="surrogateescape")
    folder = install_folder(path)
    if folder is not None:
        assert path.startswith(f"{folder.path}/")
        assert folder.name is None or folder.path.endswith(f"/{folder.name}")
    files = {} if folder is None else {f"{folder.path}/package.json": b'{"name": "a", "version": "1.0.0"}'}
    _asked(files, path, path[1:])


TARGETS: tuple[Target, ...] = (
    Target("node_manifest", f"{_ROOM}.manifest", _manifest),
    Target("node_nested", f"{_ROOM}.resolver", _nested),
    Target("node_archive", f"{_ROOM}.archive", _archive),
    Target("node_path", f"{_ROOM}.path", _path),
)
