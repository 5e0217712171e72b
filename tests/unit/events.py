"""Events as the kernel would send them of this very process, and resolvers that say what they are told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from sensor.model.container import ContainerIdentity
from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.model.package import Ecosystem
from sensor.node.identify.processes import Process, mount_namespace_of
from sensor.node.resolve.interface import Resolution
from sensor.node.resolve.openers import Openers
from sensor.node.rootfs import RootFilesystem
from tests.unit.reports import use

OWN_NAMESPACE = mount_namespace_of(os.getpid())
DOCKER = ContainerIdentity("a" * 64, "docker")
OTHER = ContainerIdentity("b" * 64, "docker")


def own_start() -> int:
    with Process(os.getpid()) as process:
        return process.start_boottime()


def event(path: str = "/site-packages/requests/__init__.py", **changes: Any) -> KernelEvent:
    """An open by this process, which is in container :data:`DOCKER` as far as its cgroup tells."""
    fields: dict[str, Any] = {
        "kind": EventKind.OPEN,
        "flags": EventFlag.NONE,
        "time": time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        "pid": os.getpid(),
        "start_boottime": own_start(),
        "uid": 0,
        "comm": "python3",
        "mount_namespace": OWN_NAMESPACE,
        "mount_namespace_id": 1,
        "cgroup_id": 1,
        "cgroup_path": f"/docker/{DOCKER.id}",
        "executable": FileId(1, 1),
        "executable_name": "python3.11",
        "file": FileId(2, 1),
        "path": path,
        "seen_key": b"key",
    }
    return KernelEvent(**fields | changes)


class Scripted:
    """A resolver of ``.py`` files: each proves a package of its own, unless ``answer`` is replaced."""

    def __init__(self, ecosystem: Ecosystem = Ecosystem.PYPI, claims: str = ".py") -> None:
        self.ecosystem = ecosystem
        self.asked: list[str] = []
        self.answer: Callable[[RootFilesystem, str], Resolution] = lambda _root, path: (use(path),)
        self._claims = claims
        self.opener_matters = True
        self.sweeps = 0

    def claims(self, path: str) -> bool:
        return path.endswith(self._claims)

    def resolve(self, root: RootFilesystem, path: str) -> Resolution:
        self.asked.append(path)
        return self.answer(root, path)

    def resolve_program(self, root: RootFilesystem, path: str) -> Resolution:
        return self.resolve(root, path)

    def sweep(self) -> None:
        self.sweeps += 1


class Hosting(Openers):
    """Every opener hosts ``ecosystems``."""

    def __init__(self, *ecosystems: Ecosystem) -> None:
        super().__init__()
        self._hosted = frozenset(ecosystems)
        self.observed: list[KernelEvent] = []

    def observe(self, event: KernelEvent) -> None:
        self.observed.append(event)

    def ecosystems(self, event: KernelEvent, root: RootFilesystem) -> frozenset[Ecosystem]:
        return self._hosted
