"""A batch as our own gRPC service takes it, see ``proto/v1/reports.proto``. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from sensor.deferred_imports import UNUSED, deferred
from sensor.delivery.container_json import milliseconds
from sensor.delivery.destination import Batch, OutgoingState
from sensor.model.package import Evidence, Package
from sensor.model.report import Coverage, LoadedPackage
from sensor.snyk.text import wire_text, wire_text_or_none

with deferred(*UNUSED):
    from sensor.snyk.proto.v1 import reports_pb2 as wire

_EVIDENCE = {
    Evidence.BUNDLED: wire.EVIDENCE_BUNDLED,
    Evidence.OPENED: wire.EVIDENCE_OPENED,
    Evidence.MAPPED: wire.EVIDENCE_MAPPED,
    Evidence.EXECUTED: wire.EVIDENCE_EXECUTED,
}
_COVERAGE = {Coverage.COMPLETE: wire.COVERAGE_COMPLETE, Coverage.PARTIAL: wire.COVERAGE_PARTIAL}
_MAX_GENERATION = (1 << 63) - 1  # the field takes twice that, a database's signed integer does not
_SLICE = 512  # messages at a time: protobuf copies what it is given, and holds the interpreter meanwhile
_Item = TypeVar("_Item")


def build(batch: Batch, group_id: str, version: str) -> wire.ReportRequest:
    """Return the request for ``batch``: its states in the same order, each package once.

    ``version`` is the sensor's. Never raises for what a container may hold: texts are made Unicode and
    cut (:func:`sensor.snyk.text.wire_text`), times and generations kept within what the field takes.
    """
    packages = _PackageTable()
    request = wire.ReportRequest(
        batch_id=wire_text(batch.id),
        sender_id=wire_text(batch.sender_id),
        sent_at_ms=milliseconds(batch.sent_at),
        sensor_version=wire_text(version),
        group_id=wire_text(group_id),
        cluster=wire_text(batch.cluster),
        node=wire_text(batch.node),
        snapshot=_snapshot(batch),
    )
    for state in batch.states:
        _add_container(request, state, packages)
    for part in _slices(packages.messages):
        request.packages.extend(part)
    return request


def _slices(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    return (items[start : start + _SLICE] for start in range(0, len(items), _SLICE))


class _PackageTable:
    """Gives each package its place. Two that are written alike are one."""

    def __init__(self) -> None:
        self.messages: list[wire.Package] = []
        self._places: dict[Package, int] = {}
        self._written: dict[bytes, int] = {}

    def place(self, package: Package) -> int:
        place = self._places.get(package)
        if place is None:
            place = self._places[package] = self._add(_package(package))
        return place

    def _add(self, message: wire.Package) -> int:
        place = self._written.setdefault(message.SerializeToString(deterministic=True), len(self.messages))
        if place == len(self.messages):
            self.messages.append(message)
        return place


def _package(package: Package) -> wire.Package:
    return wire.Package(
        ecosystem=package.ecosystem.value,
        name=wire_text(package.name),
        version=wire_text_or_none(package.version),
        purl=wire_text(package.purl),
        snyk_type=wire_text(package.snyk.type),
        snyk_name=wire_text(package.snyk.name),
        snyk_version=wire_text_or_none(package.snyk.version),
    )


def _add_container(request: wire.ReportRequest, state: OutgoingState, packages: _PackageTable) -> None:
    report, metadata = state.report, state.report.metadata
    container = request.containers.add(
        container_id=wire_text(report.container.id),
        generation=min(max(state.generation, 0), _MAX_GENERATION),
        observed_at_ms=milliseconds(report.observed_at),
        first_seen_ms=milliseconds(report.first_seen),
        ended_at_ms=None if report.ended_at is None else milliseconds(report.ended_at),
        node=wire_text(report.node),
        runtime=wire_text(report.container.runtime),
        namespace=wire_text(metadata.namespace),
        workload_kind=wire_text(metadata.workload.kind if metadata.workload else None),
        workload_name=wire_text(metadata.workload.name if metadata.workload else None),
        pod_name=wire_text(metadata.pod_name),
        pod_uid=wire_text(metadata.pod_uid or report.container.pod_uid),
        container_name=wire_text(metadata.name),
        image_name=wire_text(metadata.image.name),
        image_digest=wire_text(metadata.image.digest),
        coverage=_COVERAGE[report.coverage],
        coverage_reasons=[wire_text(reason) for reason in report.coverage_reasons],
    )
    for part in _slices(_loaded_packages(report.packages, packages)):
        container.packages.extend(part)


def _loaded_packages(loaded: Iterable[LoadedPackage], packages: _PackageTable) -> list[wire.LoadedPackage]:
    """One for each package, in the order of ``loaded``; of several that are written alike the best proven."""
    messages: dict[int, wire.LoadedPackage] = {}
    for one in loaded:
        message = _loaded_package(one, packages.place(one.use.package))
        known = messages.get(message.package)
        messages[message.package] = message if known is None else _joined(known, message)
    return list(messages.values())


def _loaded_package(loaded: LoadedPackage, place: int) -> wire.LoadedPackage:
    return wire.LoadedPackage(
        package=place,
        evidence=_EVIDENCE[loaded.use.evidence],
        first_seen_ms=milliseconds(loaded.first_seen),
        last_seen_ms=milliseconds(loaded.last_seen),
        path=wire_text(loaded.use.path),
    )


def _joined(one: wire.LoadedPackage, other: wire.LoadedPackage) -> wire.LoadedPackage:
    best = max(one, other, key=lambda message: message.evidence)
    return wire.LoadedPackage(
        package=one.package,
        evidence=best.evidence,
        first_seen_ms=min(one.first_seen_ms, other.first_seen_ms),
        last_seen_ms=max(one.last_seen_ms, other.last_seen_ms),
        path=best.path,
    )


def _snapshot(batch: Batch) -> wire.Snapshot | None:
    if batch.running is None:
        return None
    return wire.Snapshot(
        observed_at_ms=milliseconds(batch.sent_at),
        node=wire_text(batch.node),
        running_container_ids=[wire_text(container) for container in batch.running],
    )
