"""Annotations in the OCI bundle (``config.json``) that a runtime writes for each container.

It is there before the container's first process, so it also tells whose a container is that lives
shorter than a call of the runtime's API takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.node.identify.cgroup import CONTAINERD, CRIO, DOCKER, PODMAN, UNKNOWN, is_runc_id
from sensor.node.identify.labels import metadata_of, sandbox_of
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
            annotations = self._annotations(path)
            if annotations:
                return self._with_pod_labels(metadata_of(annotations), annotations)
        return None

    def _annotations(self, path: str) -> Any:
        return field(read_json(self._host, path), "annotations")

    def _with_pod_labels(self, told: ContainerMetadata, annotations: Any) -> ContainerMetadata:
        """CRI-O writes the pod's labels into the bundle of its sandbox alone."""
        sandbox = sandbox_of(annotations)
        if sandbox is None or told.pod_uid is None or not is_runc_id(sandbox):
            return told
        for storage in _STORAGE:
            pod = metadata_of(self._annotations(_in_storage(storage, sandbox)))
            if pod.pod_uid == told.pod_uid:
                return dataclasses.replace(told, pod_labels=pod.pod_labels)
        return told

    def _paths(self, identity: ContainerIdentity) -> Iterator[str]:
        if identity.runtime in {CONTAINERD, DOCKER, UNKNOWN}:
            for state in _CONTAINERD_STATES:
                for namespace in _CONTAINERD_NAMESPACES:
                    yield f"{state}/io.containerd.runtime.v2.task/{namespace}/{identity.id}/config.json"
        if identity.runtime in {CRIO, PODMAN, UNKNOWN}:
            for storage in _STORAGE:
                yield _in_storage(storage, identity.id)
        # Last, and whatever the cgroup is called: anybody may run runc with cgroups named like Kubernetes'.
        bundle = self._runc.bundle(identity.id)
        if bundle is not None:
            yield f"{bundle}/config.json"


def _in_storage(storage: str, container_id: str) -> str:
    return f"{storage}/overlay-containers/{container_id}/userdata/config.json"
