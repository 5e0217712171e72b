"""What is held against every single input, whichever engine made it: time and memory.

libFuzzer alone would miss some: it looks at the clock and at the memory about once a second.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

SECONDS = 1.0
"""Of CPU for one input; more is a hang. Not of wall time: a busy machine is nobody's defect."""
LIMIT_MIB = 256
"""Resident memory of the whole process at its highest, interpreter and fuzzer included (some 50 MiB)."""

_TELLING = 0.001  # a slowest input below this many seconds is not worth a file


class TooSlow(Exception):
    """One input took more than :data:`SECONDS`."""


class TooMuchMemory(Exception):
    """The process came above :data:`LIMIT_MIB` while it handled an input."""


class Watch:
    """Calls a target and measures it. The slowest input is kept in ``notes`` as ``slowest`` and .json."""

    def __init__(
        self,
        run: Callable[[bytes], object],
        notes: Path | None = None,
        limit_mib: float = LIMIT_MIB,
    ) -> None:
        self._run = run
        self._limit_mib = limit_mib
        self._notes = notes
        self._slowest = _TELLING

    def __call__(self, data: bytes) -> None:
        """Raise what the target raises, TooSlow, or TooMuchMemory."""
        begun = time.thread_time()
        self._run(data)
        took = time.thread_time() - begun
        if took > self._slowest:
            self._note(data, took)
        if (peak := peak_mib()) > self._limit_mib:
            raise TooMuchMemory(f"{len(data)} bytes: {peak:.0f} MiB; expected at most {self._limit_mib:g}")
        if took > SECONDS:
            raise TooSlow(f"{len(data)} bytes took {took:.2f} s of CPU; expected at most {SECONDS:g}")

    def _note(self, data: bytes, took: float) -> None:
        self._slowest = took
        if self._notes is not None:
            self._notes.mkdir(parents=True, exist_ok=True)
            (self._notes / "slowest").write_bytes(data)
            (self._notes / "slowest.json").write_text(json.dumps({"seconds": took, "bytes": len(data)}))


def peak_mib() -> float:
    """The highest resident memory of this process so far (getrusage(2): ru_maxrss, KiB on Linux).

    That of a process started by a larger one begins with the other's: see :mod:`tests.fuzz.start`.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
