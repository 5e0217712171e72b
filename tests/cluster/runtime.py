"""A real containerd with its CRI plug-in, and pods made through it as a kubelet makes them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clock import PATIENCE
from tests.cluster import cgroups, images
from tests.cluster.containerd import PAUSE, Containerd
from tests.cluster.cri_client import CriClient, CriError
from tests.cluster.cri_pod import ContainerSpec, PodSpec
from tests.cluster.images import Built, LocalImage, Origin
from tests.cluster.running_pod import Node, RunningPod
from tests.ground.problem import GroundError

_AT_ONCE = 6
"""Pods that are made or removed at a time; more only wait for each other."""


class CriRuntime:
    """``with CriRuntime() as runtime``: runs, and leaves nothing behind.

    ``state`` is where the socket, sandboxes and bundles are, for what looks for them by known paths: a folder
    that does not exist yet, such as /run/k3s/containerd. All else is in a temporary folder.
    """

    def __init__(self, state: Path | None = None) -> None:
        self._state = state
        self._importing = threading.Lock()
        self._journal = threading.Lock()

    def __enter__(self) -> Self:
        self._containerd = Containerd(self._state)
        self.socket = self._containerd.socket
        self.cri = CriClient(self.socket)
        self._node = Node(
            cri=self.cri,
            logs=self._containerd.folder / "logs",
            hierarchies=tuple(cgroups.hierarchies()),
            busy=threading.BoundedSemaphore(_AT_ONCE),
        )
        try:
            self.start()
            self._import(images.pause_image(), PAUSE, Origin.PULLED, needs_machine=False)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends every pod and containerd, and removes all of them; whatever state they are in."""
        self.cri.close()
        self._containerd.close()

    @property
    def pid(self) -> int:
        """Of containerd. Raises GroundError while it is stopped."""
        return self._containerd.pid

    @property
    def state(self) -> Path:
        """containerd's state folder, /run/containerd on a node."""
        return self._containerd.state

    def start(self) -> None:
        """Starts containerd, which takes up again the pods that run. Raises GroundError."""
        self._containerd.start(self._answers)

    def stop(self) -> None:
        """Stops containerd: its socket goes away, its containers run on."""
        self._containerd.stop()

    def restart(self) -> None:
        self.stop()
        self.start()

    def log(self, lines: int = 15) -> str:
        """The last ``lines`` that containerd has written."""
        return self._containerd.log(lines)

    def image(
        self,
        name: str,
        packages: Mapping[str, str] | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        origin: Origin = Origin.PULLED,
        build: str | None = None,
    ) -> LocalImage:
        """Makes the image ``name`` (repository, or repository:tag; no digest) and gives it to the runtime.

        It runs ``python3`` with ``packages`` (name -> version). ``files`` are by path without leading slash.
        Images of equal content have different digests, unless they are given the same ``build``.
        """
        built = images.python_image(packages or {}, files or {}, build or name)
        return self._import(built, name, origin)

    def pod(self, name: str, *containers: ContainerSpec, **settings: Any) -> RunningPod:
        """``run_pod`` with the settings of PodSpec."""
        return self.run_pod(PodSpec(name, containers, **settings))

    def run_pod(self, spec: PodSpec) -> RunningPod:
        """Runs a pod; init containers to their end first. From any thread. Raises GroundError."""
        with self._journal:
            self._containerd.note(spec.cgroup_parent)
        pod = RunningPod(self._node, spec)
        try:
            pod.start()
        except BaseException:
            with contextlib.suppress(GroundError):
                pod.remove()
            raise
        return pod

    def _answers(self) -> bool:
        try:
            self.cri.version()
        except CriError:
            return False
        return True

    def _import(self, built: Built, name: str, origin: Origin, needs_machine: bool = True) -> LocalImage:
        image = built.local(name, origin, needs_machine)
        with self._importing:
            self._containerd.import_image(built.archive(image.names))
        deadline = time.monotonic() + PATIENCE
        while not self._knows(image):
            if time.monotonic() > deadline:
                raise GroundError(f"the runtime did not take notice of the image {image.names}")
            time.sleep(0.01)
        return image

    def _knows(self, image: LocalImage) -> bool:
        known = self.cri.image(image.config_digest)
        return known is not None and {*known.repo_tags, *known.repo_digests} >= {*image.names}
