"""Whose event it is."""

from __future__ import annotations

from dataclasses import dataclass, field

from sensor.model.events import KernelEvent

HOST_CONTAINER_ID = "host"


@dataclass(frozen=True, slots=True)
class ContainerIdentity:
    """What a cgroup name alone tells.

    ``runtime`` is ``containerd``, ``cri-o``, ``docker``, ``podman``, ``runc``, ``host`` or ``unknown``.
    """

    id: str
    runtime: str
    pod_uid: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Image:
    """``name`` as the runtime wrote it; ``digest`` is ``sha256:…`` of the manifest where known."""

    name: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class ContainerMetadata:
    """What a container runtime or Kubernetes adds to the identity; ``None`` is not known yet."""

    name: str | None = None
    image: Image = field(default_factory=Image)
    namespace: str | None = None
    pod_name: str | None = None
    pod_uid: str | None = None
    workload: Workload | None = None


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """A kernel event whose container is known."""

    event: KernelEvent
    container: ContainerIdentity
