"""When this machine stood still: moments at which a processor ran nothing of ours.

A virtual machine's processors are taken away for 20 to 350 ms where its host is busy, one by one, so that a
container of 50 ms may come and go on one while the sensor waits on another: its ring's thread, which goes
before all others, or an ordinary thread that has the interpreter's lock. No program can do anything about
that; a test that counts such containers asks here before it calls one lost. So every processor has a witness
of both kinds. In quiet they tell of some 5 moments in 14 seconds of churn, in bad minutes of 2,500.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Self

from tests.ground.sensor import Report

STILL = 0.01
"""Seconds by which a sleep must be late to count."""
MOST = 0.02
"""Of all containers: more than that is the sensor's fault, unless processors stood still for longer than
that share of the time (:attr:`StolenTime.share`)."""

_STARTING = 0.05
"""Seconds before a container's first sign of life, in which it is started: what is taken then counts too."""

_WITNESS = f"""
import os, sys, time
os.sched_setaffinity(0, {{int(sys.argv[1])}})
if sys.argv[2] == "first":
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
before = time.time()
while True:
    time.sleep(0.002)
    now = time.time()
    if now - before > {STILL} + 0.002:
        print(before, now, flush=True)
    before = now
"""


class StolenTime:
    """Watches every processor between entry and exit. Needs root."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._witnesses: list[subprocess.Popen[bytes]] = []
        self.moments: list[tuple[float, float]] = []
        """Begin and end of each, seconds since the epoch; filled in at the end."""
        self.share = 0.0
        """Of the time, how much a processor stood still on average; filled in at the end."""
        self._begun = 0.0

    def __enter__(self) -> Self:
        for cpu, kind in product(os.sched_getaffinity(0), ("first", "ordinary")):
            with (Path(self._folder.name) / f"{cpu}-{kind}").open("wb") as told:
                command = [sys.executable, "-I", "-S", "-c", _WITNESS, str(cpu), kind]
                self._witnesses.append(subprocess.Popen(command, stdout=told))
        self._begun = time.time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for witness in self._witnesses:
            witness.kill()
            witness.wait()
        self.moments = self._read()
        watched = (time.time() - self._begun) * len(self._witnesses)
        self.share = sum(ended - begun for begun, ended in self.moments) / watched
        self._folder.cleanup()

    def _read(self) -> list[tuple[float, float]]:
        found = []
        for told in Path(self._folder.name).iterdir():
            for line in told.read_text().splitlines():
                with suppress(ValueError):  # the last line may be half written
                    begun, ended = map(float, line.split())
                    found.append((begun, ended))
        return sorted(found)

    @property
    def bearable(self) -> float:
        """The share of containers that may be missed, each of them excused."""
        return max(MOST, self.share)

    def touched(self, begun: float, ended: float) -> bool:
        """Whether the machine stood still at a time between the two, in seconds since the epoch."""
        return any(first < ended and last > begun for first, last in self.moments)

    def excuses(self, report: Report, begun: float, ended: float) -> bool:
        """Whether a container's report says that it was not reached, and the machine stood still while it
        ran: between the two, in seconds since the epoch."""
        return report["coverage_reasons"] == ["root_unavailable"] and self.touched(begun - _STARTING, ended)
