"""What the reconciler asks of Snyk's REST API: container images, projects and targets of an organisation.

Parameters, pages and answers as https://docs.snyk.io/snyk-api/reference has them for ``ContainerImage``,
``Projects`` and ``Targets``; of the filters those that the reconciler uses. Objects
come by ``/control/rest``.
"""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from sensor.receiver import jsonapi
from sensor.receiver.store import Store

_VERSION = re.compile(
    r"(wip|work-in-progress|experimental|beta|\d{4}-\d\d-\d\d(~(wip|work-in-progress|experimental|beta))?)"
)
_MAX_VALUES = 100

Condition = tuple[str, Any]


def check_version(request: web.Request) -> None:
    if not _VERSION.fullmatch(found := request.query.get("version", "")):
        raise jsonapi.bad_request(f"version: found {found[:64]!r}, expected a date such as 2024-05-31")


class Rest:
    def __init__(self, store: Store) -> None:
        self._store = store

    def routes(self) -> list[web.RouteDef]:
        orgs = "/rest/orgs/{org}"
        return [
            web.get(f"{orgs}/container_images", self._listed("container_image", _IMAGE_FILTERS)),
            web.get(f"{orgs}/projects", self._listed("project", _PROJECT_FILTERS)),
            web.get(f"{orgs}/targets", self._listed("target", _TARGET_FILTERS)),
            web.delete(f"{orgs}/projects/{{id}}", self._deleted("project")),
            web.delete(f"{orgs}/targets/{{id}}", self._deleted("target")),
        ]

    def _listed(self, kind: str, filters: Mapping[str, Callable[[str], Condition]]) -> Any:
        async def handler(request: web.Request) -> web.Response:
            check_version(request)
            limit = _limit(request)
            conditions = [("id > ?", _after(request)), *_conditions(request, filters)]
            if kind == "target" and request.query.get("exclude_empty", "true") != "false":
                conditions.append((_HAS_PROJECTS, request.match_info["org"]))
            where = " AND ".join(("org_id = ?", "type = ?", *(sql for sql, _ in conditions)))
            query = f"SELECT id, body FROM rest_object WHERE {where} ORDER BY id LIMIT ?"
            values = [value for _, value in conditions]
            parameters = (request.match_info["org"], kind, *values, limit + 1)
            rows = await self._store.read(lambda connection: connection.execute(query, parameters).fetchall())
            return jsonapi.answer(_page(request, rows, limit))

        return handler

    def _deleted(self, kind: str) -> Any:
        async def handler(request: web.Request) -> web.Response:
            check_version(request)
            org, name = request.match_info["org"], request.match_info["id"]
            if not await self._store.write(lambda connection: _delete(connection, org, kind, name)):
                raise jsonapi.Failure(404, "Not Found", f"{kind} {name!r}: there is none")
            return web.Response(status=204)

        return handler


def _delete(connection: sqlite3.Connection, org: str, kind: str, name: str) -> bool:
    """With a target go its projects."""
    if kind == "target":
        connection.execute(
            f"DELETE FROM rest_object WHERE org_id = ? AND type = 'project' AND {_TARGET_OF} = ?", (org, name)
        )
    deleted = connection.execute(
        "DELETE FROM rest_object WHERE org_id = ? AND type = ? AND id = ?", (org, kind, name)
    )
    return deleted.rowcount > 0


def _limit(request: web.Request) -> int:
    found = request.query.get("limit", "10")
    if not (found.isascii() and found.isdecimal() and len(found) < 4) or int(found) not in range(10, 101, 10):
        raise jsonapi.bad_request(f"limit: found {found[:64]!r}, expected 10 to 100, in tens")
    return int(found)


def _after(request: web.Request) -> str:
    """The id in ``starting_after``: ``v1.`` and base64 of ``{"id":"…"}``."""
    cursor = request.query.get("starting_after")
    if cursor is None:
        return ""
    try:
        version, _, encoded = cursor.partition(".")
        found = json.loads(base64.b64decode(encoded, altchars=b"-_", validate=True))["id"]
        if version == "v1" and isinstance(found, str) and found.encode():
            return found
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise jsonapi.bad_request(f"starting_after: found {cursor[:64]!r}, expected what links.next had")


def _page(request: web.Request, rows: list[tuple[str, str]], limit: int) -> dict[str, Any]:
    links = {"self": str(request.rel_url)}
    if len(rows) > limit:
        cursor = base64.urlsafe_b64encode(json.dumps({"id": rows[limit - 1][0]}).encode()).decode()
        query = [(key, value) for key, value in request.query.items() if key != "starting_after"]
        links["next"] = (
            f"{request.rel_url.raw_path}?{urlencode([*query, ('starting_after', f'v1.{cursor}')])}"
        )
    data = [json.loads(body) for _, body in rows[:limit]]
    return {"jsonapi": {"version": "1.0"}, "data": data, "links": links}


def _conditions(request: web.Request, filters: Mapping[str, Callable[[str], Condition]]) -> list[Condition]:
    conditions = []
    for name, condition in filters.items():
        values = [one for given in request.query.getall(name, []) for one in given.split(",") if one]
        most = 1 if filters is _IMAGE_FILTERS and name == "names" else _MAX_VALUES
        if len(values) > most:
            raise jsonapi.bad_request(f"{name}: found {len(values)}, expected at most {most}")
        if values:
            conditions.append(condition(json.dumps(values)))
    return conditions


_TARGET_OF = "json_extract(body, '$.relationships.target.data.id')"
_HAS_PROJECTS = (
    "id IN (SELECT json_extract(project.body, '$.relationships.target.data.id') FROM rest_object AS project"
    " WHERE project.org_id = ? AND project.type = 'project')"
)
_IS_NAMED = (
    "EXISTS (SELECT 1 FROM json_each(body, '$.attributes.names') AS name"
    " WHERE name.value IN (SELECT value FROM json_each(?)))"
)
_HAS_TAGS = (
    "NOT EXISTS (SELECT value FROM json_each(?) EXCEPT SELECT json_extract(tag.value, '$.key') || ':' ||"
    " json_extract(tag.value, '$.value') FROM json_each(body, '$.attributes.tags') AS tag)"
)


def _one_of(expression: str) -> Callable[[str], Condition]:
    return lambda values: (f"{expression} IN (SELECT value FROM json_each(?))", values)


def _attribute(name: str) -> Callable[[str], Condition]:
    return _one_of(f"json_extract(body, '$.attributes.{name}')")


_IMAGE_FILTERS = {
    "image_ids": _one_of("id"),
    "platform": _attribute("platform"),
    "names": lambda values: (_IS_NAMED, values),
}
_PROJECT_FILTERS = {
    "ids": _one_of("id"),
    "target_id": _one_of(_TARGET_OF),
    "names": _attribute("name"),
    "origins": _attribute("origin"),
    "types": _attribute("type"),
    "target_reference": _attribute("target_reference"),
    # Each of them, as key:value.
    "tags": lambda values: (_HAS_TAGS, values),
}
_TARGET_FILTERS = {"display_name": _attribute("display_name"), "url": _attribute("url")}
