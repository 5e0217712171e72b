"""A report as the outbox keeps it, and back. Pure.

What many containers have alike is kept once, under its SHA-256 (:class:`Fact`): which packages, by which
evidence and path; and what is said of cluster, node, namespace, workload, container and image. A row has
what is the container's own: its ids, and when what was loaded.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sensor.delivery.container_json import (
    MalformedState,
    from_json,
    milliseconds,
    rfc3339,
    to_json,
    unicode_text,
)
from sensor.delivery.outbox_packing import Damaged, pack_times, packed, unpack_times, unpacked
from sensor.model.package import Ecosystem, Evidence, Package, PackageUse, SnykIdentity
from sensor.model.report import ContainerReport, LoadedPackage

_SLICE = 256  # packages at a time: json.dumps() holds the interpreter
_HEX = re.compile("(?:[0-9a-f]{2})+")
_UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Row(NamedTuple):
    """A line of the table ``state``; times are milliseconds since the epoch unless said otherwise."""

    id: int | None
    generation: int
    destination: int
    key: bytes | str
    queued_at: float | None  # seconds; None is not to be sent
    aside: str | None
    first_seen: int
    observed_at: int
    ended_at: int | None
    pod_name: str | None
    pod_uid: bytes | str | None
    shared: int
    packages: int
    size: int
    times: bytes
    boot: bytes | str | None
    boottime: int | None
    checksum: int

    def signed(self) -> Row:
        return self._replace(checksum=_checksum(self))

    def check(self) -> None:
        """Raises :class:`Damaged`. Left out are ``id``, as SQL gives it, ``queued_at`` and ``aside``, as it
        changes them: a bit of theirs that flips sends a state once more or later, or shifts the rest."""
        if self.checksum != _checksum(self):
            raise Damaged("a state has another checksum than was written with it")


def _checksum(row: Row) -> int:
    return zlib.crc32(repr((*row[1:4], *row[6:-1])).encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Fact:
    digest: bytes
    raw: bytes

    @classmethod
    def of(cls, raw: bytes) -> Fact:
        return cls(hashlib.sha256(raw).digest(), raw)

    def packed(self) -> bytes:
        return packed(self.raw, 6)


def unpacked_fact(digest: bytes, body: bytes) -> bytes:
    """Return what :meth:`Fact.packed` made ``body`` of; raises :class:`Damaged`."""
    raw = unpacked(body)
    if hashlib.sha256(raw).digest() != digest:
        raise Damaged("what many states share has another checksum than was written with it")
    return raw


@dataclass(frozen=True, slots=True)
class Encoded:
    """A report, ready to be a :class:`Row`. ``size`` is about how many bytes it takes in a request before
    compression, what it shares with others aside."""

    first_seen: int
    observed_at: int
    ended_at: int | None
    pod_name: str | None
    pod_uid: bytes | str | None
    shared: Fact
    packages: Fact
    size: int
    times: bytes


def encode(report: ContainerReport) -> Encoded:
    state = to_json(replace(report, packages=()))
    pod = state.pop("pod")
    for own in ("type", "observed_at", "deployed", "first_seen", "ended_at", "packages"):
        del state[own]
    del state["container"]["id"]
    uses = [loaded.use for loaded in report.packages]
    return Encoded(
        first_seen=milliseconds(report.first_seen),
        observed_at=milliseconds(report.observed_at),
        ended_at=None if report.ended_at is None else milliseconds(report.ended_at),
        pod_name=pod["name"],
        pod_uid=None if pod["uid"] is None else short_id(pod["uid"]),
        shared=Fact.of(_json(state)),
        packages=Fact.of(b"\n".join(_lines(uses))),
        size=512 + sum(28 + len(use.path) for use in uses),
        times=pack_times(report.packages, milliseconds(report.first_seen)),
    )


def decode(row: Row, shared: bytes, uses: Sequence[PackageUse]) -> ContainerReport:
    """Return the report ``row`` was made of; raises :class:`Damaged`."""
    ended_at = row.ended_at
    try:
        state = json.loads(shared)
        state |= {
            "type": "container",
            "observed_at": rfc3339(row.observed_at / 1000),
            "deployed": ended_at is None,
            "first_seen": rfc3339(row.first_seen / 1000),
            "ended_at": None if ended_at is None else rfc3339(ended_at / 1000),
            "pod": {"name": row.pod_name, "uid": None if row.pod_uid is None else long_id(row.pod_uid)},
            "packages": [],
        }
        state["container"]["id"] = long_id(row.key)
        report = from_json(state)
    except (ValueError, KeyError, TypeError, MalformedState) as error:
        raise Damaged(f"a state cannot be read: {error}") from error
    firsts, lasts = unpack_times(row.times, row.first_seen)
    if not len(firsts) == len(lasts) == len(uses):
        raise Damaged("a state has not as many times as packages")
    loaded = tuple(
        LoadedPackage(use, first / 1000, last / 1000)
        for use, first, last in zip(uses, firsts, lasts, strict=True)
    )
    return replace(report, packages=loaded)


def decode_uses(raw: bytes) -> tuple[PackageUse, ...]:
    """Return the packages of a :class:`Fact`; raises :class:`Damaged`."""
    try:
        return tuple(_use(one) for line in raw.splitlines() for one in json.loads(line))
    except (ValueError, TypeError) as error:
        raise Damaged(f"packages cannot be read: {error}") from error


def short_id(text: str) -> bytes | str:
    """Half the size for hexadecimal ids and UUIDs in lower case; :func:`long_id` gives them back."""
    if _UUID.fullmatch(text):
        return b"\0" + bytes.fromhex(text.replace("-", ""))
    return b"\1" + bytes.fromhex(text) if _HEX.fullmatch(text) else unicode_text(text)


def long_id(found: bytes | str) -> str:
    if isinstance(found, str):
        return found
    text = found[1:].hex()
    if found[:1] != b"\0":
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _lines(uses: Sequence[PackageUse]) -> Iterator[bytes]:
    for start in range(0, len(uses), _SLICE):
        yield _json([_listed(use) for use in uses[start : start + _SLICE]])


def _listed(use: PackageUse) -> tuple[str | None, ...]:
    package, snyk = use.package, use.package.snyk
    return (
        package.ecosystem.value,
        package.name,
        package.version,
        package.purl,
        snyk.type,
        snyk.name,
        snyk.version,
        use.evidence.value,
        use.path,
    )


def _use(listed: Any) -> PackageUse:
    ecosystem, name, version, purl, snyk_type, snyk_name, snyk_version, evidence, path = listed
    package = Package(
        Ecosystem(ecosystem), name, version, purl, SnykIdentity(snyk_type, snyk_name, snyk_version)
    )
    return PackageUse(package, Evidence(evidence), path)


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return unicode_text(text).encode()
