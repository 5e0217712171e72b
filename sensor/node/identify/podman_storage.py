"""Names and images from the files of containers/storage, which podman and CRI-O share.

For hosts where podman serves no socket, as by default. Format: ``containers.go`` and ``images.go`` of
containers/storage; the field ``metadata`` is JSON in a string, written by libpod and CRI-O.
"""

from __future__ import annotations

from typing import Any

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.node.identify.cgroup import CRIO, PODMAN, UNKNOWN
from sensor.node.identify.image_reference import image
from sensor.node.identify.untrusted import field, parse_json, read_json, text
from sensor.node.rootfs import FileIdentity, RootFilesystem, Unreadable

_CONTAINERS = (
    "/var/lib/containers/storage/overlay-containers/containers.json",
    "/var/lib/containers/storage/overlay-containers/volatile-containers.json",
    "/run/containers/storage/overlay-containers/volatile-containers.json",
)
_IMAGES = "/var/lib/containers/storage/overlay-images/images.json"


class PodmanStorage:
    """Reads the storage of root's containers below the host's root."""

    def __init__(self, host: RootFilesystem) -> None:
        self._containers = tuple(_Records(host, path) for path in _CONTAINERS)
        self._images = _Records(host, _IMAGES)

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        """Return name and image, None for a container that is not there."""
        if identity.runtime not in {PODMAN, CRIO, UNKNOWN}:
            return None
        for records in self._containers:
            record = records.get(identity.id)
            if record is not None:
                return self._metadata(record, identity)
        return None

    def _metadata(self, record: Any, identity: ContainerIdentity) -> ContainerMetadata:
        written_json = field(record, "metadata")
        more = parse_json(written_json.encode("utf-8", "replace")) if isinstance(written_json, str) else None
        # CRI-O's names there are made of pod, namespace and attempt: its annotations are better.
        name = None if identity.runtime == CRIO else text(field(more, "name")) or _first(record, "names")
        return ContainerMetadata(
            name=name, image=image(field(more, "image-name"), self._digest(field(record, "image")))
        )

    def _digest(self, image_id: Any) -> str:
        """As the end of a reference."""
        record = self._images.get(image_id) if isinstance(image_id, str) else None
        return f"@{field(record, 'digest')}"


class _Records:
    """A JSON list of objects with ids, parsed again only when the file changed."""

    def __init__(self, host: RootFilesystem, path: str) -> None:
        self._host = host
        self._path = path
        self._state: FileIdentity | None = None
        self._by_id: dict[str, Any] = {}

    def get(self, record_id: str) -> Any:
        self._refresh()
        return self._by_id.get(record_id)

    def _refresh(self) -> None:
        try:
            state = self._host.stat(self._path).identity
        except Unreadable:
            self._state, self._by_id = None, {}
            return
        if state == self._state:
            return
        records = read_json(self._host, self._path)
        found = records if isinstance(records, list) else []
        by_id = ((field(record, "id"), record) for record in found)
        self._by_id = {key: record for key, record in by_id if isinstance(key, str)}
        self._state = state


def _first(record: Any, key: str) -> str | None:
    values = field(record, key)
    return text(values[0]) if isinstance(values, list) and values else None
