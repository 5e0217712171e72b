"""The HTTPS client against real HTTP servers, and against sockets that misbehave."""

from __future__ import annotations

import email.utils
import gzip
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sensor.delivery.destination import (
    DeliveryError,
    Destination,
    Invalid,
    PermissionDenied,
    Temporary,
    TooLarge,
    Unauthenticated,
)
from sensor.model.container import Workload
from sensor.snyk.connect import connect
from sensor.snyk.https_client import _json
from sensor.snyk.https_form import runtime_results, workloads
from sensor.snyk.token import Token
from tests.clock import HANGS, LATE, PATIENCE, in_time
from tests.unit.batches import BATCHES
from tests.unit.reports import METADATA, report
from tests.unit.snyk_servers import (
    HOST,
    TOKEN,
    Authority,
    HttpServer,
    Reply,
    batch,
    http_server,
    reset,
    server_context,
    settings,
    tcp_server,
)

RESULTS = "/v2/kubernetes-upstream/api/v1/runtime-results?version=2023-02-10"
WORKLOAD = "/v2/kubernetes-upstream/api/v1/workload"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def plain(port: int, token: Token | None = None) -> Destination:
    return connect(settings(port, transport="https", plaintext=True), "integration", token or Token(TOKEN))


@contextmanager
def connected(*replies: Reply) -> Iterator[tuple[HttpServer, Destination]]:
    with http_server(None, *replies) as server:
        destination = plain(server.port)
        try:
            yield server, destination
        finally:
            destination.close()


def failure_of(destination: Destination, timeout: float = PATIENCE) -> DeliveryError:
    with pytest.raises(DeliveryError) as failed:
        destination.send(batch(), timeout)
    return failed.value


def answered(status: int, body: bytes = b"", **headers: str) -> DeliveryError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with connected(Reply(status, named, body)) as (_, destination):
        return failure_of(destination)


def of_workloads(*names: str) -> Any:
    states = tuple(
        replace(
            batch().states[0],
            key=name,
            report=report(metadata=replace(METADATA, workload=Workload("Deployment", name))),
        )
        for name in names
    )
    return replace(batch(), states=states)


def test_results_and_then_workloads_arrive_as_the_form_has_them(authority: Authority) -> None:
    sent = of_workloads("web", "worker")
    with http_server(authority.certificate()) as server:
        destination = connect(
            settings(server.port, transport="https", ca_bundle=authority.bundle),
            "integration",
            Token(TOKEN),
            "1.2.3",
        )
        receipt = destination.send(sent, PATIENCE)
        destination.close()
    assert [call.path for call in server.calls] == [RESULTS, WORKLOAD, WORKLOAD]
    assert server.calls[0].document == runtime_results(sent, sent.sender_id, "integration")
    assert [call.document for call in server.calls[1:]] == list(
        workloads(sent, sent.sender_id, "integration")
    )
    assert server.connections == 1
    assert receipt.sent_bytes == sum(len(call.body) for call in server.calls)
    for call in server.calls:
        assert call.headers["authorization"] == f"token {TOKEN}"
        assert call.headers["user-agent"] == "runtime-sensor/1.2.3"
        assert (
            call.headers["content-encoding"] == "gzip" and call.headers["content-type"] == "application/json"
        )
    for header in ("snyk-request-id", "idempotency-key"):
        assert len({uuid.UUID(call.headers[header]) for call in server.calls}) == 3


def test_a_further_try_goes_on_where_the_last_failed() -> None:
    sent = of_workloads("one", "two", "three")
    with connected(Reply(), Reply(), Reply(503), Reply()) as (server, destination):
        with pytest.raises(Temporary):
            destination.send(sent, PATIENCE)
        destination.send(sent, PATIENCE)
        destination.send(sent, PATIENCE)
    assert [call.path for call in server.calls] == [RESULTS, WORKLOAD, WORKLOAD, WORKLOAD, WORKLOAD]
    failed, again = server.calls[2:4]
    assert failed.document == again.document
    assert failed.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert failed.headers["snyk-request-id"] != again.headers["snyk-request-id"]


