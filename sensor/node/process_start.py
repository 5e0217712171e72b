"""When a process started, as /proc/PID/stat tells it: what makes a pid mean one process.

The kernel's events carry the start in nanoseconds, the file in clock ticks of 10 ms, rounded down.
"""

from __future__ import annotations

import os

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")

STAT_BYTES = 4096
"""More than /proc/PID/stat ever has."""

_STATE, _START_TIME = 0, 19  # fields 3 and 22 of proc_pid_stat(5), counted from behind the name
_DEAD = frozenset({b"Z", b"X", b"x"})


def start_ticks(stat: bytes) -> int | None:
    """Return the clock ticks from boot to the start; None of a zombie, or if this is no such file."""
    # The name in parentheses may hold spaces and parentheses itself.
    fields = stat.rpartition(b")")[2].split()
    if len(fields) <= _START_TIME or fields[_STATE] in _DEAD:
        return None
    start = fields[_START_TIME]
    return int(start) if start.isdigit() else None


def is_same_start(ticks: int, start_boottime: int) -> bool:
    """Whether a process that started at ``ticks`` may be the one of ``start_boottime`` (ns)."""
    return abs(ticks - start_boottime // TICK_NS) <= 1
