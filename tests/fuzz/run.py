"""Runs the targets, several at a time, within a time or to a number of inputs."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from tests.fuzz import engine
from tests.fuzz.catalogue import Listed
from tests.fuzz.engine import Share

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "build" / "fuzz"

START_SECONDS = 1.0
"""What a child takes before its first input, about; no fuzzing, but part of the time that was given."""
_START = str(Path(__file__).with_name("start.py"))
_GRACE = 30.0  # for a child that does not end by itself
_LONGEST = 3600.0
_REPEATS = 2
_REPEAT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Problem:
    """``kind`` is crash, hang, memory, or error (the child failed without an input to blame)."""

    kind: str
    text: str
    input: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one target. ``slowest_ms`` is CPU time; ``slowed`` counts time-outs that did not repeat."""

    name: str
    executions: int = 0
    per_second: int = 0
    features: int = 0
    corpus: int = 0
    peak_mib: float = 0.0
    slowest_ms: float = 0.0
    slowed: int = 0
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A child that has ended: exit code (negative: by a signal), output, highest resident memory."""

    code: int
    output: str
    peak_mib: float
    seconds: float


class Budget:
    """Shares of a run, dealt as targets begin: what one leaves over goes to those that follow."""

    def __init__(self, seconds: float | None, inputs: int | None, targets: int, parallel: int) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds
        self._inputs = inputs
        self._left = targets
        self._parallel = parallel
        self._lock = threading.Lock()

    def take(self) -> Share:
        """For one more target."""
        with self._lock:
            turns = max(math.ceil(self._left / self._parallel), 1)
            inputs = None if self._inputs is None else math.ceil(self._inputs / max(self._left, 1))
            if self._inputs is not None and inputs is not None:
                self._inputs -= inputs
            self._left -= 1
        if self._end is None:
            return Share(inputs=inputs)
        return Share(max((self._end - time.monotonic()) / turns - START_SECONDS, 1.0), inputs)


def run(  # noqa: PLR0917
    listed: Sequence[Listed],
    budget: Budget,
    parallel: int,
    say: Callable[[str], None],
    folder: Path = FOLDER,
    kind: str | None = None,
) -> list[Outcome]:
    """Fuzz all of ``listed``; in their order. ``kind`` is the engine, the best one there is by default."""
    kind = kind or engine.engine()

    def one(each: Listed) -> Outcome:
        outcome = fuzz(each, budget.take(), folder, kind)
        say(f"{each.name}: {outcome.executions:,} inputs{_trouble(outcome)}")
        return outcome

    pool = ThreadPoolExecutor(parallel, "fuzz")
    try:
        return list(pool.map(one, listed))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def fuzz(listed: Listed, share: Share, folder: Path, kind: str) -> Outcome:
    """Fuzz one target until its share is used up or something is wrong with it.

    libFuzzer's time-out is one of wall time and of instrumented code. What does not take as long when it
    is repeated plainly is no hang: the target goes on with what is left of its share.
    """
    (folder / listed.name).mkdir(parents=True, exist_ok=True)
    (folder / "corpus" / listed.name).mkdir(parents=True, exist_ok=True)
    (folder / listed.name / "slowest.json").unlink(missing_ok=True)
    found = Outcome(listed.name)
    begun = time.monotonic()
    while True:
        left = _left(share, found.executions, time.monotonic() - begun)
        ended = _child(engine.command(listed, kind, left, folder), (left.seconds or _LONGEST) + _GRACE)
        found = _added(found, ended, folder)
        problem = _problem(ended, listed)
        if problem is None or problem.kind != "slowed":
            return replace(found, problem=problem)
        found = replace(found, slowed=found.slowed + 1)
        if _used_up(share, found.executions, time.monotonic() - begun):
            return found


def repeat(listed: Listed, file: Path) -> Ended:
    """Run one input in a process of its own, by the plain way."""
    return _child(engine.repeat(listed, file), _REPEAT_SECONDS)


def _left(share: Share, executions: int, seconds: float) -> Share:
    return Share(
        None if share.seconds is None else max(share.seconds - seconds, 1.0),
        None if share.inputs is None else max(share.inputs - executions, 1),
    )


def _used_up(share: Share, executions: int, seconds: float) -> bool:
    return (share.seconds is not None and seconds >= share.seconds) or (
        share.inputs is not None and executions >= share.inputs
    )


def _added(found: Outcome, ended: Ended, folder: Path) -> Outcome:
    said = engine.read(ended.output)
    return replace(
        found,
        executions=found.executions + said.executions,
        # libFuzzer counts whole seconds, and says 0 of the first.
        per_second=said.per_second or round(said.executions / ended.seconds),
        features=max(found.features, said.features),
        corpus=max(found.corpus, said.corpus),
        peak_mib=max(found.peak_mib, ended.peak_mib),
        slowest_ms=_slowest_ms(folder / found.name / "slowest.json"),
    )


def _slowest_ms(notes: Path) -> float:
    try:
        return float(json.loads(notes.read_text())["seconds"]) * 1000
    except (OSError, ValueError):
        return 0.0


def _problem(ended: Ended, listed: Listed) -> Problem | None:
    if ended.code == 0:
        return None
    file = engine.read(ended.output).artifact
    last = "\n".join(ended.output.strip().splitlines()[-25:])
    if file is None:
        return Problem("error", f"the child ended with status {ended.code}:\n{last}")
    if "TooMuchMemory" in ended.output or file.name.startswith("oom-"):
        return Problem("memory", last, file)
    if "TooSlow" in ended.output:
        return Problem("hang", last, file)
    if file.name.startswith("timeout-"):
        repeats = any(repeat(listed, file).code != 0 for _ in range(_REPEATS))
        return Problem("hang" if repeats else "slowed", last, file)
    return Problem("crash", last, file)


def _child(command: Sequence[str], timeout: float) -> Ended:
    """Run it to its end, which is by SIGKILL after ``timeout`` seconds."""
    begun = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as peak:
        child = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "--"),
                *(sys.executable, "-I", "-S", _START, str(peak.fileno()), *command),
            ],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(peak.fileno(),),
            start_new_session=True,
        )
        end = threading.Timer(timeout, _kill, (child.pid,))
        end.start()
        try:
            code = child.wait()
        finally:
            end.cancel()
        output.seek(0)
        text = output.read().decode(errors="replace")
        peak.seek(0)
        kib = int(peak.read() or b"0")
    return Ended(code, text, kib / 1024, time.monotonic() - begun)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _trouble(outcome: Outcome) -> str:
    return f", {outcome.problem.kind}" if outcome.problem else ""
