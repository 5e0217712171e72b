"""Containers that others say run: reported, and said to be unseen, until the kernel shows a process."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.report import ContainerReport
from sensor.node.enrichment.deployed import MOST, NO_PROCESS_SEEN, PATIENCE, SHOWN_MAX, Deployed
from sensor.node.enrichment.describe import Describer
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.identify.metadata import RuntimeMetadata
from sensor.node.inventory import GRACE, Inventory
from tests.unit.reports import WEB

OTHER = ContainerIdentity("77" * 32, "cri-o")


class Node:
    def __init__(self) -> None:
        self.now = 100.0
        self.seen: set[str] = set()
        self.runtime: list[ContainerIdentity] | None = None
        self.server: list[ContainerIdentity] | None = None
        self.inventory = Inventory()
        self.describer = Describer(self.inventory, RuntimeMetadata([]))
        registry = cast("ContainerRegistry", SimpleNamespace(container_ids=lambda: frozenset(self.seen)))
        tellers = (lambda: self.runtime, lambda: self.server)
        self.deployed = Deployed(self.inventory, registry, self.describer, tellers, lambda: self.now)

    def reports(self) -> list[ContainerReport]:
        return [report for report in self.inventory.snapshot(0) if report.container.id == WEB.id]

    def round(self, *, later: float = 0.0) -> ContainerReport:
        self.now += later
        self.deployed.round()
        (report,) = self.reports()
        return report


@pytest.fixture
def node() -> Node:
    return Node()


def test_one_without_a_process_is_deployed_and_says_so(node: Node) -> None:
    node.server = [WEB]
    report = node.round()
    assert (report.deployed, report.coverage_reasons) == (True, ())
    assert node.describer._new.get_nowait() == (WEB, False)
    assert node.round(later=PATIENCE - 1).coverage_reasons == ()
    assert node.round(later=1).coverage_reasons == (NO_PROCESS_SEEN,)
    assert node.deployed.unseen == 1


def test_one_whose_process_shows_up_is_whole_and_the_registrys(node: Node) -> None:
    node.server = [WEB]
    node.round()
    assert node.round(later=PATIENCE).coverage_reasons == (NO_PROCESS_SEEN,)
    node.seen.add(WEB.id)
    assert node.round().coverage_reasons == ()
    node.server = []
    assert node.round().deployed


def test_it_ends_when_they_say_so(node: Node) -> None:
    node.server = [WEB]
    node.round()
    node.server = []
    assert not node.round().deployed
    assert WEB in node.describer._ended


def test_the_runtime_is_believed_before_the_api_server(node: Node) -> None:
    node.server = [WEB]
    node.round()
    node.runtime = []  # the server's news is old
    assert not node.round().deployed


def test_while_nobody_can_tell_nothing_changes(node: Node) -> None:
    node.server = [WEB]
    node.round()
    node.server = None
    assert node.round(later=PATIENCE).deployed


def test_what_the_kernel_shows_is_not_added(node: Node) -> None:
    node.seen.add(WEB.id)
    node.server = [WEB]
    node.deployed.round()
    assert node.reports() == []


def test_late_news_does_not_start_one_anew_that_has_ended(node: Node) -> None:
    node.inventory.seen(WEB, 50)
    node.inventory.ended(WEB, 60)
    node.server = [WEB]
    assert not node.round().deployed
    assert node.deployed.unseen == 0


def test_hearsay_does_not_bring_back_what_the_kernel_has_shown_to_end(node: Node) -> None:
    """An API server that is away tells of every container as of when it went."""
    node.deployed._hearsay = lambda: [WEB, OTHER]
    node.inventory.seen(WEB)
    node.seen.add(WEB.id)
    node.deployed.round()
    node.inventory.ended(WEB, 1)
    assert node.inventory.changed(1, 0.0)
    assert node.inventory.changed(1 + GRACE, 0.0) == ()  # and it is forgotten
    node.seen.clear()
    node.deployed.round()
    assert node.reports() == []
    assert node.deployed.unseen == 1  # of the other one nobody else tells
    node.runtime = [WEB, OTHER]  # who is there knows better
    assert node.round().deployed


def test_what_the_kernel_has_shown_is_remembered_within_bounds(node: Node) -> None:
    node.seen = {f"{number:064x}" for number in range(SHOWN_MAX + 1)}
    node.deployed.round()
    assert len(node.deployed._shown) == SHOWN_MAX


def test_bounded(node: Node) -> None:
    node.server = [ContainerIdentity(f"{number:064x}", "containerd") for number in range(MOST + 1)]
    node.deployed.round()
    assert node.deployed.unseen == MOST
