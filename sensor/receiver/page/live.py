"""Tells open pages that something changed, https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import asyncio
from typing import Protocol

from aiohttp import web

from sensor.receiver.page.render import HEADERS, problem

MOST_PAGES = 200
_REST_SECONDS = 1.0
_QUIET_SECONDS = 15.0


class Changes(Protocol):
    """See :class:`sensor.receiver.changed.Changed`."""

    version: int

    def grow(self) -> None: ...

    async def wait(self, since: int, timeout: float) -> int: ...


class Live:
    """Streams to at most :data:`MOST_PAGES` pages, an event a second at most to each."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._open = 0

    async def events(self, request: web.Request) -> web.StreamResponse:
        if self._open >= MOST_PAGES:
            return problem(503, "Too many open pages", f"{MOST_PAGES} pages are live; this one is not.")
        response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
        self._open += 1
        try:
            await response.prepare(request)
            await self._stream(request, response)
        except ConnectionError:
            pass  # the page was closed
        finally:
            self._open -= 1
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        seen = self._changes.version
        await response.write(f"retry: 2000\nid: {seen}\nevent: hello\ndata: {seen}\n\n".encode())
        quiet = 0.0
        while request.transport is not None and not request.transport.is_closing():
            version = await self._changes.wait(seen, _REST_SECONDS)
            quiet = quiet + _REST_SECONDS if version == seen else 0.0
            if version != seen:
                seen = version
                await response.write(f"id: {seen}\nevent: changed\ndata: {seen}\n\n".encode())
                await asyncio.sleep(_REST_SECONDS)
            elif quiet >= _QUIET_SECONDS:
                quiet = 0.0
                await response.write(b": quiet\n\n")  # so that a proxy does not take it for dead
