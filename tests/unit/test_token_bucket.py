"""At most so many a minute, and what was not done may be caught up."""

from __future__ import annotations

import pytest

from sensor.delivery.token_bucket import TokenBucket


def taken(bucket: TokenBucket, now: float) -> int:
    number = 0
    while bucket.wait(now) == 0:
        bucket.take(now)
        number += 1
    return number


def test_it_starts_full_and_fills_at_its_rate() -> None:
    bucket = TokenBucket(rate=2, capacity=10, now=100)
    assert taken(bucket, 100) == 10
    assert bucket.wait(100) == pytest.approx(0.5)
    assert taken(bucket, 102) == 4
    assert taken(bucket, 10_000) == 10  # no more than fits


def test_waiting_as_long_as_it_says_is_enough() -> None:
    bucket = TokenBucket(rate=0.3, capacity=1, now=0)
    now = 0.0
    for _ in range(100):
        now += bucket.wait(now)
        assert bucket.wait(now) < 1e-9
        bucket.take(now)
    assert now == pytest.approx(99 / 0.3)


def test_a_time_that_goes_back_gives_nothing() -> None:
    bucket = TokenBucket(rate=1, capacity=1, now=100)
    bucket.take(100)
    assert bucket.wait(50) == 1
    assert bucket.wait(100) == 1
