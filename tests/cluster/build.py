"""Builds programs of Kubernetes from their Go modules, once, into a folder outside the repository.

``python -m tests.cluster.build`` builds kube-apiserver, prints its path on standard output and, every few
seconds, what is going on on standard error. The versions are those of a program's ``go.mod`` and ``go.sum``.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_FLAGS = ("-trimpath", "-gcflags=all=-dwarf=false")
_PROGRESS_SECONDS = 5.0


class BuildError(Exception):
    """A program could not be built; the message says what was found and what helps."""


def main() -> int:
    """Builds what is missing and prints the path."""
    try:
        print(kube_apiserver())
    except BuildError as error:
        print(f"apiserver: {error}", file=sys.stderr)
        return 1
    return 0


def cache_folder() -> Path:
    """``$RUNTIME_SENSOR_CACHE``, else ``runtime-sensor`` in the user's cache folder as XDG has it."""
    named = os.environ.get("RUNTIME_SENSOR_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "runtime-sensor"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A main package of ours in the folder ``source``; its go.mod and go.sum pin what it is made of."""

    name: str
    source: Path

    def version(self) -> str:
        """Of Kubernetes, as go.mod pins it: ``v1.34.4``."""
        found = re.search(
            r"^(?:require|\t)\s*k8s\.io/kubernetes (v\S+)$",
            (self.source / "go.mod").read_text(),
            re.MULTILINE,
        )
        if found is None:
            raise BuildError(f"{self.source}/go.mod: found no line `k8s.io/kubernetes vX.Y.Z`")
        return found[1]

    def path(self) -> Path:
        """Of the program, which is built first where it is missing (minutes); raises BuildError."""
        folder = cache_folder() / f"{self.name}-{self.version()}-{self._key()}"
        program = folder / self.name
        if program.is_file():
            return program
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder / "lock", self.name):
            if not program.is_file():
                _build(self, folder, program)
        return program

    def _key(self) -> str:
        """Another Go, another source or other flags make another program."""
        digest = hashlib.sha256(repr((_go_version(), _FLAGS)).encode())
        for name in ("go.mod", "go.sum", "main.go"):
            digest.update((self.source / name).read_bytes())
        return digest.hexdigest()[:12]


KUBE_APISERVER = GoProgram("kube-apiserver", Path(__file__).parent / "kube_apiserver")


def kube_apiserver() -> Path:
    """Path of kube-apiserver, which is built first where it is missing (minutes); raises BuildError."""
    return KUBE_APISERVER.path()


def _go_version() -> str:
    try:
        done = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BuildError("found no go; install Go 1.24 or later") from error
    found = re.match(r"go1\.(\d+)", done.stdout)
    if found is None or int(found[1]) < 24:
        raise BuildError(f"found {done.stdout.strip() or done.stderr.strip()!r}, expected Go 1.24 or later")
    return done.stdout.strip()


@contextlib.contextmanager
def _lock(path: Path, name: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _Progress(name).say(f"another process builds it; waiting for {path}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class _Progress:
    """Lines on standard error with the seconds since the beginning."""

    def __init__(self, name: str) -> None:
        self._name = name.removeprefix("kube-")
        self._started = time.monotonic()

    def say(self, text: str) -> None:
        seconds = time.monotonic() - self._started
        print(f"[{self._name} {seconds:4.0f} s] {text}", file=sys.stderr, flush=True)


def _build(what: GoProgram, folder: Path, program: Path) -> None:
    progress = _Progress(what.name)
    # A build cache of its own: 1.8 GB that nobody needs afterwards, kept only when the build is cut short.
    objects = folder / "go-build"
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOCACHE": str(objects),
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        # The compiler is a short-lived program: fewer collections for more memory.
        "GOGC": "400",
    }
    go = _Go(what.source, environment, progress)
    progress.say(f"building {what.name} {what.version()} with {_go_version()} into {folder}")
    wanted = len(go.run(["list", "-deps", "."], "modules fetched", 0))
    unfinished = folder / f"{what.name}.unfinished"
    command = ["build", "-v", *_FLAGS, "-ldflags", _link_flags(what.version()), "-o", str(unfinished), "."]
    go.run(command, "packages compiled", wanted)
    unfinished.replace(program)
    shutil.rmtree(objects, ignore_errors=True)
    progress.say(f"done: {program} ({program.stat().st_size >> 20} MiB)")


def _link_flags(full: str) -> str:
    """No tables for debuggers, and the version that the programs tell."""
    major, minor = full.removeprefix("v").split(".")[:2]
    told = {"gitVersion": full, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return "-s -w " + " ".join(f"-X k8s.io/component-base/version.{name}={told[name]}" for name in told)


@dataclass(frozen=True, slots=True)
class _Go:
    source: Path
    environment: Mapping[str, str]
    progress: _Progress

    def run(self, arguments: Sequence[str], what: str, wanted: int) -> list[str]:
        """Runs go; its lines on standard error are the progress, those of standard output are returned."""
        with tempfile.TemporaryDirectory() as folder:
            told, output = Path(folder, "told"), Path(folder, "output")
            with told.open("wb") as stderr, output.open("wb") as stdout:
                process = subprocess.Popen(
                    ["go", *arguments],
                    cwd=self.source,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                )
            try:
                self._wait(process, told, what, wanted)
            finally:
                process.kill()
                process.wait()
            if process.returncode != 0:
                last = "\n".join(told.read_text(errors="replace").splitlines()[-15:])
                raise BuildError(f"go {arguments[0]}: exit status {process.returncode}\n{last}")
            return output.read_text().splitlines()

    def _wait(self, process: subprocess.Popen[bytes], told: Path, what: str, wanted: int) -> None:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PROGRESS_SECONDS)
                return
            lines = told.read_text(errors="replace").splitlines() or ["..."]
            share = f"{len(lines)} of {wanted}" if wanted else f"{len(lines)}"
            self.progress.say(f"{share} {what}: {lines[-1].removeprefix('go: downloading ')}")


if __name__ == "__main__":
    sys.exit(main())
