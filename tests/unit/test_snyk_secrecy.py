"""Where the token may be seen: in the header that carries it, inside TLS, and nowhere else."""

from __future__ import annotations

import base64
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest

from sensor.delivery.destination import DeliveryError
from sensor.snyk.connect import connect
from sensor.snyk.token import Token
from tests.clock import PATIENCE
from tests.unit.snyk_servers import (
    HOST,
    TOKEN,
    Authority,
    GrpcServer,
    HttpServer,
    Reply,
    batch,
    free_port,
    grpc_server,
    http_server,
    recording_relay,
    refuse,
    reset,
    settings,
    tcp_server,
)

FORMS = (
    TOKEN.encode(),
    base64.b64encode(TOKEN.encode()).rstrip(b"="),
    base64.b64encode(b"token " + TOKEN.encode())[8:40],
    TOKEN.encode().hex().encode(),
    TOKEN.encode()[4:20],
)
BOTH = pytest.mark.parametrize("transport", ["grpc", "https"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def serving(transport: str, authority: Authority | None) -> AbstractContextManager[GrpcServer | HttpServer]:
    certificate = authority.certificate() if authority else None
    return grpc_server(GrpcServer(), certificate) if transport == "grpc" else http_server(certificate)


def on_the_wire(transport: str, authority: Authority | None) -> bytes:
    """Everything that passed, in both directions, for one batch that arrived."""
    with serving(transport, authority) as server, recording_relay(server.port) as (port, record):
        bundle = authority.bundle if authority else None
        upstream = settings(port, transport=transport, ca_bundle=bundle, plaintext=authority is None)
        destination = connect(upstream, "group", Token(TOKEN))
        destination.send(batch(), PATIENCE)
        destination.close()
    assert server.calls
    return bytes(record)


@BOTH
def test_on_the_wire_is_tls_and_nothing_else(transport: str, authority: Authority) -> None:
    record = on_the_wire(transport, authority)
    assert len(record) > 1000 and record[:2] == b"\x16\x03"  # a TLS handshake record
    for form in (*FORMS, b"authorization", b"package-0", b"node-1"):
        assert form not in record


@BOTH
def test_the_same_look_finds_it_without_tls(transport: str) -> None:
    assert TOKEN.encode() in on_the_wire(transport, None)


def refused_by_grpc(_: Authority) -> AbstractContextManager[GrpcServer]:
    return grpc_server(GrpcServer(act=refuse(grpc.StatusCode.INTERNAL, f"you sent: token {TOKEN}")))


def refused_by_http(_: Authority) -> AbstractContextManager[HttpServer]:
    body = f'{{"errors": [{{"detail": "you sent {TOKEN}", "meta": {{"permission": "{TOKEN}"}}}}]}}'.encode()
    location = {"Location": f"https://elsewhere.test/?t={TOKEN}", "Retry-After": TOKEN}
    return http_server(None, *(Reply(status, location, body) for status in (500, 403, 302, 400, 401)))


@pytest.mark.parametrize(("transport", "serve"), [("grpc", refused_by_grpc), ("https", refused_by_http)])
def test_no_log_no_error_and_no_repr_shows_it(
    transport: str,
    serve: Callable[[Authority], AbstractContextManager[GrpcServer | HttpServer]],
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Servers that send back what they got, one that is not there, one that resets, and one that works."""
    caplog.set_level(logging.DEBUG)
    texts: list[str] = []

    def deliver(port: int, bundle: Path | None = None, *, plaintext: bool = True) -> None:
        token = Token(TOKEN)
        upstream = settings(port, transport=transport, plaintext=plaintext, ca_bundle=bundle)
        destination = connect(upstream, "group", token)
        try:
            for _ in range(5):
                destination.send(batch(), PATIENCE)
        except DeliveryError as error:
            texts.extend(
                [str(error), repr(error), *traceback.format_exception(error), repr(error.__context__)]
            )
            texts.append(repr(vars(error)))
        finally:
            destination.close()
        texts.extend([repr(token), repr(destination), repr(upstream)])

    with serve(authority) as server:
        for _ in range(5):
            deliver(server.port)
    deliver(free_port())
    with tcp_server(reset) as port:
        deliver(port)
    with serving(transport, authority) as works:
        deliver(works.port, authority.bundle, plaintext=False)
        deliver(works.port, None, plaintext=False)
    shown = "\n".join(
        [*texts, caplog.text, *(repr(vars(one)) for one in caplog.records), *capfd.readouterr()]
    )
    assert "[token]" in shown  # the servers did send it back
    for form in FORMS:
        assert form.decode() not in shown


def test_grpc_itself_is_silent_even_when_asked_to_trace() -> None:
    """In a process of its own, because gRPC looks at its variables once; here, to a server that refuses."""
    program = (
        "import sys\n"
        "from sensor.config.texts import Address\n"
        "from sensor.config.upstream import UpstreamSettings\n"
        "from sensor.delivery.destination import Batch, Temporary\n"
        "from sensor.snyk.connect import connect\n"
        "from sensor.snyk.token import Token\n"
        "before = 'grpc' in sys.modules\n"
        "address = Address(sys.argv[1], int(sys.argv[2]))\n"
        "destination = connect(UpstreamSettings(address), 'group', Token(sys.argv[3]))\n"
        "assert 'grpc' not in sys.modules and not before and 'urllib3' not in sys.modules\n"
        "batch = Batch('id', 'sender', 0.0, None, None, (), ())\n"
        "for _ in range(2):\n"
        "    try:\n"
        "        destination.send(batch, 5)\n"
        "    except Temporary as error:\n"
        "        print(error.reason)\n"
        "destination.close()\n"
    )
    environment = {**os.environ, "GRPC_VERBOSITY": "DEBUG", "GRPC_TRACE": "all"}
    with http_server(None) as server:
        ran = subprocess.run(
            [sys.executable, "-c", program, HOST, str(server.port), TOKEN],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    assert ran.stdout.split() == ["no_tls", "no_tls"], ran.stderr
    assert ran.stderr == ""


def test_plaintext_is_warned_of_once_for_each_upstream(caplog: pytest.LogCaptureFixture) -> None:
    upstream = settings(free_port(), plaintext=True)
    destinations = [connect(upstream, group, Token(TOKEN)) for group in ("one", "two")]
    connect(settings(upstream.address.port), "three", Token(TOKEN)).close()
    for one in destinations:
        one.close()
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert f"--plaintext: the token and all reports go to {HOST}:{upstream.address.port}" in caplog.text
