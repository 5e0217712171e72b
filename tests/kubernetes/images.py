"""Images come to the node from files: archives that buildah, podman, docker or skopeo write."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import IO, Any

from tests.cluster.images import Built, Origin, pause_image
from tests.kubernetes.layout import Layout
from tests.kubernetes.machine import Machine
from tests.kubernetes.node import PAUSE
from tests.kubernetes.problem import KubernetesError
from tests.kubernetes.process import run_with_input

_CONTAINERD_NAME = "io.containerd.image.name"
_OCI_NAME = "org.opencontainers.image.ref.name"
_IMPORT = ("ctr", "--namespace", "k8s.io", "images", "import", "--digests=false", "-")


def import_pause(layout: Layout) -> None:
    """The image of every pod's sandbox."""
    import_built(layout, pause_image(), PAUSE)


def import_built(layout: Layout, built: Built, name: str) -> None:
    """An image made here (:mod:`tests.cluster.images`)."""
    with tempfile.TemporaryFile() as content:
        content.write(built.archive(built.local(name, Origin.LOADED).names))
        content.seek(0)
        import_image(layout, content)


def import_archive(layout: Layout, archive: Path, name: str | None = None) -> None:
    """Gives the node an image, called ``name`` or what the archive says.

    ``archive`` is a tar: an OCI image layout (``buildah push IMAGE oci-archive:FILE:NAME``) or docker's. Only
    the former can be named anew. ``name`` is in full, with a tag, ``docker.io/library/sensor:dev``: a pod's
    ``sensor:dev`` is that. Raises KubernetesError.
    """
    try:
        with archive.open("rb") as content, tempfile.TemporaryFile() as renamed:
            import_image(layout, _with_name(content, renamed, name, archive))
    except (OSError, tarfile.TarError) as error:
        raise KubernetesError(f"{archive}: {error}; expected an uncompressed archive of an image") from error


def import_image(layout: Layout, content: IO[bytes]) -> None:
    """Gives the node the images of the archive in an open file, by the names in it."""
    run_with_input(Machine(layout).inside(list(_IMPORT)), content)


def _with_name(content: IO[bytes], renamed: IO[bytes], name: str | None, archive: Path) -> IO[bytes]:
    """``content`` or, written to ``renamed``, the same with the name that containerd looks for."""
    with tarfile.open(fileobj=content, mode="r:") as source:
        files = source.getmembers()
        index = next((file for file in files if file.name.removeprefix("./") == "index.json"), None)
        if index is None:
            if name is not None:
                raise KubernetesError(f"{archive} is no OCI image layout: only these can be named anew")
            content.seek(0)
            return content
        text = _index(json.load(_read(source, index)), name, archive)
        with tarfile.open(fileobj=renamed, mode="w", format=tarfile.PAX_FORMAT) as target:
            for file in files:
                if file is index:
                    file.size = len(text)
                    target.addfile(file, io.BytesIO(text))
                else:
                    target.addfile(file, source.extractfile(file) if file.isfile() else None)
    renamed.seek(0)
    return renamed


def _index(index: dict[str, Any], name: str | None, archive: Path) -> bytes:
    manifests = index["manifests"]
    if name is not None and len(manifests) != 1:
        raise KubernetesError(f"{archive} has {len(manifests)} images, expected one to be called {name}")
    for manifest in manifests:
        annotations = manifest.setdefault("annotations", {})
        called = name or annotations.get(_CONTAINERD_NAME) or annotations.get(_OCI_NAME)
        if not called:
            raise KubernetesError(f"{archive} has an image without a name; give one with --name")
        annotations[_CONTAINERD_NAME] = full_name(called)
        annotations.pop(_OCI_NAME, None)  # containerd would make a name of the day's date of it
    return json.dumps(index).encode()


def full_name(name: str) -> str:
    """With registry, repository and tag, as a kubelet completes a pod's ``image``."""
    first, slash, _ = name.partition("/")
    if not (slash and ("." in first or ":" in first or first == "localhost")):
        name = f"docker.io/{name}" if slash else f"docker.io/library/{name}"
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _read(archive: tarfile.TarFile, file: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(file)
    assert content is not None, f"{file.name} is no file"
    return content
