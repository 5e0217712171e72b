"""Containers get their names: at once, again later, and never at anybody else's cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sensor.config.filters import Filters
from sensor.model.container import HOST_CONTAINER_ID, ContainerIdentity, ContainerMetadata, Image
from sensor.node.enrichment import describe as describe_module
from sensor.node.enrichment.describe import Describer
from sensor.node.identify import metadata as metadata_module
from sensor.node.identify.metadata import RuntimeMetadata
from sensor.node.inventory import Inventory
from tests.clock import HANGS, PATIENCE, in_time, until
from tests.unit.reports import METADATA, WEB

HOLD = 5.0
NOTHING = ContainerMetadata()


class Runtime:
    """Knows what is put into ``names``; ``gate`` holds its answers up."""

    def __init__(self) -> None:
        self.names: dict[ContainerIdentity, ContainerMetadata] = {}
        self.asked: list[ContainerIdentity] = []
        self.gate = threading.Event()
        self.gate.set()

    def lookup(self, identity: ContainerIdentity) -> ContainerMetadata | None:
        self.asked.append(identity)
        self.gate.wait(HANGS)
        return self.names.get(identity)


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.gate.set()


@pytest.fixture
def inventory() -> Inventory:
    return Inventory()


@pytest.fixture
def describer(runtime: Runtime, inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Describer]:
    monkeypatch.setattr(metadata_module, "_FIRST_RETRY_SECONDS", 0.02)
    describer = Describer(inventory, RuntimeMetadata([runtime]))
    yield describer
    if describer.ident is not None:
        runtime.gate.set()
        describer.stop(PATIENCE)
        assert not describer.is_alive()


def name(inventory: Inventory, container: ContainerIdentity = WEB) -> str | None:
    (found,) = [r for r in inventory.snapshot(time.time()) if r.container == container]
    return found.metadata.name


def container(number: int, inventory: Inventory) -> ContainerIdentity:
    made = ContainerIdentity(f"{number:064x}", "runc")
    inventory.seen(made)
    return made


def test_a_new_container_is_named(describer: Describer, runtime: Runtime, inventory: Inventory) -> None:
    runtime.names[WEB] = METADATA
    inventory.seen(WEB)
    describer.start()
    describer.add(WEB)
    until(lambda: name(inventory) == "web")
    assert runtime.asked == [WEB]
    assert describer._later == {}  # nothing left to ask


def test_it_is_asked_again_when_there_was_no_answer_yet(
    describer: Describer, runtime: Runtime, inventory: Inventory
) -> None:
    inventory.seen(WEB)
    describer.start()
    describer.add(WEB)
    until(lambda: len(runtime.asked) >= 2)
    runtime.names[WEB] = METADATA
    until(lambda: name(inventory) == "web")


def test_many_new_ones_do_not_keep_the_others_waiting(
    describer: Describer, runtime: Runtime, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory.seen(WEB)
    describer.start()
    describer.add(WEB)
    until(lambda: len(runtime.asked) == 1)
    runtime.names[WEB] = METADATA
    end = time.monotonic() + PATIENCE
    number = 0
    while name(inventory) is None:  # never idle meanwhile
        assert time.monotonic() < end
        number += 1
        new = ContainerIdentity(f"{number:064x}", "runc")
        runtime.names[new] = METADATA
        describer.add(new)
        while describer._new.qsize() > 100:
            time.sleep(0.0001)
    assert describer.dropped == 0


def test_the_host_has_no_runtime_to_ask(describer: Describer) -> None:
    describer.add(ContainerIdentity(HOST_CONTAINER_ID, HOST_CONTAINER_ID))
    assert describer._new.empty()


def test_an_ended_container_is_asked_for_no_more(
    describer: Describer, runtime: Runtime, inventory: Inventory
) -> None:
    inventory.seen(WEB)
    describer.start()
    describer.add(WEB)
    until(lambda: len(runtime.asked) == 1)
    describer.forget(WEB)
    until(lambda: not describer._later)
    asked = len(runtime.asked)
    time.sleep(0.05)
    assert len(runtime.asked) == asked
    assert describer._metadata.next_retry(WEB) is None


def test_one_that_ends_while_it_is_asked_for_is_asked_for_no_more(
    describer: Describer, runtime: Runtime, inventory: Inventory
) -> None:
    inventory.seen(WEB)
    runtime.gate.clear()
    describer.start()
    describer.add(WEB)
    until(lambda: len(runtime.asked) == 1)
    describer.forget(WEB)
    runtime.gate.set()
    until(lambda: not describer._ended)
    time.sleep(0.05)
    assert runtime.asked == [WEB]
    assert describer._later == {}


def test_one_that_starts_anew_is_asked_for_anew(
    describer: Describer, runtime: Runtime, inventory: Inventory
) -> None:
    runtime.names[WEB] = METADATA
    inventory.seen(WEB)
    describer._look_up(WEB)
    describer.forget(WEB)
    describer.add(WEB)
    describer.add(container(1, inventory))
    describer.start()
    until(lambda: len(runtime.asked) >= 3)
    assert runtime.asked[:2] == [WEB, WEB]


def test_a_slow_runtime_holds_up_nobody_else(
    describer: Describer, runtime: Runtime, inventory: Inventory
) -> None:
    inventory.seen(WEB)
    runtime.gate.clear()
    describer.start()
    describer.add(WEB)
    until(lambda: len(runtime.asked) == 1)
    with in_time():
        describer.add(container(1, inventory))
        describer.forget(WEB)
        describer.stop(0.02)


def test_one_container_that_fails_does_not_cost_the_others_their_names(
    describer: Describer, runtime: Runtime, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_identity: ContainerIdentity) -> ContainerMetadata:
        raise RuntimeError("defect")

    inventory.seen(WEB)
    other = container(1, inventory)
    describer.start()
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "lookup", fail)
        describer.add(other)
        until(lambda: describer.failures == 1)
    runtime.names[WEB] = METADATA
    describer.add(WEB)
    until(lambda: name(inventory) == "web")


def test_containers_that_wait_are_bounded_and_counted(
    runtime: Runtime, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describe_module, "WAITING", 2)
    describer = Describer(inventory, RuntimeMetadata([runtime]))
    for number in range(5):
        describer.add(container(number, inventory))
    assert describer.dropped == 3
    for number in range(5, 10):  # these have no answer, and no room to wait for one
        describer._look_up(container(number, inventory))
    assert len(describer._later) == 2
    assert describer.dropped == 6
    for number in range(5):
        describer.forget(container(number, inventory))
    assert len(describer._ended) == 2
    describer.stop(0.01)  # full, never started: nothing to wait for


def test_a_pods_first_report_has_all_names(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_module, "_FIRST_RETRY_SECONDS", 0.0)
    inventory = Inventory(hold=HOLD)
    describer = Describer(inventory, RuntimeMetadata([runtime], in_cluster=True))
    inventory.seen(WEB)
    whole = replace(METADATA, pod_uid="0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    without_digest = replace(whole, image=Image(whole.image.name))
    for known, is_reported in (
        (replace(whole, workload=None), False),
        (replace(whole, name=None), False),
        (whole, True),
    ):
        runtime.names[WEB] = known
        describer._metadata.forget(WEB)
        describer._look_up(WEB)
        assert bool(inventory.changed(time.time(), 0.0)) == is_reported, known
    other = container(1, inventory)
    runtime.names[other] = without_digest  # as of an image that was never in a registry
    describer._look_up(other)
    assert not inventory.changed(time.time(), 0.0)
    describer._look_up(other)
    assert inventory.changed(time.time(), 0.0)


def test_a_pods_container_that_nobody_names_is_not_reported(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sandbox, if only the API server is there to ask: that knows pods and their containers alone."""
    monkeypatch.setattr(metadata_module, "_FIRST_RETRY_SECONDS", 0.0)
    now = [1000.0]
    inventory = Inventory(hold=HOLD, clock=lambda: now[0])
    describer = Describer(inventory, RuntimeMetadata([runtime], in_cluster=True))
    inventory.seen(WEB)
    pod = replace(METADATA, pod_uid="0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0", workload=None)
    runtime.names[WEB] = replace(pod, name=None, image=Image())
    describer._look_up(WEB)
    now[0] += 100 * HOLD
    assert inventory.changed(now[0], 0.0) == ()
    runtime.names[WEB] = pod
    describer._look_up(WEB)
    assert inventory.changed(now[0], 0.0) == ()  # its owner may still come
    now[0] += HOLD
    assert len(inventory.changed(now[0], 0.0)) == 1


