"""After a restart: which containers are the same, and what is known of them."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time

import pytest

from sensor.delivery.outbox import Remembered
from sensor.model.container import ContainerIdentity
from sensor.model.report import Coverage
from sensor.node.backfill.processes import ProcessTable
from sensor.node.inventory import Inventory
from sensor.node.restore import Restored, oldest_processes, restore
from tests.clock import PATIENCE
from tests.unit.reports import WEB, report, use

BOOT = "b7f7e2d4-5f0c-4b5e-8a55-2d4b6f1c8e11"
WRITTEN = 100_000_000_000


def left(**changes: object) -> Remembered:
    remembered = Remembered(report(use("a")), BOOT, WRITTEN)
    return dataclasses.replace(remembered, **changes)  # type: ignore[arg-type]


@pytest.fixture
def inventory() -> Inventory:
    return Inventory("east", "node-1")


def test_a_process_older_than_the_state_proves_the_same_container(inventory: Inventory) -> None:
    assert restore([left()], {WEB: WRITTEN}, inventory, BOOT) == Restored((WEB,), 0, 0)
    (found,) = inventory.changed(time.time(), 0)
    assert found.deployed and [loaded.use for loaded in found.packages] == [use("a")]


@pytest.mark.parametrize(("boot", "start"), [(BOOT, WRITTEN + 1), ("another", WRITTEN - 1)])
def test_a_container_that_started_anew_has_loaded_nothing_yet(
    inventory: Inventory, boot: str, start: int
) -> None:
    """`docker restart` keeps the id; a reboot keeps the ids of pods that a runtime brings back."""
    assert restore([left()], {WEB: start}, inventory, boot) == Restored((), 0, 1)
    assert inventory.changed(time.time(), 0) == ()


def test_what_ended_meanwhile_is_reported_as_ended_with_what_it_had_loaded(inventory: Inventory) -> None:
    assert restore([left()], {}, inventory, BOOT) == Restored((), 1, 0)
    (found,) = inventory.changed(time.time(), 60)
    assert not found.deployed and found.ended_at is not None and time.time() - found.ended_at < PATIENCE
    assert len(found.packages) == 1


def test_reasons_that_living_processes_give_again_are_left_to_them(inventory: Inventory) -> None:
    reasons = ("events_lost", "skipped_malformed", "started_before_sensor", "unasked")
    partial = report(coverage=Coverage.PARTIAL, coverage_reasons=reasons)
    restore([left(report=partial)], {WEB: 0}, inventory, BOOT)
    (found,) = inventory.changed(time.time(), 0)
    assert found.coverage_reasons == ("events_lost", "skipped_malformed")
    only_theirs = report(coverage=Coverage.PARTIAL, coverage_reasons=("unasked",))
    inventory = Inventory()
    restore([left(report=only_theirs)], {WEB: 0}, inventory, BOOT)
    assert inventory.changed(time.time(), 0)[0].coverage is Coverage.COMPLETE


def test_the_oldest_process_of_each_container() -> None:
    """Real processes: this one, and a child that is younger."""
    child = subprocess.Popen(["sleep", "60"])
    try:
        table = ProcessTable()
        mine = [p for p in table.all_containers_processes(0) if p.pid in (os.getpid(), child.pid)]
        assert len(mine) == 2
        oldest = oldest_processes(mine, lambda pid: WEB)
        assert oldest == {WEB: min(process.start_boottime for process in mine)}
        assert oldest_processes(mine, lambda pid: None) == {}
        other = ContainerIdentity("00" * 32, "runc")
        each = oldest_processes(mine, lambda pid: WEB if pid == child.pid else other)
        assert each[WEB] >= each[other]
    finally:
        child.kill()
        child.wait()
