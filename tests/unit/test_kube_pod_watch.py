"""Following pods: against a real server, with everything that goes wrong between."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sensor.kube.api_server import ApiServer, Limits
from sensor.kube.in_cluster import InCluster
from sensor.kube.pace import CUT_SPREAD, MOST, WATCH, Pace
from sensor.kube.pod_store import PodStore
from sensor.kube.pod_watch import REFUSALS, PodWatch
from tests.clock import PATIENCE, until
from tests.unit.kube_server import (
    NODE,
    TOKEN,
    Authority,
    KubeServer,
    kube_server,
    owned,
    pod_json,
    service_account,
)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


class Quick(Pace):
    """The waits are counted, and short."""

    def __init__(self) -> None:
        super().__init__(start_spread=0.0)
        self.failures = self.refusals = 0

    def failed(self, asked: float | None = None) -> float:
        self.failures += 1
        return 0.02

    def cut(self) -> float:
        return 0.02

    def forbidden(self) -> float:
        self.refusals += 1
        return 0.02


class Side:
    """The sensor's side of a test."""

    def __init__(self, folder: Path, server: KubeServer, authority: Authority, **options: Any) -> None:
        self.folder = folder
        environment = service_account(folder, server, authority)
        limits = options.pop("limits", None)
        self.api = ApiServer(InCluster(environment, folder), f"runtime-sensor/0 ({NODE})", limits=limits)
        self.changes: list[tuple[str, bool]] = []
        self.store = PodStore(options.pop("most", 1024), on_change=self._changed)
        self.pace = Quick()
        self.watch = PodWatch(self.api, self.store, options.pop("node", NODE), pace=self.pace)
        self.counters = self.api.counters

    def _changed(self, known: Any) -> None:
        self.changes.append((known.pod.name, known.gone_at is None))

    @property
    def names(self) -> list[str]:
        return sorted(known.pod.name for known in self.store.pods())


@contextmanager
def following(folder: Path, server: KubeServer, authority: Authority, **options: Any) -> Iterator[Side]:
    side = Side(folder, server, authority, **options)
    side.watch.start()
    try:
        yield side
    finally:
        side.watch.stop(PATIENCE)
        assert not side.watch.is_alive()
        side.api.close()


@pytest.fixture
def server(authority: Authority) -> Iterator[KubeServer]:
    with kube_server(authority) as running:
        running.put(pod_json("first"))
        yield running


@pytest.fixture
def side(tmp_path: Path, server: KubeServer, authority: Authority) -> Iterator[Side]:
    with following(tmp_path, server, authority) as running:
        until(server.watches)
        yield running


def test_lists_the_node_s_pods_from_the_cache_then_watches(side: Side, server: KubeServer) -> None:
    assert side.names == ["first"] and side.store.synced
    (listed,) = server.lists()
    assert listed.query == {"fieldSelector": f"spec.nodeName={NODE}", "resourceVersion": "0"}
    assert listed.headers["user-agent"] == "runtime-sensor/0 (node-1)"
    assert listed.headers["accept-encoding"] == "gzip"
    watched = server.watches()[0]
    assert watched.query["resourceVersion"] == "101"
    assert watched.query["allowWatchBookmarks"] == "true"
    assert watched.query["fieldSelector"] == f"spec.nodeName={NODE}"
    assert WATCH[0] - 1 <= int(watched.query["timeoutSeconds"]) <= WATCH[1]


def test_follows_changes(side: Side, server: KubeServer) -> None:
    server.put(pod_json("second"))
    server.put(pod_json("first", status__phase="Succeeded"))
    server.delete("uid-first")
    until(lambda: side.names == ["second"])
    assert side.changes == [("first", True), ("second", True), ("first", True), ("first", False)]
    assert len(server.lists()) == 1 and len(server.watches()) == 1
    late = side.store.by_container("uid-first")
    assert late is not None and late.gone_at is not None and late.pod.is_ended


def test_resumes_after_a_clean_end_from_the_last_bookmark(side: Side, server: KubeServer) -> None:
    server.bookmark()
    server.put(pod_json("second"))
    server.bookmark()
    until(lambda: side.names == ["first", "second"] and side.counters.events == 1)
    server.cut_all()
    until(lambda: len(server.watches()) == 2)
    assert server.watches()[1].query["resourceVersion"] == "104"
    server.put(pod_json("third"))
    until(lambda: side.names == ["first", "second", "third"])
    assert len(server.lists()) == 1


