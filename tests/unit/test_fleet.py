"""The simulated fleet behaves as sensors do, and its figures are what they say."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from sensor.snyk import grpc_form
from tests.fleet.cluster import Node, catalogue
from tests.fleet.figures import Figures, NodeSide, Phase, bars, lines, percentile

NOW = 1_800_000_000.0
PHASE = Phase(10.0, 200, 500, 0.01, 0.25, 0.5, 0, 0.75, 1200)
FIGURES = Figures(20, 1200, PHASE, PHASE, replace(PHASE, failed=3), 150.0, 160.0, 40.0, 1200)


@pytest.fixture(scope="module")
def node() -> Node:
    return Node(7, 60, catalogue(), NOW)


def test_a_snapshot_has_everything_that_runs(node: Node) -> None:
    batch = node.snapshot(NOW)
    assert len(batch.states) == 60 and batch.running == tuple(state.key for state in batch.states)
    assert all(state.report.deployed and state.report.packages for state in batch.states)
    sizes = [len(state.report.packages) for state in batch.states]
    assert 15 < statistics.median(sizes) < 90


def test_a_container_is_replaced_by_one_that_loads_on(node: Node) -> None:
    gone, new = node.change(NOW + 60).states
    (later,) = node.change(NOW + 65).states
    assert not gone.report.deployed and gone.report.ended_at is not None
    assert new.report.deployed and later.key == new.key != gone.key
    assert len(new.report.packages) < len(later.report.packages)
    assert gone.generation < new.generation < later.generation, "the latest is the highest"
    running = node.snapshot(NOW + 70).running
    assert running is not None and new.key in running and gone.key not in running


def test_nodes_are_senders_of_their_own_and_the_same_each_time() -> None:
    made_of = catalogue()
    one, other = (Node(number, 3, made_of, NOW).snapshot(NOW) for number in (1, 2))
    assert one == Node(1, 3, catalogue(), NOW).snapshot(NOW)
    assert one.sender_id != other.sender_id and one.id != other.id
    assert not {state.key for state in one.states} & {state.key for state in other.states}


def test_a_batch_is_a_request_as_a_sensor_sends_it(node: Node) -> None:
    request = grpc_form.build(node.snapshot(NOW), "group", "0")
    assert len(request.containers) == 60 == len(request.snapshot.running_container_ids)
    assert len(request.packages) == len({package.purl for package in request.packages})


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 0)])
def test_percentiles_are_values_that_were_measured(share: float, expected: int) -> None:
    assert percentile(list(range(100, -1, -1)), share) == expected


def test_the_table_shows_rates_latencies_and_failures() -> None:
    told = "\n".join(lines(replace(FIGURES, node_side=NodeSide(250, 60, 30, 20, 28.5, 29, 0.004))))
    assert "50 reports/s" in told and "p99   250 ms" in told and "3 FAILED" in told
    assert "28.5 MiB" in told and "0.0040 cores" in told


def test_the_json_has_the_rates_beside_what_was_counted() -> None:
    document = FIGURES.as_json()
    assert document["steady"]["reports_per_second"] == 50.0
    assert document["steady"]["p99"] == 0.25 and document["node_side"] is None


def test_a_bar_that_is_not_met_is_found() -> None:
    side = NodeSide(250, 30, 30, 20, 28.5, 29, 0.004)
    assert all(met for _, _, met in bars(replace(FIGURES, node_side=side)).values())
    slow, failed = replace(FIGURES.steady, p99=1.5), replace(FIGURES.first, failed=1)
    found = bars(
        replace(FIGURES, first=failed, steady=slow, node_side=replace(side, rss_mib=80, cpu_cores=0.1))
    )
    assert not any(met for _, _, met in found.values()) and len(found) == 4
