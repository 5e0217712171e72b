"""opensnoop of libbpf-tools and bpftrace, each printing every open into a pipe that is read away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.bench.process import POLL_SECONDS, BenchError, running

BPFTRACE_PROGRAM = (
    'tracepoint:syscalls:sys_enter_openat %s { printf("%%d %%s %%s\\n", pid, comm, str(args->filename)); }'
)
READY_SECONDS = 30.0
PIPE_BYTES = 1 << 20

# Linux writes the tracing files only where tracefs is mounted; minimal machines mount none. Done in a mount
# namespace of the peer's own, so that the machine stays as it was.
_WITH_TRACEFS = (
    '[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || exit 1; exec "$@"'
)
# "lost 12 events on CPU #3" on opensnoop's error output, "Lost 12 events" among bpftrace's lines.
_LOST = re.compile(rb"[Ll]ost (\d+) events")


def commands(silent: bool) -> dict[str, list[str]]:
    """Peer -> command line; raises BenchError naming what to install.

    ``silent`` peers print the opens of this process and none of the probe: their programs in the kernel run
    and drop, nobody is woken. What is left is the price of their hooks.
    """
    own = str(os.getpid())
    opensnoop = [_find("opensnoop", "libbpf-tools"), *(["-p", own] if silent else [])]
    program = BPFTRACE_PROGRAM % (f"/pid == {own}/" if silent else "")
    return {"opensnoop": opensnoop, "bpftrace": [_find("bpftrace", "bpftrace"), "-e", program]}


def _find(program: str, package: str) -> str:
    found = shutil.which(program, path=f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}")
    if found is None:
        raise BenchError(f"{program} not found; expected the one of Debian: apt-get install {package}")
    if not Path(found).read_bytes().startswith(b"\x7fELF"):
        raise BenchError(f"{found} is a script; expected the compiled one: apt-get install {package}")
    return found


class Peer:
    """A running peer and what it printed so far."""

    def __init__(self, output: IO[bytes], log: Path) -> None:
        self.printed = 0
        self.awake = False
        self._output = output
        self._log = log
        self._lost = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def lost(self) -> int:
        """Events that the peer says it lost."""
        return self._lost + _sum_lost(self._log.read_bytes())

    def wait_for_silence(self) -> None:
        """Return when a quarter second brought nothing new: the buffers are read away (10 s at most)."""
        deadline = time.monotonic() + 10
        before = -1
        while before != self.printed and time.monotonic() < deadline:
            before = self.printed
            time.sleep(0.25)

    def join(self) -> None:
        self._reader.join(5)

    def _read(self) -> None:
        rest = b""
        while chunk := os.read(self._output.fileno(), PIPE_BYTES):
            lines, newline, tail = (rest + chunk).rpartition(b"\n")
            rest = tail
            self.awake = self.awake or bool(newline)
            self.printed += lines.count(b"open_probe")
            self._lost += _sum_lost(lines) if b"ost " in lines else 0


def _sum_lost(text: bytes) -> int:
    return sum(int(number) for number in _LOST.findall(text))


@contextlib.contextmanager
def peer(name: str, command: list[str], log: Path) -> Iterator[Peer]:
    """Start a peer and wait until it prints opens; raises BenchError with its last words when it does not."""
    inside = ["unshare", "--mount", "sh", "-c", _WITH_TRACEFS, "sh", *command]
    with log.open("wb") as errors, running(inside, subprocess.PIPE, errors) as process:
        assert process.stdout is not None
        with contextlib.suppress(OSError):  # above the limit of an unprivileged user: a smaller pipe will do
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        started = Peer(process.stdout, log)
        _wake(name, process, started, log)
        yield started
    started.join()
    process.stdout.close()


def _wake(name: str, process: subprocess.Popen[bytes], started: Peer, log: Path) -> None:
    """Open files until the peer prints: it holds back its first lines until they fill a buffer."""
    deadline = time.monotonic() + READY_SECONDS
    while not started.awake:
        if process.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(errors="replace").strip()[-2000:]
            raise BenchError(f"{name} does not print opens on this machine; it said: {words or 'nothing'}")
        for _ in range(50):
            os.close(os.open("/dev/null", os.O_RDONLY))
        time.sleep(POLL_SECONDS)
