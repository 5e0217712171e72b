"""The comparison of `make chaos` finds what it is for: it must be able to fail."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.chaos.compare import SLACK, Difference, HeldPackage, Row, compare, counts
from tests.chaos.truth import Expected, Fact

A, B = "pkg:pypi/a@1", "pkg:pypi/b@1"
RUNS = Expected(
    id="c1",
    name="one",
    known_by=13.0,
    must=(Fact(A, 20.0, 24.0), Fact(B, 21.0, 25.0)),
    may=frozenset({A, B}),
    end=None,
)
ENDED = replace(RUNS, id="c2", name="two", end=(40.0, 44.0))
ROW = Row("c1", 12.0, None, (HeldPackage(A, 21.0), HeldPackage(B, 22.0)))
ENDED_ROW = replace(ROW, container_id="c2", ended_at=41.0)


def only(found: list[Difference]) -> tuple[str, str, str | None]:
    assert len(found) == 1, found
    return found[0].kind, found[0].container, found[0].package


def test_the_truth_makes_no_difference() -> None:
    assert compare([RUNS, ENDED], [ROW, ENDED_ROW]) == []


def test_a_package_that_is_not_there_is_lost() -> None:
    found = compare([RUNS], [replace(ROW, packages=ROW.packages[:1])])
    assert only(found) == ("lost", "one", B)
    assert found[0].at == 21.0


def test_with_a_container_all_its_packages_are_lost() -> None:
    found = compare([RUNS, ENDED], [ROW])
    assert counts(found)["lost"] == 3
    assert {each.package for each in found} == {None, A, B}


def test_a_second_row_of_a_container_doubles_it() -> None:
    assert only(compare([RUNS], [ROW, ROW])) == ("doubled", "one", None)


def test_a_package_twice_in_a_container_is_doubled() -> None:
    twice = replace(ROW, packages=(*ROW.packages, HeldPackage(A, 21.0)))
    assert only(compare([RUNS], [twice])) == ("doubled", "one", A)


def test_a_package_that_was_never_loaded_is_invented() -> None:
    more = replace(ROW, packages=(*ROW.packages, HeldPackage("pkg:pypi/c@1", 21.0)))
    assert only(compare([RUNS], [more])) == ("invented", "one", "pkg:pypi/c@1")


def test_a_package_that_may_have_been_loaded_is_neither_lost_nor_invented() -> None:
    perhaps = replace(RUNS, may=RUNS.may | {"pkg:pypi/c@1"})
    more = replace(ROW, packages=(*ROW.packages, HeldPackage("pkg:pypi/c@1", 21.0)))
    assert compare([perhaps], [ROW]) == [] == compare([perhaps], [more])


def test_a_container_that_never_was_is_invented() -> None:
    assert only(compare([RUNS], [ROW, ENDED_ROW])) == ("invented", "c2", None)


def test_a_container_that_nobody_need_know_of_may_be_there() -> None:
    assert compare([RUNS], [ROW, ENDED_ROW], frozenset({"c2"})) == []


@pytest.mark.parametrize(
    ("truth", "row"),
    [(RUNS, replace(ROW, ended_at=30.0)), (ENDED, replace(ENDED_ROW, ended_at=None))],
    ids=["it runs", "it has ended"],
)
def test_what_runs_and_what_has_ended_must_be_so(truth: Expected, row: Row) -> None:
    assert only(compare([truth], [row])) == ("state", truth.name, None)


@pytest.mark.parametrize("first_seen", [20.0 - SLACK - 0.1, 24.0 + SLACK + 0.1], ids=["before", "after"])
def test_a_package_is_first_seen_when_it_was_loaded(first_seen: float) -> None:
    """A first sight that a restart moved would tell people that a package is new."""
    moved = replace(ROW, packages=(HeldPackage(A, first_seen), ROW.packages[1]))
    assert only(compare([RUNS], [moved])) == ("time", "one", A)


def test_a_container_is_first_seen_no_later_than_it_was_known() -> None:
    assert only(compare([RUNS], [replace(ROW, first_seen=15.0)])) == ("time", "one", None)


@pytest.mark.parametrize("ended_at", [38.0, 46.0], ids=["before", "after"])
def test_an_end_is_told_with_its_time(ended_at: float) -> None:
    assert only(compare([ENDED], [replace(ENDED_ROW, ended_at=ended_at)])) == ("time", "two", None)
