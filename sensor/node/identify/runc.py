"""The state directory of runc: which containers exist and where their bundle is.

runc keeps ``/run/runc/<id>/state.json`` from create to delete (``libcontainer/factory_linux.go``).
"""

from __future__ import annotations

from sensor.node.identify.cgroup import is_runc_id
from sensor.node.identify.untrusted import field, read_json, text
from sensor.node.rootfs import RootFilesystem, Unreadable

STATE_DIRECTORY = "/run/runc"
_BUNDLE = "bundle="  # a label that runc gives every container


class RuncStates:
    """Reads runc's state files below the host's root."""

    def __init__(self, host: RootFilesystem, directory: str = STATE_DIRECTORY) -> None:
        self._host = host
        self._directory = directory

    def exists(self, container_id: str) -> bool:
        """Whether runc has a container of this id."""
        if not is_runc_id(container_id):
            return False
        try:
            return self._host.stat(self._path(container_id)).is_regular
        except Unreadable:
            return False

    def bundle(self, container_id: str) -> str | None:
        """Return the bundle folder of a container, None if it is not known."""
        if not is_runc_id(container_id):
            return None
        labels = field(read_json(self._host, self._path(container_id)), "config", "labels")
        for label in labels if isinstance(labels, list) else ():
            value = text(label)
            if value is not None and value.startswith(f"{_BUNDLE}/"):
                return value.removeprefix(_BUNDLE)
        return None

    def _path(self, container_id: str) -> str:
        return f"{self._directory}/{container_id}/state.json"
