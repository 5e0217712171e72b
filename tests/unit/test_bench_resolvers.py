"""The benchmark's section on resolvers: quantiles, the JSON, the table, and a run over real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import __main__ as command
from tests.bench.document import resolvers_json
from tests.bench.report import RESOLVERS
from tests.bench.resolver_cost import Peer, Quantiles, ResolverCost, typical
from tests.bench.resolvers import measure
from tests.bench.table import resolver_table

COST = ResolverCost(
    120, 7, Quantiles(12.34, 456.0), Quantiles(1.0, 2.0), Peer("zipfile.ZipFile", 3_000.0, 6_000.0)
)


def test_quantiles_are_of_the_files() -> None:
    assert Quantiles.of([float(number) for number in range(1, 201)]) == Quantiles(100.5, 198.0)
    assert Quantiles.of([5.0]) == Quantiles(5.0, 5.0)
    with pytest.raises(ValueError, match="no file was timed"):
        Quantiles.of([])


def test_slow_round_of_a_file_does_not_count() -> None:
    assert typical([[1.0, 2.0], [900.0, 2.0], [1.0, 4.0]]) == [1.0, 2.0]
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        typical([[1.0, 2.0], [1.0]])


def test_json_has_the_figures_and_the_peer() -> None:
    told = json.loads(json.dumps(resolvers_json({"java": COST}), allow_nan=False))
    assert told["java"] == {
        "files": 120,
        "packages": 7,
        "first_us": {"median": 12.34, "p99": 456.0},
        "seen_us": {"median": 1.0, "p99": 2.0},
        "peer": {"name": "zipfile.ZipFile", "resolver_us": 3000.0, "peer_us": 6000.0, "ratio": 0.5},
    }


def test_table_lines_up() -> None:
    title, heading, *rows = resolver_table({"java": COST, "dotnet": COST})
    assert title.startswith("resolver cost: us for one file")
    assert len(rows) == 2
    assert len({len(row) for row in (heading, *rows)}) == 1
    assert "0.5 of zipfile.ZipFile" in rows[0]


def test_resolvers_are_timed_on_real_files() -> None:
    cost = measure(1, ["python"])["python"]
    assert cost.files > 100
    assert cost.packages > 10
    assert 0 < cost.seen.median <= cost.first.p99
    assert cost.peer is not None and cost.peer.ratio > 0


def test_only_resolvers_leaves_the_other_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    file.write_text('{"open_seen_ns": {"base": 1}, "resolver_cost": {"old": 1}}')
    monkeypatch.setattr(command, "measure", lambda _: {"java": COST})
    monkeypatch.setattr("sys.argv", ["bench", "--only", "resolvers", "--json", str(file)])
    monkeypatch.setattr(command, "end_in_order_on_signals", lambda: None)
    assert command.main() == 0
    told = json.loads(file.read_text())
    assert told["open_seen_ns"] == {"base": 1}
    assert set(told[RESOLVERS]) == {"java"}
