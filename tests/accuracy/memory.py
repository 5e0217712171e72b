"""How much memory the sensor's processes take at most, seen from outside."""

from __future__ import annotations

import contextlib
import re
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

BAR_MIB = 128.0
_EVERY_SECONDS = 0.005  # the loader lives for about a second
_HIGH_WATER = re.compile(r"^VmHWM:\s*(\d+) kB$", re.MULTILINE)


class PeakMemory:
    """``with PeakMemory(pid)``: samples VmHWM (proc(5): status) of a process and all its descendants.

    The kernel keeps the mark, so only what a process took after the last sample before its end is missed.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._pid = pid
        self._proc = proc
        self._peaks: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak memory", daemon=True)

    def peaks(self) -> dict[str, float]:
        """MiB by process: ``agent``, ``loader``, or the name of whatever else the sensor started."""
        return {name: kib / 1024 for name, kib in list(self._peaks.items())}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def sample(self) -> None:
        """Look once."""
        for pid in self._family(self._pid):
            with contextlib.suppress(OSError):  # it may end between any two reads
                if peak := self._peak(pid):
                    name = self._name(pid)
                    self._peaks[name] = max(peak, self._peaks.get(name, 0))

    def _run(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self.sample()

    def _family(self, pid: int) -> list[int]:
        found = [pid]
        with contextlib.suppress(OSError):
            for task in (self._proc / str(pid) / "task").iterdir():
                for child in (task / "children").read_text().split():
                    found += self._family(int(child))
        return found

    def _peak(self, pid: int) -> int:
        """KiB; 0 for a process that has ended and was not waited for."""
        status = (self._proc / str(pid) / "status").read_text()
        match = _HIGH_WATER.search(status)
        return int(match[1]) if match else 0

    def _name(self, pid: int) -> str:
        command = self._command(pid)
        if pid == self._pid or command == self._command(self._pid):  # or between fork and exec
            return "agent"
        if b"loader" in command:
            return "loader"
        return (self._proc / str(pid) / "comm").read_text().strip()

    def _command(self, pid: int) -> bytes:
        return (self._proc / str(pid) / "cmdline").read_bytes()
