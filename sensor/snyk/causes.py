"""Why a connection failed and what to do about it, told from the exceptions of sockets and OpenSSL."""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sensor.snyk.target import Target

_CHAIN_BOUND = 20
# X509_V_ERR_… of openssl/x509_vfy.h.
NOT_YET_VALID, EXPIRED, WRONG_NAME, WRONG_ADDRESS = 9, 10, 62, 64
_UNKNOWN_AUTHORITY = (2, 18, 19, 20, 21)
# What OpenSSL says when what comes back is no TLS record.
_NO_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "UNKNOWN_PROTOCOL",
    "PACKET_LENGTH_TOO_LONG",
    "RECORD_LAYER_FAILURE",
)
_OLD_TLS = (
    "UNSUPPORTED_PROTOCOL",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "NO_PROTOCOLS_AVAILABLE",
    "VERSION_TOO_LOW",
)
_CLIENT_CERTIFICATE = (
    "TLSV13_ALERT_CERTIFICATE_REQUIRED",
    "SSLV3_ALERT_HANDSHAKE_FAILURE",
    "SSLV3_ALERT_BAD_CERTIFICATE",
)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


@dataclass(frozen=True, slots=True)
class Cause:
    """``reason`` is short, of a bounded set. ``text`` names the cause and the cure."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the other side showed. Times as OpenSSL writes them; names are its subjectAltNames."""

    not_before: str
    not_after: str
    names: tuple[str, ...]


TLS_EXPECTED = Cause("tls_expected", "it speaks TLS: leave out --plaintext")


class ProxyRefused(OSError):
    """The proxy answered CONNECT with ``status``."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status


def cause_of(error: BaseException, target: Target, certificate: Certificate | None = None) -> Cause | None:
    """Return the cause that ``error``, or an exception inside it, tells; ``None`` where none does.

    ``certificate`` makes the text of a certificate that does not fit more exact.
    """
    chain = list(_chain(error))
    for explain in (_of_proxy, _of_certificate, _of_tls, _of_name, _of_connection, _of_answer):
        for one in chain:
            if cause := explain(one, target, certificate):
                return cause
    return None


def certificate_problem(error: BaseException) -> int | None:
    """OpenSSL's number of why the certificate was refused, ``None`` where it was not."""
    for one in _chain(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return one.verify_code
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it was made from: causes, contexts, and exceptions among the arguments."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _CHAIN_BOUND:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        inner = (one.__cause__, one.__context__, *one.args)
        waiting.extend(other for other in inner if isinstance(other, BaseException))


def _of_proxy(error: BaseException, target: Target, _: Certificate | None) -> Cause | None:
    if isinstance(error, ProxyRefused):
        return proxy_refused(error.status, target)
    tunnel = _TUNNEL.search(str(error)) if isinstance(error, OSError) else None
    return proxy_refused(int(tunnel[1]), target) if tunnel else None


def proxy_refused(status: int, target: Target) -> Cause:
    if status == 407:
        return Cause(
            "proxy_authentication",
            f"{target.first_hop_named} wants other credentials (407): "
            "put USER:PASSWORD@ before its host in HTTPS_PROXY, or name the upstream in NO_PROXY",
        )
    return Cause(
        "proxy_refused",
        f"{target.first_hop_named} answered CONNECT {target.address} with {status}: "
        "let it pass this host, or name the host in NO_PROXY",
    )


def _of_certificate(error: BaseException, target: Target, seen: Certificate | None) -> Cause | None:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return None
    code = error.verify_code
    if code == EXPIRED:
        when = f" at {_time(seen.not_after)}" if seen else ""
        return Cause(
            "certificate_expired",
            f"its certificate has expired{when}, and this node's clock says {_now()}: "
            "renew the certificate, or set this node's clock if that is wrong",
        )
    if code == NOT_YET_VALID:
        when = f"before {_time(seen.not_before)}" if seen else "yet"
        return Cause(
            "certificate_not_yet_valid",
            f"its certificate is not valid {when}, and this node's clock says {_now()}: "
            "set this node's clock, or look at the certificate",
        )
    if code in (WRONG_NAME, WRONG_ADDRESS):
        names = ", ".join(seen.names[:5]) if seen else ""
        return Cause(
            "certificate_wrong_name",
            f"its certificate is not for {target.host!r}{f' but for {names}' if names else ''}: "
            "name the host in --upstream as the certificate does, or give the server one with this name",
        )
    if code in _UNKNOWN_AUTHORITY:
        return Cause(
            "unknown_authority",
            f"its certificate is by an authority that is not trusted here ({error.verify_message}): "
            "give that authority's certificate with --ca-bundle (a proxy that inspects TLS has its own)",
        )
    return Cause(
        "certificate",
        f"its certificate is refused ({error.verify_message}): look at what the server, or a proxy that "
        "inspects TLS, shows; --ca-bundle adds authorities",
    )


def _of_tls(error: BaseException, _: Target, __: Certificate | None) -> Cause | None:
    if not isinstance(error, ssl.SSLError) or isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None
    reason = error.reason or ""
    if reason in _NO_TLS:
        return Cause(
            "no_tls",
            "it does not speak TLS: name the port that does in --upstream, or add --plaintext, which shows "
            "the token to everybody on the way",
        )
    if reason in _OLD_TLS:
        return Cause("old_tls", f"it speaks no TLS 1.2 or newer ({reason}): let the server offer that")
    if reason in _CLIENT_CERTIFICATE:
        return Cause(
            "tls",
            f"it broke off the TLS handshake ({reason}): it may want a client's certificate, which the "
            "sensor does not have, or know no common cipher",
        )
    return Cause("tls", f"the TLS handshake failed ({reason or 'no reason given'}): look at the server's log")


def _of_name(error: BaseException, target: Target, _: Certificate | None) -> Cause | None:
    if not isinstance(error, socket.gaierror):
        return None
    return Cause(
        "dns",
        f"the name {target.first_hop[0]!r} does not resolve ({error.strerror or error}): "
        f"look at {'HTTPS_PROXY' if target.proxy else '--upstream'} and at this node's DNS",
    )


def _of_connection(error: BaseException, target: Target, _: Certificate | None) -> Cause | None:
    hop = target.first_hop_named
    # RemoteDisconnected is what http.client makes of an end before the answer.
    if isinstance(error, ConnectionRefusedError):
        return Cause("refused", f"{hop} refuses the connection: is it running, and is that its port?")
    if isinstance(error, (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return Cause(
            "reset",
            "the connection was cut by the other side or something on the way: look at the server's log, and "
            "at firewalls, load balancers and network policies between",
        )
    if isinstance(error, TimeoutError):
        return Cause(
            "timed_out",
            f"{hop} did not answer in time: look at its load; a firewall or network policy may drop packets "
            "to it",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN):
        return Cause(
            "unreachable", f"no route leads to {hop}: look at this node's network and network policies"
        )
    return None


def _of_answer(error: BaseException, _: Target, __: Certificate | None) -> Cause | None:
    if isinstance(error, http.client.IncompleteRead):
        return Cause("cut", "its answer broke off in the middle: look at the server and at proxies between")
    if isinstance(error, http.client.BadStatusLine) and str(error).startswith("\x15\x03"):
        return TLS_EXPECTED  # an alert of TLS (RFC 8446, 5.1)
    if isinstance(error, http.client.HTTPException):
        return Cause("no_http", "its answer is no HTTP: look at --upstream and --transport")
    return None


def _time(openssl: str) -> str:
    """``Nov 22 05:09:22 2026 GMT`` as everybody writes it."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ssl.cert_time_to_seconds(openssl)))
    except ValueError:
        return openssl


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
