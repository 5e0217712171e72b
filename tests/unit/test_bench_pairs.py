"""Pairs: what is estimated from them, and how often the interval holds the truth."""

from __future__ import annotations

import math
import random

import pytest

from tests.bench.pairs import order, outside_interval, ratio


def test_every_second_pair_is_turned_round() -> None:
    assert list(order(3)) == [(0, False), (0, True), (1, True), (1, False), (2, False), (2, True)]


@pytest.mark.parametrize(
    ("pairs", "outside"),
    # Critical values of Wilcoxon's signed-rank test, two-sided 5 %: 0 for 6 pairs, 2 for 7, 3 for 8,
    # 8 for 10, 25 for 15, 52 for 20; one more average than the value lies outside.
    [(1, 0), (5, 0), (6, 1), (7, 3), (8, 4), (10, 9), (15, 26), (20, 53)],
)
def test_the_interval_is_wilcoxons(pairs: int, outside: int) -> None:
    assert outside_interval(pairs) == outside


def test_a_steady_loss_is_found_whatever_the_machine_does() -> None:
    """The machine halves its speed between pairs; each pair lost three per cent."""
    without = [1000.0, 500.0, 2000.0, 700.0, 900.0, 1500.0]
    found = ratio(without, [0.97 * each for each in without])
    assert found.value == pytest.approx(0.97)
    assert [found.low, found.high] == pytest.approx([0.97, 0.97])
    assert found.pairs == 6


def test_one_stalled_pair_moves_little() -> None:
    without = [1000.0] * 8
    beside = [990.0, 991.0, 989.0, 990.5, 989.5, 990.0, 990.2, 100.0]
    found = ratio(without, beside)
    assert found.value == pytest.approx(0.99, abs=0.001)
    assert found.low < 0.5, "the interval does not hide that it was there"
    assert found.high < 1.0


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    chance = random.Random(5)
    truth, held = 0.98, 0
    for _ in range(500):
        without = [1000 * math.exp(chance.gauss(0, 0.02)) for _ in range(8)]
        beside = [truth * 1000 * math.exp(chance.gauss(0, 0.02)) for _ in range(8)]
        found = ratio(without, beside)
        held += found.low <= truth <= found.high
    assert 460 <= held <= 495


def test_turning_it_round_gives_the_inverse() -> None:
    ours, theirs = [3.0, 5.0, 4.0, 6.0, 5.5, 4.5], [3.1, 4.8, 4.1, 6.3, 5.2, 4.4]
    there, back = ratio(ours, theirs), ratio(theirs, ours)
    assert there.value == pytest.approx(1 / back.value)
    assert [there.low, there.high] == pytest.approx([1 / back.high, 1 / back.low])


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], [1.0, 2.0])])
def test_what_is_not_paired_is_refused(ours: list[float], theirs: list[float]) -> None:
    with pytest.raises(ValueError, match="expected pairs"):
        ratio(ours, theirs)


def test_json_has_every_number() -> None:
    assert ratio([1.0], [0.5]).as_json() == {"value": 0.5, "low": 0.5, "high": 0.5, "pairs": 1}
