"""What a report must say of a container, and the table of what it says instead."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sensor.model.image_reference import image_name
from tests.cluster.images import LocalImage, Origin
from tests.cluster.node import CLUSTER, NodePod
from tests.cluster.runtime import CriRuntime
from tests.ground import Sensor
from tests.ground.sensor import Report, purls

_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Program:
    """An image with one package, and what a report says of it."""

    image: LocalImage
    origin: Origin
    package: str
    version: str

    @property
    def purl(self) -> str:
        return f"pkg:pypi/{self.package}@{self.version}"


@dataclass(frozen=True, slots=True)
class Expected:
    """Of one container. ``package`` is the purl of what it imports, ``None`` for nothing."""

    container_id: str
    names: Mapping[str, str | None]
    package: str | None

    def wrong(self, report: Report, *, may_lack: bool = False) -> list[str]:
        """What of the names is not as it must be in this report; with ``may_lack`` null is always right."""
        found = names_of(report)
        return [
            f"{what}: {found[what]!r} for {wanted!r}"
            for what, wanted in self.names.items()
            if found[what] != wanted and not (may_lack and found[what] is None)
        ]

    def is_met(self, report: Report) -> bool:
        """Whether the report is complete."""
        return not self.wrong(report) and purls(report) == ({self.package} if self.package else set())


def expected(
    pod: NodePod, container_id: str, program: Program, node: str, workload: tuple[str, str]
) -> Expected:
    """For a container of ``pod`` that runs ``program``; ``workload`` is kind and name."""
    names = {
        "cluster": CLUSTER,
        "node": node,
        "namespace": pod.spec.namespace,
        "workload": "/".join(workload),
        "pod": pod.name,
        "uid": pod.uid,
        "container": pod.ids[container_id],
        "image": image_name(program.image.name),
        "digest": None if program.origin is Origin.LOADED else program.image.digest,
    }
    return Expected(container_id, names, program.purl)


def names_of(report: Report) -> dict[str, Any]:
    """What ``Expected.names`` has."""
    workload = report["workload"]
    return {
        "cluster": report["cluster"],
        "node": report["node"],
        "namespace": report["namespace"],
        "workload": f"{workload['kind']}/{workload['name']}" if workload["kind"] else None,
        "pod": report["pod"]["name"],
        "uid": report["pod"]["uid"],
        "container": report["container"]["name"],
        "image": report["image"]["name"],
        "digest": report["image"]["digest"],
    }


def differences(sensor: Sensor, wanted: Iterable[Expected], *, every_line: bool) -> list[str]:
    """One line for each container whose reports are not right.

    The last one must be complete, with ``every_line`` the names of all. None may have a name or a package of
    another container.
    """
    lines = by_container(sensor)
    found = []
    for one in wanted:
        wrong = _wrong(one, lines.get(one.container_id, []), every_line)
        if wrong:
            pod = f"{one.names['namespace']}/{one.names['pod']}"
            found.append(f"{one.container_id[:12]} {pod} {one.names['container']}: {'; '.join(wrong)}")
    return found


def by_container(sensor: Sensor) -> dict[str, list[Report]]:
    """All reports so far, in their order."""
    lines: dict[str, list[Report]] = {}
    for report in list(sensor.lines):
        if report["type"] == "container":
            lines.setdefault(report["container"]["id"], []).append(report)
    return lines


def _wrong(one: Expected, reports: list[Report], every_line: bool) -> list[str]:
    if not reports:
        return ["never reported"]
    wrong = []
    for number, report in enumerate(reports, 1):
        found = one.wrong(report, may_lack=not every_line and number < len(reports))
        extra = sorted(purls(report) - {one.package})
        found += [f"packages of another: {extra}"] if extra else []
        wrong += [f"[{number}/{len(reports)}] {text}" for text in found]
    if one.package and one.package not in purls(reports[-1]):
        wrong.append(f"lacks {one.package} ({' '.join(reports[-1]['coverage_reasons'])})")
    return wrong


def table(differences: list[str], compared: int) -> str:
    """For people: how many, and the first of them."""
    more = len(differences) - _SHOWN
    shown = [*differences[:_SHOWN], *([f"… and {more} more"] if more > 0 else [])]
    return "\n  ".join([f"{len(differences)} of {compared} containers are not reported as they are:", *shown])


def sandboxes_reported(sensor: Sensor, pods: Iterable[NodePod]) -> list[str]:
    """The lines that tell of a pause container."""
    sandboxes = {pod.running.sandbox_id: pod.name for pod in pods}
    return [
        f"pause of {sandboxes[report['container']['id']]}"
        for report in list(sensor.lines)
        if report["type"] == "container" and report["container"]["id"] in sandboxes
    ]


def wait_until_met(sensor: Sensor, wanted: Iterable[Expected], timeout: float) -> None:
    """Returns when the last report of each is complete; what is not by then, :func:`differences` tells."""
    deadline = time.monotonic() + timeout
    open_ones = list(wanted)
    while open_ones and time.monotonic() < deadline:
        time.sleep(0.1)
        latest = dict(sensor.latest)
        open_ones = [one for one in open_ones if not _is_met(one, latest.get(one.container_id))]


def _is_met(one: Expected, report: Report | None) -> bool:
    return report is not None and one.is_met(report)


def make_programs(
    runtime: CriRuntime, images: Iterable[tuple[str, Origin]], prefix: str = "package"
) -> list[Program]:
    """An image for each name, every one with a package of its own, so that a misattribution shows."""
    made = []
    for number, (name, origin) in enumerate(images):
        package, version = f"{prefix}{number}", f"{number}.1"
        image = runtime.image(name, {package: version}, origin=origin)
        made.append(Program(image, origin, package, version))
    return made
