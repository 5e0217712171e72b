"""One quick application of each language through the yardstick: `make accuracy` runs them all."""

from __future__ import annotations

import pytest

from tests.accuracy.catalogue import LANGUAGES, catalogue, chosen
from tests.accuracy.memory import BAR_MIB
from tests.accuracy.run import Patience, Result, run
from tests.ground import Ground

pytestmark = pytest.mark.containers

QUICK = {
    "python": "python-flask",
    "node": "node-fastify",
    "java": "java-class-path",
    "go": "go-cli",
    "dotnet": "dotnet-loose",
}
PATIENCE = Patience(settle=12, calm=2)


@pytest.fixture(scope="module")
def result(ground: Ground) -> Result:
    found = catalogue()
    assert found.problems == ()
    return run(ground, chosen(found.applications, QUICK.values()), len(QUICK), print, PATIENCE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_report_is_the_truth_of_the_runtime(result: Result, language: str) -> None:
    (outcome,) = (each for each in result.outcomes if each.language == language)
    assert outcome.failure == ""
    assert outcome.comparison.missing == frozenset()
    assert outcome.comparison.wrong == frozenset()
    assert len(outcome.comparison.correct) > 1
    print(
        f"{outcome.name}: {len(outcome.comparison.correct)} packages, {outcome.seconds:.1f} s after the truth"
    )


def test_sensor_lost_nothing_and_stayed_small(result: Result) -> None:
    assert result.sensor.events_lost == 0
    assert "loader" in result.sensor.starting_mib
    assert "agent" in result.sensor.peaks_mib
    assert all(mib <= BAR_MIB for mib in result.sensor.peaks_mib.values()), result.sensor.peaks_mib
