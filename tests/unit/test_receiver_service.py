"""The receiver as a process: its gRPC service, tokens, faults, TLS, its start and its end."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from sensor.snyk.proto.v1 import reports_pb2 as pb
from sensor.snyk.proto.v1.reports_pb2_grpc import RuntimeReportsStub
from tests.clock import PATIENCE, in_time, until
from tests.receiver_process import Receiver, free_ports
from tests.unit.receiver_reports import container, package, request

METHOD = "/runtimesensor.reports.v1.RuntimeReports/Report"
TOKENS = {
    "tokens": [
        {"token": "all", "permissions": ["AppRisk edit", "control", "view"]},
        {"token": "viewer", "permissions": ["view"]},
        {"token": "shop", "permissions": ["AppRisk edit"], "groups": ["shop"]},
    ]
}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.json"
    tokens.write_text(json.dumps(TOKENS))
    with Receiver(tokens=tokens) as running:
        yield running


@contextlib.contextmanager
def _stub(
    receiver: Receiver, credentials: grpc.ChannelCredentials | None = None
) -> Iterator[RuntimeReportsStub]:
    options = [("grpc.initial_reconnect_backoff_ms", 50), ("grpc.use_local_subchannel_pool", 1)]
    if credentials is None:
        channel = grpc.insecure_channel(receiver.grpc_address, options)
    else:
        channel = grpc.secure_channel(receiver.grpc_address, credentials, options)
    with channel:
        yield RuntimeReportsStub(channel)


def _report(
    stub: RuntimeReportsStub, message: pb.ReportRequest, token: str | None = "all", timeout: float = PATIENCE
) -> pb.ReportResponse:
    metadata = () if token is None else (("authorization", f"token {token}"),)
    return stub.Report(message, metadata=metadata, timeout=timeout)


def _failure(raised: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str, list[Any]]:
    call: Any = raised.value  # a grpc.Call as well
    status = rpc_status.from_call(call)
    details = []
    for detail in status.details if status else ():
        message = getattr(error_details_pb2, detail.type_url.rpartition(".")[2])()
        assert detail.Unpack(message)
        details.append(message)
    return call.code(), call.details() or "", details


def _keys(receiver: Receiver) -> set[str]:
    return {row["key"] for row in receiver.containers()}


def test_what_is_answered_is_stored_even_if_it_is_killed(tmp_path: Path) -> None:
    with Receiver(tmp_path) as receiver, _stub(receiver) as stub:
        for number in range(20):
            _report(stub, request(container(f"c{number}", [0]), packages=[package("a")]), receiver.token)
        receiver.kill()
        assert _keys(receiver) == {f"c{number}" for number in range(20)}
        receiver.restart()
        message = request(container("after"))
        metadata = (("authorization", f"token {receiver.token}"),)
        stub.Report(message, metadata=metadata, wait_for_ready=True, timeout=PATIENCE)
        assert "after" in _keys(receiver)


@pytest.mark.parametrize("token", [None, "wrong", "", "ALL"])
def test_who_is_not_known(receiver: Receiver, token: str | None) -> None:
    with _stub(receiver) as stub, pytest.raises(grpc.RpcError) as raised:
        _report(stub, request(container("never")), token)
    code, _, [info] = _failure(raised)
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert (info.reason, info.domain) == ("TOKEN_UNKNOWN", "runtime-sensor")
    assert "never" not in _keys(receiver)


@pytest.mark.parametrize(("token", "group"), [("viewer", "group"), ("shop", "group")])
def test_who_may_not(receiver: Receiver, token: str, group: str) -> None:
    with _stub(receiver) as stub, pytest.raises(grpc.RpcError) as raised:
        _report(stub, request(container("never"), group_id=group), token)
    code, text, [info] = _failure(raised)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert (info.reason, info.metadata["permission"]) == ("PERMISSION_MISSING", "AppRisk edit")
    assert "AppRisk edit" in text
    assert "never" not in _keys(receiver)


def test_a_token_is_good_for_its_groups(receiver: Receiver) -> None:
    with _stub(receiver) as stub:
        assert _report(stub, request(container("in-shop"), group_id="shop"), "shop").accepted == 1


def test_a_wrong_field_is_named(receiver: Receiver) -> None:
    with _stub(receiver) as stub, pytest.raises(grpc.RpcError) as raised:
        _report(stub, request(batch_id="no"))
    code, _, [bad] = _failure(raised)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert [one.field for one in bad.field_violations] == ["batch_id"]


def _send(receiver: Receiver, content: bytes, compression: grpc.Compression) -> None:
    with grpc.insecure_channel(receiver.grpc_address) as channel:
        call = channel.unary_unary(METHOD, lambda sent: sent, lambda answer: answer)
        call(content, metadata=(("authorization", "token all"),), timeout=PATIENCE, compression=compression)


def test_bytes_that_are_no_message_are_an_invalid_argument(receiver: Receiver) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _send(receiver, b"\xff\xff", grpc.Compression.NoCompression)
    assert _failure(raised)[0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_what_is_too_large_is_told_so_without_retry_info(
    receiver: Receiver, compression: grpc.Compression
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        _send(receiver, bytes(5 << 20), compression)
    code, _, details = _failure(raised)
    assert (code, details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, [])


def test_a_compressed_batch_is_taken(receiver: Receiver) -> None:
    with _stub(receiver) as stub:
        message = request(container("gzip"))
        metadata = (("authorization", "Bearer all"),)
        gzip = grpc.Compression.Gzip
        assert stub.Report(message, metadata=metadata, timeout=PATIENCE, compression=gzip).accepted == 1


def test_tokens_are_read_again_when_they_change(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    tokens.write_text(json.dumps(TOKENS))
    with Receiver(tokens=tokens) as receiver, _stub(receiver) as stub:
        _report(stub, request(container("c1")))
        tokens.write_text('{"tokens": [')  # half-written: those of before hold
        until(lambda: _accepts(stub, "all") and "expected" in receiver.log())
        assert _accepts(stub, "all")
        other = json.dumps(TOKENS).replace('"all"', '"another"')
        (tmp_path / "new").write_text(other)
        os.replace(tmp_path / "new", tokens)
        until(lambda: _accepts(stub, "another"))
        with pytest.raises(grpc.RpcError):
            _report(stub, request(container("c3")), "all")
        assert "another" not in receiver.log()


def _accepts(stub: RuntimeReportsStub, token: str) -> bool:
    try:
        return _report(stub, request(container("c4")), token).accepted == 1
    except grpc.RpcError:
        return False


def _rule(fault: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"match": {"path": "/"}, "times": 1, "fault": fault, **more}


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL", "UNAUTHENTICATED"])
def test_a_code_that_was_asked_for(receiver: Receiver, code: str) -> None:
    receiver.faults([_rule({"grpc_code": code}, retry_info_s=2.5)])
    with _stub(receiver) as stub:
        with pytest.raises(grpc.RpcError) as raised:
            _report(stub, request(container(f"fault-{code}")))
        found, _, [retry] = _failure(raised)
        assert (found.name, retry.retry_delay.ToMilliseconds()) == (code, 2_500)
        assert f"fault-{code}" not in _keys(receiver)
        assert _report(stub, request(container("next"))).accepted == 1


@pytest.mark.parametrize(("cut", "stored"), [("before", False), ("after", True), ("half", True)])
def test_a_connection_that_is_cut(receiver: Receiver, cut: str, stored: bool) -> None:
    receiver.faults([_rule({"cut": cut})])
    with _stub(receiver) as stub:
        with pytest.raises(grpc.RpcError) as raised:
            _report(stub, request(container(f"cut-{cut}")))
        code, text, _ = _failure(raised)
        assert code is grpc.StatusCode.UNAVAILABLE
        assert "cut, as asked for" not in text  # no answer, but the end of the connection
        assert (f"cut-{cut}" in _keys(receiver)) is stored
        until(lambda: _accepts(stub, "all"))


def test_answers_that_are_late_or_drip(receiver: Receiver) -> None:
    receiver.faults([_rule({"latency_ms": 300}), _rule({"drip_bytes_per_s": 30})])
    with _stub(receiver) as stub:
        for _ in range(2):
            start = time.monotonic()
            with in_time():
                _report(stub, request(container("slow")))
            assert time.monotonic() - start > 0.25
        _report(stub, request(container("slow")))
    _, listed = receiver.call("GET", "/control/faults")
    assert [fault["struck"] for fault in json.loads(listed)] == [1, 1]


def test_faults_strike_the_token_they_are_for_and_do_not_show_it(receiver: Receiver) -> None:
    receiver.faults([{"match": {"token": "shop"}, "fault": {"grpc_code": "ABORTED"}, "times": None}])
    with _stub(receiver) as stub:
        assert _report(stub, request(container("all"))).accepted == 1
        for _ in range(2):
            with pytest.raises(grpc.RpcError):
                _report(stub, request(container("x"), group_id="shop"), "shop")
    _, listed = receiver.call("GET", "/control/faults")
    assert b"shop" not in listed and json.loads(listed)[0]["struck"] == 2
    assert receiver.call("DELETE", "/control/faults")[0] == 204


@pytest.mark.parametrize(
    "rules",
    [
        {},
        [1],
        [{"fault": {"cut": "sideways"}}],
        [{"fault": {"grpc_code": "OK"}}],
        [{"fault": {"status": "503"}}],
        [{"fault": {"headers": {"a": "b\r\nc: d"}}}],
        [{"match": {"path": 1}}],
        [{"times": 0}],
        [{"fault": {"latency_ms": -1}}],
        [{"what": 1}],
    ],
)
def test_rules_that_are_wrong_change_nothing(receiver: Receiver, rules: Any) -> None:
    receiver.faults([_rule({"status": 503, "headers": {}})])
    status, body = receiver.call("PUT", "/control/faults", json.dumps(rules).encode())
    assert status == 400 and b"expected" in body
    assert len(json.loads(receiver.call("GET", "/control/faults")[1])) == 1
    receiver.faults([])


def test_tls_for_both_and_nothing_without_it(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert.pem", append=True)
    with Receiver(
        tmp_path / "data",
        certificate=tmp_path / "cert.pem",
        key=tmp_path / "key.pem",
        authority=tmp_path / "ca.pem",
    ) as receiver:
        credentials = grpc.ssl_channel_credentials((tmp_path / "ca.pem").read_bytes())
        with _stub(receiver, credentials) as stub:
            assert _report(stub, request(container("c1")), receiver.token).accepted == 1
            receiver.faults([_rule({"cut": "after"})])
            with pytest.raises(grpc.RpcError):
                _report(stub, request(container("c2")), receiver.token)
            assert _keys(receiver) == {"c1", "c2"}
        with _stub(receiver) as plain, pytest.raises(grpc.RpcError):
            _report(plain, request(container("c3")), receiver.token)


def test_it_ends_soon_though_connections_are_open(tmp_path: Path) -> None:
    with Receiver(tmp_path) as receiver, _stub(receiver) as stub:
        _report(stub, request(container("c1")), receiver.token)
        address = "127.0.0.1", receiver.http_port
        with socket.create_connection(address) as idle, socket.create_connection(address) as page:
            idle.send(b"GET /healthz HTTP/1.1\r\n")
            page.send(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert page.recv(4096).startswith(b"HTTP/1.1 200")
            with in_time():
                assert receiver.stop() == 0


def test_its_own_token_is_for_its_owner_alone_and_in_no_log(tmp_path: Path) -> None:
    with Receiver(tmp_path) as receiver:
        assert receiver.token_file.stat().st_mode & 0o777 == 0o600
        assert len(receiver.token) >= 32
        assert receiver.token not in receiver.log() and str(receiver.token_file) in receiver.log()
        first = receiver.token
        receiver.restart()
        assert receiver.token == first


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sensor.cli", "receiver", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_what_keeps_it_from_starting_is_said(tmp_path: Path) -> None:
    free, taken = free_ports(2)
    with socket.create_server(("127.0.0.1", taken)):
        for option, other in (("--grpc-address", "--http-address"), ("--http-address", "--grpc-address")):
            addresses = option, f"127.0.0.1:{taken}", other, f"127.0.0.1:{free}"
            ended = _run("--data-dir", str(tmp_path), *addresses)
            assert ended.returncode == 1 and option in ended.stderr and str(taken) in ended.stderr
    (tmp_path / "cert.pem").write_text("nothing")
    ended = _run(
        *("--data-dir", str(tmp_path), "--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
        *("--tls-certificate", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "cert.pem")),
    )
    assert ended.returncode == 1 and "expected a PEM chain" in ended.stderr
    (tmp_path / "receiver.db").write_bytes(b"no database at all" * 100)
    ended = _run("--data-dir", str(tmp_path))
    assert ended.returncode == 1 and "damaged" in ended.stderr


def test_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    with Receiver(tmp_path):
        ended = _run(
            *("--data-dir", str(tmp_path)),
            *("--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0"),
        )
    assert ended.returncode == 1 and "another receiver" in ended.stderr


def test_it_says_where_it_listens_and_warns_without_tls(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sensor.cli", "receiver", "--data-dir", str(tmp_path)]
    command += ["--grpc-address", "0.0.0.0:0", "--http-address", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGINT)
        log = process.stderr.read()
    assert process.returncode == 0
    assert lines[0].startswith("receiver: gRPC on 0.0.0.0:") and not lines[0].endswith(":0\n")
    assert lines[1].startswith("receiver: page and REST on http://127.0.0.1:")
    assert log.count("without TLS") == 1 and "0.0.0.0" in log


def test_gzip_is_known(receiver: Receiver) -> None:
    body, headers = gzip.compress(b"[]"), {"Content-Encoding": "gzip"}
    assert receiver.call("PUT", "/control/faults", body, headers)[0] == 200
