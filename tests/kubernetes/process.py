"""The cluster's programs: they outlive whoever starts them, in the cluster's cgroup."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.kubernetes import cgroup
from tests.kubernetes.layout import Layout
from tests.kubernetes.problem import KubernetesError

# A program is in the cgroup before its first own instruction, so none of its children can be left out of it.
_ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1"; shift; done; shift; exec "$@"'
# It is nobody's child, so nobody of us has to wait for its end. Without job control, setsid does not fork.
_DETACH = 'log=$1; shift; setsid "$@" </dev/null >>"$log" 2>&1 & echo $!'


@dataclass(frozen=True, slots=True)
class Process:
    """One program by its name: its log, and its process id in a file."""

    layout: Layout
    name: str

    @property
    def log(self) -> Path:
        return self.layout.logs / f"{self.name}.log"

    @property
    def pid(self) -> int | None:
        """While it runs; None before and after."""
        try:
            pid, since = self._file.read_text().split()
        except (OSError, ValueError):
            return None
        return int(pid) if started(int(pid)) == since else None

    def start(self, command: Sequence[str]) -> None:
        """Starts it in the cluster's cgroup and in a session of its own. KubernetesError if it is missing."""
        lists = [str(path) for path in cgroup.make()]
        enter = ["/bin/sh", "-c", _ENTER, self.name, *lists, "--", *command]
        done = subprocess.run(
            ["/bin/sh", "-c", _DETACH, self.name, str(self.log), *enter],
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        pid = int(done.stdout)
        self._file.write_text(f"{pid} {started(pid)}")

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, for messages."""
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join(line[:300] for line in lines)

    def require(self) -> None:
        """KubernetesError with its last lines once it has ended."""
        if self.pid is None:
            raise KubernetesError(f"{self.name} ended; {self.log} ends:\n{self.last_lines()}")

    @property
    def _file(self) -> Path:
        return self.layout.processes / f"{self.name}.pid"


def _environment() -> dict[str, str]:
    """Nothing of the caller's, which may hold secrets, but where programs are."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    passed = {name: os.environ[name] for name in ("GOMAXPROCS",) if name in os.environ}
    return {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", **passed}


def started(pid: int) -> str:
    """A process' time of start, which tells it from a later one of the same id; empty once it has ended.

    Field 22 of stat (proc(5)).
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    state, *rest = text.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def run_with_input(command: Sequence[str], content: IO[bytes], seconds: float = 600) -> None:
    """Runs ``command`` to its end; KubernetesError with its last lines where it fails."""
    done = subprocess.run(
        command, stdin=content, capture_output=True, timeout=seconds, start_new_session=True, check=False
    )
    if done.returncode != 0:
        told = (done.stdout + done.stderr).decode(errors="replace").strip().splitlines()[-15:]
        raise KubernetesError(f"{command[0]}: exit status {done.returncode}\n" + "\n".join(told))
