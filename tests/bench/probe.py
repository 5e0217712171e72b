"""Builds and runs ``open_probe.c``, and reads what it prints."""

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

SOURCE = Path(__file__).with_name("open_probe.c")
TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Amount:
    """What one run of the probe does: batches of ``opens`` of each file and ``calls`` of getppid."""

    milliseconds: int
    opens: int
    calls: int

    def opens_of_each_file(self, readings: Sequence[Reading]) -> int:
        """Opens of one of the two files in the run of ``readings``, its silent first batch included."""
        return self.opens * (len(readings) // len(Case) + 1)


PROGRAM = HOME / "open_probe"


def compile_probe(layer: Path) -> None:
    """Compile :data:`PROGRAM` into the container's layer; raises BenchError with the compiler's words."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise BenchError("no C compiler found; expected gcc: apt-get install gcc libc6-dev")
    program = on_disk(layer, PROGRAM)
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchError(f"{SOURCE.name} does not compile:\n{done.stderr}")


def run_probe(container: Container, files: PackageFiles, processor: int, amount: Amount) -> list[Reading]:
    """Run the probe in the container; raises BenchError when it fails."""
    numbers = [str(number) for number in (processor, amount.milliseconds, amount.opens, amount.calls)]
    command = container.command([str(PROGRAM), *numbers, str(files.other), str(files.modules[0])])
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
    if done.returncode != 0:
        raise BenchError(f"the probe failed with {done.returncode}: {done.stderr.strip()}")
    return parse(done.stdout)


def parse(output: str) -> list[Reading]:
    """One reading for each line of the probe; raises ValueError on any other text."""
    readings: list[Reading] = []
    for line in output.splitlines():
        case, cpu, wall = line.split()
        readings.append(Reading(Case(case), float(cpu), float(wall)))
    return readings
