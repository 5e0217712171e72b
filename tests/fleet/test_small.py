"""A fleet of a few nodes goes all the way; its figures mean nothing."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.fleet import CONTAINERS, run

NODES = 20


def test_a_small_fleet_arrives_whole(tmp_path: Path) -> None:
    figures = run(1.0, nodes=NODES, directory=tmp_path)
    assert figures.first.reports == NODES * CONTAINERS <= figures.rows
    assert figures.first.batches == NODES and figures.most.batches > 10
    assert figures.first.failed == figures.steady.failed == figures.most.failed == 0
    assert figures.rss_mib > 20 and figures.database_mib > 0.1
    assert figures.node_side is not None and figures.node_side.rss_mib > figures.node_side.base_mib
