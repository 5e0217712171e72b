"""Which state holds, what ends, what is kept once: with a real database."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sensor.receiver import packages as packages_room
from sensor.receiver import report_form
from sensor.receiver.expiry import Expiry
from sensor.receiver.ingest import TOLERANCE, Transaction, store_report
from sensor.receiver.packages import Packages
from sensor.receiver.store import Store, connect
from sensor.snyk.proto.v1 import reports_pb2 as pb
from tests.unit.receiver_reports import OTHER_SENDER, container, now_ms, package, request


class Database:
    """What the writer does, in this thread."""

    def __init__(self, path: Path) -> None:
        Store(path).close()
        self.connection = connect(path)
        self.connection.row_factory = None
        self.packages = Packages()

    def report(self, message: pb.ReportRequest, at: float | None = None) -> pb.ReportResponse:
        report = report_form.read(message.SerializeToString())
        transaction = Transaction(self.connection, self.packages, time.time() if at is None else at)
        return pb.ReportResponse.FromString(store_report(transaction, report))

    def all(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, parameters).fetchall()

    def one(self, column: str, key: str = "c1") -> Any:
        [(value,)] = self.all(f"SELECT {column} FROM container WHERE key = ?", (key,))
        return value

    def loaded(self, key: str = "c1") -> set[str]:
        rows = self.all(
            "SELECT name FROM container JOIN member USING (package_set)"
            " JOIN package ON package.id = member.package WHERE key = ?",
            (key,),
        )
        return {row[0] for row in rows}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "receiver.db")
    with contextlib.closing(database.connection):
        yield database


TWO = (package("requests"), package("flask"))


def test_everything_of_a_state_is_kept(database: Database) -> None:
    answer = database.report(
        request(
            container(
                "c1",
                [1, 0],
                at_ms=5_000,
                ended_at_ms=6_000,
                coverage=pb.COVERAGE_PARTIAL,
                coverage_reasons=["events_lost", "unasked"],
                runtime="containerd",
                namespace="shop",
                workload_kind="Deployment",
                workload_name="orders",
                pod_name="orders-0",
                pod_uid="u",
                container_name="app",
                image_name="acme/orders:1",
                image_digest="sha256:1",
            ),
            packages=TWO,
        )
    )
    assert (answer.accepted, list(answer.rejected)) == (1, [])
    columns = (
        "group_id, cluster, key, source, container_id, runtime, node, namespace, workload_kind,"
        " workload_name, pod_name, pod_uid, container_name, image_name, image_digest, coverage,"
        " coverage_reasons, first_seen, observed_at, ended_at"
    )
    assert database.all(f"SELECT {columns} FROM container") == [
        (
            *("group", "prod", "c1", "grpc", "c1", "containerd", "node-1", "shop", "Deployment", "orders"),
            *("orders-0", "u", "app", "acme/orders:1", "sha256:1"),
            *("partial", "events_lost unasked", 1.0, 5.0, 6.0),
        )
    ]
    rows = database.all(
        "SELECT name, evidence, path FROM member JOIN package ON id = package ORDER BY package"
    )
    times = list(struct.iter_unpack("<2q", database.one("package_times")))
    assert sorted(zip(rows, times, strict=True)) == [
        (("flask", "opened", "/app/1"), (1_001, 2_001)),
        (("requests", "opened", "/app/0"), (1_000, 2_000)),
    ]


def test_a_batch_that_comes_again_gets_the_same_answer_and_changes_nothing(database: Database) -> None:
    message = request(container("c1", [0]), container("", [0]), packages=TWO)
    first = database.report(message)
    before = database.all("SELECT * FROM container")
    assert database.report(message, at=time.time() + 60) == first
    assert database.all("SELECT * FROM container") == before
    assert [(one.container, "container_id" in one.reason) for one in first.rejected] == [(1, True)]


def test_a_state_replaces_the_one_before_packages_included(database: Database) -> None:
    database.report(request(container("c1", [0, 1]), packages=TWO))
    database.report(request(container("c1", [1], generation=2), packages=TWO))
    assert database.loaded() == {"flask"}


def test_an_older_generation_is_counted_and_ignored(database: Database) -> None:
    database.report(request(container("c1", [0, 1], generation=5), packages=TWO))
    answer = database.report(request(container("c1", [0], generation=4), packages=TWO))
    assert answer.accepted == 1
    assert database.loaded() == {"requests", "flask"}


def test_the_same_state_again_touches_only_when_it_was_received(database: Database) -> None:
    state = container("c1", [0], at_ms=now_ms() - 5_000)
    database.report(request(state, packages=TWO))
    columns = [row[1] for row in database.all("PRAGMA table_info(container)") if row[1] != "received_at"]
    before = database.all(f"SELECT {', '.join(columns)} FROM container")
    later = time.time() + 3600
    database.report(request(state, packages=TWO), at=later)
    assert database.all(f"SELECT {', '.join(columns)} FROM container") == before
    assert database.one("received_at") == later


def test_changed_at_moves_only_when_something_did(database: Database) -> None:
    database.report(request(container("c1", [0]), packages=TWO), at=100.0)
    database.report(request(container("c1", [0], generation=2), packages=TWO), at=200.0)
    assert (database.one("changed_at"), database.one("received_at")) == (100.0, 200.0)
    database.report(request(container("c1", [0, 1], generation=3), packages=TWO), at=300.0)
    assert database.one("changed_at") == 300.0
    database.report(request(container("c1", [0, 1], generation=4, pod_name="p"), packages=TWO), at=400.0)
    assert database.one("changed_at") == 400.0


def test_the_last_of_several_states_in_one_batch_holds(database: Database) -> None:
    states = [container("c1", [0], generation=g) for g in (2, 3, 1)]
    states[1].packages.add(package=1, evidence=3)
    assert database.report(request(*states, packages=TWO)).accepted == 3
    assert (database.one("generation"), database.loaded()) == (3, {"requests", "flask"})


def test_a_state_that_is_rejected_does_not_keep_out_another_of_its_container(database: Database) -> None:
    states = [container("c1", [9], generation=g) for g in (1, 3)]
    states.insert(1, container("c1", [0], generation=2))
    answer = database.report(request(*states, packages=[package("a")]))
    assert (answer.accepted, [one.container for one in answer.rejected]) == (1, [0, 2])
    assert (database.one("generation"), database.loaded()) == (2, {"a"})


def test_a_fresh_sender_replaces_whatever_its_generation(database: Database) -> None:
    database.report(request(container("c1", [0, 1], generation=70), packages=TWO))
    database.report(request(container("c1", [0]), packages=TWO, sender_id=OTHER_SENDER))
    assert (database.loaded(), database.one("generation")) == ({"requests"}, 1)


@pytest.mark.parametrize("clock_off", [0, 2 * 86_400_000, -2 * 86_400_000])
def test_what_another_sender_observed_long_before_is_ignored_whatever_its_clock(
    database: Database, clock_off: int
) -> None:
    now = now_ms()
    database.report(request(container("c1", [0, 1], at_ms=now), packages=TWO, sent_at_ms=now))
    late = now + clock_off
    for age, replaces in ((TOLERANCE + 60, False), (TOLERANCE - 60, True)):
        state = container("c1", [0], generation=9, at_ms=late - round(age * 1000))
        database.report(request(state, packages=TWO, sender_id=OTHER_SENDER, sent_at_ms=late))
        assert (database.loaded() == {"requests"}) is replaces


def test_containers_of_other_clusters_groups_and_host_nodes_are_their_own(database: Database) -> None:
    for fields in ({}, {"cluster": "test"}, {"group_id": "other"}):
        database.report(request(container("c1", [0]), packages=TWO, **fields))
    for node in ("a", "b"):
        database.report(request(container("host", [0]), packages=TWO, node=node))
    assert database.all("SELECT count(*) FROM container WHERE key = 'c1'") == [(3,)]
    assert database.all("SELECT key FROM container WHERE container_id = 'host' ORDER BY key") == [
        ("host/a",),
        ("host/b",),
    ]


def snapshot(*running: str, node: str = "node-1", at_ms: int | None = None) -> pb.Snapshot:
    return pb.Snapshot(
        observed_at_ms=now_ms() if at_ms is None else at_ms, node=node, running_container_ids=running
    )


def test_what_a_snapshot_does_not_list_has_ended(database: Database) -> None:
    at = now_ms()
    database.report(request(container("c1", at_ms=at - 9_000), container("c2", at_ms=at - 9_000)))
    database.report(request(container("c3", at_ms=at - 9_000, node="node-2")))
    database.report(request(container("c4", at_ms=at - 9_000), cluster="test"))
    database.report(request(snapshot=snapshot("c1", at_ms=at)))
    ended = database.all("SELECT key, ended_at FROM container ORDER BY key")
    assert ended == [("c1", None), ("c2", at / 1000), ("c3", None), ("c4", None)]


def test_a_snapshot_of_the_cluster_ends_on_all_nodes(database: Database) -> None:
    watched: dict[str, Any] = {"coverage": pb.COVERAGE_PARTIAL, "coverage_reasons": ["packages_not_watched"]}
    database.report(request(container("c1", node="a", **watched), container("c2", node="b", **watched)))
    database.report(request(container("c3", node="a")))  # by the sensor of that node, which ends it itself
    database.report(request(snapshot=snapshot("c2", node="", at_ms=now_ms() + 1)))
    assert database.one("ended_at") is not None
    assert database.one("ended_at", "c2") is None and database.one("ended_at", "c3") is None


def test_a_snapshot_knows_the_node_itself_as_host(database: Database) -> None:
    database.report(request(container("host")))
    database.report(request(snapshot=snapshot("host", at_ms=now_ms() + 1)))
    assert database.one("ended_at", "host/node-1") is None


def test_a_snapshot_does_not_end_what_was_observed_after_it(database: Database) -> None:
    at = now_ms()
    database.report(request(container("c1", at_ms=at), sent_at_ms=at))
    database.report(request(container("c2", at_ms=at), sent_at_ms=at, sender_id=OTHER_SENDER))
    database.report(request(snapshot=snapshot(at_ms=at - 30_000), sent_at_ms=at))
    assert database.all("SELECT count(*) FROM container WHERE ended_at IS NULL") == [(2,)]


def test_what_a_snapshot_ended_runs_again_when_its_sender_says_so_later(database: Database) -> None:
    at = now_ms()
    state = container("c1", [0], at_ms=at)
    database.report(request(state, packages=TWO, sent_at_ms=at))
    database.report(request(snapshot=snapshot(at_ms=at + 10), sent_at_ms=at + 10))
    assert database.one("ended_at") is not None
    database.report(request(state, packages=TWO, sent_at_ms=at + 5))  # sent before that snapshot
    assert database.one("ended_at") is not None
    database.report(request(state, packages=TWO, sent_at_ms=at + 20))
    assert database.one("ended_at") is None


def test_an_end_stays_when_the_same_state_comes_again(database: Database) -> None:
    state = container("c1", ended_at_ms=now_ms())
    database.report(request(state))
    database.report(request(state, sent_at_ms=now_ms() + 60_000))
    assert database.one("ended_at") is not None


def test_what_is_loaded_alike_is_kept_once(database: Database) -> None:
    database.report(request(container("c1", [0, 1]), container("c2", [1, 0]), packages=TWO))
    turned = [package("other"), package("flask"), package("requests")]
    states = container("c3", [2, 1]), container("c4", [0])
    states[0].packages[0].path, states[0].packages[1].path = "/app/0", "/app/1"
    database.report(request(*states, packages=turned))
    assert database.all("SELECT count(*), count(DISTINCT package_set) FROM container") == [(4, 2)]
    assert database.all("SELECT count(*) FROM package") == [(3,)]
    first, last = struct.unpack("<4q", database.one("package_times", "c3"))[:2]
    assert (first, last) == (1_002, 2_002)  # requests has the lower id, whatever the order it was sent in


def test_a_package_listed_twice_is_one_with_the_strongest_evidence(database: Database) -> None:
    state = container("c1", [0, 1])
    state.packages[0].evidence = pb.EVIDENCE_BUNDLED
    state.packages[1].evidence = pb.EVIDENCE_MAPPED
    database.report(request(state, packages=[package("flask"), package("flask")]))
    assert database.all("SELECT evidence, path FROM member") == [("mapped", "/app/1")]
    assert struct.unpack("<2q", database.one("package_times")) == (1_000, 2_001)


def test_packages_without_versions_are_kept_once(database: Database) -> None:
    bare = pb.Package(ecosystem="npm", name="a", purl="pkg:npm/a", snyk_type="npm", snyk_name="a")
    database.report(request(container("c1", [0]), packages=[bare]))
    database.packages.forget()
    database.report(request(container("c2", [0]), packages=[bare]))
    assert database.all("SELECT version, snyk_version FROM package") == [(None, None)]


def test_what_is_remembered_of_a_write_that_was_undone_is_forgotten(tmp_path: Path) -> None:
    async def main() -> None:
        packages = Packages()
        store = Store(tmp_path / "r.db", on_undone=packages.forget)
        store.start()
        report = report_form.read(request(container("c1", [0]), packages=TWO).SerializeToString())

        def store_it(connection: sqlite3.Connection) -> bytes:
            return store_report(Transaction(connection, packages, time.time()), report)

        def store_and_fail(connection: sqlite3.Connection) -> bytes:
            store_it(connection)
            raise ArithmeticError

        with contextlib.closing(store):
            with pytest.raises(ArithmeticError):
                await store.write(store_and_fail)
            await store.write(store_it)
            assert await store.read(
                lambda connection: connection.execute(
                    "SELECT count(*) FROM container JOIN member USING (package_set)"
                    " JOIN package ON package.id = package"
                ).fetchone()
            ) == (1,)

    asyncio.run(main())


def test_what_nobody_reports_any_more_expires_with_what_only_it_used(tmp_path: Path) -> None:
    async def main() -> None:
        now, packages = 1_000_000.0, Packages()
        store = Store(tmp_path / "r.db")
        store.start()

        async def report(
            at: float, *containers: pb.ContainerState, packages_sent: Sequence[pb.Package]
        ) -> None:
            read = report_form.read(request(*containers, packages=packages_sent).SerializeToString())
            await store.write(lambda connection: store_report(Transaction(connection, packages, at), read))

        def count(connection: sqlite3.Connection) -> dict[str, int]:
            return {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in ("container", "package_set", "member", "package", "batch")
            }

        with contextlib.closing(store):
            await report(now - 101, container("c1", [0, 1]), packages_sent=TWO)
            await report(now - 99, container("c2", [0]), packages_sent=TWO)
            expiry = Expiry(store, packages, 100.0, clock=lambda: now)
            await expiry.sweep()
            assert await store.read(count) == {
                "container": 1,
                "package_set": 1,
                "member": 1,
                "package": 1,
                "batch": 1,
            }
            # The ids that became free are given again; nothing may still be remembered under them.
            await report(now, container("c3", [0]), packages_sent=[package("numpy")])
            await report(now, container("c4", [1]), packages_sent=TWO)
            rows = await store.read(
                lambda connection: connection.execute(
                    "SELECT key, name FROM container JOIN member USING (package_set)"
                    " JOIN package ON package.id = package ORDER BY key"
                ).fetchall()
            )
            assert rows == [("c2", "requests"), ("c3", "numpy"), ("c4", "flask")]

    asyncio.run(main())


def test_what_is_remembered_is_bounded_by_bytes(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages_room, "_KNOWN_BYTES", 20_000)
    monkeypatch.setattr(packages_room, "_KNOWN_MEMBERS", 100)
    database.packages = Packages()
    for number in range(30):
        state = container(f"c{number}", [0])
        state.packages[0].path = f"/{number}/" + "p" * 4000
        database.report(request(state, packages=[package(f"{number}" + "n" * 4000)]))
    known = database.packages
    assert sum(map(len, known._packages)) < 40_000
    assert len(known._sets) == 3
    assert database.all("SELECT count(*) FROM package") == [(30,)]
