"""The gRPC client against real gRPC servers."""

from __future__ import annotations

import socket
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2 as details

from sensor.delivery.destination import (
    DeliveryError,
    Destination,
    Invalid,
    PermissionDenied,
    Rejection,
    Temporary,
    TooLarge,
    Unauthenticated,
)
from sensor.snyk.connect import connect
from sensor.snyk.proto.v1 import reports_pb2 as wire
from sensor.snyk.token import Token
from tests.clock import HANGS, PATIENCE, in_time
from tests.unit.reports import report, use
from tests.unit.snyk_servers import (
    HOST,
    TOKEN,
    Authority,
    GrpcServer,
    batch,
    grpc_server,
    join,
    refuse,
    settings,
    tcp_server,
)

RETRY = details.RetryInfo(retry_delay=duration_pb2.Duration(seconds=7, nanos=500_000_000))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def connected(server: GrpcServer, **changes: Any) -> Iterator[Destination]:
    """A running server without TLS, which has tests of its own, and a destination there."""
    with grpc_server(server):
        destination = connect(settings(server.port, plaintext=True, **changes), "group", Token(TOKEN))
        try:
            yield destination
        finally:
            destination.close()


def failure_of(destination: Destination, timeout: float = PATIENCE, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as failed:
        destination.send(batch(**changes), timeout)
    return failed.value


def refused_with(code: str, message: str = "no", *more: Any) -> DeliveryError:
    with connected(GrpcServer(act=refuse(grpc.StatusCode[code], message, *more))) as destination:
        return failure_of(destination)


def test_a_batch_arrives_with_what_the_protocol_asks_for(authority: Authority) -> None:
    with grpc_server(GrpcServer(), authority.certificate()) as server:
        destination = connect(
            settings(server.port, ca_bundle=authority.bundle), "group-1", Token(TOKEN), "1.2.3"
        )
        receipts = [destination.send(batch(states=3), PATIENCE) for _ in range(2)]
        destination.close()
    first, second = server.calls
    assert first.request.batch_id == batch().id and len(first.request.containers) == 3
    assert (first.request.group_id, first.request.sensor_version) == ("group-1", "1.2.3")
    assert first.metadata["authorization"] == f"token {TOKEN}"
    assert first.metadata["idempotency-key"] == second.metadata["idempotency-key"] == batch().id
    assert uuid.UUID(first.metadata["snyk-request-id"]) != uuid.UUID(second.metadata["snyk-request-id"])
    assert first.metadata["user-agent"].startswith("runtime-sensor/1.2.3 ")
    assert receipts[0].rejected == () and receipts[0].clock_ahead is None


def test_what_goes_over_the_wire_is_compressed_and_counted() -> None:
    """Through a relay that counts: all bytes but those of the message are few."""
    passed = bytearray()
    with grpc_server(GrpcServer()) as server:

        def relay(connection: socket.socket) -> None:
            with socket.create_connection((HOST, server.port)) as onward:
                join(connection, onward, passed)

        with tcp_server(relay) as port:
            destination = connect(settings(port, plaintext=True), "group", Token(TOKEN))
            big = replace(
                batch(), states=tuple(replace(batch().states[0], report=report(*many())) for _ in range(2))
            )
            receipt = destination.send(big, PATIENCE)
            destination.close()
    request = server.calls[0].request.SerializeToString()
    assert receipt.sent_bytes < len(request) / 4
    assert receipt.sent_bytes == pytest.approx(len(zlib.compress(request)), rel=0.01)
    assert receipt.sent_bytes <= len(passed) <= receipt.sent_bytes + 2000


def many() -> list[Any]:
    return [use(f"package-{number}") for number in range(800)]


def test_the_answer_becomes_a_receipt() -> None:
    answer = wire.ReportResponse(
        accepted=1,
        received_at_ms=int((time.time() - 172_800) * 1000),
        rejected=[
            wire.Rejection(container=1, reason=f"no\nimage {TOKEN} " + "x" * 1000),
            wire.Rejection(container=1, reason="twice"),
            wire.Rejection(container=2),
            wire.Rejection(container=3, reason="there is no such state"),
            wire.Rejection(container=4_000_000_000, reason="nor this"),
        ],
    )
    with connected(GrpcServer(answer)) as destination:
        receipt = destination.send(batch(states=3), PATIENCE)
    first, second = receipt.rejected
    assert first.index == 1 and first.reason.startswith("no image [token] x") and len(first.reason) == 200
    assert second == Rejection(2, "no reason given")
    assert receipt.clock_ahead == pytest.approx(172_800, abs=PATIENCE)


def test_a_clock_two_days_off_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    answer = wire.ReportResponse(received_at_ms=int((time.time() + 172_800) * 1000))
    with connected(GrpcServer(answer)) as destination:
        for _ in range(2):
            destination.send(batch(), PATIENCE)
    said = [one.getMessage() for one in caplog.records if "clock" in one.getMessage()]
    assert len(said) == 1 and "this node's clock is 2.0 days behind" in said[0] and "NTP" in said[0]


TEMPORARY = {
    "CANCELLED": "server's log",
    "UNKNOWN": "server's log",
    "DEADLINE_EXCEEDED": "did not answer in time",
    "NOT_FOUND": "look at --group-id",
    "FAILED_PRECONDITION": "look at --group-id",
    "ABORTED": "tried again",
    "UNIMPLEMENTED": "is --upstream the gRPC address",
    "INTERNAL": "server's log",
    "UNAVAILABLE": "tried again",
    "DATA_LOSS": "server's log",
}


@pytest.mark.parametrize("code", TEMPORARY)
def test_what_is_not_the_batchs_fault_is_temporary(code: str) -> None:
    error = refused_with(code, "because of the moon")
    assert type(error) is Temporary and error.reason == code.lower() and error.retry_after is None
    assert TEMPORARY[code] in str(error) and "it said: because of the moon" in str(error)


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "ALREADY_EXISTS"])
def test_what_is_the_batchs_fault_is_invalid(code: str) -> None:
    violation = details.BadRequest.FieldViolation(field="containers[0].image", description="is empty")
    error = refused_with(code, "bad", details.BadRequest(field_violations=[violation]))
    assert type(error) is Invalid and error.reason == code.lower()
    assert "containers[0].image: is empty" in str(error)


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("OUT_OF_RANGE", "5,000 containers, expected at most 1,000", TooLarge),
        ("RESOURCE_EXHAUSTED", "Received message larger than max (5 vs. 4)", TooLarge),
        ("RESOURCE_EXHAUSTED", "", TooLarge),
        ("RESOURCE_EXHAUSTED", "too many generations, separate them", TooLarge),
        ("RESOURCE_EXHAUSTED", "rate-limited: 60 per minute", Temporary),
        ("RESOURCE_EXHAUSTED", "Rate limit reached", Temporary),
        ("RESOURCE_EXHAUSTED", "quota of this token", Temporary),
    ],
)
def test_too_large_or_too_often(code: str, message: str, kind: type[DeliveryError]) -> None:
    error = refused_with(code, message)
    assert type(error) is kind and error.reason == code.lower()


