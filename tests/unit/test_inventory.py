"""Container -> packages: what is kept, what counts as a change, and the bounds."""

from __future__ import annotations

import dataclasses
import gc
import threading
import tracemalloc

import pytest

from sensor.model.container import ContainerIdentity, ContainerMetadata
from sensor.model.package import Evidence
from sensor.model.report import ContainerReport, Coverage
from sensor.node.inventory import GRACE, TOO_MANY_PACKAGES, Inventory
from tests.unit.reports import METADATA, WEB, use

OTHER = ContainerIdentity("77" * 32, "cri-o")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def inventory(clock: Clock) -> Inventory:
    return Inventory("east", "node-1", clock=clock)


def one(reports: tuple[ContainerReport, ...]) -> ContainerReport:
    assert len(reports) == 1
    return reports[0]


def names(report: ContainerReport) -> list[str]:
    return [loaded.use.package.name for loaded in report.packages]


def test_a_container_without_packages_is_reported_as_deployed(inventory: Inventory) -> None:
    inventory.seen(WEB)
    report = one(inventory.changed(1002, 2))
    assert (report.cluster, report.node, report.container) == ("east", "node-1", WEB)
    assert report.deployed
    assert report.coverage is Coverage.COMPLETE
    assert report.packages == ()
    assert report.observed_at == 1002


def test_changes_are_gathered_for_the_debounce(inventory: Inventory, clock: Clock) -> None:
    inventory.loaded(WEB, use("a"), 1000)
    clock.now = 1001.9
    inventory.loaded(WEB, use("b"), 1001.9)
    assert inventory.changed(1001.9, 2) == ()
    # Counted from the first change: a container that never rests is reported all the same.
    assert names(one(inventory.changed(1002, 2))) == ["a", "b"]
    assert inventory.changed(1003, 2) == ()


def test_a_repeated_load_moves_last_seen_and_is_no_change(inventory: Inventory) -> None:
    inventory.loaded(WEB, use(), 1000)
    inventory.changed(1000, 0)
    inventory.loaded(WEB, use(), 1500)
    inventory.loaded(WEB, use(path="/elsewhere"), 900)  # the backfill comes late
    assert inventory.changed(2000, 0) == ()
    loaded = one(inventory.snapshot(2000)).packages[0]
    assert (loaded.first_seen, loaded.last_seen) == (900, 1500)
    assert loaded.use == use()


def test_stronger_evidence_replaces_weaker_with_its_path_and_is_a_change(inventory: Inventory) -> None:
    inventory.loaded(WEB, use(evidence=Evidence.OPENED, path="/a"), 1000)
    inventory.changed(1000, 0)
    inventory.loaded(WEB, use(evidence=Evidence.MAPPED, path="/b"), 1001)
    inventory.loaded(WEB, use(evidence=Evidence.BUNDLED, path="/c"), 1002)
    loaded = one(inventory.changed(1002, 0)).packages[0]
    assert (loaded.use.evidence, loaded.use.path) == (Evidence.MAPPED, "/b")
    assert (loaded.first_seen, loaded.last_seen) == (1000, 1002)


def test_metadata_is_a_change_once(inventory: Inventory) -> None:
    inventory.seen(WEB)
    inventory.changed(1000, 0)
    inventory.describe(WEB, METADATA)
    assert one(inventory.changed(1000, 0)).metadata == METADATA
    inventory.describe(WEB, ContainerMetadata(**{k: getattr(METADATA, k) for k in METADATA.__slots__}))
    assert inventory.changed(1000, 0) == ()


def test_coverage_is_partial_until_every_reason_is_taken_back(inventory: Inventory) -> None:
    inventory.seen(WEB)
    inventory.partial(WEB, "ring_full")
    inventory.partial(WEB, "malformed")
    report = one(inventory.changed(1000, 0))
    assert (report.coverage, report.coverage_reasons) == (Coverage.PARTIAL, ("malformed", "ring_full"))
    inventory.covered(WEB, "ring_full")
    assert one(inventory.changed(1000, 0)).coverage_reasons == ("malformed",)
    inventory.covered(WEB, "malformed")
    inventory.covered(WEB, "never given")
    report = one(inventory.changed(1000, 0))
    assert (report.coverage, report.coverage_reasons) == (Coverage.COMPLETE, ())


