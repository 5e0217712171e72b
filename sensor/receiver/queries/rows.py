"""What queries return. Times are seconds since the epoch, UTC; ``''`` is a name that is not known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Totals:
    clusters: int
    nodes: int
    namespaces: int
    workloads: int
    images: int
    running: int
    ended: int
    packages: int
    partial: int
    reasons: tuple[tuple[str, int], ...]
    """Why coverage is partial, and of how many containers; most first."""
    last_report: float | None
    """By the receiver's clock."""


@dataclass(frozen=True, slots=True)
class PackageRow:
    """``evidence`` is the strongest of all; times are ``None`` where they were not asked for."""

    ecosystem: str
    name: str
    version: str
    purl: str
    snyk_type: str
    snyk_name: str
    snyk_version: str
    evidence: str
    workloads: int
    images: int
    containers: int
    running: int
    first_seen: float | None
    last_seen: float | None


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A workload, image, namespace or cluster; of the names those are set that make it up."""

    cluster: str
    namespace: str
    workload_kind: str
    workload_name: str
    image: str
    namespaces: int
    workloads: int
    images: int
    containers: int
    running: int
    partial: int
    packages: int
    first_seen: float
    observed_at: float


@dataclass(frozen=True, slots=True)
class ContainerRow:
    id: int
    source: str
    container_id: str
    runtime: str
    cluster: str
    node: str
    namespace: str
    workload_kind: str
    workload_name: str
    pod_name: str
    pod_uid: str
    container_name: str
    image_name: str
    image_digest: str
    coverage: str
    coverage_reasons: tuple[str, ...]
    first_seen: float
    observed_at: float
    received_at: float
    ended_at: float | None
    package_set: int | None
    packages: int

    @property
    def image(self) -> str:
        """What lists call the image."""
        return self.image_name or self.image_digest


@dataclass(frozen=True, slots=True)
class LoadedRow:
    """A package as one container has it."""

    ecosystem: str
    name: str
    version: str
    purl: str
    snyk_type: str
    snyk_name: str
    snyk_version: str
    evidence: str
    path: str
    first_seen: float | None
    last_seen: float | None


@dataclass(frozen=True, slots=True)
class Part(Generic[Row]):
    """Some of ``total`` rows, in their order."""

    rows: tuple[Row, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Order:
    """``column`` is one of the list's own; rows from ``offset``, at most ``limit``."""

    column: str
    descending: bool = False
    offset: int = 0
    limit: int = 50
