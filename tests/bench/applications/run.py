"""The alternation: a phase without the sensor, one with it, one with it, one without, and so on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench import metrics
from tests.bench.agent import Agent, agent, free_port
from tests.bench.applications import generators
from tests.bench.applications.figures import Applications, Phase, Result
from tests.bench.applications.places import Places, listed, places
from tests.bench.applications.programs import APPLICATIONS, JOBS, NEEDED, PORT, Build, Server
from tests.bench.container import Container, container
from tests.bench.pairs import order
from tests.bench.process import BUILD, BenchError, progress, running, wait_until

UP_SECONDS = 30.0
BUILD_SECONDS = 300.0
# The sensor has scanned what runs before it is timed; the server's caches are warm again after its start.
SETTLE_SECONDS = 1.0
WARM_UP_SECONDS = 1.0
PAIRS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """``seconds`` is a phase of a server."""

    pairs: int = PAIRS
    seconds: float = 3.0
    open_hook: str | None = None
    names: tuple[str, ...] = tuple(each.name for each in APPLICATIONS)

    def agent_options(self) -> list[str]:
        return ["--open-hook", self.open_hook] if self.open_hook else []


class _Sensor:
    """Attached and detached between phases; keeps the events lost, and the hook that was in use."""

    def __init__(self, directory: Path, options: Sequence[str]) -> None:
        self.hook = "unknown"
        self.events_lost = 0
        self._directory = directory
        self._options = options
        self._stack = contextlib.ExitStack()
        self._agent: Agent | None = None

    def __enter__(self) -> _Sensor:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def attach(self) -> None:
        if self._agent is None:
            files = self._directory / "sensor.jsonl", self._directory / "sensor.log"
            self._agent = self._stack.enter_context(agent(*files, *self._options))
            self.hook = metrics.open_hook(self._agent.exposition()) or self.hook
            time.sleep(SETTLE_SECONDS)

    def detach(self) -> None:
        """Raises BenchError when it was not at work any more."""
        if self._agent is not None:
            if not self._agent.ready():
                raise BenchError("the sensor was not ready any more at the end of a phase")
            self.events_lost += metrics.lost(self._agent.counters())
            self._agent = None
            self._stack.close()


def run(plan: Plan, processors: Sequence[int]) -> Applications:
    """Measure each application of ``plan.names``; raises BenchError.

    This process, and so the sensor, stays on its own processor meanwhile.
    """
    chosen = [each for each in APPLICATIONS if each.name in plan.names]
    check_needed()
    where, before = places(processors), os.sched_getaffinity(0)
    os.sched_setaffinity(0, where.agent)
    try:
        with _directory() as directory, _Sensor(directory, plan.agent_options()) as sensor:
            results = tuple(_one(each, plan, where, sensor, directory) for each in chosen)
    finally:
        os.sched_setaffinity(0, before)
    return Applications(results, sensor.hook, sensor.events_lost, where.as_json())


def check_needed() -> None:
    """Raises BenchError with the command that installs what is missing."""
    found = {name: shutil.which(name) or Path(name).exists() for name in NEEDED}
    missing = sorted({package for name, package in NEEDED.items() if not found[name]})
    if missing:
        raise BenchError(
            f"applications to be measured are not installed; expected Debian's {', '.join(missing)}: "
            f"apt-get install --no-install-recommends {' '.join(missing)}"
            f"{' (Debian starts nginx: systemctl disable --now nginx)' if 'nginx-light' in missing else ''}"
        )


@contextlib.contextmanager
def _directory() -> Iterator[Path]:
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-applications-", dir=BUILD) as directory:
        yield Path(directory)


def _one(application: Server | Build, plan: Plan, where: Places, sensor: _Sensor, directory: Path) -> Result:
    layer, scratch = directory / application.name, directory / f"{application.name}-scratch"
    layer.mkdir()
    scratch.mkdir()
    application.install(layer)
    with container(layer, scratch) as inside, contextlib.ExitStack() as stack:
        if isinstance(application, Server):
            measure = stack.enter_context(_served(application, plan, where, inside, directory))
        else:
            measure = _built(application, where, inside)
        phases = _phases(application.name, plan.pairs, measure, sensor)
    return Result(application.name, application.what, application.operation, phases)


Measure = Callable[[], Phase]


def _phases(name: str, pairs: int, measure: Measure, sensor: _Sensor) -> tuple[Phase, ...]:
    measure()  # fills the caches of the machine and of the application
    phases: list[Phase] = []
    for pair, beside in order(pairs):
        sensor.attach() if beside else sensor.detach()
        phase = replace(measure(), pair=pair, beside=beside)
        phases.append(phase)
        how = "with" if beside else "without"
        progress(
            f"{name}, pair {pair + 1} of {pairs}, {how}: {phase.rate:,.5g}/s, CPU {phase.cpu_us:,.5g} us"
        )
    sensor.detach()
    return tuple(phases)


@contextlib.contextmanager
def _served(
    server: Server, plan: Plan, where: Places, inside: Container, directory: Path
) -> Iterator[Measure]:
    port = free_port()
    command = [str(port) if part == PORT else part.replace(PORT, str(port)) for part in server.command]
    pinned = ["taskset", "--cpu-list", listed(where.server), *command]
    log = directory / f"{server.name}.log"
    with log.open("wb") as words, running(inside.command(pinned), words, words) as process:
        _wait_until_up(server.name, process, port, log)

        def load(seconds: float) -> generators.Answered:
            loaders, threads = listed(where.load), len(where.load)
            if server.generator == "wrk":
                url = f"http://127.0.0.1:{port}{server.path}"
                return generators.wrk(loaders, threads, url, seconds)
            return generators.redis_benchmark(loaders, threads, port, seconds)

        def measure() -> Phase:
            load(WARM_UP_SECONDS)
            before = cpu_seconds(inside)
            answered = load(plan.seconds)
            used = cpu_seconds(inside) - before
            return Phase(0, False, answered.rate, answered.p99_ms, 1e6 * used / answered.requests)

        yield measure


def _wait_until_up(name: str, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            raise BenchError(f"{name} ended with {process.returncode}; it said: {log.read_text()[-2000:]}")
        return listening(port)

    if not wait_until(answers, UP_SECONDS):
        raise BenchError(f"{name} does not listen after {UP_SECONDS:.0f} s: {log.read_text()[-2000:]}")


def listening(port: int) -> bool:
    """Whether a socket of this machine listens on ``port`` (IPv4), without connecting to it."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)


