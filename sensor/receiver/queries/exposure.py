"""What faces the public, from the resources that the connector has posted.

A workload does when a Service of type LoadBalancer or NodePort selects its pods, or when an Ingress leads
to a Service that does. Pods without a workload, the Gateway API, and whether a firewall stands in between are
not looked at.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sensor.receiver.queries.selection import Workload

_OUTSIDE = ("LoadBalancer", "NodePort")
_WORKLOADS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
)
_KINDS = ("Service", "Ingress", *_WORKLOADS)
_AT_MOST = 200_000
_REASONS = 20
"""Of one workload, at most."""

Exposures = dict[Workload, tuple[str, ...]]
"""Why each workload faces the public, in words."""


class Exposure:
    """Remembers the answer as long as the resources stay what they are. One per database, any thread."""

    def __init__(self) -> None:
        self._known: tuple[tuple[Any, ...], Exposures] | None = None

    def of(self, connection: sqlite3.Connection) -> Exposures:
        sql = "SELECT count(*), count(manifest), max(received_at), max(deleted_at) FROM resource"
        version = tuple(connection.execute(sql).fetchone())
        known = self._known
        if known is None or known[0] != version:
            self._known = known = (version, exposures(connection))
        return known[1]


def exposures(connection: sqlite3.Connection) -> Exposures:
    marks = ", ".join("?" * len(_KINDS))
    sql = f"""SELECT cluster, namespace, kind, name, manifest FROM resource
        WHERE manifest IS NOT NULL AND kind IN ({marks}) LIMIT {_AT_MOST}"""
    by_place: dict[tuple[str, str], list[tuple[str, str, Any]]] = defaultdict(list)
    for row in connection.execute(sql, _KINDS):
        if (manifest := _manifest(row["manifest"])) is not None:
            by_place[row["cluster"], row["namespace"]].append((row["kind"], row["name"], manifest))
    found: dict[Workload, list[str]] = defaultdict(list)
    for (cluster, namespace), resources in by_place.items():
        for kind, name, why in _exposed(resources):
            found[cluster, namespace, kind, name].append(why)
    return {workload: tuple(sorted(set(why))) for workload, why in found.items()}


def _exposed(resources: Iterable[tuple[str, str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Kind, name and reason of the workloads of one namespace that face the public."""
    listed = list(resources)
    by_label: dict[tuple[str, str], list[tuple[dict[str, str], str]]] = defaultdict(list)
    for selector, why in _ways(listed):
        by_label[next(iter(selector.items()))].append((selector, why))
    for kind, name, manifest in listed:
        labels = _labels(kind, manifest) if kind in _WORKLOADS else {}
        ways = itertools.chain.from_iterable(by_label.get(label, ()) for label in labels.items())
        reasons = (why for selector, why in ways if selector.items() <= labels.items())
        for why in itertools.islice(reasons, _REASONS):
            yield kind, name, why


def _ways(resources: list[tuple[str, str, Any]]) -> list[tuple[dict[str, str], str]]:
    """What is selected from outside, and how."""
    behind: dict[str, list[str]] = defaultdict(list)
    for kind, name, manifest in resources:
        if kind == "Ingress":
            for service in _backends(manifest):
                behind[service].append(f"Ingress {name} to Service {service}")
    ways = []
    for kind, name, manifest in resources:
        spec = _object(manifest, "spec")
        selector = _texts(_object(spec, "selector"))
        if kind != "Service" or not selector:
            continue
        if spec.get("type") in _OUTSIDE:
            ways.append((selector, f"Service {name} ({spec['type']})"))
        ways += [(selector, why) for why in behind[name]]
    return ways


def _backends(ingress: Any) -> set[str]:
    """Names of Services, of networking.k8s.io/v1 and of the older form."""
    spec = _object(ingress, "spec")
    backends = [spec.get("defaultBackend"), spec.get("backend")]
    for rule in _list(spec, "rules"):
        backends += [_object(path, "backend") for path in _list(_object(rule, "http"), "paths")]
    names = [
        _object(backend, "service").get("name") or _object({"": backend}, "").get("serviceName")
        for backend in backends
    ]
    return {name for name in names if isinstance(name, str)}


def _labels(kind: str, workload: Any) -> dict[str, str]:
    spec = _object(workload, "spec")
    if kind == "CronJob":
        spec = _object(_object(spec, "jobTemplate"), "spec")
    return _texts(_object(_object(_object(spec, "template"), "metadata"), "labels"))


def _manifest(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _object(holder: Any, name: str) -> dict[str, Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _list(holder: Any, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def _texts(found: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in found.items() if isinstance(value, str)}
