"""The pods that are known: bounds, late look-ups, who is told."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from sensor.kube.pod_store import KnownPod, PodStore
from sensor.model.container import Image
from sensor.model.pod import Pod, PodContainer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def a_pod(name: str, *ids: str, **fields: Any) -> Pod:
    containers = tuple(PodContainer(f"c-{one}", Image("x"), id=one) for one in ids)
    return Pod(uid=f"uid-{name}", namespace="shop", name=name, containers=containers, **fields)


def name_of(known: KnownPod | None) -> str | None:
    return known.pod.name if known else None


def test_finds_by_uid_static_uid_and_container(clock: Clock) -> None:
    store = PodStore(clock=clock)
    store.put(a_pod("web", "3f"))
    store.put(a_pod("etcd", "4a", is_mirror=True, static_uid="b5f1"))
    assert name_of(store.by_uid("uid-web")) == "web"
    assert name_of(store.by_uid("b5f1")) == name_of(store.by_uid("uid-etcd")) == "etcd"
    assert name_of(store.by_container("4a")) == "etcd"
    assert store.by_uid("none") is None and store.by_container("none") is None


def test_what_is_gone_is_found_for_a_while(clock: Clock) -> None:
    store = PodStore(clock=clock)
    store.put(a_pod("etcd", "4a", static_uid="b5f1"))
    store.remove("uid-etcd")
    assert store.pods() == () and len(store) == 0
    for known in (store.by_uid("uid-etcd"), store.by_uid("b5f1"), store.by_container("4a")):
        assert known is not None and known.gone_at == 1000.0
    clock.now += 120.0
    assert store.by_uid("uid-etcd") is store.by_uid("b5f1") is store.by_container("4a") is None


def test_a_restarted_container_is_found_by_its_old_id(clock: Clock) -> None:
    store = PodStore(clock=clock)
    store.put(a_pod("web", "old"))
    store.put(a_pod("web", "new"))
    known = store.by_container("old")
    assert known is not None and known.gone_at is None and known.pod.containers[0].id == "old"
    assert name_of(store.by_container("new")) == "web"
    clock.now += 120.0
    assert store.by_container("old") is None


def test_a_new_mirror_of_the_same_static_pod_outlives_the_old_one() -> None:
    store = PodStore()
    store.put(a_pod("etcd", "4a", static_uid="b5f1"))
    store.put(replace(a_pod("etcd", "4a", static_uid="b5f1"), uid="second"))
    store.keep_only({"second"})
    for known in (store.by_uid("b5f1"), store.by_container("4a")):
        assert known is not None and known.pod.uid == "second" and known.gone_at is None


def test_tells_changes_only_and_outside_the_lock() -> None:
    told: list[tuple[str, bool]] = []

    def on_change(known: KnownPod) -> None:
        assert store.by_uid(known.pod.uid) is not None  # would hang inside the lock
        told.append((known.pod.name, known.gone_at is None))

    store = PodStore(on_change=on_change)
    store.put(a_pod("web"))
    store.put(a_pod("web"))
    store.put(a_pod("web", "3f"))
    store.remove("uid-web")
    store.remove("uid-web")
    assert told == [("web", True), ("web", True), ("web", False)]


def test_a_defect_of_who_is_told_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    def on_change(_: KnownPod) -> None:
        raise RuntimeError("a defect")

    store = PodStore(on_change=on_change)
    store.put(a_pod("web"))
    assert store.failures == 1 and len(store) == 1 and "a defect" in caplog.text


def test_full_ended_pods_yield_then_new_ones_are_refused() -> None:
    store = PodStore(2)
    store.put(a_pod("job", "1", is_ended=True))
    store.put(a_pod("web", "2"))
    store.put(a_pod("late", "3"))
    assert store.by_uid("uid-job") is None and store.by_container("1") is None and store.refused == 0
    store.put(a_pod("more"))
    store.put(a_pod("another-job", is_ended=True))
    assert len(store) == 2 and store.refused == 2
    store.put(a_pod("web", "4"))  # what is known may change
    assert name_of(store.by_container("4")) == "web"


def test_an_ended_pod_that_is_gone_is_no_room() -> None:
    store = PodStore(1)
    store.put(a_pod("job", is_ended=True))
    store.remove("uid-job")
    store.put(a_pod("web"))
    store.put(a_pod("late"))
    assert [known.pod.name for known in store.pods()] == ["web"] and store.refused == 1


def test_what_is_gone_is_bounded() -> None:
    store = PodStore(10)
    for number in range(1000):
        store.put(a_pod(f"p{number}", f"c{number}"))
        store.remove(f"uid-p{number}")
    assert store.by_uid("uid-p999") and not store.by_uid("uid-p900")


def test_a_whole_list_forgets_the_others() -> None:
    store = PodStore()
    for name in ("one", "two"):
        store.put(a_pod(name))
    store.keep_only({"uid-two"})
    assert store.synced
    assert store.updated_at == pytest.approx(time.time(), abs=60)
    assert [known.pod.name for known in store.pods()] == ["two"]
