"""Writes a chart's README.md: each value with its default and what it does, from ``values.yaml`` itself.

``python -m tests.charts.readme`` writes it, ``--check`` tells whether it is what it would write. A text is
the comment ``# --`` above a key, over as many lines as it has. A key without one is a group.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.charts.helm_program import CHARTS

_KEY = re.compile(r"^( *)([A-Za-z]\w*):")
_TEXT = re.compile(r"^ *# -- (.*)")
_MORE = re.compile(r"^ *# (.*)")


@dataclass(frozen=True)
class Value:
    """``path`` is dotted; ``default`` as YAML reads it."""

    path: str
    default: Any
    text: str


def values_of(chart: Path) -> list[Value]:
    """The values of a chart that have a text, in their order."""
    source = (chart / "values.yaml").read_text()
    defaults = yaml.safe_load(source)
    return [Value(path, _at(defaults, path), text) for path, text in _texts(source)]


def _texts(source: str) -> Iterator[tuple[str, str]]:
    parents: list[str] = []
    text: list[str] = []
    for line in source.splitlines():
        if found := _TEXT.match(line):
            text = [found[1]]
        elif (found := _MORE.match(line)) and text:
            text.append(found[1])
        elif found := _KEY.match(line):
            depth = len(found[1]) // 2
            parents = [*parents[:depth], found[2]]
            if text:
                yield ".".join(parents), " ".join(text)
            text = []
        else:
            text = []


def _at(found: Any, path: str) -> Any:
    for key in path.split("."):
        found = found[key]
    return found


def readme(chart: Path) -> str:
    """The whole file."""
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    intro = (chart.parent / f"{chart.name}.md").read_text().rstrip()
    rows = [f"| `{v.path}` | `{json.dumps(v.default)}` | {_cell(v.text)} |" for v in values_of(chart)]
    return "\n".join(
        [
            f"<!-- Written by `python -m tests.charts.readme` from values.yaml and ../{chart.name}.md. -->",
            f"# {about['name']}",
            "",
            f"Chart {about['version']}, sensor {about['appVersion']}, Kubernetes {about['kubeVersion']}",
            "",
            intro,
            "",
            "## Values",
            "A value that is not in this table is refused with its path.",
            "",
            "| value | default | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: list[str]) -> int:
    stale = []
    for chart in CHARTS:
        path, text = chart / "README.md", readme(chart)
        if arguments == ["--check"]:
            stale += [path] if not path.is_file() or path.read_text() != text else []
        else:
            path.write_text(text)
    for path in stale:
        print(f"{path}: is not what its values say; run python -m tests.charts.readme", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
