"""What the agent has printed so far, read on from where it was read before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.packages import VERSION


class Reports:
    """Of the JSON lines in ``path``: container id -> names of its packages at :data:`VERSION`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._names: dict[str, set[str]] = {}

    def complete(self, packages: Mapping[str, Sequence[str]]) -> int:
        """How many containers of ``packages`` (id -> names) were reported with all of them."""
        self._read_on()
        return sum(self._names.get(container, set()) >= set(names) for container, names in packages.items())

    def missing(self, packages: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Container id -> the packages of it that were not reported, where there are any."""
        self._read_on()
        found = {each: sorted(set(names) - self._names.get(each, set())) for each, names in packages.items()}
        return {container: names for container, names in found.items() if names}

    def _read_on(self) -> None:
        with self._path.open("rb") as lines:
            lines.seek(self._read)
            whole, newline, _ = lines.read().rpartition(b"\n")  # the last may be half written
        self._read += len(whole) + len(newline)
        for line in whole.splitlines():
            report = json.loads(line)
            names = {each["name"] for each in report.get("packages", ()) if each["version"] == VERSION}
            if container := report.get("container", {}).get("id"):
                self._names.setdefault(container, set()).update(names)
