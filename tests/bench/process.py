"""Child processes that cannot outlive the benchmark, and its progress lines."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"

STOP_SECONDS = 8.0
POLL_SECONDS = 0.05

_STARTED = time.monotonic()


class BenchError(Exception):
    """The benchmark cannot measure what it promises; the message says what was found and what helps."""


def progress(text: str) -> None:
    """Print one line for people, with the seconds since the start."""
    print(f"[bench {time.monotonic() - _STARTED:4.0f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def running(
    command: Sequence[str], stdout: IO[bytes] | int, stderr: IO[bytes] | int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start ``command`` and end it on the way out, whatever the way.

    A session of its own keeps the terminal's Ctrl-C from it, so that it ends in order; setpriv(1) asks the
    kernel to kill it should the benchmark itself be killed. Neither changes the process id.
    """
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "--", *command],
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL after :data:`STOP_SECONDS`."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        progress(f"{process.args!r} did not end within {STOP_SECONDS:.0f} s of SIGTERM: killing it")
        process.kill()
        process.wait()


def wait_until(done: Callable[[], bool], seconds: float) -> bool:
    """Ask ``done`` again and again; false when it still says no after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end_in_order_on_signals() -> None:
    """Turn the first SIGINT, SIGTERM or SIGHUP into KeyboardInterrupt; later ones wait for the clean-up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for later in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(later, signal.SIG_IGN)
        raise KeyboardInterrupt

    for first in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(first, interrupt)


def split_processors() -> int:
    """Keep this process and all it starts off one processor, which the probe gets alone; return its number.

    The consumers of the tools then never run on the probe's processor: what is timed is what the kernel adds
    to the probe. On a machine with one processor nothing can be kept off.
    """
    processors = sorted(os.sched_getaffinity(0))
    probe = processors[-1]
    others = set(processors) - _siblings(probe) or set(processors) - {probe}
    if others:
        os.sched_setaffinity(0, others)
    return probe


def _siblings(processor: int) -> set[int]:
    """Hardware threads of the same core, ``processor`` included (sysfs: ``1,3`` or ``0-1``)."""
    path = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
    try:
        text = path.read_text().strip()
    except OSError:
        return {processor}
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found
