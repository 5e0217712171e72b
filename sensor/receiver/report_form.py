"""A ReportRequest, checked: what the store needs of it, and what is not taken.

Nothing here asks the database. What is wrong with the request as a whole raises; what is wrong with one
container is that container's rejection.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from google.protobuf.message import DecodeError

from sensor.receiver.report_views import ContainerHead, RequestHead
from sensor.receiver.states import Described, Loaded, PackageRow, Report, Snapshot, State
from sensor.snyk.proto.v1.reports_pb2 import ContainerState, Package

MAX_BYTES = 4 << 20
"""Of a request, serialised and uncompressed: see reports.proto."""
MAX_CONTAINERS = 10_000
MAX_PACKAGES = 50_000
"""Of one container; a sensor's inventory holds 20,000."""
MAX_LISTED = 100_000
"""Packages of a request: more than its bytes have room for, unless they are no packages."""
MAX_TEXT = 4096
"""Characters of a name, path or id."""
MAX_TIME = 253_402_300_799_999
"""The last millisecond of the year 9999: later ones no calendar can show."""

HOST = "host"
EVIDENCE = ("", "bundled", "opened", "mapped", "executed")
"""By number in reports.proto."""
COVERAGE = ("", "complete", "partial")

_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Malformed(Exception):
    """The request is not taken. ``field`` is its name in reports.proto, ``""`` for the whole."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}" if field else problem)
        self.field = field
        self.problem = problem


class TooLarge(Exception):
    pass


class Unfit(Exception):
    """This container, or package, is not taken; the text says why."""


def read(serialised: bytes) -> Report:
    """Raise :class:`Malformed` or :class:`TooLarge`."""
    if len(serialised) > MAX_BYTES:
        raise TooLarge(
            f"found {len(serialised):,} bytes, expected at most {MAX_BYTES:,}: send fewer containers"
        )
    try:
        request = RequestHead.FromString(serialised)
    except DecodeError:
        raise Malformed("", "found bytes that are no runtimesensor.reports.v1.ReportRequest") from None
    _check_head(request)
    states, rejected = [], []
    for index, container in enumerate(request.containers):
        try:
            states.append(_state(index, container, request.node))
        except Unfit as unfit:
            rejected.append((index, str(unfit)))
    return Report(
        batch_id=request.batch_id,
        sender_id=request.sender_id,
        sent_at=request.sent_at_ms / 1000,
        group_id=request.group_id,
        cluster=request.cluster,
        packages=request.packages,
        states=states,
        rejected=rejected,
        snapshot=_snapshot(request) if request.HasField("snapshot") else None,
    )


def _check_head(request: Any) -> None:
    for field in ("batch_id", "sender_id"):
        if not _UUID.fullmatch(getattr(request, field)):
            raise Malformed(field, f"found {getattr(request, field)[:64]!r}, expected a UUID in lower case")
    for field in ("group_id", "cluster", "node", "sensor_version"):
        if len(getattr(request, field)) > MAX_TEXT:
            raise Malformed(field, f"found more than {MAX_TEXT:,} characters")
    if not 0 <= request.sent_at_ms <= MAX_TIME:
        raise Malformed("sent_at_ms", _time_problem(request.sent_at_ms))
    if len(request.containers) > MAX_CONTAINERS:
        raise TooLarge(f"found {len(request.containers):,} containers, expected at most {MAX_CONTAINERS:,}")
    if len(request.packages) > MAX_LISTED:
        raise TooLarge(f"found {len(request.packages):,} packages, expected at most {MAX_LISTED:,}")


_PACKAGE = attrgetter(*PackageRow._fields)


def package(serialised: bytes) -> PackageRow:
    """Raise :class:`Unfit`."""
    try:
        found = PackageRow._make(_PACKAGE(Package.FromString(serialised)))
    except DecodeError:
        raise Unfit("found bytes that are no runtimesensor.reports.v1.Package") from None
    if not (found.ecosystem and found.name and found.purl):
        raise Unfit("expected an ecosystem, a name and a purl")
    if max(len(text or "") for text in found) > MAX_TEXT:
        raise Unfit(f"found a text of more than {MAX_TEXT:,} characters")
    return found._replace(version=found.version or None, snyk_version=found.snyk_version or None)


_LOADED = attrgetter("package", "evidence", "path", "first_seen_ms", "last_seen_ms")
_DESCRIBED = attrgetter(*Described._fields)


def _state(index: int, serialised: bytes, node: str) -> State:
    try:
        found = ContainerHead.FromString(serialised)
    except DecodeError:
        raise Unfit("found bytes that are no runtimesensor.reports.v1.ContainerState") from None
    described = Described._make([text or None for text in _DESCRIBED(found)])
    if described.container_id is None:
        raise Unfit("container_id: found none, expected the runtime's id, or host")
    if max(len(text) for text in described if text) > MAX_TEXT:
        raise Unfit(f"found a text of more than {MAX_TEXT:,} characters")
    if "\0" in described.container_id:  # where SQLite's JSON functions end a text
        raise Unfit("container_id: found a NUL, expected the runtime's id, or host")
    if described.node is None and node:
        described = described._replace(node=node)
    if found.generation >= 1 << 63:
        raise Unfit(f"generation: found {found.generation}, expected less than 2^63")
    if not 0 < found.coverage < len(COVERAGE):
        raise Unfit(f"coverage: found {found.coverage}, expected complete (1) or partial (2)")
    ended = _seconds("ended_at_ms", found.ended_at_ms) if found.HasField("ended_at_ms") else None
    return State(
        key=_key(found.container_id, described.node),
        generation=found.generation,
        observed_at=_seconds("observed_at_ms", found.observed_at_ms),
        first_seen=_seconds("first_seen_ms", found.first_seen_ms),
        ended_at=ended,
        described=described,
        coverage=COVERAGE[found.coverage],
        coverage_reasons=_reasons(found.coverage_reasons),
        loaded=serialised,
        position=index,
    )


def loaded_packages(serialised: bytes) -> Loaded:
    """What a ContainerState has loaded. Raise :class:`Unfit`. Whether evidence and paths are, is for
    :func:`check_members` to say, once for all that loaded the same."""
    try:
        found = ContainerState.FromString(serialised)
    except DecodeError:
        raise Unfit("packages: found bytes that are no runtimesensor.reports.v1.LoadedPackage") from None
    if not found.packages:
        return Loaded()
    if len(found.packages) > MAX_PACKAGES:
        raise Unfit(f"packages: found {len(found.packages):,}, expected at most {MAX_PACKAGES:,}")
    loaded = Loaded._make(zip(*map(_LOADED, found.packages), strict=True))
    if min(loaded.evidence) <= 0:
        raise Unfit(f"evidence: found none, expected 1 to {len(EVIDENCE) - 1}")
    for field, times in (("first_seen_ms", loaded.first_seen), ("last_seen_ms", loaded.last_seen)):
        _seconds(field, min(times))
        _seconds(field, max(times))
    return loaded


def check_members(evidence: Sequence[int], paths: Sequence[str]) -> None:
    """Raise :class:`Unfit`."""
    if evidence and (min(evidence) < 0 or max(evidence) >= len(EVIDENCE)):
        raise Unfit(f"evidence: found {max(evidence)}, expected 1 to {len(EVIDENCE) - 1}")
    if paths and len(max(paths, key=len)) > MAX_TEXT:
        raise Unfit(f"path: found more than {MAX_TEXT:,} characters")


def _reasons(found: Sequence[str]) -> str:
    reasons = " ".join(found)
    if len(reasons) > MAX_TEXT:
        raise Unfit(f"coverage_reasons: found more than {MAX_TEXT:,} characters")
    return reasons


def _snapshot(request: Any) -> Snapshot:
    found = request.snapshot
    if not 0 <= found.observed_at_ms <= MAX_TIME:
        raise Malformed("snapshot.observed_at_ms", _time_problem(found.observed_at_ms))
    node = found.node or request.node
    running = frozenset(_key(container, node) for container in found.running_container_ids)
    return Snapshot(found.observed_at_ms / 1000, found.node, running)


def _key(container_id: str, node: str | None) -> str:
    return f"{HOST}/{node or ''}" if container_id == HOST else container_id


def _seconds(field: str, milliseconds: int) -> float:
    if not 0 <= milliseconds <= MAX_TIME:
        raise Unfit(f"{field}: {_time_problem(milliseconds)}")
    return milliseconds / 1000


def _time_problem(found: int) -> str:
    return f"found {found}, expected milliseconds since 1970-01-01 before the year 10000"
