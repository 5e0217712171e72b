"""Bodies of the upstream of Snyk's Kubernetes monitor, checked: loaded packages, and workloads.

Forms as github.com/snyk/kubernetes-monitor has them in src/transmitter/types.ts.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sensor.receiver import jsonapi
from sensor.receiver.report_form import MAX_PACKAGES, MAX_TEXT
from sensor.receiver.states import PackageRow
from sensor.snyk.proto.v1.reports_pb2 import Package

MAX_IMAGES = 10_000
_DIGEST = "sha256:"


class Running(NamedTuple):
    """A container of a workload, and its image by name, by digest, or by both: ``shop@sha256:…``."""

    namespace: str
    kind: str
    name: str
    container: str
    image: str

    @property
    def key(self) -> str:
        """As in the table ``container``."""
        return "/".join(("https", *self))

    @property
    def image_name(self) -> str:
        name = self.image.partition("@")[0]
        return "" if name.startswith(_DIGEST) else name

    @property
    def image_digest(self) -> str | None:
        digest = self.image.rpartition("@")[2]
        return digest if digest.startswith(_DIGEST) else None

    @property
    def repository(self) -> str:
        """The image without tag and digest: all by which the two forms name the same one."""
        head, slash, last = self.image.partition("@")[0].rpartition("/")
        return head + slash + last.partition(":")[0]


class Place(NamedTuple):
    """``group`` is the userLocator."""

    group: str
    cluster: str


class Results(NamedTuple):
    place: Place
    loaded: list[tuple[Running, list[bytes]]]
    """Packages serialised as in reports.proto."""


class Workload(NamedTuple):
    place: Place
    running: list[Running]


def runtime_results(body: dict[str, Any]) -> Results:
    """Raise :class:`sensor.receiver.jsonapi.Failure`."""
    target = _object(body, "target", "")
    loaded = []
    for number, fact in enumerate(_list(body, "facts", "")):
        where = f"facts[{number}]."
        if _text(fact, "type", where) != "loadedPackages":
            continue
        images = _list(fact, "data", where)
        if len(images) > MAX_IMAGES:
            raise jsonapi.Failure(413, "Content Too Large", f"expected at most {MAX_IMAGES:,} images")
        loaded += [_loaded(one, f"{where}data[{index}].") for index, one in enumerate(images)]
    return Results(_place(target, "target."), loaded)


def workload(body: dict[str, Any]) -> Workload:
    """Raise :class:`sensor.receiver.jsonapi.Failure`."""
    locator = _object(body, "workloadLocator", "")
    spec = _object(_object(body, "workloadMetadata", ""), "podSpec", "workloadMetadata.")
    namespace, kind, name = (_text(locator, key, "workloadLocator.") for key in ("namespace", "type", "name"))
    running = []
    for group in ("initContainers", "containers", "ephemeralContainers"):
        for index, one in enumerate(_list(spec, group, "podSpec.") if spec.get(group) else ()):
            where = f"podSpec.{group}[{index}]."
            running.append(
                Running(namespace, kind, name, _text(one, "name", where), _text(one, "image", where))
            )
    return Workload(_place(locator, "workloadLocator."), running)


def _place(found: dict[str, Any], where: str) -> Place:
    return Place(_text(found, "userLocator", where), _text(found, "cluster", where))


def _loaded(found: Any, where: str) -> tuple[Running, list[bytes]]:
    names = ("namespace", "workloadKind", "workloadName", "container", "imageID")
    running = Running(*(_text(found, key, where) for key in names))
    packages = _list(found, "packages", where)
    if len(packages) > MAX_PACKAGES:
        raise jsonapi.Failure(413, "Content Too Large", f"{where}packages: expected at most {MAX_PACKAGES:,}")
    return running, [_package(one, f"{where}packages[{index}].") for index, one in enumerate(packages)]


def _package(found: Any, where: str) -> bytes:
    purl, name, version, kind = (_text(found, key, where) for key in ("purl", "name", "version", "type"))
    ecosystem = purl.removeprefix("pkg:").lstrip("/").partition("/")[0].lower()
    if not purl.startswith("pkg:") or not ecosystem or not name or not kind:
        raise jsonapi.bad_request(f"{where}purl: expected a package URL, a name and a type")
    return serialised(PackageRow(ecosystem, name, version or None, purl, kind, name, version or None))


def serialised(package: PackageRow) -> bytes:
    return Package(**{field: text for field, text in package._asdict().items() if text}).SerializeToString()


def _text(found: Any, key: str, where: str) -> str:
    value = found.get(key) if isinstance(found, dict) else None
    value = "" if value is None else value
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise jsonapi.bad_request(f"{where}{key}: expected a text of at most {MAX_TEXT:,} characters")
    return value


def _object(found: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = found.get(key)
    if not isinstance(value, dict):
        raise jsonapi.bad_request(f"{where}{key}: expected an object")
    return value


def _list(found: Any, key: str, where: str) -> list[Any]:
    value = found.get(key) if isinstance(found, dict) else None
    if not isinstance(value, list):
        raise jsonapi.bad_request(f"{where}{key}: expected a list")
    return value
