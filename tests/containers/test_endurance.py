"""Half a minute of `make endurance`, which takes an hour: what a container leaves is gone with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.endurance.report import last_line, lines, not_shown, problems
from tests.endurance.run import run
from tests.ground import Ground

pytestmark = pytest.mark.containers

MINUTES, RATE = 0.5, 10.0


def test_ten_containers_a_second_leave_nothing(ground: Ground, tmp_path: Path) -> None:
    outcome = run(ground, tmp_path / "endurance", MINUTES, RATE, print)
    print("\n".join([*lines(outcome), last_line(outcome)]))
    assert problems(outcome) == []
    assert not_shown(outcome, RATE) == []
    assert outcome.started == MINUTES * 60 * RATE