def test_an_ended_container_is_reported_at_once_with_everything(inventory: Inventory) -> None:
    inventory.loaded(WEB, use("a"), 1000)
    inventory.loaded(WEB, use("b"), 1000.2)
    inventory.ended(WEB, 1000.3)
    report = one(inventory.changed(1000.3, 60))
    assert not report.deployed
    assert names(report) == ["a", "b"]
    assert inventory.changed(1001, 0) == ()


def test_a_fact_that_comes_after_the_end_joins_the_full_state(inventory: Inventory) -> None:
    inventory.loaded(WEB, use("a"), 1000)
    inventory.ended(WEB, 1000.3)
    inventory.changed(1000.3, 0)
    inventory.changed(1000 + GRACE, 0)
    inventory.loaded(WEB, use("b"), 1000.2)
    inventory.seen(WEB, at=1000.1)
    report = one(inventory.changed(1001 + GRACE, 60))
    assert not report.deployed
    assert names(report) == ["a", "b"]


def test_an_ended_container_is_forgotten_after_the_grace(inventory: Inventory, clock: Clock) -> None:
    inventory.loaded(WEB, use(), 1000)
    inventory.ended(WEB, 1000)
    clock.now = 1000 + 10 * GRACE
    # Not before its end was reported, however late that is.
    assert len(inventory.changed(clock.now, 0)) == 1
    assert inventory.counts().containers == 1
    inventory.changed(clock.now, 0)
    assert (inventory.counts().containers, inventory.counts().packages) == (0, 0)
    assert inventory.snapshot(clock.now) == ()


def test_a_restart_under_the_same_id_starts_anew(inventory: Inventory) -> None:
    inventory.loaded(WEB, use("a"), 1000)
    inventory.ended(WEB, 1001)
    inventory.changed(1001, 0)
    inventory.seen(WEB, at=1002)
    report = one(inventory.changed(1002, 0))
    assert report.deployed
    assert report.packages == ()
    assert inventory.changed(2000, 0) == ()
    assert inventory.counts().containers == 1


def test_what_reached_nobody_is_due_again_in_its_latest_state(inventory: Inventory) -> None:
    inventory.loaded(WEB, use("a"), 1000)
    inventory.loaded(OTHER, use("x"), 1000)
    inventory.ended(OTHER, 1000)
    lost = inventory.changed(1000, 0)
    inventory.loaded(WEB, use("b"), 1000)
    inventory.undelivered(lost)
    again = {report.container: report for report in inventory.changed(2000, 0)}
    assert names(again[WEB]) == ["a", "b"]
    assert not again[OTHER].deployed
    inventory.undelivered(again.values())
    # Undelivered ends do not fall to the grace.
    assert len(inventory.changed(5000, 0)) == 2


def test_a_clock_set_back_silences_nobody(inventory: Inventory) -> None:
    inventory.seen(WEB)
    assert len(inventory.changed(400, 2)) == 1


def test_packages_of_one_container_are_bounded_and_counted(clock: Clock) -> None:
    inventory = Inventory(max_packages=3, clock=clock)
    for number in range(5):
        inventory.loaded(WEB, use(f"p{number}"), 1000)
    inventory.loaded(WEB, use("p0", evidence=Evidence.MAPPED), 1001)  # a known one still improves
    report = one(inventory.changed(1000, 0))
    assert names(report) == ["p0", "p1", "p2"]
    assert report.coverage_reasons == (TOO_MANY_PACKAGES,)
    assert report.packages[0].use.evidence is Evidence.MAPPED
    assert inventory.counts().dropped_packages == 2


def test_containers_are_bounded_and_a_live_one_is_never_pushed_out(clock: Clock) -> None:
    inventory = Inventory(max_containers=2, clock=clock)
    third = ContainerIdentity("99" * 32, "docker")
    inventory.seen(WEB)
    inventory.loaded(OTHER, use(), 1000)
    inventory.loaded(third, use(), 1000)
    inventory.ended(OTHER, 1000)
    inventory.seen(third)  # the end of the other was not reported yet
    assert inventory.counts().dropped_containers == 2
    inventory.changed(1000, 0)
    inventory.seen(third)  # its report may come back undelivered
    assert inventory.counts().dropped_containers == 3
    inventory.changed(1000, 0)
    inventory.seen(third)
    assert {report.container for report in inventory.snapshot(1000)} == {WEB, third}
    assert inventory.counts().dropped_containers == 3
    assert inventory.counts().packages == 0


