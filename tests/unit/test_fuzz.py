"""The seeds of every fuzz target, and a harness that notices what it is there for."""

from __future__ import annotations

import importlib.util
import math
import time
from pathlib import Path

import pytest

from tests.clock import LATE, PATIENCE
from tests.fuzz import engine, mutation
from tests.fuzz.__main__ import main
from tests.fuzz.catalogue import Listed, catalogue, chosen, targets_of
from tests.fuzz.child import others
from tests.fuzz.engine import Share
from tests.fuzz.report import last_line, problems, table
from tests.fuzz.run import Budget, Outcome, Problem, fuzz, repeat
from tests.fuzz.target import CORPUS, Target
from tests.fuzz.watch import Watch

TARGETS = catalogue()
BROKEN = {listed.name.removeprefix("broken-"): listed for listed in targets_of("tests.fuzz.broken")}
LARGEST_SEED = 64 << 10


@pytest.mark.parametrize("listed", TARGETS, ids=lambda listed: listed.name)
def test_target_takes_its_seeds(listed: Listed) -> None:
    target = listed.target
    assert importlib.util.find_spec(target.module), f"{target.module}: no such module"
    seeds = sorted(target.seeds.glob("*"))
    assert len(seeds) >= 3, f"{target.seeds}: expected at least three seeds"
    watch = Watch(target.run, limit_mib=math.inf)  # the test runner is as large as it is
    for seed in seeds:
        assert seed.stat().st_size <= LARGEST_SEED, seed
        watch(seed.read_bytes())


def test_targets_of_all_languages_are_there() -> None:
    assert {listed.source.rpartition(".")[2] for listed in TARGETS} >= {
        "python",
        "node",
        "java",
        "go",
        "dotnet",
    }


def test_every_folder_of_seeds_belongs_to_a_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == {listed.name for listed in TARGETS}


@pytest.mark.parametrize("kind", sorted({engine.engine(), "own"}))
@pytest.mark.parametrize(
    ("defect", "found"),
    [
        ("crash", "crash"),
        ("deep", "crash"),
        ("leave", "crash"),
        ("swallow", "hang"),
        ("memory", "memory"),
        ("leak", "memory"),
    ],
)
def test_harness_finds_the_defect_and_keeps_the_input(
    defect: str, found: str, kind: str, tmp_path: Path
) -> None:
    outcome = fuzz(BROKEN[defect], Share(seconds=20), tmp_path, kind)
    assert outcome.problem is not None
    assert outcome.problem.kind == found, outcome.problem.text
    file = outcome.problem.input
    assert file is not None and file.is_relative_to(tmp_path)
    if defect != "leak":  # that takes hundreds of inputs
        assert repeat(BROKEN[defect], file).code != 0


@pytest.mark.parametrize("kind", sorted({engine.engine(), "own"}))
def test_harness_lets_a_sound_target_run_to_its_number_of_inputs(kind: str, tmp_path: Path) -> None:
    outcome = fuzz(BROKEN["fine"], Share(inputs=5_000), tmp_path, kind)
    assert outcome.problem is None
    assert outcome.executions == pytest.approx(5_000, rel=0.01)
    assert 10 < outcome.peak_mib < 256


@pytest.mark.parametrize("kind", sorted({engine.engine(), "own"}))
def test_harness_keeps_to_its_time(kind: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    assert fuzz(BROKEN["fine"], Share(seconds=2), tmp_path, kind).executions > 1_000
    assert 1 < time.monotonic() - begun < PATIENCE  # without end else


def test_slowest_input_is_kept(tmp_path: Path) -> None:
    def slow(data: bytes) -> None:
        end = time.thread_time() + len(data) / 1000
        while time.thread_time() < end:
            pass

    watch = Watch(slow, tmp_path, limit_mib=math.inf)
    for size in (5, 20, 10):
        watch(bytes(size))
    assert (tmp_path / "slowest").read_bytes() == bytes(20)


def test_only_the_target_s_module_is_instrumented() -> None:
    rest = others("sensor.node.resolve.python")
    assert {"sensor", "sensor.node.resolve", "sensor.node.resolve.elf"} <= set(rest)
    assert not [name for name in rest if name.startswith("sensor.node.resolve.python")]
    with pytest.raises(ValueError, match="no package"):
        others("absent.module")


def test_budget_is_dealt_out_and_nothing_of_it_is_lost() -> None:
    budget = Budget(None, 1_000, targets=3, parallel=2)
    assert sum(budget.take().inputs or 0 for _ in range(3)) == 1_000
    timed = Budget(60.0, None, targets=4, parallel=2)
    first, second = (timed.take().seconds or 0 for _ in range(2))
    assert first == pytest.approx(29, abs=LATE), "two turns of two"
    assert second == pytest.approx(29, abs=LATE)
    assert (timed.take().seconds or 0) == pytest.approx(59, abs=LATE), "nobody has used anything yet"


def test_output_of_libfuzzer_is_read() -> None:
    said = engine.read(
        "#62\tINITED cov: 93 ft: 252 corp: 43/749b exec/s: 0 rss: 43Mb\n"
        "#728\tDONE   cov: 95 ft: 260 corp: 45/80Kb lim: 88 exec/s: 20000 rss: 43Mb\n"
        "artifact_prefix='art/'; Test unit written to art/crash-edc5\n"
        "stat::number_of_executed_units: 730\nstat::average_exec_per_sec:     365\n"
    )
    assert said == engine.Said(730, 365, 260, 45, Path("art/crash-edc5"))
    assert engine.read("Killed") == engine.Said(0, 0, 0, 0, None)


def test_mutations_stay_within_bounds_and_differ() -> None:
    import random

    chance = random.Random(1)
    made = {mutation.mutated(b"PK\x03\x04" * 8, chance, 40) for _ in range(500)}
    assert len(made) > 300
    assert max(map(len, made)) == 40
    assert {len(each) for each in {mutation.mutated(b"", chance, 40) for _ in range(100)}} > {0, 1}


def test_report_tells_how_to_see_it_again() -> None:
    outcomes = [
        Outcome("a", 1_000, 500, 12, 3, 60.0, 2.0),
        Outcome("b", 234, 1, problem=Problem("hang", "Traceback", Path("/x/timeout-1")), peak_mib=143.2),
        Outcome("c", problem=Problem("memory", "MiB", Path("/x/crash-1"))),
        Outcome("d", slowed=2),
    ]
    assert last_line(outcomes) == (
        "fuzz: 1,234 inputs over 4 targets: 1 crash, 1 hang over 1 s, peak 143 MiB"
    )
    assert last_line(outcomes[:1]).endswith("over 1 targets: 0 crashes, 0 hangs over 1 s, peak 60 MiB")
    assert "  again: python -m tests.fuzz --target b --input /x/timeout-1" in problems(outcomes)
    assert "2 over 1 s by the wall clock, not repeated" in table(outcomes)[4]


def test_names_of_targets_are_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no target absent"):
        chosen(BROKEN.values(), ["absent"])
    assert main(["--target", "absent"]) == 2
    assert main(["--target", "absent", "--input", "/dev/null"]) == 2
    assert "no target absent" in capsys.readouterr().err


def test_two_targets_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = Listed("x", Target("double", "sensor", bytes))
    monkeypatch.setattr("tests.fuzz.catalogue.targets_of", lambda _: (twice, twice))
    with pytest.raises(ValueError, match="two targets are called double"):
        catalogue()
