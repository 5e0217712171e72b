"""Requests that are not well formed: told so, field by field, and never a crash."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensor.receiver import report_form
from sensor.receiver.ingest import Transaction, store_report
from sensor.receiver.report_form import MAX_TEXT, Malformed, TooLarge
from sensor.snyk.proto.v1 import reports_pb2 as pb
from tests.unit.receiver_reports import container, package, request
from tests.unit.test_receiver_ingest import Database


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"batch_id": ""}, "batch_id"),
        ({"batch_id": "1111"}, "batch_id"),
        ({"sender_id": "11111111-1111-4111-8111-11111111111A"}, "sender_id"),
        ({"sent_at_ms": -1}, "sent_at_ms"),
        ({"sent_at_ms": 1 << 62}, "sent_at_ms"),
        ({"cluster": "c" * (MAX_TEXT + 1)}, "cluster"),
        ({"snapshot": pb.Snapshot(observed_at_ms=1 << 60)}, "snapshot.observed_at_ms"),
    ],
)
def test_a_request_that_is_wrong_as_a_whole(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as raised:
        report_form.read(request(**fields).SerializeToString())
    assert raised.value.field == field


@pytest.mark.parametrize("content", [b"\xff", b"\x0a\xff", b"\x0a\x02\xff\xfe", b"\x4a\x05abc"])
def test_bytes_that_are_no_request(content: bytes) -> None:
    with pytest.raises(Malformed):
        report_form.read(content)


def test_a_request_that_is_too_large() -> None:
    with pytest.raises(TooLarge, match="4,194,304"):
        report_form.read(b"\0" * (report_form.MAX_BYTES + 1))


def _index(state: pb.ContainerState) -> None:
    state.packages[0].package = 7


def _no_evidence(state: pb.ContainerState) -> None:
    state.packages[0].evidence = pb.EVIDENCE_UNSPECIFIED


def _unknown_evidence(state: pb.ContainerState) -> None:
    state.packages[0].MergeFromString(b"\x10\x09")


def _long_path(state: pb.ContainerState) -> None:
    state.packages[0].path = "/" * (MAX_TEXT + 1)


def _late(state: pb.ContainerState) -> None:
    state.packages[0].last_seen_ms = 1 << 62


def _nameless_package(state: pb.ContainerState) -> None:
    state.packages[0].package = 1


WRONG_STATES: dict[str, pb.ContainerState | Callable[[pb.ContainerState], None]] = {
    "container_id": container("", [0]),
    "coverage": container("c2", [0], coverage=pb.COVERAGE_UNSPECIFIED),
    "generation": container("c2", [0], generation=1 << 63),
    "observed_at_ms": container("c2", [0], at_ms=-1),
    "text": container("c2", [0], pod_name="p" * (MAX_TEXT + 1)),
    "index 7": _index,
    "evidence: found none": _no_evidence,
    "evidence: found 9": _unknown_evidence,
    "path": _long_path,
    "last_seen_ms": _late,
    "package 1": _nameless_package,
}


@pytest.mark.parametrize("reason", WRONG_STATES)
def test_a_wrong_state_is_rejected_and_the_others_are_taken(tmp_path: Path, reason: str) -> None:
    wrong = WRONG_STATES[reason]
    if isinstance(wrong, pb.ContainerState):
        state = wrong
    else:
        state = container("c2", [0])
        wrong(state)
    database = Database(tmp_path / "r.db")
    try:
        message = request(container("c1", [0]), state, packages=[package("a"), pb.Package()])
        answer = database.report(message)
        assert [(one.container, reason in one.reason) for one in answer.rejected] == [(1, True)]
        assert answer.accepted == 1
        assert database.all("SELECT key FROM container") == [("c1",)]
    finally:
        database.connection.close()


def test_a_state_of_bytes_that_are_no_text_is_rejected_alone(tmp_path: Path) -> None:
    whole = request(container("c1"), container("c\u00e92")).SerializeToString()
    database = Database(tmp_path / "r.db")
    try:
        report = report_form.read(whole.replace("c\u00e92".encode(), b"c\xff\xfe2"))
        assert [position for position, _ in report.rejected] == [1]
        assert [state.key for state in report.states] == ["c1"]
    finally:
        database.connection.close()


def test_no_bytes_crash_it(tmp_path: Path) -> None:
    database = Database(tmp_path / "r.db")
    chance = random.Random(3)
    message = request(container("c1", [0, 1]), container("c2", [1]), packages=[package("a"), package("b")])
    whole = message.SerializeToString()
    told = 0
    try:
        for _ in range(1_500):
            content = bytearray(whole)
            for _ in range(chance.randrange(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
            try:
                report = report_form.read(bytes(content[: chance.randrange(1, len(content) + 1)]))
            except (Malformed, TooLarge):
                told += 1
                continue
            store_report(Transaction(database.connection, database.packages, 1.0), report)
    finally:
        database.connection.close()
    assert 0 < told < 1_500


def test_more_packages_than_there_can_be_are_too_large() -> None:
    content = request(container("c1")).SerializeToString() + b"\x42\x00" * 100_001
    with pytest.raises(TooLarge, match="100,001 packages"):
        report_form.read(content)


@pytest.mark.parametrize("loaded", [[0], [0, 0]])
def test_an_evidence_below_nothing_is_rejected_however_often_it_is_listed(
    tmp_path: Path, loaded: list[int]
) -> None:
    state = container("c1", loaded)
    for one in state.packages:
        one.evidence = -3  # type: ignore[assignment]
    answer = _answer(tmp_path, request(state, packages=[package("x")]))
    assert "evidence" in answer.rejected[0].reason


def test_an_id_that_the_database_would_cut_is_rejected(tmp_path: Path) -> None:
    assert "NUL" in _answer(tmp_path, request(container("a\0b"))).rejected[0].reason


def _answer(tmp_path: Path, message: pb.ReportRequest) -> pb.ReportResponse:
    database = Database(tmp_path / "receiver.db")
    with contextlib.closing(database.connection):
        return database.report(message)
