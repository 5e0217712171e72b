"""A wrong value is refused before anything is installed, by a message that says which and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.charts import rendered
from tests.charts.helm_program import NEWEST, OLD, HelmError, template
from tests.charts.wrong_values import WRONG_VALUES, Wrong

_LEAST = 30


@pytest.mark.parametrize("name", [NEWEST, OLD])
@pytest.mark.parametrize("wrong", WRONG_VALUES, ids=lambda wrong: f"{wrong.path}={wrong.value}")
def test_a_wrong_value_is_refused_and_named(wrong: Wrong, name: str) -> None:
    with pytest.raises(HelmError) as refused:
        _render(rendered.CHART.parent / wrong.chart, wrong, name)
    message = str(refused.value)
    assert "values don't meet the specifications of the schema" in message
    assert [part for part in wrong.named if part not in message] == []


def test_there_are_enough_of_them() -> None:
    assert len(set(map(str, WRONG_VALUES))) == len(WRONG_VALUES) >= _LEAST


def test_it_is_the_schema_that_refuses_them(tmp_path: Path) -> None:
    """Without it nothing is said: so the test above would see a schema that lost its strictness."""
    chart = rendered.copied(tmp_path)
    (chart / "values.schema.json").unlink()
    for wrong in WRONG_VALUES[:6]:
        assert "kind: " in _render(chart, wrong, NEWEST)


def _render(chart: Path, wrong: Wrong, name: str) -> str:
    if name == NEWEST:
        return template(chart, {wrong.path: wrong.value})
    return template(chart, {}, *_old_options(wrong), name=OLD)


def _old_options(wrong: Wrong) -> list[str]:
    """Helm 3.8 has no --set-json: what it has keeps the type all the same."""
    option = "--set-string" if isinstance(wrong.value, str) else "--set"
    if isinstance(wrong.value, list):
        first = wrong.value[0]
        pairs = first.items() if isinstance(first, dict) else [("", first)]
        return [f"{option}={wrong.path}[0]{f'.{key}' if key else ''}={value}" for key, value in pairs]
    return [f"{option}={wrong.path}={str(wrong.value).lower() if wrong.value is True else wrong.value}"]
