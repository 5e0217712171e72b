"""A report as the JSON object of ``docs/schema/container.schema.json``. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from sensor.model.report import ContainerReport, LoadedPackage

# Half a UTF-16 pair, from a file name that is no UTF-8 or a manifest's "\ud800": not Unicode text,
# and RFC 8259 section 8.2 leaves what a reader makes of it undefined; several refuse the whole line.
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json(report: ContainerReport) -> dict[str, Any]:
    """Return the report as JSON values. Every object is always there; a leaf not known yet is ``None``."""
    metadata, workload = report.metadata, report.metadata.workload
    state = {
        "type": "container",
        "observed_at": rfc3339(report.observed_at),
        "cluster": report.cluster,
        "node": report.node,
        "namespace": metadata.namespace,
        "workload": {
            "kind": workload.kind if workload else None,
            "name": workload.name if workload else None,
        },
        "pod": {"name": metadata.pod_name, "uid": metadata.pod_uid or report.container.pod_uid},
        "container": {
            "id": report.container.id,
            "name": metadata.name,
            "runtime": report.container.runtime,
        },
        "image": {"name": metadata.image.name, "digest": metadata.image.digest},
        "deployed": report.deployed,
        "first_seen": rfc3339(report.first_seen),
        "ended_at": None if report.ended_at is None else rfc3339(report.ended_at),
        "coverage": report.coverage.value,
        "coverage_reasons": list(report.coverage_reasons),
        "packages": [_package(loaded) for loaded in report.packages],
    }
    return {key: _unicode(value) for key, value in state.items()}


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with milliseconds: ``2025-01-31T23:59:59.250Z``."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _package(loaded: LoadedPackage) -> dict[str, Any]:
    package = loaded.use.package
    return {
        "ecosystem": package.ecosystem.value,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "snyk": {"type": package.snyk.type, "name": package.snyk.name, "version": package.snyk.version},
        "evidence": loaded.use.evidence.value,
        "first_seen": rfc3339(loaded.first_seen),
        "last_seen": rfc3339(loaded.last_seen),
        "path": loaded.use.path,
    }


def _unicode(value: Any) -> Any:
    match value:
        case str():
            return value if value.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)
        case dict():
            return {key: _unicode(item) for key, item in value.items()}
        case list():
            return [_unicode(item) for item in value]
    return value