def test_the_token() -> None:
    unknown = refused_with("UNAUTHENTICATED")
    assert type(unknown) is Unauthenticated and "--token-file" in str(unknown)
    error = details.ErrorInfo(
        reason="PERMISSION_MISSING", domain="runtime-sensor", metadata={"permission": "Publish it"}
    )
    denied = refused_with("PERMISSION_DENIED", "no", error)
    assert isinstance(denied, PermissionDenied) and denied.permission == "Publish it"
    assert "lacks the permission 'Publish it'" in str(denied)
    denied = refused_with("PERMISSION_DENIED")
    assert isinstance(denied, PermissionDenied) and denied.permission == "AppRisk edit"


def test_every_code_has_a_test() -> None:
    here = {*TEMPORARY, "INVALID_ARGUMENT", "ALREADY_EXISTS", "OUT_OF_RANGE", "RESOURCE_EXHAUSTED"}
    here |= {"UNAUTHENTICATED", "PERMISSION_DENIED", "OK"}
    assert here == {code.name for code in grpc.StatusCode}


@pytest.mark.parametrize(
    "code", [code.name for code in grpc.StatusCode if code.name not in ("OK", "UNAUTHENTICATED")]
)
def test_retry_info_is_honoured_on_any_code(code: str) -> None:
    error = refused_with(code, "too large", RETRY)
    if code == "PERMISSION_DENIED":  # another try with the same token is for nothing
        assert type(error) is PermissionDenied
    else:
        assert type(error) is Temporary and error.retry_after == 7.5


