"""A pod that runs: its sandbox, and what a kubelet does with its containers."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cluster import cgroups
from tests.cluster.cri_client import CriClient
from tests.cluster.cri_pod import IMPORTED, ContainerSpec, PodSpec, container_config, sandbox_config
from tests.cluster.cri_proto import api_pb2 as api
from tests.ground.problem import GroundError


@dataclass(frozen=True, slots=True)
class Node:
    """What the pods of one runtime share; ``busy`` bounds how many of them are made at a time."""

    cri: CriClient
    logs: Path
    hierarchies: tuple[Path, ...]
    busy: threading.BoundedSemaphore


class RunningPod:
    """``containers`` has the newest id of each container by name, init and ephemeral ones too.

    Its methods raise GroundError. ``with`` removes the pod at the end.
    """

    def __init__(self, node: Node, spec: PodSpec) -> None:
        self.spec = spec
        self.sandbox_id = ""
        self.containers: dict[str, str] = {}
        self._node = node
        self._logs = node.logs / f"{spec.namespace}_{spec.name}_{spec.uid}"
        self._config = sandbox_config(spec, self._logs)
        self._restarts: dict[str, int] = {}

    @property
    def uid(self) -> str:
        return self.spec.uid

    def start(self) -> None:
        """The sandbox, the init containers one after the other, then the others."""
        with self._node.busy:
            self._logs.mkdir(parents=True)
            handler = cgroups.HANDLER if self.spec.driver is cgroups.Driver.SYSTEMD else ""
            self.sandbox_id = self._node.cri.run_sandbox(self._config, handler)
        for container in self.spec.init_containers:
            self.add_container(container)
            if not container.is_sidecar and (status := self.wait(container.name)) != 0:
                raise GroundError(
                    f"{self._told(container.name)} ended with {status}: {self.output(container.name)}"
                )
        for container in self.spec.containers:
            self.add_container(container)

    def add_container(self, container: ContainerSpec) -> str:
        """Runs a container and returns its id: a further one, or a known one once more."""
        name = container.name
        restarts = self._restarts.get(name, -1) + 1
        target = self.containers[container.target] if container.target else ""
        config = container_config(self.spec, container, restarts, target)
        (self._logs / name).mkdir(exist_ok=True)
        with self._node.busy:
            self.containers[name] = self._node.cri.create(self.sandbox_id, config, self._config)
            self._restarts[name] = restarts
            self._node.cri.start(self.containers[name])
        return self.containers[name]

    def status(self, name: str) -> api.ContainerStatus:
        """The runtime's; ``image_ref`` is what a kubelet writes as ``imageID`` into the pod's status."""
        return self._node.cri.status(self.containers[name])

    def pid(self, name: str) -> int:
        """First process of a container, seen from this machine."""
        return self._node.cri.pid(self.containers[name])

    def cgroup(self, name: str) -> str:
        """The cgroup of a container, as /proc/PID/cgroup has it."""
        return cgroups.container_path(self.spec.cgroup_parent, self.containers[name])

    def output(self, name: str) -> str:
        """What a container wrote since its last start; a line has time, stream and flag before its text."""
        return (self._logs / name / f"{self._restarts[name]}.log").read_text(errors="replace")

    def wait(self, name: str, timeout: float = 60) -> int:
        """The exit status of a container's first process."""
        deadline = time.monotonic() + timeout
        pause = 0.01
        while (status := self.status(name)).state != api.CONTAINER_EXITED:
            if time.monotonic() > deadline:
                raise GroundError(f"{self._told(name)} still runs after {timeout:.0f} s")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)
        return status.exit_code

    def wait_for_output(self, name: str, wanted: str = IMPORTED, timeout: float = 60) -> None:
        """Returns when the container has written ``wanted``."""
        deadline = time.monotonic() + timeout
        while wanted not in (output := self.output(name)):
            if time.monotonic() > deadline:
                raise GroundError(f"{self._told(name)} has not said {wanted!r}: {output}")
            time.sleep(0.01)

    def stop_container(self, name: str, grace: int = 0) -> None:
        """Sends SIGTERM, and SIGKILL after ``grace`` seconds."""
        self._node.cri.stop(self.containers[name], grace)

    def stop(self) -> None:
        """Ends the containers and the sandbox; the runtime still knows of them."""
        self._node.cri.stop_sandbox(self.sandbox_id)

    def remove(self) -> None:
        """Ends the pod if it runs, and takes it away with its cgroup and logs; may be called again."""
        with self._node.busy:
            if self.sandbox_id:
                self.stop()
                self._node.cri.remove_sandbox(self.sandbox_id)
            cgroups.take_away(self.spec.cgroup_parent, self._node.hierarchies)
            shutil.rmtree(self._logs, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _told(self, name: str) -> str:
        return f"container {name} of pod {self.spec.namespace}/{self.spec.name}"
