"""Answers of HTTP as failures of a delivery. The only place that knows its statuses (RFC 9110, 15).

As with gRPC: where a status leaves open whose fault it is, it is not the batch's.
"""

from __future__ import annotations

import email.utils
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sensor.delivery.destination import (
    DeliveryError,
    Invalid,
    PermissionDenied,
    Temporary,
    TooLarge,
    Unauthenticated,
)
from sensor.snyk.foreign_text import quotable
from sensor.snyk.grpc_errors import (
    DEFAULT_PERMISSION,
    MAX_RETRY_AFTER,
    NOT_AS_THEY_ARE,
    TOO_LARGE,
    UNKNOWN_TOKEN,
    missing,
)
from sensor.snyk.target import Target

_CLIENT_ERRORS = (400, 401, 403, 404, 405, 407, 408, 409, 410, 413, 415, 422, 425, 429, 431)
_NAMED = frozenset((301, 302, 303, 307, 308, *_CLIENT_ERRORS, 500, 501, 502, 503, 504))
_CURES = {
    (404, 405, 406, 410, 415, 426, 501, 505): (
        "nobody there takes runtime results: is --upstream the host of Snyk's API, such as api.snyk.io:443?"
    ),
    (407,): "a proxy wants other credentials: put USER:PASSWORD@ before its host in HTTPS_PROXY",
    (408, 425, 429): "it takes no more for now: it is tried again later",
}
_IN_ITS_PLACE = (
    "something else answers in its place, perhaps with a login page: is --upstream the host of Snyk's API, "
    "such as api.snyk.io:443, and do the proxies between let it pass?"
)
_ERRORS_BOUND = 8
_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """``headers`` have names in lower case; ``body`` is its beginning. ``at`` is when it came, seconds since
    the epoch."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class _Said:
    """What a JSON:API error (https://jsonapi.org/format/#error-objects), or any other text, tells."""

    text: str
    permission: str | None = None


def is_success(answer: Answer) -> bool:
    """Whether the states were taken over. A status of the class 2xx says so, unless what comes with it is of
    somebody else: the page on which a network or a proxy wants a login, bytes that are no text, or errors.
    """
    if not 200 <= answer.status < 300:
        return False
    body = answer.body.strip()
    if not body or answer.headers.get("content-encoding", "identity").lower() != "identity":
        return True
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        text = body[:_LOOKED_AT].decode("utf-8", "replace")
        return not text.startswith("<") and "\ufffd" not in text[:-1]  # the last one may be cut
    return not (isinstance(document, dict) and document.get("errors"))


def failure(answer: Answer, target: Target, secret: str) -> DeliveryError:
    """Return the error for an answer that :func:`is_success` says is none."""
    status, said = answer.status, _read(answer.body, secret)

    def text(what: str) -> str:
        found = f"{status} {said.text}".rstrip()
        return f"cannot deliver to {target.described}: {what} (it answered {found})"

    if 200 <= status < 300:
        return Temporary(text(_IN_ITS_PLACE), reason="malformed_answer")
    reason = f"http_{status}" if status in _NAMED else f"http_{status // 100}xx"
    if status == 401:
        return Unauthenticated(text(UNKNOWN_TOKEN), reason=reason)
    if status == 403:
        permission = said.permission or DEFAULT_PERMISSION
        return PermissionDenied(text(missing(permission)), reason=reason, permission=permission)
    if status == 413:
        return TooLarge(text(TOO_LARGE), reason=reason)
    if status in (400, 422) and not _wants_tls(answer, target):
        return Invalid(text(NOT_AS_THEY_ARE), reason=reason)
    return Temporary(text(_cure(answer, target, secret)), reason=reason, retry_after=retry_after(answer))


def _cure(answer: Answer, target: Target, secret: str) -> str:
    status = answer.status
    if 300 <= status < 400:
        place = quotable(answer.headers.get("location", "another place"), secret)
        return f"it redirects to {place}, which is not followed with a token: name that host in --upstream"
    if _wants_tls(answer, target):
        return "it speaks TLS: leave out --plaintext"
    for statuses, cure in _CURES.items():
        if status in statuses:
            return cure
    if status >= 500:
        return "it, or a proxy between, failed: it is tried again; look at its log if it stays so"
    return "it refuses requests, whatever is in them: look at --upstream and at proxies between"


def _wants_tls(answer: Answer, target: Target) -> bool:
    """nginx and Go answer 400 in plaintext on a port for TLS, which says nothing of the batch."""
    body = answer.body.lower()
    return answer.status == 400 and not target.tls and b"http request" in body and b"https" in body


def retry_after(answer: Answer) -> float | None:
    """Seconds, at most an hour (RFC 9110, 10.2.3). A date is taken by the other side's clock where it tells
    that, because ours may be wrong."""
    found = answer.headers.get("retry-after", "").strip()
    if found.isascii() and found.isdecimal():
        return min(float(found[:9]), MAX_RETRY_AFTER)
    at = _date(found)
    if at is None:
        return None
    now = _date(answer.headers.get("date", ""))
    return min(max(at - (answer.at if now is None else now), 0.0), MAX_RETRY_AFTER)


def clock_ahead(answer: Answer, asked_at: float) -> float | None:
    """By how many seconds our clock is ahead of that of the header Date, which has whole seconds."""
    theirs = _date(answer.headers.get("date", ""))
    return None if theirs is None else (asked_at + answer.at) / 2 - (theirs + 0.5)


def _date(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _read(body: bytes, secret: str) -> _Said:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _Said(quotable(body.decode("utf-8", "replace"), secret))
    listed = document.get("errors") if isinstance(document, dict) else None
    errors = (
        [one for one in listed[:_ERRORS_BOUND] if isinstance(one, dict)] if isinstance(listed, list) else []
    )
    permissions = [found for one in errors if (found := _permission(one))]
    texts = [str(one.get("detail") or one.get("title") or "") for one in errors]
    if not errors and isinstance(document, dict):
        texts = [str(document.get("message") or document.get("error") or "")]
    return _Said(
        quotable("; ".join(filter(None, texts)), secret),
        quotable(permissions[0], secret, limit=100) if permissions else None,
    )


def _permission(error: dict[str, Any]) -> str | None:
    meta = error.get("meta")
    found = meta.get("permission") if isinstance(meta, dict) else None
    return found if isinstance(found, str) and found else None
