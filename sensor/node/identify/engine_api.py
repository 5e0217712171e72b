"""Names and images from the Docker Engine API, which Docker serves, and podman where it is asked to.

Read-only: GET of a container, of its image for the digest, and of its pod's sandbox for labels. See the
Engine API's v1.24 and later, ``/containers/{id}/json`` and ``/images/{name}/json``; without a version
prefix the newest answers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.node.identify.cgroup import CONTAINERD, DOCKER, PODMAN, UNKNOWN
from sensor.node.identify.image_reference import image, image_name
from sensor.node.identify.labels import metadata_of, sandbox_of
from sensor.node.identify.unix_http import UnixHttp
from sensor.node.identify.untrusted import field, text

_DOCKER_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")
_PODMAN_SOCKETS = ("/run/podman/podman.sock",)
_HEX = frozenset("0123456789abcdef")
_ID_LENGTH = 64


class EngineApi:
    """Asks the sockets below ``host_root``."""

    def __init__(self, host_root: str = "/") -> None:
        prefix = host_root.rstrip("/")
        docker = tuple(UnixHttp(prefix + path) for path in _DOCKER_SOCKETS)
        podman = tuple(UnixHttp(prefix + path) for path in _PODMAN_SOCKETS)
        # Under the cgroupfs driver the names of Docker's pods and of containerd's are the same.
        self._servers = {DOCKER: docker, CONTAINERD: docker, PODMAN: podman, UNKNOWN: docker + podman}

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        """Return what the first server that knows the container tells, None if none does."""
        if not _is_id(identity.id):
            return None
        for server in self._servers.get(identity.runtime, ()):
            container = _inspect(server, identity.id)
            if container is not None:
                return _metadata(server, container, is_in_pod=identity.pod_uid is not None)
        return None


def _is_id(container_id: str) -> bool:
    return len(container_id) == _ID_LENGTH and _HEX.issuperset(container_id)


def _inspect(server: UnixHttp, container_id: str) -> Any:
    container = server.get_json(f"/containers/{container_id}/json")
    return container if field(container, "Id") == container_id else None


def _image_of(server: UnixHttp, container: Any) -> Any:
    image_id = (text(field(container, "Image")) or "").removeprefix("sha256:")
    return server.get_json(f"/images/sha256:{image_id}/json") if _is_id(image_id) else None


def _metadata(server: UnixHttp, container: Any, *, is_in_pod: bool) -> ContainerMetadata:
    # An image's labels are among its containers': outside of a pod nobody overwrites Kubernetes' own.
    labels = field(container, "Config", "Labels") if is_in_pod else None
    told = metadata_of(labels)
    stored = _image_of(server, container)
    digests = field(stored, "RepoDigests")
    # Below Kubernetes the image is written as its id; one pulled by digest has no tag.
    names = (field(container, "Config", "Image"), _first(field(stored, "RepoTags")), _first(digests))
    return dataclasses.replace(
        told,
        # Docker's own name of a pod's container is made of pod, namespace and attempt.
        name=told.name or (text(field(container, "Name")) or "").removeprefix("/") or None,
        image=image(next(filter(image_name, names), None), digests),
        pod_labels=told.pod_labels if told.is_sandbox else _pod_labels(server, labels, told),
    )


def _pod_labels(server: UnixHttp, labels: Any, told: ContainerMetadata) -> Mapping[str, str] | None:
    sandbox = sandbox_of(labels) or ""
    if told.pod_uid is None or not _is_id(sandbox):
        return None
    pod = metadata_of(field(_inspect(server, sandbox), "Config", "Labels"))
    return pod.pod_labels if pod.pod_uid == told.pod_uid else None


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, list) and values else None
