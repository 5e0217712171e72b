"""Owners are asked for beside the thread that names containers, a few at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

import pytest

from sensor.kube.owners import Owners
from sensor.model.container import Workload
from sensor.model.pod import Pod
from sensor.node.enrichment import owner_requests
from sensor.node.enrichment.owner_requests import AT_ONCE, OwnerRequests
from tests.clock import PATIENCE, until


class Slow:
    """Owners of an API server that answers when it is told to."""

    def __init__(self) -> None:
        self.answer = threading.Event()
        self.asked: list[str] = []
        self.found: Workload | None = Workload("Deployment", "web")

    def workload(self, pod: Pod) -> Workload | None:
        self.asked.append(pod.uid)
        if pod.uid == "defect":
            raise RuntimeError
        self.answer.wait(PATIENCE)
        return self.found


class Asking:
    def __init__(self) -> None:
        self.owners = Slow()
        self.known: list[str] = []
        self.requests = OwnerRequests(cast("Owners", self.owners), lambda pod: self.known.append(pod.uid))


@pytest.fixture
def asking() -> Iterator[Asking]:
    made = Asking()
    yield made
    made.owners.answer.set()
    made.requests.stop(PATIENCE)


def a_pod(uid: str) -> Pod:
    return Pod(uid, "shop", uid)


def test_who_asks_does_not_wait_and_is_told(asking: Asking) -> None:
    asking.requests.start()
    for number in range(8):
        asking.requests.ask(a_pod(str(number)))
    until(lambda: len(asking.owners.asked) == AT_ONCE)
    assert asking.known == []
    asking.owners.answer.set()
    until(lambda: sorted(asking.known) == [str(number) for number in range(8)])


def test_a_pod_waits_once(asking: Asking) -> None:
    for _ in range(3):
        asking.requests.ask(a_pod("web"))
    asking.owners.answer.set()
    asking.requests.start()
    until(lambda: asking.known == ["web"])
    assert asking.owners.asked == ["web"]
    asking.requests.ask(a_pod("web"))
    until(lambda: asking.known == ["web", "web"])


def test_nobody_is_told_where_the_server_does_not_answer(asking: Asking) -> None:
    asking.owners.found = None
    asking.owners.answer.set()
    asking.requests.start()
    asking.requests.ask(a_pod("web"))
    until(lambda: asking.owners.asked == ["web"])
    asking.requests.stop(PATIENCE)
    assert asking.known == []


def test_a_defect_costs_one(asking: Asking) -> None:
    asking.owners.answer.set()
    asking.requests.start()
    for uid in ("defect", "web"):
        asking.requests.ask(a_pod(uid))
    until(lambda: asking.known == ["web"])
    assert asking.requests.failures == 1


def test_bounded(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_requests, "WAITING", 2)
    full = OwnerRequests(cast("Owners", asking.owners), lambda pod: None)
    for number in range(5):
        full.ask(a_pod(str(number)))
    assert full.dropped == 3
