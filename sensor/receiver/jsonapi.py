"""Answers in the form of JSON:API (https://jsonapi.org/format/1.0/), and bodies of requests, bounded."""

from __future__ import annotations

import asyncio
import json
import uuid
import zlib
from collections.abc import Mapping
from typing import Any

from aiohttp import web

CONTENT_TYPE = "application/vnd.api+json"
MAX_BODY = 16 << 20
"""Bytes of a request's body, inflated."""
MAX_VALUES = 2_000_000
"""Of JSON, about: each costs some 60 to 100 bytes once it is parsed, however short it was."""
BODY_WITHIN = 60.0
"""Seconds for all of it."""

_GZIP = 16 + zlib.MAX_WBITS


class Failure(Exception):
    """An answer that is an error. ``meta`` is of the error object."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        meta: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.meta = meta
        self.headers = headers

    def response(self) -> web.Response:
        error: dict[str, Any] = {
            "id": str(uuid.uuid4()),
            "status": str(self.status),
            "title": self.title,
            "detail": self.detail,
        }
        if self.meta:
            error["meta"] = dict(self.meta)
        return answer({"jsonapi": {"version": "1.0"}, "errors": [error]}, self.status, self.headers)


def answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(body, status=status, headers=headers, content_type=CONTENT_TYPE)


def bad_request(detail: str) -> Failure:
    return Failure(400, "Bad Request", detail)


def unauthorized() -> Failure:
    detail = "found no token that is known, expected one in the header: Authorization: token TOKEN"
    # So that a browser asks for it: any name, and the token as password.
    headers = {"WWW-Authenticate": 'Basic realm="runtime-sensor receiver", charset="UTF-8"'}
    return Failure(401, "Unauthorized", detail, headers=headers)


def forbidden(permission: str, of: str = "") -> Failure:
    detail = f"the token lacks the permission {permission}{of}"
    return Failure(403, "Forbidden", detail, meta={"permission": permission})


async def json_object(request: web.Request) -> dict[str, Any]:
    """The body. Raises :class:`Failure`."""
    return parsed(await body(request))


def parsed(content: bytes) -> dict[str, Any]:
    """An object as JSON. Raises :class:`Failure`."""
    if content.count(b",") + content.count(b"[") + content.count(b"{") > MAX_VALUES:
        raise Failure(413, "Content Too Large", f"body: expected at most {MAX_VALUES:,} values")
    try:
        # Of bytes json would take other encodings as well, and halves of surrogate pairs.
        found = json.loads(content.decode(), parse_constant=_no_constant)
        if b"\\ud" in content.lower():  # perhaps half of a surrogate pair, which no database takes
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise bad_request("body: found no JSON in UTF-8, expected an object") from None
    if not isinstance(found, dict):
        raise bad_request(f"body: found {type(found).__name__}, expected an object")
    return found


async def body(request: web.Request) -> bytes:
    """Inflated where it is sent with ``Content-Encoding: gzip``. Raises :class:`Failure`."""
    # aiohttp would inflate by itself, and bounds what comes out only after it has.
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    try:
        async with asyncio.timeout(BODY_WITHIN):
            content = await request.read()
    except TimeoutError:
        raise too_slow() from None
    return decoded(content, encoding, MAX_BODY)


def too_slow() -> Failure:
    return Failure(408, "Request Timeout", f"body: found not all of it after {BODY_WITHIN:g} s")


def decoded(content: bytes, encoding: str, most: int) -> bytes:
    """``content`` by its Content-Encoding, at most so many bytes. Raises :class:`Failure`."""
    if encoding == "identity":
        return content
    if encoding != "gzip":
        raise Failure(415, "Unsupported Media Type", f"Content-Encoding: found {encoding!r}, expected gzip")
    inflater = zlib.decompressobj(_GZIP)
    try:
        inflated = inflater.decompress(content, most + 1)
    except zlib.error:
        raise bad_request("body: found no gzip, expected what Content-Encoding says") from None
    if len(inflated) > most:
        raise Failure(413, "Content Too Large", f"expected at most {most:,} bytes, inflated")
    if not inflater.eof or inflater.unused_data:
        raise bad_request("body: found gzip that is cut, or more after it, expected all of it")
    return inflated


def _no_constant(name: str) -> None:
    """NaN and Infinity are no JSON, and nobody could read them again."""
    raise ValueError(name)
