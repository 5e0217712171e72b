"""What was reported, once it was checked, whichever way it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class PackageRow(NamedTuple):
    """As in the table ``package``; of what is not known, versions are ``None``."""

    ecosystem: str
    name: str
    version: str | None
    purl: str
    snyk_type: str
    snyk_name: str
    snyk_version: str | None


class Loaded(NamedTuple):
    """Columns, all of the same length. ``package`` is an index into :attr:`Report.packages`, times are
    milliseconds since the epoch."""

    package: tuple[int, ...] = ()
    evidence: tuple[int, ...] = ()
    path: tuple[str, ...] = ()
    first_seen: tuple[int, ...] = ()
    last_seen: tuple[int, ...] = ()


class Described(NamedTuple):
    """What is known of a container beside its packages; texts that are not known are ``None``."""

    container_id: str | None = None
    runtime: str | None = None
    node: str | None = None
    namespace: str | None = None
    workload_kind: str | None = None
    workload_name: str | None = None
    pod_name: str | None = None
    pod_uid: str | None = None
    container_name: str | None = None
    image_name: str | None = None
    image_digest: str | None = None


class State(NamedTuple):
    """Times are seconds since the epoch, by the sender's clock."""

    key: str
    generation: int
    observed_at: float
    first_seen: float
    ended_at: float | None
    described: Described
    coverage: str
    coverage_reasons: str
    loaded: Loaded | bytes
    """Or the ContainerState, serialised: most of what comes is known already, and is read no further."""
    position: int = 0
    """In the request."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    observed_at: float
    node: str
    running: frozenset[str]


@dataclass(frozen=True, slots=True)
class Report:
    """Times are seconds since the epoch, by the sender's clock. ``packages`` are serialised as in the
    request. ``rejected`` is index and reason."""

    batch_id: str
    sender_id: str
    sent_at: float
    group_id: str
    cluster: str
    packages: Sequence[bytes]
    states: Sequence[State]
    rejected: Sequence[tuple[int, str]]
    snapshot: Snapshot | None
