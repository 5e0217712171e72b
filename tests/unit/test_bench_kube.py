"""From what was counted in minutes to what a node asks in an hour."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.bench import api_requests
from tests.bench.api_requests import SHORTER, Hour
from tests.bench.cluster_pods import samples
from tests.bench.process import BenchError


def test_an_idle_hour_has_as_many_watches_as_the_sensor_asks_for_and_sixty_bookmarks() -> None:
    hour, of_a_watch = api_requests._idle(Counter({"watch pods": 4}), 4 * 1000, bookmark=150)
    assert of_a_watch == 1000
    assert hour == Hour({"watch pods": 8.0}, 8 * 1000 + 60 * 150)


def test_an_idle_node_asks_for_nothing_but_watches() -> None:
    with pytest.raises(BenchError, match="get jobs"):
        api_requests._idle(Counter({"watch pods": 4, "get jobs": 1}), 4000, bookmark=150)


def test_only_the_watches_of_a_busy_minute_were_shortened() -> None:
    idle = Hour({"watch pods": 8.0}, 17_000)
    requests = Counter({"watch pods": 4, "get jobs": 60})
    hour = api_requests._busy(requests, 4 * 1000 + 60 * 500, 60.0, idle, of_a_watch=1000)
    assert hour.requests == {"watch pods": 8.0, "get jobs": 3600.0}
    assert hour.bytes == 17_000 + 3600 * 500
    assert hour.as_json()["fleet_requests_per_second"] == round(3608 * 5000 / 3600, 1)
    assert SHORTER > 1


def test_samples_of_one_metric_are_read() -> None:
    text = '# HELP pods x\npods 3\npods_by_filter{verdict="in"} 2.0\npods_by_filter{verdict="out"} 1.0\n'
    assert list(samples(text, "pods")) == [("", 3.0)]
    assert [value for _, value in samples(text, "pods_by_filter")] == [2.0, 1.0]
