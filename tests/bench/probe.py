"""Builds and runs ``open_probe.c`` and ``exec_probe.c``, and reads what they print."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.container import Container
from tests.bench.packages import HOME, PackageFiles, on_disk
from tests.bench.process import BenchError
from tests.bench.report import Case, Reading

OPEN_SOURCE = Path(__file__).with_name("open_probe.c")
EXEC_SOURCE = Path(__file__).with_name("exec_probe.c")
TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Amount:
    """What one run of the probes does: batches of ``opens`` of each file and ``calls`` of getppid, for
    ``milliseconds``; then batches of ``execs``, for ``exec_milliseconds``."""

    milliseconds: int
    opens: int
    calls: int
    execs: int = 25
    exec_milliseconds: int = 800

    def opens_of_each_file(self, readings: Sequence[Reading]) -> int:
        """Opens of one of the two files in the run of ``readings``, its silent first batch included."""
        return self.opens * (_batches(readings, Case.OPEN_SEEN) + 1)

    def execs_in_all(self, readings: Sequence[Reading]) -> int:
        """Programs started in the run of ``readings``, the silent first batch included."""
        return self.execs * (_batches(readings, Case.EXEC) + 1)


def _batches(readings: Sequence[Reading], case: Case) -> int:
    return sum(reading.case is case for reading in readings)


PROGRAM = HOME / "open_probe"
EXEC_PROGRAM = HOME / "exec_probe"
# What is started: the least that a program can be. A loader and its libraries would be most of what is timed.
NOTHING = HOME / "nothing"
_NOTHING_SOURCE = "#include <unistd.h>\nvoid _start(void) { _exit(0); }\n"


def compile_probe(layer: Path) -> None:
    """Compile the probes into the container's layer; raises BenchError with the compiler's words."""
    checks = ("-Wall", "-Wextra", "-Werror")
    _compile(layer, PROGRAM, OPEN_SOURCE.read_text(), *checks)
    _compile(layer, EXEC_PROGRAM, EXEC_SOURCE.read_text(), *checks)
    _compile(layer, NOTHING, _NOTHING_SOURCE, "-static", "-nostartfiles")


def _compile(layer: Path, program: Path, source: str, *options: str) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BenchError("no C compiler found; expected gcc: apt-get install gcc libc6-dev")
    command = [compiler, "-O2", *options, "-o", str(on_disk(layer, program)), "-x", "c", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"the source of {program.name} does not compile:\n{done.stderr}")


def run_probe(container: Container, files: PackageFiles, processor: int, amount: Amount) -> list[Reading]:
    """Run the probes in the container, one after the other; raises BenchError when one fails."""
    opens = [str(number) for number in (processor, amount.milliseconds, amount.opens, amount.calls)]
    execs = [str(number) for number in (processor, amount.exec_milliseconds, amount.execs)]
    return [
        *_readings(container, [str(PROGRAM), *opens, str(files.other), str(files.modules[0])]),
        *_readings(container, [str(EXEC_PROGRAM), *execs, str(NOTHING)]),
    ]


def _readings(container: Container, command: list[str]) -> list[Reading]:
    inside = container.command(command)
    done = subprocess.run(inside, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    if done.returncode != 0:
        raise BenchError(f"{command[0]} failed with {done.returncode}: {done.stderr.strip()}")
    return parse(done.stdout)


def parse(output: str) -> list[Reading]:
    """One reading for each line of a probe; raises ValueError on any other text."""
    readings: list[Reading] = []
    for line in output.splitlines():
        case, cpu, wall = line.split()
        readings.append(Reading(Case(case), float(cpu), float(wall)))
    return readings
