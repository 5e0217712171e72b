"""Strikes answers over HTTP with the faults asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from sensor.receiver import auth, jsonapi
from sensor.receiver.cutting import reset_when_closed
from sensor.receiver.faults import Fault, Faults

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def struck(request: web.Request, faults: Faults, handler: Handler) -> web.StreamResponse:
    """The answer of ``handler``, or what a fault makes of it."""
    token = auth.presented(request.headers.get("Authorization", ""))
    fault = faults.strike(request.path, token, grpc=False)
    if fault is None:
        return await handler(request)
    await asyncio.sleep(fault.latency)
    if fault.cut == "before":
        return _cut(request)
    if fault.status is not None:
        return _refusal(fault, fault.status)
    response = await handler(request)
    if fault.cut == "after":
        return _cut(request)
    if fault.cut == "half" or fault.drip is not None:
        return await _written(request, response, fault)
    return response


def _refusal(fault: Fault, status: int) -> web.StreamResponse:
    headers = dict(fault.headers)
    if fault.retry_info is not None and "retry-after" not in {name.lower() for name in headers}:
        headers["Retry-After"] = f"{fault.retry_info:.0f}"
    if status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        return web.Response(status=status, headers=headers)
    title = HTTPStatus(status).phrase if status in set(HTTPStatus) else str(status)
    return jsonapi.Failure(status, title, "a fault that was asked for", headers=headers).response()


def _cut(request: web.Request) -> web.StreamResponse:
    transport = request.transport
    if transport is not None:
        if (connection := transport.get_extra_info("socket")) is not None:
            reset_when_closed(connection)
        transport.abort()
    return web.Response()  # written to nobody


async def _written(request: web.Request, response: web.StreamResponse, fault: Fault) -> web.StreamResponse:
    """By hand, because aiohttp writes whole answers: half of it, or so many bytes a second."""
    raw, transport = _raw(response), request.transport
    if fault.cut == "half":
        if transport is not None:
            transport.write(raw[: len(raw) // 2])
            await asyncio.sleep(0.05)  # for it to leave
        return _cut(request)
    rate = fault.drip or 1.0
    step = max(1, int(rate / 10))
    for start in range(0, len(raw), step):
        if transport is None or transport.is_closing():
            break
        transport.write(raw[start : start + step])
        await asyncio.sleep(step / rate)
    if transport is not None:
        with contextlib.suppress(OSError):
            transport.close()
    return web.Response()


def _raw(response: web.StreamResponse) -> bytes:
    body = response.body if isinstance(response, web.Response) else b""
    content = body if isinstance(body, bytes | bytearray) else b""
    headers = {**response.headers, "Content-Length": str(len(content)), "Connection": "close"}
    head = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(head) + "\r\n\r\n").encode() + content
