"""What is said about a connection that fails: by both transports, against real servers."""

from __future__ import annotations

import datetime
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from sensor.config.texts import Address
from sensor.delivery.destination import Temporary
from sensor.snyk.causes import Cause, cause_of
from sensor.snyk.clock import ClockWatch
from sensor.snyk.connect import connect
from sensor.snyk.deadline import dial, left, within
from sensor.snyk.diagnosis import Diagnosis, clock_warning
from sensor.snyk.target import Target
from sensor.snyk.token import Token
from sensor.snyk.trust import Trust
from tests.clock import HANGS, PATIENCE, in_time
from tests.unit.snyk_servers import (
    HOST,
    TOKEN,
    Authority,
    GrpcServer,
    HttpServer,
    batch,
    free_port,
    grpc_server,
    http_server,
    reset,
    server_context,
    settings,
    tcp_server,
)

BOTH = pytest.mark.parametrize("transport", ["grpc", "https"])
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
CLOCK = r"this node's clock says \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def serving(
    transport: str, certificate: trustme.LeafCert | None
) -> AbstractContextManager[GrpcServer | HttpServer]:
    return grpc_server(GrpcServer(), certificate) if transport == "grpc" else http_server(certificate)


def said(port: int, transport: str, *, timeout: float = PATIENCE, **changes: Any) -> Temporary:
    destination = connect(settings(port, transport=transport, **changes), "group", Token(TOKEN))
    try:
        with pytest.raises(Temporary) as failed:
            destination.send(batch(), timeout)
    finally:
        destination.close()
    return failed.value


def said_of(certificate: trustme.LeafCert, transport: str, **changes: Any) -> Temporary:
    with serving(transport, certificate) as server:
        return said(server.port, transport, **changes)


@BOTH
def test_an_expired_certificate(transport: str, authority: Authority) -> None:
    certificate = authority.certificate(not_before=NOW - 9 * DAY, not_after=NOW - DAY)
    error = said_of(certificate, transport, ca_bundle=authority.bundle)
    assert error.reason == "certificate_expired"
    assert f"has expired at {NOW - DAY:%Y-%m-%dT%H:%M:%SZ}" in str(error)
    assert re.search(CLOCK, str(error)) and "renew the certificate, or set this node's clock" in str(error)


@BOTH
def test_a_certificate_that_is_not_valid_yet(transport: str, authority: Authority) -> None:
    error = said_of(authority.certificate(not_before=NOW + DAY), transport, ca_bundle=authority.bundle)
    assert error.reason == "certificate_not_yet_valid"
    assert f"is not valid before {NOW + DAY:%Y-%m-%dT%H:%M:%SZ}" in str(error)
    assert re.search(CLOCK + ": set this node's clock", str(error))


@BOTH
def test_an_unknown_authority(transport: str, authority: Authority) -> None:
    error = said_of(authority.certificate(), transport)
    assert error.reason == "unknown_authority"
    assert "by an authority that is not trusted here (unable to get local issuer certificate)" in str(error)
    assert "give that authority's certificate with --ca-bundle" in str(error)


@BOTH
def test_a_wrong_name(transport: str, authority: Authority) -> None:
    error = said_of(authority.certificate("a.test", "b.test"), transport, ca_bundle=authority.bundle)
    assert error.reason == "certificate_wrong_name"
    assert f"not for {HOST!r} but for a.test, b.test: name the host in --upstream" in str(error)


@BOTH
def test_plaintext_where_tls_is_expected(transport: str) -> None:
    with serving(transport, None) as server:
        error = said(server.port, transport)
    assert error.reason == "no_tls" and "it does not speak TLS" in str(error) and "--plaintext" in str(error)


@BOTH
def test_tls_where_plaintext_is_expected(transport: str, authority: Authority) -> None:
    error = said_of(authority.certificate(), transport, plaintext=True)
    assert error.reason == "tls_expected" and "it speaks TLS: leave out --plaintext" in str(error)


@BOTH
@pytest.mark.parametrize("plaintext", [True, False])
def test_nobody_listens(transport: str, plaintext: bool) -> None:
    port = free_port()
    error = said(port, transport, plaintext=plaintext)
    assert error.reason == "refused"
    assert f"{HOST}:{port} refuses the connection: is it running" in str(error)


@BOTH
@pytest.mark.parametrize("plaintext", [True, False])
def test_a_connection_that_is_reset(transport: str, plaintext: bool) -> None:
    with tcp_server(reset) as port:
        error = said(port, transport, plaintext=plaintext)
    assert error.reason == "reset" and "was cut" in str(error) and "firewalls" in str(error)


def hang_up(connection: socket.socket) -> None:
    connection.recv(1 << 16)


@BOTH
def test_a_server_that_hangs_up_during_the_handshake(transport: str) -> None:
    with tcp_server(hang_up) as port:
        assert said(port, transport).reason == "reset"


@BOTH
def test_a_server_that_says_nothing(transport: str) -> None:
    with socket.create_server((HOST, 0)) as silent, in_time():
        # A stall may leave no time to find out why, so there are some tries.
        errors = (said(silent.getsockname()[1], transport, timeout=0.4) for _ in range(5))
        error = next(one for one in errors if one.reason == "timed_out")
    assert "did not answer in time" in str(error)
    assert "network policy may drop packets" in str(error)


@BOTH
def test_a_name_that_does_not_resolve(transport: str) -> None:
    error = said(0, transport, address=Address("nowhere.invalid", 443))
    assert error.reason == "dns" and "the name 'nowhere.invalid' does not resolve" in str(error)
    assert "look at --upstream and at this node's DNS" in str(error)


