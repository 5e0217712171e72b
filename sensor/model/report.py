"""The state of one container, as it is reported."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.model.package import PackageUse


class Coverage(enum.StrEnum):
    COMPLETE = "complete"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class LoadedPackage:
    """Times are seconds since the epoch, UTC."""

    use: PackageUse
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class ContainerReport:
    """Everything known of one container at ``observed_at`` (seconds since the epoch, UTC).

    ``coverage_reasons`` names why coverage is partial; it is empty exactly when it is complete.
    ``first_seen`` is when the sensor first saw the container run, ``ended_at`` when it found it gone,
    ``None`` exactly while it is ``deployed``; both in seconds since the epoch, UTC.
    """

    observed_at: float
    cluster: str | None
    node: str | None
    container: ContainerIdentity
    metadata: ContainerMetadata
    deployed: bool
    first_seen: float
    ended_at: float | None
    coverage: Coverage
    coverage_reasons: tuple[str, ...]
    packages: tuple[LoadedPackage, ...]
