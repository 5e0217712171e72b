"""Whose event it is."""

from __future__ import annotations

from collections.abc import Mapping
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
    """``name`` in full (:mod:`sensor.model.image_reference`), as written where it is no reference; ``digest``
    is ``sha256:…`` of the manifest where known."""

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
    pod_labels: Mapping[str, str] | None = None
    is_sandbox: bool = False
    """A pod's own container (``pause``), which holds its namespaces open and is nobody's workload."""

    def or_else(self, other: ContainerMetadata) -> ContainerMetadata:
        """Return this, with ``other``'s where nothing is known here."""
        return ContainerMetadata(
            name=self.name or other.name,
            image=Image(self.image.name or other.image.name, self.image.digest or other.image.digest),
            namespace=self.namespace or other.namespace,
            pod_name=self.pod_name or other.pod_name,
            pod_uid=self.pod_uid or other.pod_uid,
            workload=self.workload or other.workload,
            pod_labels=other.pod_labels if self.pod_labels is None else self.pod_labels,
            is_sandbox=self.is_sandbox or other.is_sandbox,
        )


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """A kernel event whose container is known."""

    event: KernelEvent
    container: ContainerIdentity
