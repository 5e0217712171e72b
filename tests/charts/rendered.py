"""What a combination renders to, once a run: helm is most of the time that these tests take."""

from __future__ import annotations

import functools
from pathlib import Path

from tests.charts.combinations import COMBINATIONS, Combination
from tests.charts.helm_program import CHARTS, template
from tests.charts.manifests import Manifest, parse

CHART = CHARTS[0]
_NAMED = {each.name: each for each in COMBINATIONS}


@functools.cache
def _text(name: str, kube_version: str) -> str:
    one = _NAMED[name]
    return template(
        CHART.parent / one.chart,
        one.values,
        f"--kube-version={kube_version}",
        *one.options,
        release=one.release,
    )


def text(one: Combination | str, kube_version: str = "v1.34.0") -> str:
    """YAML of a combination, or of the one with that name, for a cluster of that version."""
    return _text(one if isinstance(one, str) else one.name, kube_version)


def manifests(one: Combination | str, kube_version: str = "v1.34.0") -> list[Manifest]:
    """The objects, anew for each caller."""
    return parse(text(one, kube_version))


def copied(folder: Path) -> Path:
    """A copy of the chart that a test may break."""
    made = folder / CHART.name
    for path in CHART.rglob("*"):
        if path.is_file():
            target = made / path.relative_to(CHART)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return made
