"""One connection that is made only to find out why others fail. It carries no token."""

from __future__ import annotations

import ssl
from contextlib import closing

from sensor.snyk.causes import (
    EXPIRED,
    NOT_YET_VALID,
    TLS_EXPECTED,
    WRONG_ADDRESS,
    WRONG_NAME,
    Cause,
    Certificate,
    ProxyRefused,
    cause_of,
    certificate_problem,
)
from sensor.snyk.deadline import DeadlineSocket, DeadlineSSLSocket, dial, within
from sensor.snyk.target import Target
from sensor.snyk.trust import Trust

# X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h, for which ssl has no name.
_ANY_TIME = 0x200000
# RFC 9113, 3.4: what a client says first: the preface and an empty SETTINGS frame.
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_SETTINGS = 4
_HEAD_BOUND = 8192
# Who does not speak TLS may wait for more instead of answering.
_HELLO_SECONDS = 0.8


def probe(target: Target, trust: Trust) -> Cause | None:
    """Return why ``target`` cannot be talked to, ``None`` where it can.

    Use within :func:`sensor.snyk.deadline.within`.
    """
    try:
        with closing(_reach(target)) as connection:
            return (
                _shake_hands(connection, target, trust) if target.tls else _speak_plainly(connection, target)
            )
    except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
        return cause_of(error, target, _certificate(error, target, trust))


def _reach(target: Target) -> DeadlineSocket:
    connection = dial(*target.first_hop)
    try:
        if target.proxy:
            _tunnel(connection, target)
    except BaseException:
        connection.close()
        raise
    return connection


def _tunnel(connection: DeadlineSocket, target: Target) -> None:
    """RFC 9110, 9.3.6."""
    assert target.proxy is not None
    lines = [f"CONNECT {target.address} HTTP/1.1", f"Host: {target.address}"]
    if target.proxy.authorization:
        lines.append(f"Proxy-Authorization: {target.proxy.authorization}")
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _HEAD_BOUND:
        more = connection.recv(1)  # one at a time: what follows is the tunnel's
        if not more:
            raise ConnectionResetError("the proxy closed the connection")
        head += more
    status = head.split(maxsplit=2)[1:2]
    if not head.startswith(b"HTTP/1.") or not status or not status[0].isdigit():
        raise ProxyRefused(0)
    if not 200 <= int(status[0]) < 300:
        raise ProxyRefused(int(status[0][:3]))


def _shake_hands(connection: DeadlineSocket, target: Target, trust: Trust) -> Cause | None:
    context = trust.new_context()
    context.set_alpn_protocols(["h2"] if target.transport == "grpc" else ["http/1.1"])
    with context.wrap_socket(connection, server_hostname=target.host) as secured:
        if target.transport == "grpc" and secured.selected_alpn_protocol() != "h2":
            return Cause(
                "no_http2",
                "it speaks TLS but not HTTP/2, which gRPC needs: name its gRPC port in --upstream, or use "
                "--transport https; a proxy that inspects TLS may be the one that does not",
            )
    return None


def _speak_plainly(connection: DeadlineSocket, target: Target) -> Cause | None:
    """Plain HTTP/1 is for its client to judge; here it is only asked whether TLS would work."""
    if target.transport != "grpc":
        return _tls_instead(connection, target)
    answer = _greeting(connection)
    connection.close()
    if answer.startswith(b"HTTP/"):
        return Cause(
            "no_http2",
            "it speaks HTTP/1 but not HTTP/2, which gRPC needs: name its gRPC port in --upstream, or use "
            "--transport https",
        )
    if answer[3:4] == bytes((_SETTINGS,)):
        return None
    with closing(_reach(target)) as another:
        return _tls_instead(another, target) or cause_of(ConnectionResetError(), target)


def _greeting(connection: DeadlineSocket) -> bytes:
    """The first bytes that the other side answers to HTTP/2, empty where it hangs up."""
    try:
        connection.sendall(_PREFACE)
        return connection.recv(9)
    except ConnectionError:
        return b""


def _tls_instead(connection: DeadlineSocket, target: Target) -> Cause | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslsocket_class = DeadlineSSLSocket
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: the question is whether it is TLS
    try:
        with within(_HELLO_SECONDS), context.wrap_socket(connection, server_hostname=target.host):
            return TLS_EXPECTED
    except OSError:
        return None


def _certificate(error: BaseException, target: Target, trust: Trust) -> Certificate | None:
    """The certificate that was refused for its dates or names, if it is whole otherwise."""
    if certificate_problem(error) not in (EXPIRED, NOT_YET_VALID, WRONG_NAME, WRONG_ADDRESS):
        return None
    context = trust.new_context()
    context.check_hostname = False
    context.verify_flags |= _ANY_TIME
    try:
        with (
            closing(_reach(target)) as reached,
            context.wrap_socket(reached, server_hostname=target.host) as secured,
        ):
            return _read(secured.getpeercert() or {})
    except OSError:
        return None


def _read(found: object) -> Certificate | None:
    if not isinstance(found, dict):
        return None
    names = tuple(str(name)[:100] for _, name in found.get("subjectAltName", ()))
    return Certificate(str(found.get("notBefore", "")), str(found.get("notAfter", "")), names)
