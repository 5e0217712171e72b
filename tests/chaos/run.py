"""The rounds in turn, and what came of them."""

from __future__ import annotations

import bisect
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos import held
from tests.chaos.compare import Difference, Row, compare
from tests.chaos.plan import AGENT, Round, rounds
from tests.chaos.processes import Pair, Program
from tests.chaos.truth import Expected, Life, expected
from tests.chaos.workload import Workload, kinds
from tests.ground import Ground

SETTLED_WITHIN = 90.0
"""Seconds after the last round within which everything must have arrived."""
CALM = 12.0
"""Seconds for which it must stay so: longer than from one snapshot to the next."""
DATABASE = "receiver.db"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``round_ends`` are moments of CLOCK_MONOTONIC; ``settled`` is seconds from the last round on."""

    rounds: int
    seed: int
    kills: dict[str, int]
    readies: dict[str, int]
    round_ends: tuple[float, ...]
    truth: tuple[Expected, ...]
    lives: tuple[Life, ...]
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]
    settled: float | None
    seconds: float

    def round_of(self, at: float | None) -> int | None:
        """The round in which a moment lies."""
        return None if at is None else min(self.rounds, 1 + bisect.bisect(self.round_ends, at))


def run(  # noqa: PLR0917
    ground: Ground, folder: Path, count: int, seed: int, say: Say, calm: float = CALM
) -> Outcome:
    """What is right in the end must stay so for ``calm`` seconds.

    Raises WorkloadError, ProcessError, GroundError: then nothing is known of what was to be shown.
    """
    begun = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say("preparing the images")
    images = kinds(ground)
    pair = Pair(folder)
    workload = Workload(ground, images, seed, pair.agent.watches)
    try:
        say("starting the receiver and the sensor")
        pair.start()
        workload.start()
        ends = _rounds(pair, workload, count, seed, say)
        return _settle(pair, workload, ends, seed, begun, calm, say)
    finally:
        pair.close()


def _rounds(pair: Pair, workload: Workload, count: int, seed: int, say: Say) -> tuple[float, ...]:
    ends = []
    back: dict[str, float] = {}  # who is away -> until when
    for each in rounds(count, seed):
        _wait(pair, back, time.monotonic() + each.delay)
        _strike(pair, back, each)
        ends.append(time.monotonic())
        if workload.problem is not None:
            break
        lives = workload.lives() if each.number % 25 == 0 else []
        if lives:
            kills = " and ".join(f"{program.name} {program.kills}" for program in pair.programs)
            loads = sum(len(life.loads) for life in lives)
            say(f"round {each.number}: killed {kills} times; {len(lives)} containers, {loads} packages")
    _wait(pair, back, max([0.0, *back.values()]))
    return tuple(ends)


def _strike(pair: Pair, back: dict[str, float], each: Round) -> None:
    """Kill who is up of the victims; if none of them is, the one that comes back first, once it is there."""
    victims = [name for name in sorted(each.victims) if name not in back]
    if not victims:
        first = min(back, key=lambda name: back[name])
        _wait(pair, back, back[first])
        victims = [first]
    for name in victims:
        _program(pair, name).kill()
    for name in victims:
        back[name] = time.monotonic() + each.pauses[name]
    _wait(pair, back, 0.0)


def _wait(pair: Pair, back: dict[str, float], until: float) -> None:
    """Until that moment; who is due meanwhile is started. Sleeps at most until somebody is."""
    while True:
        now = time.monotonic()
        for name in [name for name, due in back.items() if due <= now]:
            del back[name]
            _program(pair, name).start()
        if now >= until:
            return
        time.sleep(max(0.0, min([until, *back.values()]) - time.monotonic()))


def _program(pair: Pair, name: str) -> Program:
    return pair.agent if name == AGENT else pair.receiver


def _settle(  # noqa: PLR0917
    pair: Pair, workload: Workload, ends: tuple[float, ...], seed: int, begun: float, calm: float, say: Say
) -> Outcome:
    """Wait until what is held is the truth, and stays so."""
    say(f"{len(ends)} rounds; waiting for the rest to arrive")
    workload.rest()
    last = time.monotonic()
    for program in pair.programs:
        program.wait_ready()
    settled: float | None = None
    while True:
        now = time.monotonic()
        lives = workload.lives()
        truth, found, differences = _look(pair, lives)
        if differences:
            settled = None
        elif settled is None:
            settled = now
        if (settled is not None and now - settled >= calm) or now - last > SETTLED_WITHIN + calm:
            break
        time.sleep(0.5)
    workload.end_all()
    return Outcome(
        rounds=len(ends),
        seed=seed,
        kills={program.name: program.kills for program in pair.programs},
        readies={program.name: len(program.watches()) for program in pair.programs},
        round_ends=ends,
        truth=tuple(truth),
        lives=tuple(lives),
        rows=tuple(found),
        differences=tuple(differences),
        settled=None if settled is None else settled - last,
        seconds=time.monotonic() - begun,
    )


def _look(pair: Pair, lives: list[Life]) -> tuple[list[Expected], list[Row], list[Difference]]:
    watches = pair.agent.watches()
    by_life = {life.id: expected(life, watches) for life in lives}
    truth = [each for each in by_life.values() if each is not None]
    unknowable = frozenset(name for name, each in by_life.items() if each is None)
    try:
        found = held.rows(pair.data / DATABASE)
    except sqlite3.Error as error:
        return truth, [], [Difference("lost", "all", None, f"the receiver's database: {error}")]
    ours = [row for row in found if not held.is_of_others(row)]
    return truth, ours, compare(truth, ours, unknowable)
