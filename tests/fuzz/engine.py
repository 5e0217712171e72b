"""Which engine there is, how it is called, and what its output says."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.catalogue import Listed
from tests.fuzz.watch import LIMIT_MIB

_LONGEST = (4 << 10, 64 << 10)
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)
_STATE = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)
_ARTIFACT = re.compile(r"Test unit written to (\S+)")


@dataclass(frozen=True, slots=True)
class Share:
    """What one target gets of a run: seconds, or inputs where a number was asked for."""

    seconds: float | None = None
    inputs: int | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What an engine said at its end; ``features`` are libFuzzer's, 0 of the plain loop."""

    executions: int
    per_second: int
    features: int
    corpus: int
    artifact: Path | None


def engine() -> str:
    """``atheris`` where it is installed, else ``own``."""
    return "atheris" if importlib.util.find_spec("atheris") else "own"


def longest(seeds: Path) -> int:
    """Bytes of the longest input worth making: twice the largest seed, within bounds."""
    largest = max((file.stat().st_size for file in seeds.glob("*")), default=0)
    return min(max(2 * largest, _LONGEST[0]), _LONGEST[1])


def command(listed: Listed, kind: str, share: Share, folder: Path) -> list[str]:
    """The child that fuzzes one target. Finds go to ``folder``/corpus/NAME, failures to ``folder``/NAME."""
    target = listed.target
    notes, most = folder / target.name, longest(target.seeds)
    line = [*child(listed), "--engine", kind, "--notes", str(notes)]
    if kind == "own":
        line += ["--artifacts", f"{notes}/", "--longest", str(most)]
        line += ["--seconds", str(share.seconds)] if share.seconds is not None else ["--seconds", "86400"]
        return line + (["--inputs", str(share.inputs)] if share.inputs is not None else [])
    corpora = [folder / "corpus" / target.name, *([target.seeds] if target.seeds.is_dir() else [])]
    line += ["--module", target.module, *map(str, corpora)]
    line += ["-timeout=1", f"-rss_limit_mb={LIMIT_MIB}", f"-max_len={most}", "-print_final_stats=1"]
    line += [f"-artifact_prefix={notes}/"]
    if share.inputs is not None:
        line.append(f"-runs={share.inputs}")
    if share.seconds is not None:
        line.append(f"-max_total_time={max(math.floor(share.seconds), 1)}")
    return line


def repeat(listed: Listed, file: Path) -> list[str]:
    """The child that runs one input, uninstrumented."""
    return [*child(listed), "--input", str(file)]


def child(listed: Listed) -> list[str]:
    return [sys.executable, "-m", "tests.fuzz.child", listed.source, listed.name]


def read(output: str) -> Said:
    """Read what libFuzzer (or the plain loop) wrote; zeroes where it never got so far."""
    stats = {name: int(value) for name, value in _STAT.findall(output)}
    states = _STATE.findall(output)
    runs, _, features, corpus = map(int, states[-1]) if states else (0, 0, 0, 0)
    artifact = _ARTIFACT.findall(output)
    return Said(
        executions=stats.get("number_of_executed_units", runs),
        per_second=stats.get("average_exec_per_sec", 0),
        features=features,
        corpus=corpus,
        artifact=Path(artifact[-1]) if artifact else None,
    )
