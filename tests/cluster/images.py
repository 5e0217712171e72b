"""Images made on this machine: an OCI image layout (image-spec v1.0) in one tar, without any registry.

A layer holds what is the image's own; the interpreter and its libraries are the machine's ``/usr``, which a
container gets as a read-only mount. So an image takes kilobytes, and its digests are known before it is used.
"""

from __future__ import annotations

import hashlib
import io
import json
import platform
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from tests.ground.problem import run

SITE = f"app/venv/lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
"""Where the packages of a Python image are; its interpreter is the distribution's, as ours is."""
PATH = "/app/venv/bin:/usr/local/bin:/usr/bin:/bin"
_SOURCE = Path(__file__).with_name("pause.c")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_OCI = "application/vnd.oci.image"
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_FOLDERS = ("app", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr", "var")


class Origin(Enum):
    """How the image came to the node, which decides by what names the runtime knows it."""

    PULLED = "by tag: the runtime has the tag and the digest of the repository"
    PULLED_BY_DIGEST = "by repository@digest: the runtime has no tag"
    PULLED_BY_BOTH = "by repository:tag@digest: the runtime keeps no tag"
    LOADED = "from a file: the runtime has the tag and no digest of a repository"


@dataclass(frozen=True, slots=True)
class LocalImage:
    """An image that the runtime has.

    ``name`` is what the author of a pod writes. ``tags`` and ``repo_digests`` are the runtime's names.
    ``digest`` is of the manifest, ``config_digest`` of the configuration: the runtime's image id.
    """

    name: str
    digest: str
    config_digest: str
    tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    needs_machine: bool = True
    """Its programs are in the machine's ``/usr``."""

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.tags, *self.repo_digests)


@dataclass(frozen=True, slots=True)
class Built:
    """An image's blobs by digest; ``manifest`` and ``config`` are digests."""

    blobs: Mapping[str, bytes]
    manifest: str
    config: str

    def archive(self, names: tuple[str, ...]) -> bytes:
        """The image layout, in which the image has each of ``names``."""
        described = [self._descriptor({"io.containerd.image.name": name}) for name in names]
        index = {"schemaVersion": 2, "manifests": described}
        files = {f"blobs/sha256/{digest.partition(':')[2]}": blob for digest, blob in self.blobs.items()}
        files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
        files["index.json"] = _json(index)
        return tar(files)

    def local(self, name: str, origin: Origin, needs_machine: bool = True) -> LocalImage:
        repository, tag = _normalised(name)
        by_digest = f"{repository}@{self.manifest}"
        written = {Origin.PULLED_BY_DIGEST: name.removesuffix(f":{tag}"), Origin.PULLED_BY_BOTH: name}
        return LocalImage(
            name=f"{written[origin]}@{self.manifest}" if origin in written else name,
            digest=self.manifest,
            config_digest=self.config,
            tags=() if origin in written else (f"{repository}:{tag}",),
            repo_digests=() if origin is Origin.LOADED else (by_digest,),
            needs_machine=needs_machine,
        )

    def _descriptor(self, annotations: Mapping[str, str]) -> dict[str, Any]:
        size = len(self.blobs[self.manifest])
        return {
            "mediaType": f"{_OCI}.manifest.v1+json",
            "digest": self.manifest,
            "size": size,
            "annotations": dict(annotations),
        }


def build(files: Mapping[str, bytes], links: Mapping[str, str], config: Mapping[str, Any]) -> Built:
    """An image of one layer with ``files`` (path without a leading slash -> content) and symbolic ``links``.

    ``config`` is the ``config`` object of the image configuration: Env, Cmd, Labels, …
    """
    layer = tar(files, links, _FOLDERS)
    blobs = {_digest(layer): layer}
    configuration = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": _blob("config.v1+json", configuration),
            "layers": [_blob("layer.v1.tar", layer)],
        }
    )
    blobs |= {_digest(configuration): configuration, _digest(manifest): manifest}
    return Built(blobs, _digest(manifest), _digest(configuration))


def python_image(packages: Mapping[str, str], files: Mapping[str, bytes], build_id: str) -> Built:
    """The virtual environment /app/venv with ``packages`` (name -> version), and ``files``.

    Each package is one module named like it, installed as pip leaves it. Images of the same content and
    ``build_id`` have the same digest.
    """
    content = {"app/venv/pyvenv.cfg": b"home = /usr/bin\ninclude-system-site-packages = false\n"}
    for name, version in packages.items():
        content |= _distribution(name, version)
    links = {**_LINKS, "app/venv/bin/python3": "/usr/bin/python3", "app/venv/bin/python": "python3"}
    labels = {"org.opencontainers.image.title": build_id}
    config = {"Env": [f"PATH={PATH}", "LANG=C.UTF-8"], "Cmd": ["python3", "-V"], "Labels": labels}
    return build({**content, **files}, links, config)


def pause_image() -> Built:
    """The image of a pod's sandbox: one static program."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "pause")
        run(["gcc", "-static", "-Os", "-s", "-o", str(program), str(_SOURCE)])
        return build({"pause": program.read_bytes()}, {}, {"Entrypoint": ["/pause"], "Env": ["PATH=/"]})


def tar(
    files: Mapping[str, bytes], links: Mapping[str, str] | None = None, folders: tuple[str, ...] = ()
) -> bytes:
    """The same bytes for the same content: no times, owners or order of this machine."""
    output = io.BytesIO()
    parents = {str(parent) for name in (*files, *(links or {})) for parent in Path(name).parents} - {"."}
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(parents | set(folders)):
            archive.addfile(_entry(name, tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755))
        for name, content in sorted(files.items()):
            entry = _entry(name, tarfile.REGTYPE, 0o755)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for name, target in sorted((links or {}).items()):
            entry = _entry(name, tarfile.SYMTYPE, 0o777)
            entry.linkname = target
            archive.addfile(entry)
    return output.getvalue()


def _distribution(name: str, version: str) -> dict[str, bytes]:
    """Core metadata specification 2.1, and the record of installed projects (PEP 376, PEP 627)."""
    module = name.replace("-", "_").lower()
    info = f"{module}-{version}.dist-info"
    content = {
        f"{module}/__init__.py": f"__version__ = {version!r}\n".encode(),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n".encode(),
        f"{info}/INSTALLER": b"pip\n",
    }
    record = "".join(f"{file},,\n" for file in (*content, f"{info}/RECORD"))
    content[f"{info}/RECORD"] = record.encode()
    return {f"{SITE}/{file}": text for file, text in content.items()}


def _normalised(name: str) -> tuple[str, str]:
    """Repository and tag of a name without a digest, in full (Docker's distribution/reference)."""
    first, slash, _ = name.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")


def _entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.mtime = kind, mode, 0
    return entry


def _blob(kind: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": f"{_OCI}.{kind}", "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
