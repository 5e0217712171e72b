"""A minute of hostile bytes for all parsers together, fresh ones each time. `make fuzz` takes longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz.catalogue import catalogue
from tests.fuzz.report import last_line, problems, table
from tests.fuzz.run import Budget, run

pytestmark = pytest.mark.fuzz

SECONDS = 55.0


def test_a_minute_finds_nothing(tmp_path: Path) -> None:
    listed = catalogue()
    parallel = len(os.sched_getaffinity(0))
    outcomes = run(listed, Budget(SECONDS, None, len(listed), parallel), parallel, print, tmp_path)
    print("\n".join([*table(outcomes), last_line(outcomes)]))
    assert problems(outcomes) == [], "\n".join(problems(outcomes))
    idle = [outcome.name for outcome in outcomes if outcome.executions < 100]
    assert idle == [], "these saw hardly any input"
