"""Many containers at once, and containers that come and go.

Each is what ``tests/bench/container.py`` makes: cgroups named as the kubelet names them, a mount namespace
and an overlay of an image's layer over the machine's root; the one process in it is a real Python that opens
the files of installed distributions. There is no runtime, no network and no process namespace: the sensor
looks at none of them.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.container import launched, mounted_hierarchies, remove_leftovers, wait_until_up
from tests.bench.load import INTERPRETER
from tests.bench.packages import HOME, PackageFiles, install, on_disk
from tests.bench.process import BenchError, progress, wait_until

OPENER = HOME / "node_opener.py"
_OPENER_SOURCE = Path(__file__).with_name("opener.py")
_FOR_EVER = 0
CHURN_LIFE_SECONDS = 0.5
END_SECONDS = 30.0
_INTERPRETER_NAME = Path(INTERPRETER).name


@dataclass(frozen=True, slots=True)
class Image:
    """A layer on the disk, and what it installs."""

    layer: Path
    files: PackageFiles

    def opener(self, rate: float, count: int) -> list[str]:
        """The command that opens its modules in turn, ``rate`` a second: ``count`` times, with 0 for ever."""
        modules = [str(module) for module in self.files.modules]
        return [INTERPRETER, "-I", "-S", str(OPENER), str(rate), str(count), *modules]


def images(directory: Path, count: int) -> list[Image]:
    """Images that have no distribution in common."""
    made: list[Image] = []
    for number in range(count):
        layer = directory / f"image-{number}"
        layer.mkdir()
        files = install(layer, f"node-image-{number}")
        on_disk(layer, OPENER).write_bytes(_OPENER_SOURCE.read_bytes())
        made.append(Image(layer, files))
    return made


@dataclass(slots=True)
class Crowd:
    """Container id -> names of the packages it has, in the order they were started."""

    packages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    outputs: list[Path] = field(default_factory=list)

    def end(self) -> float:
        """End all of them and return how many files they opened a second, all together.

        Raises BenchError when one had ended before: the load was not what it should have been.
        """
        gone = [process.returncode for process in self.processes if process.poll() is not None]
        if gone:
            raise BenchError(f"{len(gone)} of {len(self.processes)} containers had ended, with {set(gone)}")
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            process.wait(30)
        return sum(opened_a_second(output.read_text()) for output in self.outputs)


def opened_a_second(output: str) -> float:
    """From the last line of an opener; raises BenchError when there is none."""
    try:
        opened, seconds = output.splitlines()[-1].split()
        return int(opened) / float(seconds)
    except (IndexError, ValueError) as error:
        raise BenchError(f"an opener failed; it printed {output!r}") from error


@contextlib.contextmanager
def crowd(made: Sequence[Image], count: int, rate: float, directory: Path) -> Iterator[Crowd]:
    """``count`` running containers that together open ``rate`` files a second; raises BenchError."""
    roots = mounted_hierarchies()
    remove_leftovers(roots)
    scratch = directory / "scratch"
    scratch.mkdir(exist_ok=True)
    found = Crowd()
    with contextlib.ExitStack() as stack:
        for number in range(count):
            image = made[number % len(made)]
            output = directory / f"opener-{number}"
            command = image.opener(rate / count, _FOR_EVER)
            with output.open("wb") as words:
                entered = launched(roots, image.layer, scratch, command, words)
                container, process = stack.enter_context(entered)
            found.packages[container.id] = image.files.names
            found.processes.append(process)
            found.outputs.append(output)
        for process in found.processes:
            wait_until_up(process, _INTERPRETER_NAME)
        progress(f"{count} containers are up")
        yield found


@dataclass(slots=True)
class Churn:
    """What came and went: container id -> names of the packages it had; ``seconds`` from the first start to
    the last."""

    packages: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: float = 0.0
    _living: list[tuple[subprocess.Popen[bytes], contextlib.ExitStack]] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return len(self.packages) / self.seconds

    def start(self, roots: Sequence[Path], image: Image, scratch: Path) -> None:
        modules = len(image.files.modules)
        command = image.opener(modules / CHURN_LIFE_SECONDS, modules)
        stack = contextlib.ExitStack()
        entered = launched(roots, image.layer, scratch, command, subprocess.DEVNULL)
        container, process = stack.enter_context(entered)
        self._living.append((process, stack))
        self.packages[container.id] = image.files.names

    def reap(self) -> int:
        """Remove what has ended and return how many still live; raises BenchError when one ended badly."""
        for process, stack in [each for each in self._living if each[0].poll() is not None]:
            self._living.remove((process, stack))
            with stack:
                if process.returncode != 0:
                    assert process.stderr is not None
                    words = process.stderr.read().decode(errors="replace")
                    raise BenchError(f"a container of the churn ended with {process.returncode}: {words}")
        return len(self._living)

    def end(self) -> None:
        for _, stack in self._living:
            stack.close()


def churn(made: Sequence[Image], rate: float, seconds: float, directory: Path) -> Churn:
    """Start ``rate`` containers a second for ``seconds``; each opens all its modules within half a second and
    ends. Raises BenchError when the machine manages less than half of the rate."""
    roots, scratch, found = mounted_hierarchies(), directory / "scratch", Churn()
    total, begun = round(rate * seconds), time.monotonic()
    try:
        while len(found.packages) < total:
            found.start(roots, made[len(found.packages) % len(made)], scratch)
            found.reap()
            time.sleep(max(0.0, begun + len(found.packages) / rate - time.monotonic()))
        found.seconds = time.monotonic() - begun
        if not wait_until(lambda: found.reap() == 0, END_SECONDS):
            raise BenchError(f"containers of the churn did not end within {END_SECONDS:.0f} s")
    finally:
        found.end()
    if found.rate < rate / 2:
        raise BenchError(f"the machine managed {found.rate:.1f} containers a second; expected {rate:g}")
    return found