def test_one_that_ends_while_ended_ones_are_forgotten_does_no_harm(describer: Describer) -> None:
    class Racing(dict[ContainerIdentity, float]):
        def items(self) -> Any:
            for number, item in enumerate(super().items()):
                self[ContainerIdentity(f"{number:064x}", "runc")] = 0.0  # by another thread
                yield item

    describer._ended = Racing({WEB: 0.0})
    describer._forget_ended()
    assert not describer._ended


def test_the_host_is_no_pods_container_whatever_a_pods_status_says(describer: Describer) -> None:
    describer.refresh(ContainerIdentity(HOST_CONTAINER_ID, HOST_CONTAINER_ID))
    assert describer._new.empty()


def test_one_that_the_filters_let_pass_is_reported_though_its_workload_stays_unknown(
    runtime: Runtime,
) -> None:
    """The runtime tells the namespace, and the API server is away for minutes, or refuses."""
    now = [1000.0]
    inventory = Inventory(hold=HOLD, must_pass=True, clock=lambda: now[0])
    which = Filters(namespaces=("default",))
    describer = Describer(inventory, RuntimeMetadata([runtime], in_cluster=True), which)
    other = container(1, inventory)
    inventory.seen(WEB)
    runtime.names[WEB] = replace(METADATA, pod_uid=WEB.pod_uid, workload=None)
    for one in (WEB, other):
        describer._look_up(one)
    now[0] += HOLD - 1
    assert inventory.changed(now[0], 0.0) == ()
    now[0] += 1
    assert [report.container for report in inventory.changed(now[0], 0.0)] == [WEB]


def test_stop_ends_an_idle_one(describer: Describer) -> None:
    describer.start()
    describer.stop(PATIENCE)
    assert not describer.is_alive()
