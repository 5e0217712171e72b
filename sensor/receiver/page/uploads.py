"""Takes SBOMs: from a form of the page, or from a program."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from aiohttp import BodyPartReader, web

from sensor.receiver import jsonapi
from sensor.receiver.access import same_origin
from sensor.receiver.page.render import HEADERS, problem
from sensor.receiver.sbom.document import MOST_BYTES, Sbom, parse
from sensor.receiver.sbom.interface import SbomError
from sensor.receiver.sbom.store import FullError, keep
from sensor.receiver.store import StoreError

T = TypeVar("T")
_LONGEST_IMAGE = 1024
_LONGEST_FORM = MOST_BYTES + (64 << 10)
_READ_AT_ONCE, _AT_ONCE = 8, 2


class Write(Protocol):
    """See :meth:`sensor.receiver.store.Store.write`."""

    def __call__(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


class Uploads:
    """At most eight come at a time, and two are parsed: one may take some hundred MiB then."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._reading, self._turn = asyncio.Semaphore(_READ_AT_ONCE), asyncio.Semaphore(_AT_ONCE)

    async def put(self, request: web.Request) -> web.Response:
        """``PUT /api/sboms?image=NAME`` with the document as the body; answers in JSON."""
        if not same_origin(request):
            return _refused(
                403, "found a request from another site, expected one of this page or of a program"
            )
        try:
            async with self._reading, asyncio.timeout(jsonapi.BODY_WITHIN):
                body = await _read(request.content.iter_chunked(1 << 16))
                encoding = request.headers.get("Content-Encoding", "identity").lower()
                body = jsonapi.decoded(body, encoding, MOST_BYTES)
            name, sbom = await self._keep(request.query.get("image", ""), body)
        except TimeoutError:
            return _refused(408, jsonapi.too_slow().detail)
        except jsonapi.Failure as failure:
            return _refused(failure.status, failure.detail)
        except SbomError as error:
            return _refused(413 if "bytes" in str(error) else 400, str(error))
        except (FullError, StoreError, sqlite3.Error) as error:
            return _refused(503, f"the SBOM was not stored: {error}")
        stored = {"image": name, "format": sbom.format, "components": len(sbom.components)}
        return web.json_response({**stored, "without_purl": sbom.unnamed}, headers=HEADERS)

    async def post(self, request: web.Request) -> web.Response:
        """A form with the fields ``image`` and ``file``; leads back to the image."""
        if not same_origin(request):
            return problem(403, "Not taken", "The form came from another site than this page.")
        try:
            async with self._reading, asyncio.timeout(jsonapi.BODY_WITHIN):
                shown, body = await _form(request)
            name, _ = await self._keep(shown, body)
        except TimeoutError:
            return problem(408, "That SBOM was not taken", f"{jsonapi.too_slow().detail}.")
        except (SbomError, ValueError) as error:
            return problem(400, "That SBOM was not taken", f"{error}.")
        except (FullError, StoreError, sqlite3.Error) as error:
            return problem(503, "The SBOM was not stored", f"{error}.")
        place = f"/image?{urlencode({'name': shown or name})}#sbom"
        return web.Response(status=303, headers={**HEADERS, "Location": place})

    async def _keep(self, image: str, body: bytes) -> tuple[str, Sbom]:
        async with self._turn:
            sbom = await asyncio.to_thread(parse, body)
        image = (image or sbom.image).strip()
        if not image or len(image) > _LONGEST_IMAGE:
            raise SbomError("found no name of an image in the SBOM, expected one there or in ?image=NAME")
        now = time.time()
        return await self._write(lambda connection: keep(connection, image, sbom, now)), sbom


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
    if request.content_length is None or request.content_length > _LONGEST_FORM:
        raise SbomError(f"found a form of more than {MOST_BYTES:,} bytes, expected at most so many")
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
