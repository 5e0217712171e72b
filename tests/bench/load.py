"""What the agent itself uses while package files that it knows are opened again and again."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from pathlib import Path

from tests.bench import metrics
from tests.bench.agent import Agent, agent
from tests.bench.packages import HOME, VERSION, on_disk
from tests.bench.process import BenchError, progress, running, wait_until
from tests.bench.report import LoadResult
from tests.bench.rounds import Stage

RATE = 1000.0
PROGRESS_SECONDS = 10.0
REPORT_SECONDS = 10.0
# A container of the machine's own files has the system's interpreter; it needs no virtual environment.
INTERPRETER = "/usr/bin/python3"
_OPENER_SOURCE = Path(__file__).with_name("opener.py")
OPENER = HOME / "opener.py"


def install_opener(layer: Path) -> None:
    """Put :data:`OPENER` into the container's layer."""
    shutil.copy(_OPENER_SOURCE, on_disk(layer, OPENER))


def run_load(stage: Stage, warm_up: float, seconds: float, *options: str) -> LoadResult:
    """Load a fresh agent, started with further ``options``, for ``seconds``; raises BenchError when the load
    was not what it should be.

    First opens, their resolution and the debounced report fall into the seconds of ``warm_up`` before: what
    is timed is the steady state.
    """
    lines = stage.directory / "load.jsonl"
    files = [str(path) for path in stage.files.modules]
    total = str(warm_up + seconds + 1)
    command = stage.container.command([INTERPRETER, "-I", "-S", str(OPENER), str(RATE), total, *files])
    with (
        agent(lines, stage.directory / "load.log", *stage.agent_options, *options) as loaded,
        running(command, subprocess.PIPE, subprocess.DEVNULL) as opener,
    ):
        time.sleep(warm_up)
        result = _timed(loaded, opener, seconds)
        _check_reported(lines, stage.files.names)
    return result


def _timed(loaded: Agent, opener: subprocess.Popen[bytes], seconds: float) -> LoadResult:
    counters, before, start = loaded.counters(), loaded.usage(), time.monotonic()
    _sleep(seconds)
    after, elapsed = loaded.usage(), time.monotonic() - start
    output, _ = opener.communicate(timeout=30)
    rate = _rate(output)
    # 0.98: the opener's steps of 10 ms.
    latest = loaded.wait_for({"seen": int(0.98 * seconds * rate)}, since=counters)
    return LoadResult(
        seconds=elapsed,
        opens_per_second=rate,
        rss_mib=after.rss_mib,
        peak_rss_mib=after.peak_rss_mib,
        cpu_cores=(after.cpu_seconds - before.cpu_seconds) / elapsed,
        events_lost=metrics.lost(latest),
        events=sum(latest.get(name, 0) - counters.get(name, 0) for name in metrics.REACHED),
    )


def _sleep(seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        progress(f"load: {RATE:,.0f} repeated opens a second, {left:.0f} s to go")
        time.sleep(min(left, PROGRESS_SECONDS))


def _rate(output: bytes) -> float:
    try:
        opened, elapsed = output.decode().splitlines()[-1].split()
    except (IndexError, ValueError) as error:
        raise BenchError(f"the opener failed; it printed {output!r}") from error
    rate = int(opened) / float(elapsed)
    if rate < 0.95 * RATE:
        raise BenchError(f"the machine managed {rate:.0f} opens a second; expected {RATE:.0f}")
    return rate


def _check_reported(lines: Path, names: tuple[str, ...]) -> None:
    """The load was a load of packages: the sensor reported every one of them."""

    def complete() -> bool:
        return set(names) <= reported(lines.read_text())

    if not wait_until(complete, REPORT_SECONDS):
        missing = sorted(set(names) - reported(lines.read_text()))
        raise BenchError(f"the sensor did not report {', '.join(missing)} at {VERSION}")


def reported(text: str) -> set[str]:
    """Names of the Python packages at :data:`VERSION` in the container lines of the sensor's output."""
    names: set[str] = set()
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):  # the last may be half written
            packages = json.loads(line).get("packages", ())
            names |= {each["name"] for each in packages if each["version"] == VERSION}
    return names
