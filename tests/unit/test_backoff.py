"""Waits between tries: they grow, are spread, and are never shorter than what was asked."""

from __future__ import annotations

import random

import pytest

from sensor.delivery.backoff import LONGEST_ASKED, Backoff


class Highest(random.Random):
    def uniform(self, a: float, b: float) -> float:
        return b


def test_waits_double_up_to_a_bound_and_a_success_starts_anew() -> None:
    backoff = Backoff(first=1, most=60, chance=Highest())
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.succeeded()
    assert backoff.failed() == 1


def test_waits_are_spread_over_the_whole_range() -> None:
    waits = []
    for seed in range(400):
        backoff = Backoff(chance=random.Random(seed))
        waits.append([backoff.failed() for _ in range(7)][-1])
    assert min(waits) < 6
    assert max(waits) > 54
    assert sum(waits) / len(waits) == pytest.approx(30, abs=4)


def test_what_was_asked_is_the_least_and_is_spread() -> None:
    waits = {Backoff(chance=random.Random(seed)).failed(asked=100) for seed in range(50)}
    assert len(waits) == 50
    assert all(100 <= wait <= 125 for wait in waits)
    assert 2 <= Backoff(chance=random.Random(1)).failed(asked=2) <= 3


@pytest.mark.parametrize("asked", [0.0, -5.0, float("nan")])
def test_what_is_no_time_asks_for_nothing(asked: float) -> None:
    assert 0.05 <= Backoff(chance=random.Random(1)).failed(asked) <= 1


def test_nobody_makes_it_wait_for_years() -> None:
    assert Backoff(chance=Highest()).failed(asked=1e12) == LONGEST_ASKED * 1.25


def test_years_of_failures_are_no_overflow() -> None:
    backoff = Backoff(chance=Highest())
    backoff._failures = 5000
    assert backoff.failed() == 60
