"""Addresses, and what answers them.

Who may ask is decided before: the page and ``/api`` need ``view``, ``/api/sboms`` needs ``sbom``.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from sensor.receiver.page import details
from sensor.receiver.page.columns import VIEWS, View
from sensor.receiver.page.downloads import Downloads
from sensor.receiver.page.lists import list_page, page_number
from sensor.receiver.page.live import Changes, Live
from sensor.receiver.page.render import page, problem, static
from sensor.receiver.page.uploads import Uploads, Write
from sensor.receiver.queries.connection import TooSlowError, reading
from sensor.receiver.queries.exposure import Exposure, Exposures

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Question = Callable[[sqlite3.Connection, Exposures], object]
_AT_ONCE, _MOST_WAITING = 2, 64


def routes(database: Path, changes: Changes, write: Write) -> list[web.RouteDef]:
    """What the receiver mounts. Reads have connections of their own, in threads, with a time limit."""
    exposure = Exposure()
    shown, live = Pages(database, exposure), Live(changes)
    downloads, uploads = Downloads(database, exposure), Uploads(write)
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
            shown = await self._ask("list.html", lambda reader, why: list_page(reader, view, asked, why))
            assert shown is not None
            return shown

        return answer

    async def container(self, request: web.Request) -> web.Response:
        row = int(request.match_info["row"])
        shown = await self._ask(
            "container.html", lambda reader, why: details.container_page(reader, row, why)
        )
        return shown or problem(404, "No such container", "It may have ended, and expired since.")

    async def image(self, request: web.Request) -> web.Response:
        name = request.query.get("name", "")
        shown = await self._ask("image.html", lambda reader, _: details.image_page(reader, name))
        text = "No container of it was reported, or all have expired since."
        return shown or problem(404, "No such image", text)

    async def package(self, request: web.Request) -> web.Response:
        purl, number = request.query.get("purl", ""), page_number(request.query.get("page", ""))
        shown = await self._ask("package.html", lambda reader, _: details.package_page(reader, purl, number))
        return shown or problem(404, "No such package", "No container that was reported has loaded it.")

    async def _ask(self, template: str, question: Question) -> web.Response | None:
        """``None`` where there is nothing of the kind."""
        if self._waiting >= _MOST_WAITING:
            raise TooSlowError("too many wait")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._answer, template, question)
        finally:
            self._waiting -= 1

    def _answer(self, template: str, question: Question) -> web.Response | None:
        with reading(self._database) as connection:
            found = question(connection, self._exposure.of(connection))
        return None if found is None else page(template, found=found)  # here: it may take a second


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
