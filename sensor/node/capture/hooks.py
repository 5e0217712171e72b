"""Which hook sees the opens: the cheapest that this kernel really takes.

========  ============================  ==============================================================
name      hook                          what it costs and misses
========  ============================  ==============================================================
fentry    security_file_open            only opens pay; x86-64 from 5.8, arm64 from about 6.4
kprobe    security_file_open            only opens pay, a little more; needs kprobes and perf_event_open(2)
raw       raw tracepoint sys_exit       every system call pays; misses io_uring and 32-bit programs
========  ============================  ==============================================================

A hook is tried with a program that does nothing, loaded and attached for real, before anything is
compiled for it: a refusal then costs a millisecond instead of a third of a second.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sensor.node.capture import programs
from sensor.node.capture.btf import KernelTypes
from sensor.node.capture.programs import RefusedError

FUNCTION = "security_file_open"
_PARANOID = Path("/proc/sys/kernel/perf_event_paranoid")


@dataclass(frozen=True, slots=True)
class Hook:
    """``name`` is that of ``--open-hook``; ``label`` that of logs and metrics.

    ``source`` is the file of ``bpf/`` and ``function`` the program in it; ``kind`` as in ``programs``.
    """

    name: str
    label: str
    source: str
    function: str
    kind: int
    attach: Callable[[int], int]

    def load(self, instructions: bytes, types: KernelTypes) -> int:
        """Load the program of this hook. Raises :class:`RefusedError`."""
        target = 0
        if self.kind == programs.TRACING:
            target = types.function(FUNCTION)
            if not target:
                raise RefusedError(f"no function {FUNCTION} in the kernel's types", errno.ENOENT)
        return programs.load(self.kind, self.function, instructions, target)


HOOKS = (
    Hook("fentry", "fentry", "open_fentry.c", "on_open_fentry", programs.TRACING, programs.attach_fentry),
    Hook(
        "kprobe",
        "kprobe",
        "open_kprobe.c",
        "on_open_kprobe",
        programs.KPROBE,
        lambda program: programs.attach_kprobe(program, FUNCTION),
    ),
    Hook(
        "raw",
        "raw_tracepoint",
        "open_sys_exit.c",
        "on_sys_exit",
        programs.RAW_TRACEPOINT,
        lambda program: programs.attach_raw_tracepoint(program, "sys_exit"),
    ),
)
"""In the order in which they are tried."""


def chosen(name: str) -> tuple[Hook, ...]:
    """The hooks to try for ``--open-hook``: all for ``auto``, else the one of that name."""
    return HOOKS if name == "auto" else tuple(hook for hook in HOOKS if hook.name == name)


def trial(hook: Hook, types: KernelTypes) -> None:
    """Load and attach a program that does nothing, and let it go. Raises :class:`RefusedError`."""
    program = hook.load(programs.NOTHING, types)
    try:
        os.close(hook.attach(program))
    finally:
        os.close(program)


def reason(hook: Hook, error: RefusedError) -> str:
    """Say why a hook was refused, in one line, with the cure where there is one."""
    if hook.name == "kprobe" and error.number in (errno.EACCES, errno.EPERM):
        with suppress(OSError):
            level = _PARANOID.read_text().strip()
            return f"{error}; kernel.perf_event_paranoid is {level}, above 2 it takes CAP_SYS_ADMIN"
    if hook.name == "fentry" and error.number in (errno.EPERM, errno.EOPNOTSUPP, 524):  # 524: ENOTSUPP
        return f"{error}; this kernel has no BPF trampolines, or does not let us use them"
    return str(error)
