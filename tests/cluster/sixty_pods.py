"""60 pods of every kind of workload, with containers of every kind, and what reports must say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.cluster import workloads
from tests.cluster.client import Json
from tests.cluster.cri_pod import ContainerSpec, PodSpec, importing
from tests.cluster.expected import Expected, Program, expected
from tests.cluster.images import Origin
from tests.cluster.node import Node, NodePod

IMAGES = (
    ("my-app", Origin.PULLED),
    ("acme/web:2", Origin.PULLED),
    ("registry.example.com:5000/team/app:1.2", Origin.PULLED),
    ("quay.io/a/b", Origin.PULLED_BY_DIGEST),
    ("localhost/c:3", Origin.PULLED_BY_BOTH),
    ("localhost:5000/d", Origin.PULLED),
    ("gcr.io/project/deep/er/name:v1.0.0-rc.1", Origin.PULLED),
    ("ghcr.io/acme/web:2", Origin.PULLED_BY_BOTH),
    ("loaded/by-hand:1", Origin.LOADED),
)
TWIN = "mirror.example.com/the-same/other-name:7"
"""Another name of the first image's content."""
_NAMESPACES = ("default", "kube-system", "shop", "shop-2", "batch-jobs")
_PODS = {
    "Deployment": 10,
    "StatefulSet": 8,
    "DaemonSet": 7,
    "Job": 6,
    "CronJob": 6,
    "ReplicaSet": 2,
    "ReplicationController": 2,
    "Rollout": 4,
    "DeploymentConfig": 4,
    "bare": 6,
    "static": 5,
}
"""Pods by the kind of their workload, two for each workload in a row."""


@dataclass(frozen=True, slots=True)
class Planned:
    """``workload`` is kind and name; ``programs`` are by container, ``ephemeral`` comes once the pod runs."""

    spec: PodSpec
    owner: Json | None
    workload: tuple[str, str]
    programs: dict[str, Program]
    ephemeral: ContainerSpec | None

    def run(self, node: Node) -> NodePod:
        pod = node.run(self.spec, self.owner)
        if self.ephemeral is not None:
            pod.start_ephemeral(self.ephemeral)
        return pod

    def expected(self, node: Node, pod: NodePod) -> Iterator[Expected]:
        kind, name = self.workload
        workload = (kind, pod.name if kind == "Pod" else name)
        for container_id, container in pod.ids.items():
            yield expected(pod, container_id, self.programs[container], node.name, workload)


@dataclass(slots=True)
class _Containers:
    """Of one pod; each runs another program than the others."""

    number: int
    all_programs: list[Program]
    init: list[ContainerSpec] = field(default_factory=list)
    main: list[ContainerSpec] = field(default_factory=list)
    ephemeral: ContainerSpec | None = None
    programs: dict[str, Program] = field(default_factory=dict)

    def container(self, name: str, seconds: float | None = None) -> ContainerSpec:
        program = self.all_programs[(self.number + len(self.programs)) % len(self.all_programs)]
        self.programs[name] = program
        return ContainerSpec(name, program.image, importing(program.package, seconds=seconds))


def plan(node: Node, programs: list[Program]) -> Iterator[Planned]:
    """Makes the workloads; the pods are yet to be run."""
    number = 0
    for kind, count in _PODS.items():
        owner: Json | None = None
        for index in range(count):
            namespace = _NAMESPACES[number // 2 % len(_NAMESPACES)]
            workload = ("Pod", "") if kind in ("bare", "static") else (kind, f"{kind.lower()}-{number // 2}")
            if workload[1] and (owner is None or number % 2 == 0):
                workloads.ensure_namespace(node.server.admin, namespace)
                owner = workloads.controller(node.server.admin, kind, workload[1], namespace)
            containers = _containers(number, programs, has_ephemeral=kind != "static" and index % 4 == 2)
            name = f"{owner['metadata']['name']}-x{number}" if owner else f"{kind}-{number}"
            spec = PodSpec(
                name,
                tuple(containers.main),
                namespace,
                init_containers=tuple(containers.init),
                labels={"app": workload[1] or name},
                is_static=kind == "static",
            )
            yield Planned(spec, owner, workload, containers.programs, containers.ephemeral)
            number += 1


def _containers(number: int, programs: list[Program], *, has_ephemeral: bool) -> _Containers:
    made = _Containers(number, programs)
    made.main.append(made.container("main"))
    if number % 3 == 0:
        made.init.append(made.container("init", seconds=0.1))
    if number % 4 == 1:
        made.init.append(dataclasses.replace(made.container("mesh"), is_sidecar=True))
    if number % 5 == 2:
        made.main.append(made.container("second"))
    if has_ephemeral:
        made.ephemeral = dataclasses.replace(made.container("debug"), target="main")
    return made
