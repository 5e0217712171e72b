"""Takes SBOMs: from a form of the page, or from a program."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from aiohttp import BodyPartReader, web

from sensor.receiver.page.live import Changes
from sensor.receiver.page.render import HEADERS, problem
from sensor.receiver.sbom.document import MOST_BYTES, Sbom, parse
from sensor.receiver.sbom.interface import SbomError
from sensor.receiver.sbom.store import FullError, keep

_LONGEST_IMAGE = 1024
_AT_ONCE = 2


class Uploads:
    """At most two at a time: a parsed one may take some hundred MiB."""

    def __init__(self, database: Path, changes: Changes) -> None:
        self._database = database
        self._changes = changes
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def put(self, request: web.Request) -> web.Response:
        """``PUT /api/sboms?image=NAME`` with the document as the body; answers in JSON."""
        if not same_origin(request):
            return _refused(
                403, "found a request from another site, expected one of this page or of a program"
            )
        try:
            async with self._turn:
                body = await _read(request.content.iter_chunked(1 << 16))
                name, sbom = await self._keep(request.query.get("image", ""), body)
        except SbomError as error:
            return _refused(413 if "bytes" in str(error) else 400, str(error))
        except (FullError, sqlite3.Error) as error:
            return _refused(503, f"the SBOM was not stored: {error}")
        stored = {"image": name, "format": sbom.format, "components": len(sbom.components)}
        return web.json_response({**stored, "without_purl": sbom.unnamed}, headers=HEADERS)

    async def post(self, request: web.Request) -> web.Response:
        """A form with the fields ``image`` and ``file``; leads back to the image."""
        if not same_origin(request):
            return problem(403, "Not taken", "The form came from another site than this page.")
        try:
            async with self._turn:
                shown, body = await _form(request)
                name, _ = await self._keep(shown, body)
        except (SbomError, ValueError) as error:
            return problem(400, "That SBOM was not taken", f"{error}.")
        except (FullError, sqlite3.Error) as error:
            return problem(503, "The SBOM was not stored", f"{error}.")
        place = f"/image?{urlencode({'name': shown or name})}#sbom"
        return web.Response(status=303, headers={**HEADERS, "Location": place})

    async def _keep(self, image: str, body: bytes) -> tuple[str, Sbom]:
        sbom = await asyncio.to_thread(parse, body)
        image = (image or sbom.image).strip()
        if not image or len(image) > _LONGEST_IMAGE:
            raise SbomError("found no name of an image in the SBOM, expected one there or in ?image=NAME")
        name = await asyncio.to_thread(keep, self._database, image, sbom, time.time())
        self._changes.grow()
        return name, sbom


def same_origin(request: web.Request) -> bool:
    """False for what another site made a browser send: https://www.w3.org/TR/fetch-metadata/

    A program that is no browser sends neither header.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("Host", "")


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MOST_BYTES:
            raise SbomError(f"found more than {MOST_BYTES:,} bytes, expected at most so many")
    return bytes(body)


async def _form(request: web.Request) -> tuple[str, bytes]:
    if request.content_type != "multipart/form-data":
        raise SbomError(f"found {request.content_type}, expected multipart/form-data")
    image, body = "", b""
    reader = await request.multipart()
    for _ in range(4):
        part = await reader.next()
        if not isinstance(part, BodyPartReader):
            break
        if part.name == "image":
            image = (await _read(_chunks(part)))[: 4 * _LONGEST_IMAGE].decode("utf-8", "replace")
        elif part.name == "file":
            body = await _read(_chunks(part))
    if not body:
        raise SbomError("found no file, expected an SBOM as JSON")
    return image, body


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(1 << 16):
        yield chunk


def _refused(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status, headers=HEADERS)
