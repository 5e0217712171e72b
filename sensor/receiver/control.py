"""What tests ask for: faults, and objects for the REST interface to list."""

from __future__ import annotations

import json
import sqlite3

from aiohttp import web

from sensor.receiver import jsonapi
from sensor.receiver.faults import FaultError, Faults
from sensor.receiver.store import Store

TYPES = ("container_image", "project", "target")


class Control:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/control/faults", self._list),
            web.put("/control/faults", self._replace),
            web.delete("/control/faults", self._end),
            web.put("/control/rest/{org}/{type}/{id}", self._put_object),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return web.json_response(self._faults.listed())

    async def _replace(self, request: web.Request) -> web.Response:
        try:
            self._faults.replace(json.loads(await jsonapi.body(request)))
        except FaultError as error:
            raise jsonapi.bad_request(str(error)) from None
        except (ValueError, RecursionError):
            raise jsonapi.bad_request("body: found no JSON, expected a list of rules") from None
        return await self._list(request)

    async def _end(self, request: web.Request) -> web.Response:
        self._faults.replace([])
        return web.Response(status=204)

    async def _put_object(self, request: web.Request) -> web.Response:
        org, kind, name = (request.match_info[part] for part in ("org", "type", "id"))
        if kind not in TYPES:
            raise jsonapi.bad_request(f"type: found {kind!r}, expected one of {', '.join(TYPES)}")
        found = await jsonapi.json_object(request)
        body = json.dumps({**found, "type": kind, "id": name})

        def put(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO rest_object (org_id, type, id, body) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (org_id, type, id) DO UPDATE SET body = excluded.body",
                (org, kind, name, body),
            )

        await self._store.write(put)
        return web.Response(status=204)