def test_the_next_batch_tells_its_packages_and_only_new_workloads() -> None:
    with connected() as (server, destination):
        destination.send(of_workloads("one"), PATIENCE)
        destination.send(replace(of_workloads("one", "two"), id="another"), PATIENCE)
    assert [call.path for call in server.calls] == [RESULTS, WORKLOAD, RESULTS, WORKLOAD]
    assert server.calls[3].document["workloadLocator"]["name"] == "two"


def test_a_list_of_what_runs_alone_is_nothing_to_send() -> None:
    with connected() as (server, destination):
        receipt = destination.send(batch(states=0, running=("a",)), PATIENCE)
    assert server.calls == [] and receipt.sent_bytes == 0


def test_of_packages_that_nobody_watches_no_result_is_sent() -> None:
    """An empty one would say that none is loaded; that the workload runs is said all the same."""
    with connected() as (server, destination):
        destination.send(BATCHES["cluster"], PATIENCE)
    assert [call.path for call in server.calls] == [WORKLOAD, WORKLOAD]


@pytest.mark.parametrize(
    ("status", "kind", "reason", "says"),
    [
        (302, Temporary, "http_302", "redirects to https://elsewhere.test/, which is not followed"),
        (308, Temporary, "http_308", "name that host in --upstream"),
        (304, Temporary, "http_3xx", "redirects to"),
        (400, Invalid, "http_400", "does not take these states"),
        (401, Unauthenticated, "http_401", "--token-file"),
        (402, Temporary, "http_4xx", "refuses requests, whatever is in them"),
        (403, PermissionDenied, "http_403", "lacks the permission 'AppRisk edit'"),
        (404, Temporary, "http_404", "is --upstream the host of Snyk's API"),
        (405, Temporary, "http_405", "is --upstream the host of Snyk's API"),
        (407, Temporary, "http_407", "HTTPS_PROXY"),
        (408, Temporary, "http_408", "tried again later"),
        (409, Temporary, "http_409", "refuses requests"),
        (413, TooLarge, "http_413", "larger than it takes"),
        (415, Temporary, "http_415", "nobody there takes runtime results"),
        (418, Temporary, "http_4xx", "refuses requests"),
        (422, Invalid, "http_422", "does not take these states"),
        (425, Temporary, "http_425", "tried again later"),
        (429, Temporary, "http_429", "tried again later"),
        (500, Temporary, "http_500", "look at its log"),
        (501, Temporary, "http_501", "nobody there takes runtime results"),
        (502, Temporary, "http_502", "look at its log"),
        (503, Temporary, "http_503", "look at its log"),
        (504, Temporary, "http_504", "look at its log"),
        (599, Temporary, "http_5xx", "look at its log"),
        (999, Temporary, "http_9xx", "look at its log"),
    ],
)
def test_statuses(status: int, kind: type[DeliveryError], reason: str, says: str) -> None:
    error = answered(status, Location="https://elsewhere.test/")
    assert type(error) is kind and error.reason == reason
    assert says in str(error) and f"it answered {status}" in str(error)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_all_of_the_class_2xx_is_success(status: int) -> None:
    with connected(Reply(status, body=b"")) as (server, destination):
        destination.send(batch(), PATIENCE)
    assert len(server.calls) == 2


