"""A pod, as the API server tells it, as the states of its containers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.image_reference import digest_of, image_name
from sensor.model.pod import Pod, PodContainer
from sensor.model.report import ContainerReport, Coverage

REASON: Final = "packages_not_watched"
"""Why every state is partial. Complete would say of all packages in the image that they are never loaded."""


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a pod. ``running`` maps the ids of its containers that were told as running to when
    they started, in seconds since the epoch. The pod is the one that the watch holds, not a copy."""

    pod: Pod
    workload: Workload | None
    running: Mapping[str, float]

    def only(self, ids: Collection[str]) -> Told:
        """Without the containers that are not among ``ids``."""
        return replace(self, running={id_: since for id_, since in self.running.items() if id_ in ids})


def told(pod: Pod, workload: Workload | None, before: Told | None, now: float) -> Told:
    """Return what is to be told of ``pod``: its containers that run, init, sidecar and ephemeral ones too.

    ``before`` is what was told last. A container without a time of its start, which a server leaves out only
    if it is wrong, started when it was first seen.
    """
    known = before.running if before else {}
    running = {
        container.id: container.started_at or known.get(container.id, now)
        for container in (() if pod.is_ended else pod.containers)
        if container.is_running and container.id is not None
    }
    return Told(pod, workload, running)


def changes(
    cluster: str | None, before: Told | None, after: Told | None, now: float
) -> list[ContainerReport]:
    """Return the states that are to be reported when ``after`` takes the place of ``before``: the ends, then
    what is new or not as it was. ``now`` is seconds since the epoch."""
    old = {} if before is None else {one.container.id: one for one in _states(cluster, before, now)}
    new = {} if after is None else {one.container.id: one for one in _states(cluster, after, now)}
    return [ended(one, now) for id_, one in old.items() if id_ not in new] + [
        one for id_, one in new.items() if old.get(id_) != one
    ]


def ended(report: ContainerReport, now: float) -> ContainerReport:
    """The same container, found gone ``now``."""
    return replace(report, observed_at=now, deployed=False, ended_at=max(now, report.first_seen))


def _states(cluster: str | None, one: Told, now: float) -> Iterator[ContainerReport]:
    pod = one.pod
    for container in pod.containers:
        if container.id is None or container.id not in one.running:
            continue
        yield ContainerReport(
            observed_at=now,
            cluster=cluster,
            node=pod.node,
            container=ContainerIdentity(container.id, container.runtime or "unknown", pod.uid),
            metadata=_metadata(pod, container, one.workload),
            deployed=True,
            first_seen=one.running[container.id],
            ended_at=None,
            coverage=Coverage.PARTIAL,
            coverage_reasons=(REASON,),
            packages=(),
        )


def _metadata(pod: Pod, container: PodContainer, workload: Workload | None) -> ContainerMetadata:
    name, digest = container.image.name, container.image.digest
    return ContainerMetadata(
        name=container.name,
        image=Image(image_name(name), digest or digest_of(name)),
        namespace=pod.namespace,
        pod_name=pod.name,
        pod_uid=pod.uid,
        workload=workload,
    )