def _built(build: Build, where: Places, inside: Container) -> Measure:
    parts = [str(len(where.build)) if part == JOBS else part for part in build.command]
    pinned = ["taskset", "--cpu-list", listed(where.build)]

    def measure() -> Phase:
        took = used = 0.0
        for _ in range(build.times):
            _ended(build.name, inside.command([*pinned, *build.clean]))
            before, start = cpu_seconds(inside), time.monotonic()
            _ended(build.name, inside.command([*pinned, *parts]))
            took += time.monotonic() - start
            used += cpu_seconds(inside) - before
        return Phase(0, False, build.times / took, None, 1e6 * used / build.times)

    return measure


def _ended(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
    if done.returncode != 0:
        raise BenchError(f"{name} failed with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")


def cpu_seconds(inside: Container) -> float:
    """What all processes of the container used, ended ones included: cpu.stat of its cgroup (version 2) or
    cpuacct.usage (version 1). Raises BenchError when no hierarchy of the machine counts it."""
    for cgroup in inside.cgroups:
        with contextlib.suppress(FileNotFoundError):
            return int((cgroup / "cpu.stat").read_text().split()[1]) / 1e6
        with contextlib.suppress(FileNotFoundError):
            return int((cgroup / "cpuacct.usage").read_text()) / 1e9
    raise BenchError("no cgroup of the container counts CPU; expected cgroup version 2 to be mounted")
