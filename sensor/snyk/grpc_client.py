"""Delivery by our own gRPC service, see ``proto/v1/reports.proto``."""

from __future__ import annotations

import time
import uuid
import zlib
from typing import TYPE_CHECKING, Any

from sensor.delivery.destination import (
    Batch,
    DeliveryError,
    Receipt,
    Rejection,
    Temporary,
    TooLarge,
)
from sensor.snyk import grpc_errors
from sensor.snyk.diagnosis import PROBE_SECONDS
from sensor.snyk.foreign_text import quotable
from sensor.snyk.grpc_channel import MAX_REQUEST_BYTES, Report
from sensor.snyk.token import Token
from sensor.snyk.upstream import Upstream

if TYPE_CHECKING:
    import grpc

    from sensor.snyk.proto.v1 import reports_pb2

_CONNECTION_FAILED = ("UNAVAILABLE", "DEADLINE_EXCEEDED")
_GZIP = 16 + zlib.MAX_WBITS
_FRAME_BYTES = 5


class GrpcDestination:
    """Reports to one group with one token. See :class:`sensor.delivery.destination.Destination`."""

    def __init__(self, upstream: Upstream, token: Token, group_id: str) -> None:
        self._upstream = upstream
        self._token = token
        self._group_id = group_id
        self._sent_with: int | None = None
        self._closed = False
        upstream.channel.hold()

    def send(self, batch: Batch, timeout: float) -> Receipt:
        ends = time.monotonic() + timeout
        payload = self._request(batch)
        self._sent_with = self._token.version
        secret = self._token.value()
        reserve = min(PROBE_SECONDS, timeout / 4)
        with self._upstream.channel.report() as report:
            started = time.time()
            answer = _call(report, payload, _metadata(batch, secret), timeout - reserve)
            if isinstance(answer, bytes):
                return self._receipt(batch, payload, answer, (started + time.time()) / 2, secret)
            if answer.code().name in _CONNECTION_FAILED:
                self._upstream.channel.renew(report)
        raise self._failure(answer, secret, ends - time.monotonic())

    def credentials_changed(self) -> bool:
        return self._sent_with is not None and self._token.version != self._sent_with

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._upstream.channel.release()

    def _request(self, batch: Batch) -> bytes:
        from sensor.snyk.grpc_form import build  # noqa: PLC0415 - protobuf is loaded only where it is used

        payload = build(batch, self._group_id, self._upstream.version).SerializeToString()
        if len(payload) > MAX_REQUEST_BYTES:
            raise TooLarge(
                f"a batch of {len(batch.states)} containers is {len(payload):,} bytes, "
                f"expected at most {MAX_REQUEST_BYTES:,}",
                reason="too_large",
            )
        return payload

    def _receipt(self, batch: Batch, payload: bytes, answer: bytes, asked_at: float, secret: str) -> Receipt:
        from google.protobuf.message import DecodeError  # noqa: PLC0415

        from sensor.snyk.proto.v1 import reports_pb2 as wire  # noqa: PLC0415

        try:
            response = wire.ReportResponse.FromString(answer)
        except DecodeError:
            response = None
        if response is None:
            raise Temporary(
                f"cannot deliver to {self._upstream.target.described}: its answer is no ReportResponse: is "
                "--upstream the address of a receiver of runtime reports, as new as the sensor?",
                reason="malformed_answer",
            )
        received_at = response.received_at_ms / 1000
        ahead = asked_at - received_at if received_at > 0 else None
        self._upstream.clock.saw(ahead)
        return Receipt(_rejections(response, batch, secret), _wire_bytes(payload), ahead)

    def _failure(self, error: grpc.Call, secret: str, seconds: float) -> DeliveryError:
        """The other side's words, or, where the connection failed, what is found out about it."""
        code, message = error.code().name, error.details() or ""
        where = self._upstream.target.described
        details = grpc_errors.details_of(error.trailing_metadata() or (), secret)
        cause = None
        if code in _CONNECTION_FAILED and details.retry_after is None and seconds > 0:
            cause = self._upstream.diagnosis.cause(f"{code} {message}", seconds)
        if cause:
            return Temporary(f"cannot deliver to {where}: {cause.text}", reason=cause.reason)
        return grpc_errors.failure(code, message, details, where, secret)


def _metadata(batch: Batch, secret: str) -> tuple[tuple[str, str], ...]:
    return (
        ("authorization", f"token {secret}"),
        ("snyk-request-id", str(uuid.uuid4())),
        ("idempotency-key", batch.id),
    )


def _call(
    report: Report, payload: bytes, metadata: tuple[tuple[str, str], ...], timeout: float
) -> bytes | Any:
    """The answer, or the ``grpc.RpcError``, which is a ``grpc.Call`` as well."""
    import grpc  # noqa: PLC0415 - loaded by the channel

    try:
        return bytes(report(payload, timeout=timeout, metadata=metadata))
    except grpc.RpcError as error:
        return error


def _rejections(response: reports_pb2.ReportResponse, batch: Batch, secret: str) -> tuple[Rejection, ...]:
    """The first reason for each state that there is."""
    reasons: dict[int, str] = {}
    for one in response.rejected:
        if one.container < len(batch.states):
            reasons.setdefault(one.container, quotable(one.reason, secret) or "no reason given")
    return tuple(Rejection(index, reason) for index, reason in sorted(reasons.items()))


def _wire_bytes(payload: bytes) -> int:
    """What gRPC made of ``payload``, which it does not tell: the same compression once more, and the frame's
    head. It sends as it is what gzip does not make smaller."""
    compressor = zlib.compressobj(wbits=_GZIP)
    return min(len(compressor.compress(payload) + compressor.flush()), len(payload)) + _FRAME_BYTES
