"""The routes of Snyk's Kubernetes upstream: runtime-results and workload."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiohttp import web

from sensor.receiver import auth, https_form, jsonapi, merge
from sensor.receiver.access import HOLDER
from sensor.receiver.ingest import Transaction
from sensor.receiver.packages import Packages
from sensor.receiver.rest import check_version
from sensor.receiver.store import Store

ROOT = "/v2/kubernetes-upstream/api/v1"


class Upstream:
    def __init__(self, store: Store, packages: Packages) -> None:
        self._store = store
        self._packages = packages

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post(f"{ROOT}/runtime-results", self._results),
            web.post(f"{ROOT}/workload", self._workload),
            web.delete(f"{ROOT}/workload", self._end),
        ]

    async def _results(self, request: web.Request) -> web.Response:
        check_version(request)
        results = https_form.runtime_results(await jsonapi.json_object(request))
        _check_group(request, results.place.group)
        await self._write(lambda transaction: merge.store_results(transaction, results))
        return jsonapi.answer({})

    async def _workload(self, request: web.Request) -> web.Response:
        workload = https_form.workload(await jsonapi.json_object(request))
        _check_group(request, workload.place.group)
        await self._write(lambda transaction: merge.store_workload(transaction, workload))
        return jsonapi.answer({})

    async def _end(self, request: web.Request) -> web.Response:
        query = request.query
        if missing := [
            key for key in ("userLocator", "cluster", "namespace", "type", "name") if key not in query
        ]:
            raise jsonapi.bad_request(f"{missing[0]}: found none, expected a text")
        place = https_form.Place(query["userLocator"], query["cluster"])
        workload = query["namespace"], query["type"], query["name"]
        _check_group(request, place.group)
        await self._write(lambda transaction: merge.end_workload(transaction, place, workload))
        return jsonapi.answer({})

    async def _write(self, work: Callable[[Transaction], object]) -> None:
        now = time.time()
        await self._store.write(lambda connection: work(Transaction(connection, self._packages, now)))


def _check_group(request: web.Request, group: str) -> None:
    if not request[HOLDER].may_report_to(group):
        raise jsonapi.forbidden(auth.PUBLISH, f" for {group!r}")
