"""What the kernel says of our own programs: how often they ran, for how long, how large they are.

Time and runs are counted while ``kernel.bpf_stats_enabled`` is on. We never turn it on: every BPF program of
the node would read the clock twice in each run (about 50 ns here), and it takes CAP_SYS_ADMIN. What the
programs take while it is off is sampled by themselves, see ``bpf/timing.h`` and :class:`Timed`.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LOOK_EVERY = 10.0
SYSCTL = Path("/proc/sys/kernel/bpf_stats_enabled")


class ProgramInfo(ctypes.Structure):
    """``struct bpf_prog_info`` of include/uapi/linux/bpf.h, 6.1. Older kernels fill less of it."""

    _fields_ = (
        ("type", ctypes.c_uint32),
        ("id", ctypes.c_uint32),
        ("tag", ctypes.c_uint8 * 8),
        ("jited_prog_len", ctypes.c_uint32),
        ("xlated_prog_len", ctypes.c_uint32),
        ("jited_prog_insns", ctypes.c_uint64),
        ("xlated_prog_insns", ctypes.c_uint64),
        ("load_time", ctypes.c_uint64),
        ("created_by_uid", ctypes.c_uint32),
        ("nr_map_ids", ctypes.c_uint32),
        ("map_ids", ctypes.c_uint64),
        ("name", ctypes.c_char * 16),
        ("ifindex", ctypes.c_uint32),
        ("gpl_compatible", ctypes.c_uint32),
        ("netns_dev", ctypes.c_uint64),
        ("netns_ino", ctypes.c_uint64),
        ("nr_jited_ksyms", ctypes.c_uint32),
        ("nr_jited_func_lens", ctypes.c_uint32),
        ("jited_ksyms", ctypes.c_uint64),
        ("jited_func_lens", ctypes.c_uint64),
        ("btf_id", ctypes.c_uint32),
        ("func_info_rec_size", ctypes.c_uint32),
        ("func_info", ctypes.c_uint64),
        ("nr_func_info", ctypes.c_uint32),
        ("nr_line_info", ctypes.c_uint32),
        ("line_info", ctypes.c_uint64),
        ("jited_line_info", ctypes.c_uint64),
        ("nr_jited_line_info", ctypes.c_uint32),
        ("line_info_rec_size", ctypes.c_uint32),
        ("jited_line_info_rec_size", ctypes.c_uint32),
        ("nr_prog_tags", ctypes.c_uint32),
        ("prog_tags", ctypes.c_uint64),
        ("run_time_ns", ctypes.c_uint64),
        ("run_cnt", ctypes.c_uint64),
        ("recursion_misses", ctypes.c_uint64),
        ("verified_insns", ctypes.c_uint32),
        ("attach_btf_obj_id", ctypes.c_uint32),
        ("attach_btf_id", ctypes.c_uint32),
        ("padding", ctypes.c_uint32),
    )


@dataclass(frozen=True, slots=True)
class ProgramFigures:
    """Of one program since it was loaded.

    ``run_seconds`` and ``runs`` count only while statistics are on. ``misses``: runs that the kernel left
    out, as the program or one like it ran on that CPU already (5.12 and newer). ``verified_instructions``:
    what the verifier went through (5.16). None where the kernel does not tell. ``jited_bytes`` is 0 for a
    process without CAP_BPF.
    """

    run_seconds: float
    runs: int
    misses: int | None
    verified_instructions: int | None
    jited_bytes: int


def read(library: ctypes.CDLL, descriptor: int) -> ProgramFigures:
    """Ask the kernel about the program behind ``descriptor``. Raises ``OSError``."""
    info = ProgramInfo()  # all zero: the kernel would follow pointers to arrays that are asked for
    size = ctypes.c_uint32(ctypes.sizeof(info))
    if library.bpf_obj_get_info_by_fd(descriptor, ctypes.byref(info), ctypes.byref(size)):
        number = ctypes.get_errno()
        raise OSError(number, f"the kernel tells nothing of a BPF program: {os.strerror(number)}")
    return figures(info, size.value)


def figures(info: ProgramInfo, size: int) -> ProgramFigures:
    """Of the first ``size`` bytes, which is as much as this kernel knows."""

    def known(field: str) -> int | None:
        described = getattr(ProgramInfo, field)
        return int(getattr(info, field)) if described.offset + described.size <= size else None

    return ProgramFigures(
        run_seconds=(known("run_time_ns") or 0) / 1e9,
        runs=known("run_cnt") or 0,
        misses=known("recursion_misses"),
        verified_instructions=known("verified_insns"),
        jited_bytes=info.jited_prog_len,
    )


@dataclass(frozen=True, slots=True)
class Timed:
    """Of the runs that were timed, since start: how many, and what they took together."""

    runs: int
    seconds: float


class ProgramStatistics:
    """Of ``programs``, name -> descriptor. :meth:`turn` from one thread; the rest from any."""

    def __init__(self, library: ctypes.CDLL, programs: Mapping[str, int], *, sysctl: Path = SYSCTL) -> None:
        self._library = library
        self._programs = dict(programs)
        self._sysctl = sysctl
        self._next_look = self._looked = time.monotonic()
        self.is_on = False
        """Whether the kernel counts time and runs, as of the last look."""
        self.seconds = 0.0
        """For which it did, as far as we know: run_seconds / seconds is in CPUs."""

    def read(self) -> dict[str, ProgramFigures]:
        """Name -> figures, as of now; a few us each. Raises ``OSError``."""
        return {name: read(self._library, descriptor) for name, descriptor in self._programs.items()}

    def turn(self, now: float) -> None:
        """To be called once a second. ``now`` is monotonic."""
        if now < self._next_look:
            return
        was_on, self.is_on = self.is_on, self._sysctl_on()
        if was_on and self.is_on:
            self.seconds += now - self._looked
        self._looked, self._next_look = now, now + LOOK_EVERY

    def _sysctl_on(self) -> bool:
        try:
            return self._sysctl.read_text().strip() == "1"
        except OSError:
            return False  # a container runtime may hide it
