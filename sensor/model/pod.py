"""A pod as the API server tells it: only what is used of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sensor.model.container import Image


@dataclass(frozen=True, slots=True)
class OwnerReference:
    """The controller among ``metadata.ownerReferences``."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class PodContainer:
    """A container of a pod, init, sidecar and ephemeral ones too.

    ``id`` and ``runtime`` are of ``containerID`` (``containerd://3f…``), ``None`` until it is created.
    ``image.name`` is the spec's, as the author wrote it; ``image.digest`` is of ``status.imageID``.
    """

    name: str
    image: Image
    id: str | None = None
    runtime: str | None = None
    is_running: bool = False
    started_at: float | None = None
    """Seconds since the epoch; ``None`` while it has not started."""


@dataclass(frozen=True, slots=True)
class Pod:
    """``owner`` is ``None`` for a bare pod. A mirror pod stands for a static one of the kubelet, its owner
    is the node."""

    uid: str
    namespace: str
    name: str
    node: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: OwnerReference | None = None
    is_mirror: bool = False
    is_ended: bool = False
    """Its phase is Succeeded or Failed: nothing of it runs, nor will."""
    static_uid: str | None = None
    """The uid that the kubelet gave a static pod, and so its cgroup; ``uid`` is that of its mirror."""
    containers: tuple[PodContainer, ...] = ()
