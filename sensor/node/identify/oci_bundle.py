"""Annotations in the OCI bundle (``config.json``) that a runtime writes for each container."""

from __future__ import annotations

from collections.abc import Iterator

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.node.identify.cgroup import CONTAINERD, CRIO, DOCKER, PODMAN, UNKNOWN, is_runc_id
from sensor.node.identify.labels import metadata_of
from sensor.node.identify.runc import RuncStates
from sensor.node.identify.untrusted import field, read_json
from sensor.node.rootfs import RootFilesystem

# State directories of containerd: its own, and those of distributions that bring it along.
_CONTAINERD_STATES = (
    "/run/containerd",
    "/run/k3s/containerd",
    "/run/k0s/containerd",
    "/var/snap/microk8s/common/run/containerd",
)
_CONTAINERD_NAMESPACES = ("k8s.io", "default", "moby")
_STORAGE = ("/run/containers/storage", "/var/lib/containers/storage")


class OciBundles:
    """Reads bundles below the host's root."""

    def __init__(self, host: RootFilesystem, runc: RuncStates) -> None:
        self._host = host
        self._runc = runc

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        """Return what the first bundle found tells, None without a bundle."""
        if not is_runc_id(identity.id):
            return None
        for path in self._paths(identity):
            annotations = field(read_json(self._host, path), "annotations")
            if annotations:
                return metadata_of(annotations)
        return None

    def _paths(self, identity: ContainerIdentity) -> Iterator[str]:
        if identity.runtime in {CONTAINERD, DOCKER, UNKNOWN}:
            for state in _CONTAINERD_STATES:
                for namespace in _CONTAINERD_NAMESPACES:
                    yield f"{state}/io.containerd.runtime.v2.task/{namespace}/{identity.id}/config.json"
        if identity.runtime in {CRIO, PODMAN, UNKNOWN}:
            for storage in _STORAGE:
                yield f"{storage}/overlay-containers/{identity.id}/userdata/config.json"
        # Last, and whatever the cgroup is called: anybody may run runc with cgroups named like Kubernetes'.
        bundle = self._runc.bundle(identity.id)
        if bundle is not None:
            yield f"{bundle}/config.json"
