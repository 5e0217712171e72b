"""Addresses, and what answers them.

Who may ask is decided before: the page and ``/api`` need ``view``, ``/api/sboms`` needs ``sbom``.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from sensor.receiver.page import details
from sensor.receiver.page.columns import VIEWS, View
from sensor.receiver.page.downloads import Downloads
from sensor.receiver.page.lists import list_page, page_number
from sensor.receiver.page.live import Changes, Live
from sensor.receiver.page.render import page, problem, static
from sensor.receiver.page.uploads import Uploads
from sensor.receiver.queries.connection import TooSlowError, reading
from sensor.receiver.queries.exposure import Exposure, Exposures

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")
_AT_ONCE, _MOST_WAITING = 2, 64


def routes(database: Path, changes: Changes) -> list[web.RouteDef]:
    """What the receiver mounts. Reads have connections of their own, in threads, with a time limit."""
    exposure = Exposure()
    shown, live = Pages(database, exposure), Live(changes)
    downloads, uploads = Downloads(database, exposure), Uploads(database, changes)
    lists = [web.get(view.path, guarded(shown.listed(view))) for view in VIEWS.values()]
    return [
        *lists,
        web.get(r"/containers/{row:\d{1,18}}", guarded(shown.container)),
        web.get("/image", guarded(shown.image)),
        web.get("/package", guarded(shown.package)),
        web.get("/events", live.events, allow_head=False),
        web.get("/static/{name}", _static),
        web.get("/favicon.ico", _favicon),
        web.get("/api/containers", guarded(downloads.containers_json), allow_head=False),
        web.get("/api/containers.csv", guarded(downloads.containers_csv), allow_head=False),
        web.get("/api/cyclonedx", guarded(downloads.of_image), allow_head=False),
        web.get(r"/api/cyclonedx/{row:\d{1,18}}", guarded(downloads.of_container), allow_head=False),
        web.put("/api/sboms", uploads.put),
        web.post("/api/sboms", uploads.post),
    ]


class Pages:
    """Two questions at a time; who would wait behind too many is told to come again."""

    def __init__(self, database: Path, exposure: Exposure) -> None:
        self._database = database
        self._exposure = exposure
        self._turn = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def listed(self, view: View) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            asked = list(request.query.items())
            found = await self._ask(lambda connection, why: list_page(connection, view, asked, why))
            return page("list.html", found=found)

        return answer

    async def container(self, request: web.Request) -> web.Response:
        row = int(request.match_info["row"])
        found = await self._ask(lambda connection, why: details.container_page(connection, row, why))
        if found is None:
            return problem(404, "No such container", "It may have ended, and expired since.")
        return page("container.html", found=found)

    async def image(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        found = await self._ask(lambda connection, _: details.image_page(connection, name))
        if found is None:
            return problem(
                404, "No such image", "No container of it was reported, or all have expired since."
            )
        return page("image.html", found=found)

    async def package(self, request: web.Request) -> web.Response:
        purl, number = request.query.get("purl", ""), page_number(request.query.get("page", ""))
        found = await self._ask(lambda connection, _: details.package_page(connection, purl, number))
        if found is None:
            return problem(404, "No such package", "No container that was reported has loaded it.")
        return page("package.html", found=found)

    async def _ask(self, question: Callable[[sqlite3.Connection, Exposures], T]) -> T:
        if self._waiting >= _MOST_WAITING:
            raise TooSlowError("too many wait")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._answer, question)
        finally:
            self._waiting -= 1

    def _answer(self, question: Callable[[sqlite3.Connection, Exposures], T]) -> T:
        with reading(self._database) as connection:
            return question(connection, self._exposure.of(connection))


def guarded(handler: Handler) -> Handler:
    """Turn what a database may answer into something people can read."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except TooSlowError as error:
            log.warning("%s: %s", request.path, error)
            text = "That is more than can be counted in time. Choose a cluster or a namespace, or try again."
            return problem(503, "This took too long", text)
        except sqlite3.Error as error:
            log.error("%s: the database cannot be read: %s", request.path, error)
            return problem(
                503, "The database cannot be read", f"SQLite says: {error}. Try again in a moment."
            )

    return answer


async def _static(request: web.Request) -> web.Response:
    return static(request.match_info["name"])


async def _favicon(request: web.Request) -> web.Response:
    return static("mark.svg")