def test_redirects_are_not_followed() -> None:
    with (
        http_server() as other,
        connected(Reply(307, {"Location": f"http://{HOST}:{other.port}/"})) as (_, here),
    ):
        failure_of(here)
    assert other.calls == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("99999999999999999999", 3600.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("²", None),
        (email.utils.formatdate(1_700_000_030, usegmt=True), 30.0),
        (email.utils.formatdate(1_800_000_000, usegmt=True), 3600.0),
        (email.utils.formatdate(1_600_000_000, usegmt=True), 0.0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(status: int, header: str, seconds: float | None) -> None:
    """A date is taken by the server's own clock, so that ours may be years off."""
    date = email.utils.formatdate(1_700_000_000, usegmt=True)
    error = answered(status, Retry_After=header.encode().decode("latin-1"), Date=date)
    assert isinstance(error, Temporary) and error.retry_after == seconds


def test_retry_after_without_the_servers_clock() -> None:
    in_a_minute = email.utils.formatdate(time.time() + 60, usegmt=True)
    error = answered(503, Retry_After=in_a_minute, Date="nonsense")
    assert isinstance(error, Temporary) and error.retry_after == pytest.approx(60, abs=LATE)


@pytest.mark.parametrize(
    ("body", "permission", "says"),
    [
        ({"errors": [{"detail": "no", "meta": {"permission": "Publish it"}}]}, "Publish it", "403 no)"),
        ({"errors": [7, {"title": "a"}, {"meta": {"permission": "B"}}]}, "B", "403 a)"),
        ({"errors": [{"meta": {"permission": 5}}, {"meta": []}]}, "AppRisk edit", "403)"),
        ({"errors": "x"}, "AppRisk edit", "403)"),
        ({"message": "not you"}, "AppRisk edit", "403 not you)"),
        ([], "AppRisk edit", "403)"),
    ],
)
def test_the_missing_permission_is_said(body: Any, permission: str, says: str) -> None:
    error = answered(403, json.dumps(body).encode())
    assert isinstance(error, PermissionDenied) and error.permission == permission
    assert f"lacks the permission {permission!r}" in str(error) and str(error).endswith(says)


def test_what_the_server_says_is_one_short_line() -> None:
    error = answered(500, b"<html>\r\n\x1b[2J" + b"x" * 60_000 + b"\xff")
    assert len(str(error)) < 500 and str(error).isprintable()


def test_json_as_deep_as_it_is_long_is_a_text() -> None:
    assert answered(400, b"[" * 60_000).reason == "http_400"


def test_400_from_a_port_for_tls_is_not_the_batchs_fault() -> None:
    error = answered(400, b"Client sent an HTTP request to an HTTPS server.\n")
    assert type(error) is Temporary and "leave out --plaintext" in str(error)


def test_the_clock_is_compared(caplog: pytest.LogCaptureFixture) -> None:
    theirs = email.utils.formatdate(time.time() - 172_800, usegmt=True)
    with connected(Reply(headers={"Date": theirs})) as (_, destination):
        receipt = destination.send(batch(), PATIENCE)
    assert receipt.clock_ahead == pytest.approx(172_800, abs=PATIENCE)
    assert "this node's clock is 2.0 days ahead of" in caplog.text


def test_no_clock_or_nonsense_is_no_clock() -> None:
    with connected(Reply(headers={"Date": "yesterday"})) as (_, destination):
        assert destination.send(batch(), PATIENCE).clock_ahead is None


def test_an_answer_is_read_up_to_a_bound() -> None:
    with connected(Reply(body=b"x" * (1 << 20))) as (server, destination):
        destination.send(batch(), PATIENCE)
    assert len(server.calls) == 2 and server.connections == 2  # what was not read cannot be used again


def test_a_compressed_answer_is_not_unpacked() -> None:
    bomb = gzip.compress(b"0" * (64 << 20))
    error = answered(500, bomb[:60_000], Content_Encoding="gzip")
    assert len(str(error)) < 500


def misbehaving(handle: Callable[[socket.socket], None], timeout: float = LATE / 2) -> DeliveryError:
    with tcp_server(handle) as port:
        destination = plain(port)
        with in_time():
            error = failure_of(destination, timeout)
        destination.close()
    return error


def read_request(connection: socket.socket) -> None:
    with connection.makefile("rb") as stream:
        length = 0
        while (line := stream.readline()).strip():
            name, _, value = line.lower().partition(b":")
            length = int(value) if name == b"content-length" else length
        if not line or len(stream.read(length)) < length:
            raise ConnectionError("the client hung up")


def drip(text: bytes) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.settimeout(0.01)
        for byte in text:
            connection.sendall(bytes((byte,)))
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    return handle


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 3_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b"x" * 3_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 600,
    ],
    ids=["head", "body", "chunks"],
)
def test_a_slow_drip_ends_in_time(text: bytes) -> None:
    error = misbehaving(drip(text), 0.4)
    assert isinstance(error, Temporary) and error.reason == "timed_out"


def test_a_slow_drip_over_tls_ends_in_time(authority: Authority) -> None:
    context = server_context(authority.certificate())

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 3_000)(secured)

    with tcp_server(handle) as port:
        destination = connect(
            settings(port, transport="https", ca_bundle=authority.bundle), "integration", Token(TOKEN)
        )
        with in_time():
            assert failure_of(destination, 0.4).reason == "timed_out"
        destination.close()


