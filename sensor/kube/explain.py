"""Exceptions of sockets, and answers that are none, as errors of :mod:`sensor.kube.errors`."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sensor.kube.errors import (
    Forbidden,
    Gone,
    KubeError,
    Malformed,
    NotFound,
    Unauthorized,
    Unreachable,
    Untrusted,
)
from sensor.kube.resource import Rule

_LONGEST_SAID = 200
_LONGEST_RETRY = 60.0
_CHAIN_BOUND = 20
FUTURE_VERSION = "future_version"
_BUSY = (408, 425, 429, 500, 502, 503, 504)
_NAMED = frozenset((*_BUSY, 400, 401, 403, 404, 405, 406, 409, 410, 422, 301, 302, 303, 307, 308))


def quotable(text: object, secret: str | None = None) -> str:
    """What the other side wrote: one line, short, without our token."""
    if not isinstance(text, str):
        return ""
    if secret:
        text = text.replace(secret, "[token]").replace(secret.partition(" ")[2] or secret, "[token]")
    text = text[: _LONGEST_SAID * 4]
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= _LONGEST_SAID else flat[: _LONGEST_SAID - 1] + "…"


def connection_failed(error: BaseException, url: str) -> KubeError:
    """``error`` is what urllib3, a socket or OpenSSL raised. ``url`` is the server's."""
    what = f"cannot ask the API server {url}"
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return Untrusted(
                f"{what}: its certificate is refused ({one.verify_message}): look at ca.crt of the service "
                "account, or at the kubeconfig's certificate-authority, and at proxies between",
                reason="certificate",
            )
    for one in _chain(error):
        if found := _known(one, what):
            return found
    return Unreachable(
        f"{what}: {type(error).__name__}; look at the server and the way to it", reason="failed"
    )


_CAUSES: tuple[tuple[tuple[type[BaseException], ...], str, str], ...] = (
    ((socket.gaierror,), "dns", "its name does not resolve; look at this node's DNS"),
    ((ConnectionRefusedError,), "refused", "it refuses the connection; is it running?"),
    (
        (TimeoutError,),
        "timed_out",
        "it did not answer in time; look at its load, and at network policies between",
    ),
    (
        (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, http.client.IncompleteRead),
        "cut",
        "the connection was cut; it may be restarting",
    ),
)


def _known(error: BaseException, what: str) -> KubeError | None:
    for kinds, reason, text in _CAUSES:
        if isinstance(error, kinds):
            return Unreachable(f"{what}: {text}", reason=reason)
    if isinstance(error, ssl.SSLError):
        return Untrusted(
            f"{what}: TLS failed ({error.reason or 'no reason given'}): is it the port of an API server?",
            reason="tls",
        )
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _CHAIN_BOUND:
        one = waiting.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            inner = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            waiting.extend(other for other in inner if isinstance(other, BaseException))


@dataclass(frozen=True, slots=True)
class Asked:
    """``what`` says what cannot be done, ``rule`` what RBAC must allow for it."""

    what: str
    rule: Rule
    secret: str | None = field(default=None, repr=False)


def answer_failed(status: int, headers: Mapping[str, str], body: bytes, asked: Asked) -> KubeError:
    """The error for an answer that is not 200. ``body`` is its beginning."""
    if 300 <= status < 400:
        return Malformed(
            f"{asked.what}: it answers {status}, a redirect, which is not followed with a token: is that an "
            "API server's address?",
            reason=_reason(status),
        )
    return status_failed(status, _message(body, asked.secret), asked, _retry_after(headers))


def status_failed(status: int, said: str, asked: Asked, retry_after: float | None = None) -> KubeError:
    """The error for a status of HTTP, or the ``code`` of an object ``Status``."""
    what, reason = asked.what, _reason(status)
    if status in (500, 504) and "too large resource version" in said.lower():
        reason = FUTURE_VERSION
    found = f"it answers {status}{f': {said}' if said else ''}"
    if status == 401:
        return Unauthorized(
            f"{what}: it does not take the token ({found}): look at the service account and the node's clock",
            reason=reason,
        )
    if status == 403:
        return Forbidden(
            f"{what}: a rule is missing ({found}); expected in a ClusterRole of the sensor: {asked.rule}",
            reason=reason,
            rule=asked.rule,
        )
    if status == 404:
        return NotFound(f"{what}: it is not there ({found})", reason=reason)
    if status == 410:
        return Gone(f"{what}: what was known of it is too old ({found}); it is listed again", reason=reason)
    if status in _BUSY:
        return Unreachable(
            f"{what}: it is busy or failing ({found}); it is asked again",
            reason=reason,
            retry_after=retry_after,
        )
    return Malformed(f"{what}: {found}; expected an API server of Kubernetes 1.19 or newer", reason=reason)


def _reason(status: int) -> str:
    return str(status) if status in _NAMED else f"{status // 100}xx" if 100 <= status < 600 else "other"


def _message(body: bytes, secret: str | None) -> str:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return quotable(body.decode("utf-8", "replace"), secret)
    return quotable(document.get("message"), secret) if isinstance(document, dict) else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    found = headers.get("Retry-After", "").strip()
    return min(float(found[:9]), _LONGEST_RETRY) if found.isascii() and found.isdecimal() else None
