"""When a container counts as seen whole again, and when never."""

from __future__ import annotations

import threading
import time

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.events import FileId
from sensor.model.report import Coverage as CoverageState
from sensor.node import coverage as coverage_module
from sensor.node.backfill.processes import Process
from sensor.node.coverage import EVENTS_LOST, STARTED_BEFORE_SENSOR, Coverage
from sensor.node.inventory import Inventory
from sensor.node.scan import ProcessScan
from tests.unit.reports import WEB

OTHER = ContainerIdentity("77" * 32, "cri-o")


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory()
    inventory.seen(WEB)
    inventory.seen(OTHER)
    return inventory


@pytest.fixture
def coverage(inventory: Inventory) -> Coverage:
    return Coverage(inventory)


def scan(pid: int, container: ContainerIdentity = WEB, reason: str = STARTED_BEFORE_SENSOR) -> ProcessScan:
    process = Process(pid, 1, 0, "python3", 7, FileId(1, 1), "python3.11", "", "")
    return ProcessScan(process, container, reason)


def reasons(inventory: Inventory, container: ContainerIdentity = WEB) -> tuple[str, ...]:
    (found,) = [r for r in inventory.snapshot(time.time()) if r.container == container]
    assert (found.coverage is CoverageState.PARTIAL) == bool(found.coverage_reasons)
    return found.coverage_reasons


def test_partial_until_every_process_was_scanned_whole(coverage: Coverage, inventory: Inventory) -> None:
    assert coverage.doubt(scan(1))
    assert coverage.doubt(scan(2))
    assert coverage.open_scans == 2
    coverage.scanned(scan(1), True)
    assert reasons(inventory) == (STARTED_BEFORE_SENSOR,)
    coverage.scanned(scan(2), True)
    assert reasons(inventory) == ()
    assert coverage.open_scans == 0


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_one_scan_that_is_not_whole_leaves_it_partial(
    coverage: Coverage, inventory: Inventory, order: tuple[bool, bool]
) -> None:
    for pid in (1, 2):
        coverage.doubt(scan(pid))
    for pid, whole in enumerate(order, 1):
        coverage.scanned(scan(pid), whole)
    coverage.doubt(scan(3))
    coverage.scanned(scan(3), True)
    assert reasons(inventory) == (STARTED_BEFORE_SENSOR,)
    assert coverage.open_scans == 0


def test_containers_and_reasons_are_apart(coverage: Coverage, inventory: Inventory) -> None:
    coverage.doubt(scan(1))
    coverage.doubt(scan(1, reason=EVENTS_LOST))
    coverage.doubt(scan(1, OTHER))
    coverage.scanned(scan(1, OTHER), False)
    coverage.scanned(scan(1), True)
    assert reasons(inventory) == (EVENTS_LOST,)
    assert reasons(inventory, OTHER) == (STARTED_BEFORE_SENSOR,)


def test_a_process_doubted_again_is_covered_by_its_last_scan(
    coverage: Coverage, inventory: Inventory
) -> None:
    coverage.doubt(scan(1, reason=EVENTS_LOST))
    coverage.doubt(scan(1, reason=EVENTS_LOST))  # lost more while it is scanned
    coverage.scanned(scan(1, reason=EVENTS_LOST), True)
    assert reasons(inventory) == (EVENTS_LOST,)
    assert coverage.open_scans == 1
    coverage.scanned(scan(1, reason=EVENTS_LOST), False)
    assert reasons(inventory) == (EVENTS_LOST,)
    assert coverage.open_scans == 0


def test_a_process_that_ended_before_it_was_looked_at(coverage: Coverage, inventory: Inventory) -> None:
    coverage.gone(WEB, EVENTS_LOST)
    coverage.doubt(scan(1, reason=EVENTS_LOST))
    coverage.scanned(scan(1, reason=EVENTS_LOST), True)
    assert reasons(inventory) == (EVENTS_LOST,)


def test_scans_waited_for_are_bounded(
    coverage: Coverage, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage_module, "MAX_OPEN", 2)
    assert coverage.doubt(scan(1))
    assert coverage.doubt(scan(2))
    assert not coverage.doubt(scan(3))
    assert coverage.open_scans == 2
    for pid in (1, 2):
        coverage.scanned(scan(pid), True)
    assert reasons(inventory) == (STARTED_BEFORE_SENSOR,)  # nobody looked at the third
    assert coverage.doubt(scan(4))


def test_a_container_started_anew_under_its_id_is_not_marked(
    coverage: Coverage, inventory: Inventory
) -> None:
    coverage.doubt(scan(1))
    coverage.gone(WEB, STARTED_BEFORE_SENSOR)
    coverage.ended(WEB)
    inventory.ended(WEB, time.time())
    inventory.seen(WEB, time.time() + 1)
    coverage.doubt(scan(2))
    coverage.scanned(scan(1), False)  # of the container that ended
    assert reasons(inventory) == (STARTED_BEFORE_SENSOR,)
    coverage.scanned(scan(2), True)
    assert reasons(inventory) == ()


def test_nothing_is_kept_of_containers_that_ended(coverage: Coverage) -> None:
    for number in range(50):
        container = ContainerIdentity(str(number), "runc")
        for pid in (1, 2, 3):
            coverage.doubt(scan(pid, container))
        coverage.scanned(scan(1, container), False)
        coverage.ended(container)
        coverage.scanned(scan(2, container), False)
        coverage.scanned(scan(3, container), True)
    assert coverage.open_scans == 0
    assert not coverage._open
    assert not coverage._spoilt


def test_losses_told_after_the_end_are_bounded_and_then_nothing_is_taken_back(
    coverage: Coverage, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coverage_module, "MAX_SPOILT", 3)
    coverage.doubt(scan(1))
    for number in range(10):
        coverage.gone(ContainerIdentity(str(number), "runc"), EVENTS_LOST)
    assert len(coverage._spoilt) == 3
    coverage.scanned(scan(1), True)
    assert reasons(inventory) == (STARTED_BEFORE_SENSOR,)


def test_a_new_doubt_is_not_overtaken_by_what_is_taken_back(
    coverage: Coverage, inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubting = threading.Thread(target=coverage.doubt, args=(scan(2),))
    covered = inventory.covered

    def slowly(container: ContainerIdentity, reason: str) -> None:
        doubting.start()
        doubting.join(0.05)
        covered(container, reason)

    monkeypatch.setattr(inventory, "covered", slowly)
    coverage.doubt(scan(1))
    coverage.scanned(scan(1), True)
    doubting.join()
    assert reasons(inventory) == (STARTED_BEFORE_SENSOR,)
