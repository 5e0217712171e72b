"""A report as the JSON object of ``docs/schema/container.schema.json``, and back. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sensor.model.container import ContainerIdentity, ContainerMetadata, Image, Workload
from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, SnykIdentity
from sensor.model.report import ContainerReport, Coverage, LoadedPackage

LATEST = 253_402_300_799_999
"""Milliseconds of 9999-12-31T23:59:59.999Z, the last that RFC 3339 can write."""

# Half a UTF-16 pair, from a file name that is no UTF-8 or a manifest's "\ud800": not Unicode text,
# and RFC 8259 section 8.2 leaves what a reader makes of it undefined; several refuse the whole line.
_SURROGATE = re.compile("[\ud800-\udfff]")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)


class MalformedState(ValueError):
    """A JSON value that is no state of a container. The text names the key, what was found there and
    what was expected."""


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


def from_json(state: Any) -> ContainerReport:
    """Return the report that :func:`to_json` made ``state`` of, its times to the millisecond.

    Where ``state`` came from may be damaged: raises :class:`MalformedState` for whatever is no such
    object. Keys that are not known, as a later version may write, are passed over.
    """
    if not isinstance(state, Mapping):
        raise MalformedState(f"found {_short(state)}, expected an object")
    _choice(state, "type", ("container",))
    report = ContainerReport(
        observed_at=_seconds(state, "observed_at"),
        cluster=_text_or_none(state, "cluster"),
        node=_text_or_none(state, "node"),
        container=_identity(state),
        metadata=_metadata(state),
        deployed=_of(state, "deployed", bool, "true or false"),
        first_seen=_seconds(state, "first_seen"),
        ended_at=None if _is_null(state, "ended_at") else _seconds(state, "ended_at"),
        coverage=Coverage(_choice(state, "coverage", Coverage)),
        coverage_reasons=_reasons(state),
        packages=_packages(state),
    )
    if report.deployed != (report.ended_at is None):
        raise MalformedState("ended_at: found a time of what is deployed, or none of what is not")
    if (report.coverage is Coverage.PARTIAL) != bool(report.coverage_reasons):
        raise MalformedState("coverage_reasons: found reasons for complete, or none for partial")
    return report


def rfc3339(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC with milliseconds: ``2025-01-31T23:59:59.250Z``.

    Bounded as :func:`milliseconds` is."""
    whole, rest = divmod(milliseconds(seconds), 1000)
    return f"{datetime.fromtimestamp(whole, UTC).isoformat()[:19]}.{rest:03}Z"


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, from 0 to :data:`LATEST`: a clock that is wrong costs no report. NaN is 0."""
    if math.isnan(seconds):
        return 0
    return round(min(max(seconds, 0.0), LATEST / 1000) * 1000)


def unicode_text(text: str) -> str:
    """``text`` with U+FFFD for each code point that is none of Unicode's characters."""
    return text if text.isascii() else _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


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
            return unicode_text(value)
        case dict():
            return {key: _unicode(item) for key, item in value.items()}
        case list():
            return [_unicode(item) for item in value]
    return value


def _identity(state: Mapping[str, Any]) -> ContainerIdentity:
    container, pod = _object(state, "container"), _object(state, "pod")
    return ContainerIdentity(
        id=_text(container, "id", "container."),
        runtime=_text(container, "runtime", "container."),
        pod_uid=_text_or_none(pod, "uid", "pod."),
    )


def _metadata(state: Mapping[str, Any]) -> ContainerMetadata:
    container, pod, image = (_object(state, key) for key in ("container", "pod", "image"))
    return ContainerMetadata(
        name=_text_or_none(container, "name", "container."),
        image=Image(_text_or_none(image, "name", "image."), _text_or_none(image, "digest", "image.")),
        namespace=_text_or_none(state, "namespace"),
        pod_name=_text_or_none(pod, "name", "pod."),
        pod_uid=_text_or_none(pod, "uid", "pod."),
        workload=_workload(_object(state, "workload")),
    )


def _workload(found: Mapping[str, Any]) -> Workload | None:
    if _is_null(found, "kind", "workload.") and _is_null(found, "name", "workload."):
        return None
    return Workload(_text(found, "kind", "workload."), _text(found, "name", "workload."))


def _reasons(state: Mapping[str, Any]) -> tuple[str, ...]:
    reasons = _of(state, "coverage_reasons", list, "a list of texts")
    if not all(isinstance(reason, str) for reason in reasons):
        raise MalformedState(f"coverage_reasons: found {_short(reasons)}, expected a list of texts")
    return tuple(reasons)


def _packages(state: Mapping[str, Any]) -> tuple[LoadedPackage, ...]:
    packages = _of(state, "packages", list, "a list of objects")
    return tuple(_loaded(one, f"packages[{number}].") for number, one in enumerate(packages))


def _loaded(found: Any, where: str) -> LoadedPackage:
    if not isinstance(found, Mapping):
        raise MalformedState(f"{where[:-1]}: found {_short(found)}, expected an object")
    snyk, in_snyk = _object(found, "snyk", where), f"{where}snyk."
    package = Package(
        ecosystem=Ecosystem(_choice(found, "ecosystem", Ecosystem, where)),
        name=_text(found, "name", where),
        version=_text_or_none(found, "version", where),
        purl=_text(found, "purl", where),
        snyk=SnykIdentity(
            _text(snyk, "type", in_snyk),
            _text(snyk, "name", in_snyk),
            _text_or_none(snyk, "version", in_snyk),
        ),
    )
    use = PackageUse(
        package, Evidence(_choice(found, "evidence", Evidence, where)), _text(found, "path", where)
    )
    return LoadedPackage(use, _seconds(found, "first_seen", where), _seconds(found, "last_seen", where))


def _of(part: Mapping[str, Any], key: str, kind: type, expected: str, where: str = "") -> Any:
    if key not in part:
        raise MalformedState(f"{where}{key}: found nothing, expected {expected}")
    if not isinstance(part[key], kind):
        raise MalformedState(f"{where}{key}: found {_short(part[key])}, expected {expected}")
    return part[key]


def _object(part: Mapping[str, Any], key: str, where: str = "") -> Mapping[str, Any]:
    found: Mapping[str, Any] = _of(part, key, Mapping, "an object", where)
    return found


def _text(part: Mapping[str, Any], key: str, where: str = "") -> str:
    return str(_of(part, key, str, "a text", where))


def _text_or_none(part: Mapping[str, Any], key: str, where: str = "") -> str | None:
    return None if _is_null(part, key, where) else _text(part, key, where)


def _is_null(part: Mapping[str, Any], key: str, where: str = "") -> bool:
    return _of(part, key, object, "a value or null", where) is None


def _choice(part: Mapping[str, Any], key: str, choices: Any, where: str = "") -> str:
    expected = f"one of {', '.join(choices)}"
    found = _of(part, key, str, expected, where)
    if found not in tuple(choices):
        raise MalformedState(f"{where}{key}: found {_short(found)}, expected {expected}")
    return str(found)


def _seconds(part: Mapping[str, Any], key: str, where: str = "") -> float:
    expected = "a time such as 2025-01-31T23:59:59.250Z"
    text = _of(part, key, str, expected, where)
    try:
        if _TIME.fullmatch(text) and (seconds := datetime.fromisoformat(text).timestamp()) >= 0:
            return seconds
    except ValueError:  # the 31st of February
        pass
    raise MalformedState(f"{where}{key}: found {_short(text)}, expected {expected}")


def _short(found: Any) -> str:
    text = repr(found) if found is None or isinstance(found, str | int | float) else type(found).__name__
    return text if len(text) <= 40 else text[:39] + "…"
