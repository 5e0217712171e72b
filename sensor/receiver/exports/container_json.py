"""``docs/schema/container.schema.json`` for each container, and what the receiver adds. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from sensor.delivery.container_json import rfc3339
from sensor.receiver.exports.walk import Exported
from sensor.receiver.queries.rows import LoadedRow


def pieces(pages: Iterable[list[Exported]]) -> Iterator[str]:
    """``{"containers":[…]}`` in pieces, a line for each container."""
    yield '{"containers":['
    comma = "\n"
    for page in pages:
        lines = [json.dumps(to_json(found), ensure_ascii=False, separators=(",", ":")) for found in page]
        yield comma + ",\n".join(lines)
        comma = ",\n"
    yield "\n]}\n"


def to_json(found: Exported) -> dict[str, Any]:
    """What is not known is ``None``; over https that is the coverage and the evidence as well.

    Added to the schema are ``row`` (by which the receiver's addresses name it), ``source``,
    ``received_at`` and ``risk_factors``.
    """
    row = found.container
    return {
        "type": "container",
        "row": row.id,
        "source": row.source,
        "received_at": rfc3339(row.received_at),
        "observed_at": rfc3339(row.observed_at),
        "cluster": row.cluster or None,
        "node": row.node or None,
        "namespace": row.namespace or None,
        "workload": {"kind": row.workload_kind or None, "name": row.workload_name or None},
        "pod": {"name": row.pod_name or None, "uid": row.pod_uid or None},
        "container": {
            "id": row.container_id or None,
            "name": row.container_name or None,
            "runtime": row.runtime or None,
        },
        "image": {"name": row.image_name or None, "digest": row.image_digest or None},
        "deployed": row.ended_at is None,
        "first_seen": rfc3339(row.first_seen),
        "ended_at": None if row.ended_at is None else rfc3339(row.ended_at),
        "coverage": row.coverage or None,
        "coverage_reasons": list(row.coverage_reasons),
        "risk_factors": {"deployed": row.ended_at is None, "public_facing": list(found.public)},
        "packages": [_package(package) for package in found.packages],
    }


def _package(loaded: LoadedRow) -> dict[str, Any]:
    return {
        "ecosystem": loaded.ecosystem,
        "name": loaded.name,
        "version": loaded.version or None,
        "purl": loaded.purl,
        "snyk": {
            "type": loaded.snyk_type,
            "name": loaded.snyk_name,
            "version": loaded.snyk_version or None,
        },
        "evidence": loaded.evidence or None,
        "first_seen": moment(loaded.first_seen),
        "last_seen": moment(loaded.last_seen),
        "path": loaded.path,
    }


def moment(seconds: float | None) -> str | None:
    return None if seconds is None else rfc3339(seconds)
