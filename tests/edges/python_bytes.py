"""Files of Python distributions as installers write them, for the cases."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping

from tests.edges.case import Expected

SITE = "/usr/local/lib/python3.12/site-packages"
DEBIAN = "/usr/lib/python3/dist-packages"


def metadata(name: str, version: str | None = "1.0") -> bytes:
    """Core metadata with a README below it that looks like headers."""
    head = f"Metadata-Version: 2.1\nName: {name}\n" + (f"Version: {version}\n" if version else "")
    return f"{head}\nName: readme\nVersion: 0.0\n".encode()


def record(*files: str) -> bytes:
    return "".join(f"{file},sha256=x,1\r\n" for file in files).encode()


def wheel(name: str, version: str, *files: str, site: str = SITE) -> dict[str, bytes]:
    """As pip unpacks a wheel: files, METADATA, RECORD."""
    info = f"{name.replace('-', '_').replace('.', '_')}-{version}.dist-info"
    listed = record(*files, f"{info}/METADATA", f"{info}/RECORD")
    written = {f"{site}/{file}": b"" for file in files if not file.startswith("..")}
    return {**written, f"{site}/{info}/METADATA": metadata(name, version), f"{site}/{info}/RECORD": listed}


def editable(name: str, version: str, project: str, *files: str, site: str = SITE) -> dict[str, bytes]:
    """As pip installs a project for development (PEP 610, PEP 660)."""
    info = f"{site}/{name}-{version}.dist-info"
    url = json.dumps({"dir_info": {"editable": True}, "url": f"file://{project}"}).encode()
    return {**wheel(name, version, *files, site=site), f"{info}/direct_url.json": url}


def egg_info(entry: str, name: str, version: str, *top_levels: str, site: str) -> dict[str, bytes]:
    """As setuptools writes it, without a list of files."""
    names = "\n".join(top_levels).encode()
    return {f"{site}/{entry}/PKG-INFO": metadata(name, version), f"{site}/{entry}/top_level.txt": names}


def conda(prefix: str, name: str, version: str, build: str, *files: str) -> dict[str, bytes]:
    """conda's own record of an installed package."""
    document = json.dumps({"name": name, "version": version, "build": build, "files": list(files)})
    return {f"{prefix}/conda-meta/{name}-{version}-{build}.json": document.encode()}


def archive(members: Mapping[str, bytes], *, prefix: bytes = b"") -> bytes:
    """A zip archive, with ``prefix`` in front; the same bytes each time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return prefix + buffer.getvalue()


def one(
    name: str, version: str | None = "1.0", snyk: str | None = "1.0.0", **more: str
) -> tuple[Expected, ...]:
    """One expected package. ``purl`` is its name there where that is not just in lower case."""
    purl = f"pkg:pypi/{more.get('purl', name.lower())}" + (f"@{version}" if version else "")
    return (Expected(purl, name.lower(), snyk, more.get("evidence", "opened")),)
