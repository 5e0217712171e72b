"""Failures of a gRPC call as failures of a delivery. The only place that knows gRPC's codes.

What a code means is https://grpc.github.io/grpc/core/md_doc_statuscodes.html and the comment on top of
``proto/v1/reports.proto``. Where it leaves open whose fault it is, it is not the batch's: setting states
aside loses them, trying again does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sensor.delivery.destination import (
    DeliveryError,
    Invalid,
    PermissionDenied,
    Temporary,
    TooLarge,
    Unauthenticated,
)
from sensor.snyk.foreign_text import quotable

DEFAULT_PERMISSION = "AppRisk edit"
MAX_RETRY_AFTER = 3600.0

_SERVER = "look at the server's log"
_SLOW = "look at its load; a firewall or network policy may drop packets to it"
_AGAIN = f"it is tried again; {_SERVER} if it stays so"
_ADDRESS = (
    "is --upstream the gRPC address, and not one of another service? --transport https is the other way"
)
# Nothing is known that would help but to try again; what to look at when it does not.
_TEMPORARY = {
    "CANCELLED": f"the call was cancelled on the way: {_SERVER} and proxies between, if it stays so",
    "UNKNOWN": f"the server failed: {_SERVER} if it stays so",
    "DEADLINE_EXCEEDED": f"it did not answer in time: {_SLOW}",
    "NOT_FOUND": "it does not know what is reported to: look at --group-id",
    "ABORTED": f"the server broke it off: {_AGAIN}",
    "FAILED_PRECONDITION": f"the server is not ready for reports: look at --group-id, and {_SERVER}",
    "UNIMPLEMENTED": f"nobody there takes runtime reports: {_ADDRESS}",
    "INTERNAL": f"the server, or a proxy between that does not speak gRPC, failed: {_SERVER} if it stays so",
    "UNAVAILABLE": f"it cannot take reports now, or the connection broke: {_AGAIN}",
    "DATA_LOSS": f"the server lost data: {_SERVER}",
    "RESOURCE_EXHAUSTED": "it takes no more for now: it is tried again later",
}
NOT_AS_THEY_ARE = "it does not take these states as they are: if it is older than the sensor, update it"
_INVALID = {
    "INVALID_ARGUMENT": NOT_AS_THEY_ARE,
    "ALREADY_EXISTS": f"it says that these states are there already, which it never should: {_SERVER}",
}
TOO_LARGE = "the batch is larger than it takes: let it, and proxies between, take larger requests"
_ABOUT_RATE = re.compile(r"\b(quota|rate|rate.?limit\w*|too many requests|per (second|minute|hour))\b", re.I)


@dataclass(frozen=True, slots=True)
class Details:
    """What ``grpc-status-details-bin`` adds. ``retry_after`` is seconds."""

    retry_after: float | None = None
    permission: str | None = None
    violations: tuple[str, ...] = ()


def failure(code: str, message: str, details: Details, where: str, secret: str) -> DeliveryError:
    """Return the error for ``code``, a name of ``grpc.StatusCode``, said by ``where`` (``host:port``).

    ``message`` is the other side's; ``secret`` is what must not be shown of it.
    """
    said = "; ".join(part for part in (quotable(message, secret), *details.violations) if part)

    def text(what: str) -> str:
        return f"cannot deliver to {where}: {what}" + (f" (it said: {said})" if said else "")

    reason = code.lower()
    if code == "UNAUTHENTICATED":
        return Unauthenticated(text(UNKNOWN_TOKEN), reason=reason)
    if code == "PERMISSION_DENIED":
        permission = details.permission or DEFAULT_PERMISSION
        return PermissionDenied(text(missing(permission)), reason=reason, permission=permission)
    if details.retry_after is None and _is_too_large(code, message):
        return TooLarge(text(TOO_LARGE), reason=reason)
    if details.retry_after is None and code in _INVALID:
        return Invalid(text(_INVALID[code]), reason=reason)
    what = _TEMPORARY.get(code) or _INVALID.get(code) or _TEMPORARY["UNKNOWN"]
    return Temporary(text(what), reason=reason, retry_after=details.retry_after)


UNKNOWN_TOKEN = (
    "it does not know the token: put a token of a Snyk service account that has not expired into SNYK_TOKEN "
    "or the file of --token-file; the file is read again by itself"
)


def missing(permission: str) -> str:
    return (
        f"the token lacks the permission {permission!r}: give it to the role of the token's service account, "
        "or use another token"
    )


def _is_too_large(code: str, message: str) -> bool:
    """The rule of reports.proto; but a rate limit on the way that gives no RetryInfo must not cost states."""
    if code == "OUT_OF_RANGE":
        return True
    return code == "RESOURCE_EXHAUSTED" and not _ABOUT_RATE.search(message[:1000])


def details_of(trailers: Iterable[tuple[str, str | bytes]], secret: str) -> Details:
    """Read google.rpc.Status (https://google.aip.dev/193); what cannot be read is not there."""
    found = [
        value for key, value in trailers if key == "grpc-status-details-bin" and isinstance(value, bytes)
    ]
    if not found:
        return Details()
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - late, as gRPC is
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415

    retry, error, bad = (
        error_details_pb2.RetryInfo(),
        error_details_pb2.ErrorInfo(),
        error_details_pb2.BadRequest(),
    )
    retried = False
    try:
        for packed in status_pb2.Status.FromString(found[0]).details[:16]:
            retried = packed.Unpack(retry) or retried
            packed.Unpack(error)
            packed.Unpack(bad)
    except DecodeError:
        return Details()

    def quote(text: str) -> str:
        return quotable(text, secret, limit=100)

    delay = retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9
    return Details(
        retry_after=min(max(delay, 0.0), MAX_RETRY_AFTER) if retried else None,
        permission=quote(error.metadata["permission"]) if "permission" in error.metadata else None,
        violations=tuple(quote(f"{one.field}: {one.description}") for one in bad.field_violations[:3]),
    )
