"""A container's root to install Python packages into, and a resolver to ask."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensor.model.package import Evidence, PackageUse, Skipped, SkipReason
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.rootfs import RootFilesystem

SITE = "/usr/lib/python3.11/site-packages"
NONE = SkipReason.NOT_A_PACKAGE


class Container:
    """A root file system to install into, and a resolver to ask."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        self.root = RootFilesystem(self.fd)
        self.resolver = PythonResolver()

    def write(self, path: str, content: str | bytes = "") -> str:
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def install(self, name: str, version: str | None, *files: str, site: str = SITE) -> str:
        """As pip does: files, dist-info, RECORD with hashes. Returns the dist-info."""
        info = f"{name.replace('-', '_')}-{version or '0'}.dist-info"
        self.write(f"{site}/{info}/METADATA", metadata(name, version))
        record = [f"{file},sha256=x,1" for file in files] + [f"{info}/METADATA,,", f"{info}/RECORD,,"]
        self.write(f"{site}/{info}/RECORD", "\r\n".join(record) + "\r\n")
        for file in files:
            self.write(os.path.normpath(f"{site}/{file}"))
        return f"{site}/{info}"

    def egg_info(self, entry: str, name: str, version: str, *top_levels: str, site: str) -> str:
        """As setuptools does for Debian: no list of files."""
        self.write(f"{site}/{entry}/PKG-INFO", metadata(name, version))
        self.write(f"{site}/{entry}/top_level.txt", "\n".join(top_levels))
        return f"{site}/{entry}"

    def ask(self, path: str) -> set[str] | SkipReason:
        """The purls' ends that ``path`` proves, or why none."""
        found = self.resolver.resolve(self.root, path)
        if isinstance(found, Skipped):
            return found.reason
        assert found and all(use.path == path for use in found)
        return {use.package.purl.removeprefix("pkg:pypi/") for use in found}

    def age(self, folder: str = SITE, seconds: float = 3600) -> None:
        """Make a folder look as if it came with the image."""
        when = time.time() - seconds
        os.utime(self.folder / folder.lstrip("/"), (when, when))


def metadata(name: str, version: str | None) -> str:
    head = f"Metadata-Version: 2.1\nName: {name}\n"
    return head + (f"Version: {version}\n" if version is not None else "") + "\nName: of the README\n"


@contextmanager
def opened(folder: Path) -> Iterator[Container]:
    """A container whose root is ``folder``, which is made."""
    container = Container(folder)
    try:
        yield container
    finally:
        os.close(container.fd)


def zipped(*members: tuple[str, str], prefix: bytes = b"", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of (name, text), with ``prefix`` in front."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return prefix + buffer.getvalue()


def uses(container: Container, path: str) -> tuple[PackageUse, ...]:
    found = container.resolver.resolve(container.root, path)
    assert not isinstance(found, Skipped), found
    return found


def graded(container: Container, path: str) -> dict[str, Evidence]:
    """The purls' ends that ``path`` proves, and how strongly."""
    return {use.package.purl.removeprefix("pkg:pypi/"): use.evidence for use in uses(container, path)}
