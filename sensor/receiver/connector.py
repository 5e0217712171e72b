"""What the Kubernetes connector asks of Snyk: who am I, and take these resources.

Forms as github.com/snyk/kubernetes-scanner sends them.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiohttp import web

from sensor.receiver import jsonapi
from sensor.receiver.access import HOLDER
from sensor.receiver.rest import check_version
from sensor.receiver.store import Store

MAX_RESOURCES = 5000


class Resource(NamedTuple):
    api_version: str
    kind: str
    namespace: str
    name: str
    manifest: str | None
    scanned_at: str
    deleted_at: str | None


class Connector:
    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/rest/self", self._self),
            web.post("/hidden/orgs/{org}/kubernetes_resources", self._take),
        ]

    async def _self(self, request: web.Request) -> web.Response:
        check_version(request)
        # The same token is the same service account each time.
        identity = uuid.UUID(bytes=request[HOLDER].id[:16], version=4)
        data = {"type": "service_account", "id": str(identity), "attributes": {"name": "receiver's token"}}
        return jsonapi.answer({"jsonapi": {"version": "1.0"}, "data": data, "links": {"self": "/rest/self"}})

    async def _take(self, request: web.Request) -> web.Response:
        check_version(request)
        cluster, resources = read(await jsonapi.json_object(request))
        org, received_at = request.match_info["org"], time.time()
        await self._store.write(lambda connection: store(connection, org, cluster, resources, received_at))
        return jsonapi.answer({"jsonapi": {"version": "1.0"}}, 201)


_PUT = (
    "INSERT OR REPLACE INTO resource (org_id, cluster, api_version, kind, namespace, name, manifest,"
    " scanned_at, deleted_at, received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def store(
    connection: sqlite3.Connection, org: str, cluster: str, resources: Sequence[Resource], received_at: float
) -> None:
    """``received_at`` is seconds since the epoch."""
    latest = _latest(connection, org, cluster, resources)
    connection.executemany(_PUT, [(org, cluster, *_stored(one), received_at) for one in latest])


def _stored(resource: Resource) -> Resource:
    return resource._replace(manifest=None) if resource.deleted_at else resource


def _latest(
    connection: sqlite3.Connection, org: str, cluster: str, resources: Sequence[Resource]
) -> list[Resource]:
    """Those that are not older than what is held: a try that comes late must not undo a later one."""
    latest: dict[tuple[str, ...], Resource] = {}
    for one in resources:
        key = one.api_version, one.kind, one.namespace, one.name
        held = connection.execute(
            "SELECT scanned_at FROM resource WHERE org_id = ? AND cluster = ? AND api_version = ?"
            " AND kind = ? AND namespace = ? AND name = ?",
            (org, cluster, *key),
        ).fetchone()
        before = latest[key].scanned_at if key in latest else held[0] if held else None
        if before is None or _moment(one.scanned_at) >= _moment(before):
            latest[key] = one
    return list(latest.values())


def read(body: dict[str, Any]) -> tuple[str, list[Resource]]:
    """The cluster's name and what is in it. Raises :class:`sensor.receiver.jsonapi.Failure`."""
    attributes = _member(_member(body, "data"), "attributes")
    cluster, resources = attributes.get("cluster_name", ""), attributes.get("resources")
    if not isinstance(cluster, str) or not isinstance(resources, list):
        raise jsonapi.bad_request("attributes: expected the text cluster_name and the list resources")
    if len(resources) > MAX_RESOURCES:
        raise jsonapi.Failure(413, "Content Too Large", f"expected at most {MAX_RESOURCES:,} resources")
    return cluster, [_resource(number, one) for number, one in enumerate(resources)]


def _member(found: Any, name: str) -> dict[str, Any]:
    value = found.get(name)
    if not isinstance(value, dict):
        raise jsonapi.bad_request(f"{name}: expected an object")
    return value


def _resource(number: int, found: Any) -> Resource:
    manifest = found.get("manifest_blob") if isinstance(found, dict) else None
    if not isinstance(manifest, dict):
        raise jsonapi.bad_request(f"resources[{number}].manifest_blob: expected an object")
    named = manifest.get("metadata") if isinstance(manifest.get("metadata"), dict) else manifest

    def text(of: Any, key: str, default: str | None = None) -> str:
        value = of.get(key) or default
        if not isinstance(value, str) or (not value and default is None):
            raise jsonapi.bad_request(f"resources[{number}]: {key}: expected a text")
        return value

    scanned_at, deleted_at = text(found, "scanned_at"), text(found, "deleted_at", "") or None
    try:
        _moment(scanned_at)
        _moment(deleted_at or scanned_at)
    except ValueError:
        raise jsonapi.bad_request(f"resources[{number}]: found a time that is not RFC 3339") from None
    return Resource(
        text(manifest, "apiVersion", text(found, "preferred_version", "v1")),
        text(manifest, "kind"),
        text(named, "namespace", ""),
        text(named, "name"),
        json.dumps(manifest),
        scanned_at,
        deleted_at,
    )


def _moment(text: str) -> datetime:
    """Raises ``ValueError``."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