@pytest.mark.parametrize(("seconds", "taken"), [(10**9, 3600.0), (-5, 0.0)])
def test_retry_info_is_bounded(seconds: int, taken: float) -> None:
    far = details.RetryInfo(retry_delay=duration_pb2.Duration(seconds=seconds))
    error = refused_with("UNAVAILABLE", "later", far)
    assert isinstance(error, Temporary) and error.retry_after == taken


def test_details_that_are_none_are_ignored() -> None:
    def act(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff\xff"),))
        context.abort(grpc.StatusCode.ABORTED, "garbage follows")

    with connected(GrpcServer(act=act)) as destination:
        assert failure_of(destination).reason == "aborted"


def test_a_batch_over_the_services_limit_is_not_sent() -> None:
    huge = tuple(use(f"{number:05}" + "x" * 1000) for number in range(2000))
    state = replace(batch().states[0], report=report(*huge))
    with (
        connected(GrpcServer()) as destination,
        pytest.raises(TooLarge, match="expected at most 4,194,304") as failed,
    ):
        destination.send(replace(batch(), states=(state,)), PATIENCE)
    assert failed.value.reason == "too_large"


class Nonsense(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Answers every method with bytes that are no message."""

    def service(self, handler_call_details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: b"\xff\xff")


@pytest.mark.parametrize(
    ("handlers", "reason", "says"),
    [
        ([Nonsense], "malformed_answer", "its answer is no ReportResponse: is --upstream the address"),
        ([], "unimplemented", "nobody there takes runtime reports: is --upstream the gRPC address"),
    ],
)
def test_another_service_is_a_wrong_address(handlers: list[type[Nonsense]], reason: str, says: str) -> None:
    with futures.ThreadPoolExecutor(1) as pool:
        server = grpc.server(pool, handlers=[one() for one in handlers])
        port = server.add_insecure_port(f"{HOST}:0")
        server.start()
        destination = connect(settings(port, plaintext=True), "group", Token(TOKEN))
        error = failure_of(destination)
        destination.close()
        server.stop(0).wait()
    assert type(error) is Temporary and error.reason == reason and says in str(error)


def test_a_call_ends_in_time_and_says_so() -> None:
    release = threading.Event()

    def hang(_: grpc.ServicerContext) -> None:
        release.wait(HANGS)

    with connected(GrpcServer(act=hang)) as destination:
        with in_time():
            error = failure_of(destination, timeout=0.4)
        release.set()
    assert isinstance(error, Temporary)
    assert "did not answer in time" in str(error)


def test_nobody_who_answers_the_connection_is_in_time_too() -> None:
    with socket.create_server((HOST, 0), backlog=1) as silent:
        destination = connect(settings(silent.getsockname()[1]), "group", Token(TOKEN))
        with in_time():  # a stall may leave no time to find out why, so there are some tries
            assert "timed_out" in (failure_of(destination, timeout=0.4).reason for _ in range(5))
        destination.close()


def test_it_connects_again_at_once_when_the_server_is_back(authority: Authority) -> None:
    with grpc_server(GrpcServer(), authority.certificate()) as server:
        destination = connect(settings(server.port, ca_bundle=authority.bundle), "group", Token(TOKEN))
        destination.send(batch(), PATIENCE)
    for _ in range(5):  # gRPC's own back-off would have grown to seconds by then
        assert failure_of(destination).reason == "refused"
    with grpc_server(GrpcServer(), authority.certificate(), server.port), in_time():
        destination.send(batch(), PATIENCE)
    destination.close()


def test_an_authority_that_is_put_into_the_bundle_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path), Authority(tmp_path / "new")
    with grpc_server(GrpcServer(), new.certificate()) as server:
        destination = connect(settings(server.port, ca_bundle=old.bundle), "group", Token(TOKEN))
        assert failure_of(destination).reason == "unknown_authority"
        old.bundle.write_bytes(new.bundle.read_bytes())
        destination.send(batch(), PATIENCE)
        destination.close()


def test_an_authority_that_is_taken_out_of_the_bundle_is_not_trusted_any_more(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path), Authority(tmp_path / "new")
    with grpc_server(GrpcServer(), old.certificate()) as server:
        destination = connect(settings(server.port, ca_bundle=old.bundle), "group", Token(TOKEN))
        destination.send(batch(), PATIENCE)
        old.bundle.write_bytes(new.bundle.read_bytes())
        assert failure_of(destination).reason == "unknown_authority"
        destination.close()


def test_destinations_of_one_upstream_share_a_connection(authority: Authority) -> None:
    peers: set[str] = set()
    server = GrpcServer(act=lambda context: peers.add(context.peer()))
    with grpc_server(server, authority.certificate()):
        upstream = settings(server.port, ca_bundle=authority.bundle)
        one, other = (connect(upstream, group, Token(f"token-of-{group}")) for group in ("one", "other"))
        one.send(batch(), PATIENCE)
        one.close()
        one.close()
        other.send(batch(), PATIENCE)
        other.close()
    assert len(peers) == 1
    assert [call.metadata["authorization"] for call in server.calls] == [
        "token token-of-one",
        "token token-of-other",
    ]
    assert [call.request.group_id for call in server.calls] == ["one", "other"]


def test_a_failure_of_one_destination_does_not_cut_the_call_of_another() -> None:
    entered, release = threading.Event(), threading.Event()

    def act(context: grpc.ServicerContext) -> None:
        if dict(context.invocation_metadata())["authorization"] == "token slow":
            entered.set()
            release.wait(HANGS)
        else:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not you")

    server = GrpcServer(act=act)
    outcome: list[Any] = []
    with grpc_server(server):
        upstream = settings(server.port, plaintext=True)
        slow, other = connect(upstream, "g", Token("slow")), connect(upstream, "g", Token("other"))
        thread = threading.Thread(target=lambda: outcome.append(slow.send(batch(), PATIENCE)))
        thread.start()
        assert entered.wait(PATIENCE)
        failure_of(other)
        release.set()
        thread.join()
        for one in (slow, other):
            one.close()
    assert len(outcome) == 1


def test_a_token_that_changes_is_used_and_told(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("token-one")
    server = GrpcServer()
    with grpc_server(server):
        token = Token(file=path)
        destination = connect(settings(server.port, plaintext=True), "group", token)
        assert not destination.credentials_changed()
        destination.send(batch(), PATIENCE)
        assert not destination.credentials_changed()
        path.write_text("token-two")
        assert destination.credentials_changed()
        destination.send(batch(), PATIENCE)
        assert not destination.credentials_changed()
        destination.close()
    assert [call.metadata["authorization"] for call in server.calls] == ["token token-one", "token token-two"]


def test_a_snapshot_without_states_is_a_batch_like_any_other() -> None:
    with connected(server := GrpcServer()) as destination:
        destination.send(batch(states=0, running=("a", "b")), PATIENCE)
    assert list(server.calls[0].request.snapshot.running_container_ids) == ["a", "b"]
