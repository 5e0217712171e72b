"""opensnoop of libbpf-tools and of bcc, and bpftrace: each prints every open into a pipe that is read."""

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
# bcc's opensnoop compiles against kernel headers, which few machines have; the others must work.
BCC_OPENSNOOP = "bcc_opensnoop"
MAY_REFUSE = frozenset({BCC_OPENSNOOP})
READY_SECONDS = 30.0
PIPE_BYTES = 1 << 20

# Linux writes the tracing files only where tracefs is mounted; minimal machines mount none. Done in a mount
# namespace of the peer's own, so that the machine stays as it was.
_WITH_TRACEFS = (
    '[ -d /sys/kernel/tracing/events ] || mount -t tracefs tracefs /sys/kernel/tracing || exit 1; exec "$@"'
)
# Of the words of a program that does not start, the lines that say why.
_REASON = re.compile(r"\b(?:unable|cannot|can't|failed|denied|not permitted|no such)\b", re.IGNORECASE)
MOST_LINES = 2
MOST_WORDS = 600
# By this they show the opens of this process, which wakes them.
_OWN_NAME = Path("/proc/self/comm").read_bytes().strip()
# "lost 12 events on CPU #3" on opensnoop's error output, "Lost 12 events" among bpftrace's lines.
_LOST = re.compile(rb"[Ll]ost (\d+) events")


def commands(silent: bool) -> dict[str, list[str]]:
    """Peer -> command line; raises BenchError naming what to install.

    ``silent`` peers print the opens of this process and none of the probe: their programs in the kernel run
    and drop, nobody is woken. What is left is the price of their hooks.
    """
    own = str(os.getpid())
    only = ["-p", own] if silent else []
    program = BPFTRACE_PROGRAM % (f"/pid == {own}/" if silent else "")
    return {
        "opensnoop": [_compiled("opensnoop", "libbpf-tools"), *only],
        "bpftrace": [_compiled("bpftrace", "bpftrace"), "-e", program],
        BCC_OPENSNOOP: [_find("opensnoop-bpfcc", "bpfcc-tools"), *only],
    }


def _compiled(program: str, package: str) -> str:
    found = _find(program, package)
    if not Path(found).read_bytes().startswith(b"\x7fELF"):
        raise BenchError(f"{found} is a script; expected the compiled one: apt-get install {package}")
    return found


def _find(program: str, package: str) -> str:
    found = shutil.which(program, path=f"/usr/sbin:/usr/bin:{os.environ.get('PATH', '')}")
    if found is None:
        raise BenchError(f"{program} not found; expected the one of Debian: apt-get install {package}")
    return found


class PeerRefusedError(BenchError):
    """A peer does not work on this machine; the message is its reason."""


class Peer:
    """A running peer and what it printed so far."""

    def __init__(self, output: IO[bytes], log: Path) -> None:
        self.printed = 0
        self.awake = False
        self.first_words = b""
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
            lines, _, tail = (rest + chunk).rpartition(b"\n")
            rest = tail
            self.first_words = self.first_words or lines[:MOST_WORDS]
            self.awake = self.awake or _OWN_NAME in lines
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
        _wake(process, started, log)
        yield started
    started.join()
    process.stdout.close()


def _wake(process: subprocess.Popen[bytes], started: Peer, log: Path) -> None:
    """Open files until the peer prints: it holds back its first lines until they fill a buffer."""
    deadline = time.monotonic() + READY_SECONDS
    while not started.awake:
        if process.poll() is not None or time.monotonic() > deadline:
            said = reason(started.first_words + b"\n" + log.read_bytes())
            raise PeerRefusedError(f"does not print opens on this machine; it said: {said}")
        for _ in range(50):
            os.close(os.open("/dev/null", os.O_RDONLY))
        time.sleep(POLL_SECONDS)


def reason(words: bytes) -> str:
    """Why a program did not start, from its last words: the first lines that say so, or else the first."""
    lines = [line.strip() for line in words.decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if _REASON.search(line)] or lines
    return "; ".join(told[:MOST_LINES])[:MOST_WORDS] or "nothing"
