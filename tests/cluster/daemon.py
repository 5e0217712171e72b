"""Programs that run in the background for a test, and the ports they listen on."""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_STOP_SECONDS = 15.0
_POLL_SECONDS = 0.02

# setpriv's death signal follows the thread that started the program, not the process: a test's own thread
# that starts one and ends would end it too. This thread lives as long as the process.
_STARTER = ThreadPoolExecutor(1, "daemon-starter")


class ClusterError(Exception):
    """A part of the cluster does not run; the message says what was found and what helps."""


class Daemon:
    """One program, started and stopped as often as a test likes, its output in a file of its own.

    The kernel kills it should the test process be killed.
    """

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.running else None

    def start(self) -> None:
        """Raises ClusterError where it runs already."""
        if self.running:
            raise ClusterError(f"{self.name} runs already; stop it first")
        self._process = _STARTER.submit(self._spawn).result()

    def stop(self, *, kill: bool = False) -> None:
        """SIGTERM, SIGKILL after 15 s; with ``kill`` SIGKILL at once. Fine when it does not run."""
        process, self._process = self._process, None
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, for messages."""
        lines = self.log.read_text(errors="replace").splitlines()[-count:]
        return "\n".join(line[:300] for line in lines)

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            try:
                return subprocess.Popen(
                    self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            except FileNotFoundError as error:
                raise ClusterError(f"found no setpriv; install util-linux ({error})") from error


def wait_until(done: Callable[[], bool], seconds: float, daemon: Daemon) -> None:
    """Asks ``done`` again and again; ClusterError when ``daemon`` ends or ``seconds`` have passed."""
    deadline = time.monotonic() + seconds
    while not done():
        if not daemon.running:
            raise ClusterError(f"{daemon.name} ended; its last lines:\n{daemon.last_lines()}")
        if time.monotonic() > deadline:
            raise ClusterError(f"{daemon.name}: not ready after {seconds:.0f} s:\n{daemon.last_lines()}")
        time.sleep(_POLL_SECONDS)


def free_ports(count: int) -> list[int]:
    """Free ports of loopback, below those that the kernel hands out by itself (32768 on).

    While a server is down no client's own end may take its port; on loopback a client that connects again
    and again to such a port would in the end be connected to itself.
    """
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.add(port)
    return list(found)