def test_tls_without_http2_is_no_place_for_grpc(authority: Authority) -> None:
    with http_server(authority.certificate()) as server:
        error = said(server.port, "grpc", ca_bundle=authority.bundle)
    assert error.reason == "no_http2" and "use --transport https" in str(error)


def test_http1_is_no_place_for_grpc() -> None:
    def answer(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with tcp_server(answer) as port:
        error = said(port, "grpc", plaintext=True)
    assert error.reason == "no_http2" and "speaks HTTP/1" in str(error)


def test_a_server_that_wants_a_certificate_of_ours(authority: Authority) -> None:
    context = server_context(authority.certificate())
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # where it is said during the handshake
    authority.ca.configure_trust(context)

    def shake(connection: socket.socket) -> None:
        context.wrap_socket(connection, server_side=True).close()

    with tcp_server(shake) as port:
        error = said(port, "https", ca_bundle=authority.bundle)
    assert error.reason == "tls" and "may want a client's certificate" in str(error)


@contextmanager
def counting() -> Iterator[tuple[int, list[int]]]:
    """A port whose connections are reset and counted."""
    met: list[int] = []

    def handle(connection: socket.socket) -> None:
        met.append(1)
        reset(connection)

    with tcp_server(handle) as port:
        yield port, met


def test_it_looks_at_most_once_a_minute(authority: Authority) -> None:
    now = [1000.0]
    with counting() as (port, met):
        diagnosis = Diagnosis(Target(HOST, port), Trust(authority.bundle), lambda: now[0])
        first = diagnosis.cause("symptom", PATIENCE)
        assert first and first.reason == "reset" and len(met) == 1
        now[0] += 59
        assert diagnosis.cause("symptom", PATIENCE) == first
        assert diagnosis.cause("another symptom", PATIENCE) is None
        assert len(met) == 1
        now[0] += 1
        assert diagnosis.cause("another symptom", PATIENCE) == first
        assert len(met) == 2


def test_threads_that_ask_together_look_once(authority: Authority) -> None:
    found: list[Cause | None] = []
    with counting() as (port, met):
        diagnosis = Diagnosis(Target(HOST, port), Trust(authority.bundle))
        threads = [
            threading.Thread(target=lambda: found.append(diagnosis.cause("symptom", PATIENCE)))
            for _ in range(4)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(met) == 1 and len(found) == 4 and None not in found


def test_a_server_that_works_has_no_cause(authority: Authority) -> None:
    for transport in ("grpc", "https"):
        with serving(transport, authority.certificate()) as server:
            assert (
                Diagnosis(Target(HOST, server.port, transport), Trust(authority.bundle)).cause("?", PATIENCE)
                is None
            )
    with serving("grpc", None) as server:
        target = Target(HOST, server.port, tls=False)
        assert Diagnosis(target, Trust(authority.bundle)).cause("?", PATIENCE) is None


def test_an_exception_that_tells_nothing_has_no_cause() -> None:
    assert cause_of(ValueError("?"), Target(HOST, 1)) is None


def test_exceptions_that_go_in_circles_end() -> None:
    one, other = ValueError(), ConnectionRefusedError()
    one.__cause__, other.__cause__ = other, one
    cause = cause_of(one, Target(HOST, 1))
    assert cause and cause.reason == "refused"


@pytest.mark.parametrize(
    ("ahead", "says"),
    [
        (0.0, None),
        (-119.0, None),
        (121.0, "2.0 minutes ahead of"),
        (-300.0, "5.0 minutes behind"),
        (5400.0, "1.5 hours ahead of"),
        (-172_800.0, "2.0 days behind"),
    ],
)
def test_clocks(ahead: float, says: str | None) -> None:
    text = clock_warning(ahead, Target("api.test", 443))
    assert (text is None) if says is None else (text is not None and says in text and "api.test:443" in text)


def test_a_resolver_that_hangs_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    really = socket.getaddrinfo

    def slow(host: str, *rest: Any, **more: Any) -> Any:
        if "flags" not in more:
            release.wait(HANGS)
        return really(HOST, *rest, **more) if "flags" not in more else really(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with in_time(), within(0.2), pytest.raises(socket.gaierror, match="did not answer in time"):
        dial("slow.test", 1)
    release.set()


def test_the_nearer_of_two_deadlines_holds() -> None:
    with within(60):
        with within(0.001):
            time.sleep(0.002)
            with pytest.raises(TimeoutError):
                left()
        assert left() > 50
        with within(600):
            assert left() < 61
    with pytest.raises(RuntimeError, match="outside of within"):
        left()


@BOTH
def test_authorities_that_vanish_are_named(
    transport: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upgrade of the node's packages removes them for a moment."""
    system = tmp_path / "system.pem"
    system.write_bytes(authority.bundle.read_bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with serving(transport, authority.certificate()) as server:
        destination = connect(settings(server.port, transport=transport), "group", Token(TOKEN))
        system.unlink()
        with pytest.raises(Temporary, match=r"found no trusted certificate authorities in .*system\.pem"):
            destination.send(batch(), PATIENCE)
        system.write_bytes(authority.bundle.read_bytes())
        destination.send(batch(), PATIENCE)
        destination.close()


def test_a_wrong_clock_is_told_once_an_hour(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 10.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    watch = ClockWatch(Target("api.test", 443))
    for now in (10.0, 20.0, 3000.0):  # noqa: B007 - read by the lambda
        watch.saw(172_800.0)
        watch.saw(None)
    assert len(caplog.records) == 1
    now = 3611.0
    watch.saw(172_800.0)
    assert len(caplog.records) == 2
