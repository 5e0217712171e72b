"""The HTTP address: who is let in, what failed, which faults strike; the routes are elsewhere."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Middleware

from sensor.receiver import http_faults, jsonapi
from sensor.receiver.access import Access
from sensor.receiver.faults import Faults
from sensor.receiver.heads import Heads
from sensor.receiver.http_faults import Handler
from sensor.receiver.page.render import problem
from sensor.receiver.store import StoreError

log = logging.getLogger(__name__)

_RETRY_AFTER = "5"


def application(
    access: Access, faults: Faults, heads: Heads, routes: Iterable[web.AbstractRouteDef]
) -> web.Application:
    app = web.Application(middlewares=_middlewares(access, faults, heads), client_max_size=jsonapi.MAX_BODY)
    app.add_routes([web.get("/healthz", _healthz), *routes])
    app.on_response_prepare.append(_add_headers)
    return app


def _middlewares(access: Access, faults: Faults, heads: Heads) -> list[Middleware]:
    @web.middleware
    async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
        heads.came(request.protocol)
        return await http_faults.struck(request, faults, handler)

    @web.middleware
    async def tell_failures(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:  # who asked has left, or takes nothing
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # written to nobody
        except web.HTTPException as found:
            if found.status < HTTPStatus.BAD_REQUEST:
                raise
            return _told(request, _refused(found))
        except Exception as error:  # noqa: BLE001 - the edge: every one becomes an answer
            return _told(request, _failure(request, error))

    @web.middleware
    async def let_in(request: web.Request, handler: Handler) -> web.StreamResponse:
        access.check(request)
        return await handler(request)

    return [strike, tell_failures, let_in]


def _refused(found: web.HTTPException) -> jsonapi.Failure:
    allow = {"Allow": found.headers["Allow"]} if "Allow" in found.headers else None
    return jsonapi.Failure(found.status, found.reason, found.text or "", headers=allow)


def _failure(request: web.Request, error: Exception) -> jsonapi.Failure:
    if isinstance(error, jsonapi.Failure):
        log.debug("%s %s: %d %s", request.method, request.path, error.status, error.detail)
        return error
    if isinstance(error, StoreError | sqlite3.Error):
        headers = {"Retry-After": _RETRY_AFTER}
        return jsonapi.Failure(503, "Service Unavailable", f"cannot be stored now: {error}", headers=headers)
    # A defect of ours: the caller is told no more than that.
    log.error("%s %s could not be handled", request.method, request.path, exc_info=error)
    return jsonapi.Failure(500, "Internal Server Error", "the receiver failed; its log says why")


def _told(request: web.Request, failure: jsonapi.Failure) -> web.Response:
    """For programs as JSON:API has it; who asks with a browser sees a page."""
    if "text/html" not in request.headers.get("Accept", ""):
        return failure.response()
    shown = problem(failure.status, failure.title, f"{failure.detail}.")
    shown.headers.update(failure.headers or {})
    return shown


async def _healthz(request: web.Request) -> web.Response:
    return web.json_response({"alive": True})


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    # So that a trace of a request that was sent is found in both logs.
    if (identity := request.headers.get("snyk-request-id", ""))[:64].isprintable() and identity:
        response.headers["snyk-request-id"] = identity[:64]
