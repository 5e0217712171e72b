"""Gives the selected containers to other programs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from aiohttp import web

from sensor.receiver.exports import container_csv, container_json, cyclonedx
from sensor.receiver.exports.walk import Exported, walk
from sensor.receiver.page.render import HEADERS
from sensor.receiver.queries.cells import fold
from sensor.receiver.queries.connection import reading
from sensor.receiver.queries.containers import container, loaded_by
from sensor.receiver.queries.details import image_digests, loaded_of_image
from sensor.receiver.queries.exposure import Exposure
from sensor.receiver.queries.selection import UNKNOWN, Selection, selection

T = TypeVar("T")
_AT_ONCE = 2
_TAKEN_WITHIN = 60.0
"""Seconds in which a piece must leave; who reads more slowly is cut off."""
Pieces = Callable[[Iterable[list[Exported]]], Iterator[str]]
_JSON, _CSV, _CYCLONEDX = "application/json", "text/csv", "application/vnd.cyclonedx+json; version=1.6"


class Downloads:
    def __init__(self, database: Path, exposure: Exposure) -> None:
        self._database = database
        self._exposure = exposure
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def containers_json(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(
            request, container_json.pieces, f"{_JSON}; charset=utf-8", "containers.json"
        )

    async def containers_csv(self, request: web.Request) -> web.StreamResponse:
        return await self._stream(request, container_csv.pieces, f"{_CSV}; charset=utf-8", "containers.csv")

    async def of_container(self, request: web.Request) -> web.Response:
        """CycloneDX of one container."""
        number = int(request.match_info["row"])
        return await self._in_turn(lambda: _bill(self._container_bill(number), f"container-{number}"))

    async def of_image(self, request: web.Request) -> web.Response:
        """CycloneDX of all containers of an image."""
        image = request.query.get("image", "")
        return await self._in_turn(lambda: _bill(self._image_bill(image), image or "image"))

    async def _stream(self, request: web.Request, pieces: Pieces, kind: str, name: str) -> web.StreamResponse:
        wanted = selection(request.query.items())
        written = await self._in_turn(lambda: pieces(self._walk(wanted)))
        piece: str | None = await self._in_turn(lambda: next(written))
        response = web.StreamResponse(headers=_headers(kind, name))
        await response.prepare(request)
        while piece is not None:
            try:
                async with asyncio.timeout(_TAKEN_WITHIN):
                    await response.write(piece.encode("utf-8", "replace"))
            except TimeoutError:
                raise ConnectionAbortedError("the download was not taken in time") from None
            piece = await self._in_turn(lambda: next(written, None))
        await response.write_eof()
        return response

    async def _in_turn(self, work: Callable[[], T]) -> T:
        """A thread's work; few at a time, so that pages find a thread too."""
        async with self._turn:
            return await asyncio.to_thread(work)

    def _walk(self, wanted: Selection) -> Iterator[list[Exported]]:
        with reading(self._database) as connection:
            exposures = self._exposure.of(connection)
        return walk(self._database, wanted, exposures)

    def _container_bill(self, number: int) -> dict[str, Any] | None:
        with reading(self._database) as connection:
            row = container(connection, number)
            if row is None:
                return None
            facts = {
                "cluster": row.cluster,
                "namespace": row.namespace,
                "workload": "/".join(filter(None, (row.workload_kind, row.workload_name))),
                "pod": row.pod_name,
                "container": row.container_name,
                "container-id": row.container_id,
                "coverage": row.coverage,
                "coverage-reasons": " ".join(row.coverage_reasons),
            }
            loaded = loaded_by(connection, number)
        return cyclonedx.bill(row.image_name, row.image_digest, loaded, facts, time.time())

    def _image_bill(self, image: str) -> dict[str, Any] | None:
        with reading(self._database) as connection:
            fold(connection, Selection(image=image or UNKNOWN))
            count, partial = connection.execute("SELECT sum(containers), sum(partial) FROM cell").fetchone()
            if not count:
                return None
            digests = image_digests(connection, image)
            facts = {"containers": str(count), "containers-partial": str(partial)}
            loaded = loaded_of_image(connection, image)
        digest = digests[0] if len(digests) == 1 else ""
        return cyclonedx.bill(image, digest, loaded, facts, time.time())


def _bill(found: dict[str, Any] | None, name: str) -> web.Response:
    if found is None:
        return web.json_response({"error": "found no such container or image"}, status=404, headers=HEADERS)
    body = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
    return web.Response(body=body, headers=_headers(_CYCLONEDX, f"{name}.cdx.json"))


def _headers(kind: str, name: str) -> dict[str, str]:
    safe = "".join(char if char.isascii() and (char.isalnum() or char in ".-_") else "_" for char in name)
    disposition = f"attachment; filename=\"{safe[-120:]}\"; filename*=UTF-8''{quote(name[-200:], safe='')}"
    return {**HEADERS, "Content-Type": kind, "Content-Disposition": disposition}