def test_a_server_that_reads_nothing_ends_in_time() -> None:
    done = threading.Event()
    big = of_workloads(*(uuid.uuid4().hex * 7 for _ in range(10_000)))

    def ignore(_: socket.socket) -> None:
        done.wait(HANGS)

    with tcp_server(ignore) as port:
        destination = plain(port)
        with in_time(), pytest.raises(Temporary, match="did not answer in time"):
            destination.send(big, 1.0)
        done.set()
        destination.close()


def half(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")


def silent(connection: socket.socket) -> None:
    read_request(connection)


def gibberish(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")


@pytest.mark.parametrize(
    ("handle", "reason", "says"),
    [
        (reset, "reset", "the connection was cut"),
        (silent, "reset", "the connection was cut"),
        (half, "cut", "its answer broke off in the middle"),
        (gibberish, "no_http", "its answer is no HTTP: look at --upstream"),
    ],
)
def test_an_answer_that_is_none(handle: Callable[[socket.socket], None], reason: str, says: str) -> None:
    error = misbehaving(handle)
    assert type(error) is Temporary and error.reason == reason and says in str(error)


def test_a_half_answer_is_not_a_receipt() -> None:
    """The status came, the body did not: whether the batch is stored is not known, and it is sent again."""
    calls: list[int] = []

    def handle(connection: socket.socket) -> None:
        calls.append(1)
        if len(calls) == 1:
            half(connection)
        else:
            read_request(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with tcp_server(handle) as port:
        destination = plain(port)
        assert failure_of(destination).reason == "cut"
        destination.send(batch(), PATIENCE)
        destination.close()
    assert len(calls) == 3


def test_it_connects_again_when_the_server_closed_the_connection() -> None:
    with connected(Reply(headers={"Connection": "close"})) as (server, destination):
        destination.send(of_workloads("one", "two"), PATIENCE)
    assert server.connections == 3


def test_an_authority_that_is_put_into_the_bundle_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path), Authority(tmp_path / "new")
    with http_server(new.certificate()) as server:
        destination = connect(
            settings(server.port, transport="https", ca_bundle=old.bundle), "integration", Token(TOKEN)
        )
        assert failure_of(destination).reason == "unknown_authority"
        old.bundle.write_bytes(new.bundle.read_bytes())
        destination.send(batch(), PATIENCE)
        destination.close()


def test_an_authority_that_is_taken_out_of_the_bundle_is_not_trusted_any_more(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path), Authority(tmp_path / "new")
    with http_server(old.certificate()) as server:
        destination = connect(
            settings(server.port, transport="https", ca_bundle=old.bundle), "integration", Token(TOKEN)
        )
        destination.send(batch(), PATIENCE)
        old.bundle.write_bytes(new.bundle.read_bytes())
        with pytest.raises(Temporary, match="an authority that is not trusted here"):
            destination.send(batch(batch_id="another"), PATIENCE)
        destination.close()


def test_a_token_that_changes_is_used_and_told(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("token-one")
    with http_server() as server:
        destination = plain(server.port, Token(file=path))
        assert not destination.credentials_changed()
        destination.send(batch(), PATIENCE)
        path.write_text("token-two")
        assert destination.credentials_changed()
        destination.send(batch(batch_id="another"), PATIENCE)
        assert not destination.credentials_changed()
        destination.close()
    assert [call.headers["authorization"] for call in server.calls][::2] == [
        "token token-one",
        "token token-two",
    ]


def test_a_host_that_can_be_none_is_temporary() -> None:
    upstream = settings(0, transport="https", plaintext=True)
    for host in ("a" * 64 + ".test", "bad..name.test"):
        destination = connect(replace(upstream, address=type(upstream.address)(host, 1)), "g", Token(TOKEN))
        assert isinstance(failure_of(destination), Temporary)
        destination.close()


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        [{}],
        {"a": [], "b": None, 'é"': [[1], 2.5, True]},
        {"data": [{"packages": [{"name": str(number)} for number in range(size)]} for size in (1, 0, 600)]},
    ],
)
def test_json_in_pieces_is_the_same_json(value: object) -> None:
    assert _json(value) == json.dumps(value, separators=(",", ":"))