def test_an_end_that_was_not_delivered_is_not_pushed_out_meanwhile(clock: Clock) -> None:
    inventory = Inventory(max_containers=1, clock=clock)
    inventory.seen(WEB)
    inventory.ended(WEB, 1000)
    reports = inventory.changed(1000, 0)
    inventory.seen(OTHER)  # while they are delivered
    inventory.undelivered(reports)
    (again,) = inventory.changed(1000, 0)
    assert (again.container, again.deployed) == (WEB, False)


def test_reasons_and_metadata_of_an_unknown_container_start_nothing(inventory: Inventory) -> None:
    inventory.partial(WEB, "late")
    inventory.describe(WEB, METADATA)
    inventory.covered(WEB, "late")
    inventory.ended(WEB, 1000)
    assert inventory.snapshot(1000) == ()


def test_equal_uses_of_many_containers_are_one_object(inventory: Inventory) -> None:
    inventory.loaded(WEB, use(), 1000)
    inventory.loaded(OTHER, use(), 1000)
    first, second = inventory.snapshot(1000)
    assert first.packages[0].use is second.packages[0].use


def test_memory_returns_when_containers_end(inventory: Inventory, clock: Clock) -> None:
    def churn(start: int) -> None:
        for number in range(start, start + 200):
            identity = ContainerIdentity(f"{number:064x}", "runc")
            for package in range(50):
                inventory.loaded(identity, use(f"package-{package}", str(number)), clock.now)
            inventory.ended(identity, clock.now)
            inventory.changed(clock.now, 0)
        clock.now += GRACE
        inventory.changed(clock.now, 0)

    churn(0)
    tracemalloc.start()
    try:
        churn(200)
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert inventory.counts().packages == 0
    print(f"left after 200 containers of 50 packages: {left} bytes")
    assert left < 20_000


def test_every_thread_may_use_it(inventory: Inventory) -> None:
    def load(part: int) -> None:
        for number in range(500):
            inventory.loaded(WEB, use(f"p{part}-{number}"), 1000)
            inventory.changed(1000, 0)

    threads = [threading.Thread(target=load, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inventory.counts().packages == 2000
    assert len(one(inventory.snapshot(1000)).packages) == 2000


def test_a_restored_container_is_reported_as_it_was_left(inventory: Inventory) -> None:
    before = Inventory("east", "node-1", clock=lambda: 500.0)
    before.loaded(WEB, use("a"), 400)
    before.describe(WEB, METADATA)
    before.partial(WEB, "events_lost")
    left = one(before.changed(510, 0))
    inventory.restore(left)
    assert one(inventory.changed(510, 0)) == left
    inventory.loaded(WEB, use("a"), 1001)
    inventory.loaded(WEB, use("b"), 1001)
    after = one(inventory.changed(1005, 0))
    assert names(after) == ["a", "b"]
    assert [(loaded.first_seen, loaded.last_seen) for loaded in after.packages] == [(400, 1001), (1001, 1001)]


def test_what_is_held_is_not_overwritten_by_what_was_left(inventory: Inventory) -> None:
    before = Inventory(clock=lambda: 500.0)
    before.loaded(WEB, use("a"), 400)
    inventory.loaded(WEB, use("b"), 1000)
    inventory.restore(one(before.changed(510, 0)))
    assert names(one(inventory.changed(1002, 0))) == ["b"]


def test_a_name_is_not_unlearned(inventory: Inventory) -> None:
    """A runtime whose socket is gone says nothing, which is no news."""
    inventory.seen(WEB)
    inventory.describe(WEB, METADATA)
    inventory.describe(WEB, ContainerMetadata(pod_name="web-2"))
    metadata = one(inventory.changed(1002, 2)).metadata
    assert metadata == dataclasses.replace(METADATA, pod_name="web-2")


def test_a_container_tells_when_it_was_first_seen_and_when_it_ended(
    inventory: Inventory, clock: Clock
) -> None:
    inventory.seen(WEB)
    clock.now = 1010
    inventory.loaded(WEB, use("a"), 1005)
    report = one(inventory.changed(1020, 2))
    assert (report.first_seen, report.ended_at) == (1000, None)
    inventory.ended(WEB, 1030)
    report = one(inventory.changed(1031, 2))
    assert (report.first_seen, report.ended_at) == (1000, 1030)
