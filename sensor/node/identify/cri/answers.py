"""Answers of a container runtime -> what we keep of them. Tenants may have chosen anything in them.

What each runtime puts where, from their sources (``ListContainers``, ``ContainerStatus``, ``ImageStatus``):

- ``Container.image.image`` is what the kubelet asked for, an image id under containerd, a name under CRI-O;
  ``user_specified_image`` is what the pod's author wrote, since Kubernetes 1.29.
- ``image_ref`` is an image id under containerd's list, a name with a digest in CRI-O's and in statuses;
  cri-dockerd writes ``docker-pullable://`` before it.
- The kubelet writes ``io.kubernetes.pod.*`` after the pod's own labels, so nobody's label stands for them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING

from sensor.model.container import ContainerMetadata, Image
from sensor.model.image_reference import digest_of, image_name, repo_digest
from sensor.node.identify.untrusted import text

if TYPE_CHECKING:
    from sensor.node.identify.cri.proto import cri_pb2 as cri

RUNNING = 1  # CONTAINER_RUNNING
LABELS_MAX = 128
"""Labels kept of a pod. Nobody writes as many, and the API server bounds all metadata of a pod to 256 KiB."""

_OWN_LABELS = "io.kubernetes."
_NAMES_MAX = 64  # of one image
_IMAGES_SHARED = 256  # a node has hundreds of containers of few images
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True)
class PodSandbox:
    """``labels`` are the pod's own."""

    id: str
    name: str | None
    namespace: str | None
    uid: str | None
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Container:
    """``image_key`` is what to ask the runtime's image service for. Times are seconds since the epoch.

    ``fallback`` is what an event calls the image: any of its names and digests, perhaps not those that the
    pod's author meant. ``is_listed`` is false for what only events told.
    """

    id: str
    sandbox_id: str | None
    name: str | None
    image: Image
    image_key: str | None
    pod_name: str | None
    namespace: str | None
    pod_uid: str | None
    is_running: bool
    created_at: float | None
    started_at: float | None = None
    fallback: Image = field(default_factory=Image)
    is_listed: bool = True

    @property
    def image_by_now(self) -> Image:
        return Image(self.image.name or self.fallback.name, self.image.digest or self.fallback.digest)


@dataclass(frozen=True, slots=True)
class ImageNames:
    """What the image service tells of an image."""

    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()


def pod_sandbox(told: cri.PodSandbox | cri.PodSandboxStatus) -> PodSandbox:
    metadata = told.metadata
    return PodSandbox(
        id=told.id,
        name=text(metadata.name),
        namespace=_shared(text(metadata.namespace)),
        uid=text(metadata.uid),
        labels=_labels(told.labels),
    )


def container(told: cri.Container) -> Container:
    """Of a list."""
    return _container(told, text(told.pod_sandbox_id))


def container_of_status(told: cri.ContainerStatus, sandbox_id: str | None) -> Container:
    """Of an event."""
    known = _container(told, sandbox_id)
    return replace(
        known,
        image=_image(text(told.image.user_specified_image) or "", "", ""),
        fallback=known.image,
        started_at=_seconds(told.started_at),
        is_listed=False,
    )


def image_names(told: cri.Image) -> ImageNames:
    return ImageNames(_texts(told.repo_tags), _texts(told.repo_digests))


def image_of(known: Container, names: ImageNames) -> Image:
    """Return name and digest: what the container's own entry tells, else what its image is called.

    Of an image's digests that in the repository which the container names it by, else the first.
    """
    return _named(known.image, known.fallback, names)


def metadata_of(known: Container, sandbox: PodSandbox | None, image: Image) -> ContainerMetadata:
    return ContainerMetadata(
        name=known.name,
        image=image,
        namespace=(sandbox and sandbox.namespace) or known.namespace,
        pod_name=(sandbox and sandbox.name) or known.pod_name,
        pod_uid=(sandbox and sandbox.uid) or known.pod_uid,
        pod_labels=None if sandbox is None else sandbox.labels,
    )


def metadata_of_sandbox(sandbox: PodSandbox) -> ContainerMetadata:
    return ContainerMetadata(
        namespace=sandbox.namespace,
        pod_name=sandbox.name,
        pod_uid=sandbox.uid,
        pod_labels=sandbox.labels,
        is_sandbox=True,
    )


@lru_cache(_IMAGES_SHARED)
def _named(image: Image, fallback: Image, names: ImageNames) -> Image:
    # An image pulled by digest alone has no tag.
    called = filter(None, map(image_name, (*names.tags, *names.digests)))
    name = image.name or next(called, None) or fallback.name
    return Image(name, image.digest or repo_digest(name, names.digests) or fallback.digest)


@lru_cache(_IMAGES_SHARED)
def _image(written: str, asked: str, reference: str) -> Image:
    digests = map(digest_of, (written, asked, reference))
    return Image(image_name(written) or image_name(asked), next(filter(None, digests), None))


def _container(told: cri.Container | cri.ContainerStatus, sandbox_id: str | None) -> Container:
    written, asked, reference = (
        text(value) or "" for value in (told.image.user_specified_image, told.image.image, told.image_ref)
    )
    return Container(
        id=told.id,
        sandbox_id=sandbox_id,
        name=_shared(text(told.metadata.name)),
        image=_image(written, asked, reference),
        image_key=_shared(text(told.image_id) or reference or asked or None),
        pod_name=_label(told.labels, "io.kubernetes.pod.name"),
        namespace=_shared(_label(told.labels, "io.kubernetes.pod.namespace")),
        pod_uid=_label(told.labels, "io.kubernetes.pod.uid"),
        is_running=told.state == RUNNING,
        created_at=_seconds(told.created_at),
    )


def _label(labels: Mapping[str, str], key: str) -> str | None:
    # A look-up by [] would add the key to protobuf's map.
    return text(labels.get(key))


def _labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Empty values are values; others that no label can have are left out."""
    kept = {}
    for key, value in islice(labels.items(), LABELS_MAX * 2):
        if text(key) and not key.startswith(_OWN_LABELS) and (value == "" or text(value)):
            kept[sys.intern(key)] = sys.intern(value)
    return dict(islice(kept.items(), LABELS_MAX))


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(value for value in islice(values, _NAMES_MAX) if text(value))


def _seconds(nanoseconds: int) -> float | None:
    return nanoseconds / _NANOSECONDS if nanoseconds > 0 else None


def _shared(value: str | None) -> str | None:
    """Hundreds of containers have few names and namespaces between them."""
    return None if value is None else sys.intern(value)
