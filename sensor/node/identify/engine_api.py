"""Names and images from the Docker Engine API, which Docker serves, and podman where it is asked to.

Read-only: GET of a container, and of its image for the digest. See the Engine API's v1.24 and later,
``/containers/{id}/json`` and ``/images/{name}/json``; without a version prefix the newest answers.
"""

from __future__ import annotations

from typing import Any

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image
from sensor.node.identify.cgroup import CONTAINERD, DOCKER, PODMAN, UNKNOWN
from sensor.node.identify.image_reference import image_name, manifest_digest, repository
from sensor.node.identify.labels import metadata_of
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
        if len(identity.id) != _ID_LENGTH or not _HEX.issuperset(identity.id):
            return None
        for server in self._servers.get(identity.runtime, ()):
            container = server.get_json(f"/containers/{identity.id}/json")
            if field(container, "Id") == identity.id:
                return _metadata(container, _image_of(server, container))
        return None


def _image_of(server: UnixHttp, container: Any) -> Any:
    image_id = (text(field(container, "Image")) or "").removeprefix("sha256:")
    if len(image_id) != _ID_LENGTH or not _HEX.issuperset(image_id):
        return None
    return server.get_json(f"/images/sha256:{image_id}/json")


def _metadata(container: Any, image: Any) -> ContainerMetadata:
    told = metadata_of(field(container, "Config", "Labels"))
    # Docker's own name of a pod's container is made of pod, namespace and attempt.
    name = told.name or (text(field(container, "Name")) or "").removeprefix("/") or None
    reference = image_name(field(container, "Config", "Image")) or _first(field(image, "RepoTags"))
    return ContainerMetadata(
        name=name,
        image=Image(reference, _digest(reference, field(image, "RepoDigests"))),
        namespace=told.namespace,
        pod_name=told.pod_name,
        pod_uid=told.pod_uid,
    )


def _digest(reference: str | None, digests: Any) -> str | None:
    """Return the manifest's digest in the repository that the image was named by, else in any."""
    written = manifest_digest(reference)
    if written is not None or not isinstance(digests, list):
        return written
    known = [value for value in map(text, digests) if value is not None and manifest_digest(value)]
    same = [value for value in known if reference and repository(value) == repository(reference)]
    best = same or known
    return manifest_digest(best[0]) if best else None


def _first(values: Any) -> str | None:
    return image_name(values[0]) if isinstance(values, list) and values else None
