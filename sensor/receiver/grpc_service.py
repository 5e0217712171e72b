"""The gRPC service RuntimeReports: checks, has it stored, answers; and strikes with the faults asked for."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable
from typing import Any, NoReturn

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from sensor.receiver import auth, grpc_errors
from sensor.receiver.auth import Tokens
from sensor.receiver.cutting import cut_peer
from sensor.receiver.faults import Fault, Faults
from sensor.receiver.grpc_errors import Failure
from sensor.receiver.ingest import Transaction, store_report
from sensor.receiver.packages import Packages
from sensor.receiver.report_form import MAX_BYTES, Malformed, TooLarge, read
from sensor.receiver.store import Store, StoreError

log = logging.getLogger(__name__)

SERVICE = "runtimesensor.reports.v1.RuntimeReports"
METHOD = f"/{SERVICE}/Report"
MAX_WAITING = 256 << 20
"""Bytes of requests that wait to be stored. What would be more is told to come again."""

Context = grpc.aio.ServicerContext[Any, Any]


class ReportService:
    """``clock`` gives seconds since the epoch."""

    def __init__(
        self,
        store: Store,
        packages: Packages,
        tokens: Tokens,
        faults: Faults,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._packages = packages
        self._tokens = tokens
        self._faults = faults
        self._clock = clock
        self._waiting = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        # Requests come as bytes: whether they are well formed is for us to say.
        handler = grpc.unary_unary_rpc_method_handler(self._report)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {"Report": handler}),))

    async def _report(self, request: bytes, context: Context) -> bytes:
        authorization = _authorization(context)
        fault = self._faults.strike(METHOD, auth.presented(authorization), grpc=True)
        try:
            if fault is not None:
                await _before(fault, context)
            response = await self._stored(request, authorization)
            if fault is not None:
                await _after(fault, context, response)
        except Failure as failure:
            log.debug("%s: %s", failure.code.name, failure.message)
            await _abort(context, failure)
        except Exception:  # a defect of ours: the caller is told no more than that
            log.exception("a report could not be handled")
            await _abort(context, Failure(grpc.StatusCode.INTERNAL, "the receiver failed; its log says why"))
        return response

    async def _stored(self, request: bytes, authorization: str) -> bytes:
        holder = self._tokens.holder(authorization)
        if holder is None:
            raise grpc_errors.token_unknown()
        if not holder.may(auth.REPORT):
            raise grpc_errors.permission_missing(auth.REPORT)
        if self._waiting + len(request) > MAX_WAITING:
            raise grpc_errors.unavailable("more reports wait to be stored than are held", 1 + random.random())
        self._waiting += len(request)
        try:
            report = read(request)
            if not holder.may_report_to(report.group_id):
                raise grpc_errors.permission_missing(auth.REPORT, report.group_id)
            received_at = self._clock()
            return await self._store.write(
                lambda connection: store_report(Transaction(connection, self._packages, received_at), report)
            )
        except Malformed as error:
            raise grpc_errors.malformed(error.field, error.problem) from None
        except TooLarge as error:
            raise grpc_errors.too_large(str(error)) from None
        except (StoreError, sqlite3.Error) as error:
            raise grpc_errors.unavailable(f"cannot be stored now: {error}", 5.0) from None
        finally:
            self._waiting -= len(request)


async def _before(fault: Fault, context: Context) -> None:
    await asyncio.sleep(fault.latency)
    if fault.cut == "before":
        await _cut(context)
    if fault.grpc_code is not None:
        details: tuple[RetryInfo, ...] = ()
        if fault.retry_info is not None:
            details = (grpc_errors.retry_info(fault.retry_info),)
        raise Failure(grpc.StatusCode[fault.grpc_code], "a fault that was asked for", details)


async def _after(fault: Fault, context: Context, response: bytes) -> None:
    if fault.cut == "after":
        await _cut(context)
    if fault.cut == "half" or fault.drip is not None:
        await context.send_initial_metadata(())
    if fault.cut == "half":
        await asyncio.sleep(0.05)  # for the headers to leave
        await _cut(context)
    if fault.drip is not None:
        await asyncio.sleep(len(response) / fault.drip)


async def _cut(context: Context) -> None:
    if not cut_peer(context.peer()):
        log.error("the connection of %s was to be cut and was not found", context.peer())
    raise Failure(grpc.StatusCode.UNAVAILABLE, "cut, as asked for")


async def _abort(context: Context, failure: Failure) -> NoReturn:
    await context.abort(failure.code, failure.message, failure.metadata())


def _authorization(context: Context) -> str:
    for name, value in context.invocation_metadata() or ():
        if name == "authorization":
            return value if isinstance(value, str) else value.decode("utf-8", "replace")
    return ""


def options() -> list[tuple[str, int]]:
    """Of the server."""
    return [
        ("grpc.max_receive_message_length", MAX_BYTES),
        ("grpc.so_reuseport", 0),  # two receivers on one address would share its callers
        ("grpc.max_metadata_size", 16 << 10),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ]
