"""Which containers are reported: held until it is known, excluded, or let through after a while."""

from __future__ import annotations

import math

import pytest

from sensor.model.container import ContainerIdentity
from sensor.node.admission import EXCLUDED_MAX, Admission
from sensor.node.inventory import GRACE, Inventory
from tests.unit.reports import METADATA, WEB, use


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def reported(inventory: Inventory, now: float) -> list[tuple[str, bool, int]]:
    return [(r.container.id, r.deployed, len(r.packages)) for r in inventory.changed(now, 0)]


def test_a_new_container_waits_until_it_is_admitted(clock: Clock) -> None:
    inventory = Inventory(hold=5, clock=clock)
    inventory.loaded(WEB, use("a"), 1000)
    assert reported(inventory, 1001) == []
    inventory.admit(WEB)
    assert reported(inventory, 1001) == [(WEB.id, True, 1)]


def test_it_waits_no_longer_than_the_hold(clock: Clock) -> None:
    inventory = Inventory(hold=5, clock=clock)
    inventory.seen(WEB)
    assert reported(inventory, 1004.9) == []
    assert reported(inventory, 1005) == [(WEB.id, True, 0)]


def test_a_clock_set_back_ends_the_wait(clock: Clock) -> None:
    inventory = Inventory(hold=5, clock=clock)
    inventory.seen(WEB)
    assert reported(inventory, 900) == [(WEB.id, True, 0)]


def test_with_filters_it_waits_for_ever_and_is_counted_when_it_ends_unanswered(clock: Clock) -> None:
    inventory = Inventory(hold=math.inf, clock=clock)
    inventory.seen(WEB)
    assert reported(inventory, 1e9) == []
    inventory.ended(WEB, 1010)
    assert reported(inventory, 1010 + GRACE - 1) == []
    assert inventory.counts().containers == 1
    assert reported(inventory, 1010 + GRACE) == []
    counts = inventory.counts()
    assert (counts.containers, counts.unanswered_containers) == (0, 1)


def test_one_that_ended_while_it_waited_is_reported_when_it_is_admitted(clock: Clock) -> None:
    inventory = Inventory(hold=math.inf, clock=clock)
    inventory.loaded(WEB, use("a"), 1000)
    inventory.ended(WEB, 1001)
    assert reported(inventory, 1011) == []
    inventory.admit(WEB)
    assert reported(inventory, 1012) == [(WEB.id, False, 1)]


def test_an_excluded_container_leaves_nothing_and_does_not_come_back(clock: Clock) -> None:
    inventory = Inventory(hold=5, clock=clock)
    inventory.loaded(WEB, use("a"), 1000)
    inventory.exclude(WEB)
    assert inventory.is_excluded(WEB.id)
    assert not inventory.seen(WEB)
    inventory.loaded(WEB, use("b"), 1001)
    inventory.ended(WEB, 1002)
    counts = inventory.counts()
    assert (counts.containers, counts.packages, counts.excluded_containers) == (0, 0, 1)
    assert counts.unanswered_containers == 0
    assert reported(inventory, 2000) == []


def test_the_end_of_one_that_was_reported_is_reported_when_it_is_excluded(clock: Clock) -> None:
    inventory = Inventory(clock=clock)
    inventory.seen(WEB)
    assert reported(inventory, 1000) == [(WEB.id, True, 0)]
    inventory.exclude(WEB)
    inventory.seen(WEB, 1500)  # a late event must not swallow the end
    assert reported(inventory, 1001) == [(WEB.id, False, 0)]
    clock.now = 1000 + GRACE
    assert reported(inventory, 1000 + GRACE) == []
    assert inventory.counts().containers == 0


def test_containers_of_a_pod() -> None:
    inventory = Inventory()
    inventory.seen(WEB)
    inventory.seen(ContainerIdentity("77" * 32, "cri-o", "other"))
    assert WEB.pod_uid is not None
    assert inventory.containers_of(WEB.pod_uid) == (WEB,)
    assert inventory.identity(WEB.id) == WEB
    assert inventory.identity("none") is None


def test_the_memory_of_excluded_ones_is_bounded() -> None:
    admission = Admission()
    for number in range(EXCLUDED_MAX + 1):
        admission.exclude(str(number))
    assert not admission.is_excluded("0")
    assert admission.is_excluded("1")
    assert admission.exclusions == EXCLUDED_MAX + 1


def numbered(number: int) -> ContainerIdentity:
    return ContainerIdentity(f"{number:064x}", "containerd")


def test_one_that_the_filters_let_pass_waits_for_its_name_no_longer_than_others(clock: Clock) -> None:
    inventory = Inventory(hold=5, must_pass=True, clock=clock)
    inventory.seen(WEB)
    assert reported(inventory, 1100) == []  # nobody knows yet whether it passes
    clock.now = 1100
    inventory.passed(WEB)
    clock.now = 1104
    inventory.passed(WEB)  # said at each look-up
    assert reported(inventory, 1104.9) == []
    assert reported(inventory, 1105) == [(WEB.id, True, 0)]


def test_at_the_end_what_waits_for_the_rest_of_its_names_is_reported(clock: Clock) -> None:
    plain, named, sandbox = numbered(1), WEB, ContainerIdentity("5a" * 32, "containerd", "pod")
    inventory = Inventory(hold=5, clock=clock)
    for one in (plain, named, sandbox):
        inventory.seen(one)
    inventory.describe(named, METADATA)
    assert reported(inventory, 1001) == []
    inventory.admit_the_last()
    assert reported(inventory, 1001) == [(plain.id, True, 0), (named.id, True, 0)]


def test_at_the_end_what_the_filters_have_not_let_pass_is_not_reported(clock: Clock) -> None:
    inventory = Inventory(hold=5, must_pass=True, clock=clock)
    inventory.seen(WEB)
    inventory.describe(WEB, METADATA)
    inventory.admit_the_last()
    assert reported(inventory, 2000) == []
    inventory.passed(WEB)
    inventory.admit_the_last()
    assert reported(inventory, 2000) == [(WEB.id, True, 0)]


def test_one_that_is_excluded_and_runs_is_remembered_however_many_come_and_go(clock: Clock) -> None:
    """Or its end, which is late news for the kernel's list, would be reported."""
    inventory = Inventory(clock=clock)
    inventory.exclude(WEB)
    for number in range(EXCLUDED_MAX + 1):
        inventory.exclude(numbered(number))
        inventory.ended(numbered(number), 1000)
    assert inventory.is_excluded(WEB.id)
    assert not inventory.is_excluded(numbered(0).id)  # the first that ended
    assert inventory.is_excluded(numbered(EXCLUDED_MAX).id)
    assert not inventory.seen(WEB, 0.0)


def test_one_that_ended_before_it_was_excluded_counts_as_ended(clock: Clock) -> None:
    inventory = Inventory(clock=clock)
    inventory.exclude(WEB)
    for number in range(EXCLUDED_MAX + 1):
        inventory.seen(numbered(number))
        inventory.ended(numbered(number), 1000)
        inventory.exclude(numbered(number))
    assert inventory.is_excluded(WEB.id)
