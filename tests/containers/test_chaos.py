"""A few rounds of `make chaos`, whose 300 take ten minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.report import last_line, lines
from tests.chaos.run import run
from tests.ground import Ground

pytestmark = pytest.mark.containers

ROUNDS = 12


def test_nothing_is_lost_or_doubled_when_both_are_killed(ground: Ground, tmp_path: Path) -> None:
    outcome = run(ground, tmp_path / "chaos", ROUNDS, seed=3, say=print, calm=3)
    print("\n".join(lines(outcome)))
    assert last_line(outcome) == f"chaos: {ROUNDS} rounds, 0 lost, 0 doubled"
    assert outcome.kills["node"] >= 3 and outcome.kills["receiver"] >= 3
    assert sum(len(each.must) for each in outcome.truth) > 50, "the containers must have loaded something"
