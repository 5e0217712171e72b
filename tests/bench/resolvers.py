"""Times the resolvers themselves on this machine's own files, beside what others take for the same files."""

from __future__ import annotations

import importlib
import importlib.metadata
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sensor.node.rootfs import RootFilesystem
from tests.accuracy.applications.wheels import wheels_folder
from tests.bench.process import BUILD, BenchError
from tests.bench.resolver_cost import Peer, Quantiles, ResolverCost, typical

_MOST_FILES = 2_000
_ELF = b"\x7fELF"


@dataclass(frozen=True, slots=True)
class Sample:
    """The files of a language; ``executed`` ones are run, not opened."""

    language: str
    files: tuple[str, ...]
    executed: bool = False
    peer: Callable[[Sequence[str]], tuple[str, float] | None] = lambda _: None
    """Another program's name and microseconds for all of the files."""


def measure(rounds: int, languages: Sequence[str] = ()) -> dict[str, ResolverCost]:
    """Language -> what its resolver takes. Every round begins with empty caches of the resolver.

    The files are in the page cache, as they are when a runtime has just read them. Raises BenchError when
    the machine has no files of a language.
    """
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-run-", dir=BUILD) as folder:
        samples = {sample.language: sample for sample in _samples(Path(folder))}
        descriptor = os.open("/", os.O_PATH)
        try:
            root = RootFilesystem(descriptor)
            return {name: _cost(samples[name], root, rounds) for name in languages or samples}
        finally:
            os.close(descriptor)


def _samples(scratch: Path) -> Iterator[Sample]:
    python, node = "/usr/lib/python3/dist-packages", "/usr/lib/node_modules /usr/share/nodejs"
    site = next(path for path in sys.path if path.endswith("site-packages"))
    yield Sample("python", _below(f"{site} {python}", (".py", ".so")), peer=_packages_distributions)
    yield Sample("node", _below(node, (".js", ".cjs", ".mjs")))
    yield Sample("java", _below("/usr/share/java /usr/share/maven-repo", (".jar",)), peer=_zip_directories)
    yield Sample("go", _programs("/usr/local/go/bin /usr/bin /usr/sbin"), executed=True, peer=_go_version)
    yield Sample("dotnet", _below(f"/usr/lib/mono {_published(scratch)}", (".dll",)))


def _published(scratch: Path) -> Path:
    """.NET applications as they are published, deps.json included; none before `make accuracy` was run."""
    for archive in wheels_folder().glob("*/*.whl"):
        with zipfile.ZipFile(archive) as wheel:
            names = [name for name in wheel.namelist() if name.endswith((".dll", ".json"))]
            wheel.extractall(scratch / archive.stem, names)
    return scratch


def _cost(sample: Sample, root: RootFilesystem, rounds: int) -> ResolverCost:
    if not sample.files:
        raise BenchError(f"found no files of {sample.language} on this machine; run `make setup` first")
    first: list[list[float]] = []
    seen: list[list[float]] = []
    packages: set[str] = set()
    for _ in range(rounds):
        ask = _asking(sample, root)
        packages.clear()
        first.append([_timed(ask, path, packages) for path in sample.files])
        seen.append([_timed(ask, path, packages) for path in sample.files])
    once = typical(first)
    peer = sample.peer(sample.files)
    return ResolverCost(
        files=len(sample.files),
        packages=len(packages),
        first=Quantiles.of(once),
        seen=Quantiles.of(typical(seen)),
        peer=None if peer is None else Peer(peer[0], sum(once), peer[1]),
    )


def _asking(sample: Sample, root: RootFilesystem) -> Callable[[str], object]:
    """A fresh resolver, asked as the sensor asks it."""
    resolver = importlib.import_module(f"tests.edges.{sample.language}").resolver()
    if sample.executed:
        return lambda path: resolver.resolve_program(root, path)
    return lambda path: resolver.resolve(root, path) if resolver.claims(path) else None


def _timed(ask: Callable[[str], object], path: str, packages: set[str]) -> float:
    begun = time.perf_counter_ns()
    found = ask(path)
    took = time.perf_counter_ns() - begun
    if isinstance(found, tuple):
        packages.update(use.package.purl for use in found)
    return took / 1000


def _below(folders: str, suffixes: tuple[str, ...]) -> tuple[str, ...]:
    """Regular files with one of ``suffixes``, evenly taken from all that there are."""
    found = [
        os.path.join(folder, name)
        for place in folders.split()
        for folder, _, names in os.walk(place)
        for name in names
        if name.endswith(suffixes)
    ]
    files = sorted(path for path in found if not os.path.islink(path))
    return tuple(files[:: max(len(files) // _MOST_FILES, 1)][:_MOST_FILES])


def _programs(folders: str) -> tuple[str, ...]:
    """Every program written in Go, and as many others: most programs that are run are none."""
    elves = [
        str(path) for place in folders.split() for path in sorted(Path(place).glob("*")) if _is_elf(path)
    ]
    ours = _written_in_go(elves)
    others = [path for path in elves if path not in ours]
    return (*ours, *itertools.islice(others, max(len(ours), 20)))


def _written_in_go(files: Sequence[str]) -> tuple[str, ...]:
    """Those of which the Go command can tell the version: ``path: go1.22``, on standard output."""
    done = subprocess.run(["go", "version", *files], capture_output=True, text=True, check=False)
    return tuple(line.partition(": ")[0] for line in done.stdout.splitlines())


def _is_elf(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == _ELF


def _packages_distributions(files: Sequence[str]) -> tuple[str, float]:
    """The standard library's way from an import name to its distributions, over the same folder."""
    return "importlib.metadata.packages_distributions()", _microseconds(
        importlib.metadata.packages_distributions
    )


def _zip_directories(files: Sequence[str]) -> tuple[str, float]:
    def read() -> None:
        for file in files:
            with zipfile.ZipFile(file) as archive:
                archive.namelist()

    return "zipfile.ZipFile", _microseconds(read)


def _go_version(files: Sequence[str]) -> tuple[str, float]:
    """One process for all of them, so that its start hardly counts."""
    return "go version -m", _microseconds(
        lambda: subprocess.run(["go", "version", "-m", *files], capture_output=True, check=False)
    )


def _microseconds(work: Callable[[], object], times: int = 3) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter_ns()
        work()
        taken.append(time.perf_counter_ns() - begun)
    return statistics.median(taken) / 1000
