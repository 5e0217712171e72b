"""CycloneDX 1.6 of what was loaded, https://cyclonedx.org/docs/1.6/json/. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

import sensor
from sensor.delivery.container_json import rfc3339
from sensor.receiver.exports.container_json import moment
from sensor.receiver.queries.rows import LoadedRow
from sensor.receiver.queries.selection import EVIDENCES

_IMAGE_REF = "image"


def bill(
    image: str, digest: str, loaded: Iterable[LoadedRow], facts: dict[str, str], now: float
) -> dict[str, Any]:
    """Return the document: ``metadata.component`` is the image, the components are what was loaded of it.

    ``facts`` become properties of the image, ``now`` is seconds since the epoch.
    """
    by_purl: dict[str, list[LoadedRow]] = defaultdict(list)
    for row in loaded:
        by_purl[row.purl].append(row)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid4()}",
        "version": 1,
        "metadata": {
            "timestamp": rfc3339(now),
            "lifecycles": [{"phase": "operations"}],
            "tools": {
                "components": [
                    {"type": "application", "name": "runtime-sensor", "version": sensor.__version__}
                ]
            },
            "component": {
                "type": "container",
                "bom-ref": _IMAGE_REF,
                "name": image or digest or "unknown",
                **({"version": digest} if digest else {}),
                "properties": _properties(facts),
            },
        },
        "components": [_component(purl, rows) for purl, rows in by_purl.items()],
        "dependencies": [{"ref": _IMAGE_REF, "dependsOn": list(by_purl)}],
        # What was loaded is not all that the image holds.
        "compositions": [{"aggregate": "incomplete", "assemblies": [_IMAGE_REF]}],
    }


def _component(purl: str, rows: Sequence[LoadedRow]) -> dict[str, Any]:
    best = min(rows, key=lambda row: EVIDENCES.index(row.evidence) if row.evidence in EVIDENCES else 9)
    group, name = _group_and_name(best)
    firsts = [row.first_seen for row in rows if row.first_seen is not None]
    lasts = [row.last_seen for row in rows if row.last_seen is not None]
    facts = {
        "evidence": best.evidence,
        "first-seen": moment(min(firsts, default=None)) or "",
        "last-seen": moment(max(lasts, default=None)) or "",
        "snyk-type": best.snyk_type,
        "snyk-name": best.snyk_name,
        "snyk-version": best.snyk_version,
    }
    return {
        "type": "library",
        "bom-ref": purl,
        **({"group": group} if group else {}),
        "name": name,
        **({"version": best.version} if best.version else {}),
        "purl": purl,
        "properties": _properties(facts),
        "evidence": {
            "identity": [
                {
                    "field": "purl",
                    "confidence": 1,
                    "methods": [{"technique": "dynamic-analysis", "confidence": 1, "value": best.evidence}],
                }
            ],
            "occurrences": [{"location": path} for path in dict.fromkeys(row.path for row in rows) if path],
        },
    }


def _group_and_name(row: LoadedRow) -> tuple[str, str]:
    if row.ecosystem == "maven" and ":" in row.name:
        group, _, name = row.name.partition(":")
        return group, name
    if row.ecosystem == "npm" and row.name.startswith("@") and "/" in row.name:
        group, _, name = row.name.partition("/")
        return group, name
    return "", row.name


def _properties(facts: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": f"runtime-sensor:{name}", "value": value} for name, value in facts.items() if value]