def test_silence_after_a_bookmark_ends_the_watch(
    side: Side, server: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.kube.pod_watch._BOOKMARKS_MISSING", 0.1)
    server.bookmark()
    until(lambda: len(server.watches()) == 2)
    assert server.watches()[1].query["resourceVersion"] == "102"


def test_cut_in_mid_object_resumes_without_a_list(side: Side, server: KubeServer) -> None:
    server.faults.cut = 150
    server.put(pod_json("second"))
    until(lambda: side.names == ["first", "second"])
    assert len(server.lists()) == 1 and side.counters.events == 1
    assert server.watches()[1].query["resourceVersion"] == "101"


def test_410_as_an_event_lists_again_and_forgets_what_is_gone(side: Side, server: KubeServer) -> None:
    server.cut_all()
    with server.changed:
        del server.pods["uid-first"]  # its deletion is not in the log any more
    server.expire()
    server.put(pod_json("second"))
    until(lambda: side.names == ["second"])
    assert ("first", False) in side.changes
    again = server.lists()[1]
    assert again.query["resourceVersion"] == "101"  # as new as what was seen, from the cache
    assert side.counters.relists >= 1


def test_410_as_a_status_lists_again(side: Side, server: KubeServer) -> None:
    server.faults.answers.append((410, {}, b'{"kind":"Status","code":410,"reason":"Gone"}'))
    server.cut_all()
    until(lambda: len(server.lists()) == 2)
    server.put(pod_json("second"))
    until(lambda: side.names == ["first", "second"])
    assert side.counters.requests["watch", "pods", "410"] == 1


def test_410_again_and_again_is_a_failure(side: Side, server: KubeServer) -> None:
    server.faults.answers += [(410, {}, b"")] * 4
    before = side.pace.failures
    server.cut_all()
    until(lambda: len(server.lists()) > 3 and side.names == ["first"])
    assert side.pace.failures - before >= 3


def test_a_version_of_the_future_is_not_insisted_on(side: Side, server: KubeServer) -> None:
    """etcd was restored from a backup: https://github.com/kubernetes/kubernetes/issues/91073"""
    said = b'{"kind":"Status","code":504,"message":"Too large resource version: 900, current: 100"}'
    server.faults.answers += [(410, {}, b""), (504, {"Retry-After": "1"}, said)]
    server.cut_all()
    until(lambda: len(server.lists()) == 3)
    assert [call.query["resourceVersion"] for call in server.lists()] == ["0", "101", "0"]


def test_all_pods_in_pages(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    for number in range(1001):
        server.put(pod_json(f"pod-{number}"))
    server.faults.expire_pages = 1
    with following(tmp_path, server, authority, node=None, most=5000) as side:
        until(lambda: side.store.synced)
        assert len(side.names) == 1002
        queries = [call.query for call in server.lists()]
        page, second, third = {"limit": "500"}, {"limit": "500", "continue": "500"}, {"continue": "1000"}
        assert queries == [page, second, page, second, page | third]
        until(server.watches)
        assert "fieldSelector" not in server.watches()[0].query


def test_a_token_that_expired_is_read_again(side: Side, server: KubeServer) -> None:
    server.tokens = {"renewed"}
    (side.folder / "token").write_text("renewed")
    server.cut_all()
    server.put(pod_json("second"))
    until(lambda: side.names == ["first", "second"])
    assert side.pace.failures <= 1


def test_a_refused_token_is_said_once_without_it(
    side: Side, server: KubeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.tokens = {"renewed"}
    server.cut_all()
    until(lambda: side.pace.failures > 3)
    (side.folder / "token").write_text("renewed")
    server.put(pod_json("second"))
    until(lambda: side.names == ["first", "second"])
    warnings = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert len(warnings) == 1 and "does not take the token" in warnings[0]
    assert "the API server answers again" in caplog.text
    assert TOKEN not in caplog.text


def test_without_rights_the_missing_rule_is_said_once(
    tmp_path: Path, server: KubeServer, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.forbidden = {"pods"}
    with following(tmp_path, server, authority) as side:
        until(lambda: side.pace.refusals > 3)
        assert not side.store.synced
        rule = '- {apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"]}'
        assert caplog.text.count(rule) == 1
        server.faults.forbidden.clear()
        until(lambda: side.store.synced)


def test_a_server_that_has_not_read_its_roles_yet_is_not_taken_at_its_word(
    side: Side, server: KubeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.answers = [(403, {}, b"")] * (REFUSALS - 1)
    server.cut_all()
    server.put(pod_json("second"))
    until(lambda: side.names == ["first", "second"])
    assert side.pace.refusals == 0 and "rule is missing" not in caplog.text


def test_a_server_that_goes_and_comes_back(
    tmp_path: Path, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with contextlib.ExitStack() as stack:
        with kube_server(authority) as before:
            before.put(pod_json("first"))
            side = stack.enter_context(following(tmp_path, before, authority))
            until(before.watches)
        until(lambda: side.pace.failures > 3)
        assert side.names == ["first"]
        after = stack.enter_context(kube_server(authority, port=before.port, like=before))
        after.put(pod_json("second"))
        until(lambda: side.names == ["first", "second"])
        assert not after.lists()
    texts = [one.getMessage() for one in caplog.records if one.name.startswith("sensor.kube")]
    assert len([text for text in texts if "refuses" in text]) == 1
    assert texts[-1] == "the API server answers again"


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"[]",
        b"null",
        b'{"type":"ADDED"}',
        b"[" * 100_000,
        b'{"type":"ERROR","object":null}',
        b'{"type":"ERROR","object":{"code":"x"}}',
        b"\xff\xfe\x00",
    ],
)
def test_garbage_in_a_watch_is_survived(
    tmp_path: Path, server: KubeServer, authority: Authority, line: bytes
) -> None:
    server.faults.lines = [line]
    with following(tmp_path, server, authority) as side:
        until(lambda: len(server.watches()) == 2)
        server.put(pod_json("second"))
        until(lambda: side.names == ["first", "second"])
        assert side.counters.failures == 0


def test_events_that_are_no_pods_are_counted(
    tmp_path: Path, server: KubeServer, authority: Authority
) -> None:
    server.faults.lines = [
        b'{"type":"ADDED","object":{"metadata":[]}}',
        b'{"type":[],"object":{"metadata":{"uid":"u","name":"n","namespace":"s"}}}',
        b"",
        b'{"type":"NEW","object":7}',
    ]
    with following(tmp_path, server, authority) as side:
        until(lambda: side.counters.dropped["pod"] == 2)
        server.put(pod_json("second"))
        until(lambda: side.names == ["first", "second"])
        assert len(server.watches()) == 1


def test_a_giant_line_is_left_out_and_made_up_for(side: Side, server: KubeServer) -> None:
    server.put(pod_json("giant", metadata__annotations={"a": "x" * (5 << 20)}))
    server.put(pod_json("second"))
    until(lambda: side.names == ["first", "second"])
    assert side.counters.dropped["line"] == 1
    server.cut_all()
    until(lambda: side.names == ["first", "giant", "second"])
    assert len(server.lists()) == 2


def test_a_list_that_drips_ends_in_time(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    server.faults.drip = 0.01
    with following(tmp_path, server, authority, limits=Limits(list=0.2, idle=0.1)) as side:
        until(lambda: side.pace.failures > 1)
        assert side.counters.requests["list", "pods", "timed_out"] > 1
        server.faults.drip = 0.0
        until(lambda: side.store.synced)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"items":[',
        b'{"items":[{"metadata":{}}]',
        b'{"items":{},"metadata":{"resourceVersion":7}}',
        b'{"items":[] "metadata"}',
        b"<html>login</html>",
        b'{"items":' + b"[" * 100_000,
        b'{"metadata":{"resourceVersion":"' + b"9" * 9_000_000,
    ],
)
def test_garbage_in_place_of_a_list_is_survived(
    tmp_path: Path, server: KubeServer, authority: Authority, body: bytes
) -> None:
    server.faults.answers = [(200, {}, body)]
    with following(tmp_path, server, authority) as side:
        until(lambda: side.store.synced)
        assert side.counters.requests["list", "pods", "malformed"] == 1
        assert side.names == ["first"] and side.counters.failures == 0


def test_stops_in_the_middle_of_a_watch(side: Side) -> None:
    side.watch.stop(PATIENCE)
    assert not side.watch.is_alive()


def test_pods_of_a_full_store_are_refused(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    server.put(pod_json("second"))
    with following(tmp_path, server, authority, most=1) as side:
        until(lambda: side.store.synced)
        assert len(side.store) == 1 and side.store.refused == 1


def test_owners_travel_with_the_pod(side: Side, server: KubeServer) -> None:
    references = [owned("X", "other", "u1", controller=False), owned("ReplicaSet", "web-5d", "u2")]
    server.put(pod_json("web-5d-x", metadata__ownerReferences=references))
    until(lambda: len(side.store) == 2)
    known = side.store.by_uid("uid-web-5d-x")
    assert known is not None and known.pod.owner is not None and known.pod.owner.uid == "u2"


def test_a_fleet_that_lost_the_server_together_comes_back_spread_and_in_time() -> None:
    paces = [Pace(random.Random(seed)) for seed in range(5000)]
    back = [pace.cut() for pace in paces]
    assert max(back) <= CUT_SPREAD
    busiest = max(len([one for one in back if tenth / 10 <= one < (tenth + 1) / 10]) for tenth in range(30))
    assert busiest < 250  # of 5,000 in any tenth of a second
    waits: list[float] = []
    for _ in range(10):
        waits = [pace.failed() for pace in paces]
        assert min(waits) > 0 and max(waits) <= MOST
    assert sorted(waits)[2500] == pytest.approx(MOST / 2, rel=0.1)
    assert max(pace.failed(3600) for pace in paces) <= MOST
    paces[0].succeeded()
    assert paces[0].failed() <= 1.0
    watches = [pace.watch() for pace in paces]
    assert WATCH[0] <= min(watches) < WATCH[0] + 10 and WATCH[1] - 10 < max(watches) <= WATCH[1]
    assert max(pace.start() for pace in paces) <= 2.0


def test_no_thread_is_left(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    with following(tmp_path, server, authority):
        pass
    assert "pods" not in {thread.name for thread in threading.enumerate()}
