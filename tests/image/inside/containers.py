"""Programs of the image as a container runtime starts them: own mounts, a cgroup, few capabilities."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from tests.kernels.inside import libc

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin", "TMPDIR": "/dev/shm"}
"""As the image's configuration has it."""

_CGROUPS = Path("/sys/fs/cgroup")
_POD = "kubepods/besteffort/pod1b0d7c0e-2f3a-4d5b-8c6d-7e8f9a0b1c2d"
_CAPABILITIES = {2, 19, 23, 38, 39}
"""DAC_READ_SEARCH, SYS_PTRACE, SYS_NICE, PERFMON and BPF: what README.md names."""
_SYS_RESOURCE = 24  # until 5.11, BPF's memory counts as locked
_PR_CAPBSET_DROP = 24
_File = IO[bytes] | None
_TIMEOUT = """
import sys
from functools import partial
from sensor.node.capture import handover
handover.load = partial(handover.load, timeout=900)
from sensor.cli import main
sys.exit(main())
"""
"""The sensor's own start, but that an emulated processor may take its time to compile."""


def capabilities() -> set[int]:
    """What the sensor is given on this kernel, as numbers."""
    return _CAPABILITIES | ({_SYS_RESOURCE} if _release() < (5, 11) else set())


def sensor(*arguments: str, output: IO[bytes], log: IO[bytes]) -> subprocess.Popen[bytes]:
    """``runtime-sensor`` with ``arguments``, as root with the capabilities that it needs."""
    kept = capabilities()

    def enclose() -> None:
        libc.unshare_mounts()
        control = ctypes.CDLL(None).prctl
        for number in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
            if number not in kept:
                control(_PR_CAPBSET_DROP, ctypes.c_ulong(number), 0, 0, 0)

    return _started([sys.executable, "-I", "-c", _TIMEOUT, *arguments], enclose, output, log)


def application(code: str, container: str) -> subprocess.Popen[bytes]:
    """A Python program in a container with this id: an overlay of the image is its root."""
    group = _CGROUPS / _POD / container
    group.mkdir(parents=True)
    upper, work, root = (Path("/run/overlays", container, name) for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir(parents=True)

    def enclose() -> None:
        (group / "cgroup.procs").write_text(str(os.getpid()))
        libc.unshare_mounts()
        libc.mount("overlay", str(root), "overlay", 0, f"lowerdir=/,upperdir={upper},workdir={work}")
        os.chdir(root)
        libc.pivot_root(".", ".")  # the old root then lies on the new one: pivot_root(2)
        libc.unmount(".", libc.MNT_DETACH)

    return _started([sys.executable, "-I", "-c", code], enclose)


def _started(
    command: Sequence[str], enclose: Callable[[], None], output: _File = None, log: _File = None
) -> subprocess.Popen[bytes]:
    # This process has no other thread.
    return subprocess.Popen(command, preexec_fn=enclose, env=ENVIRONMENT, stdout=output, stderr=log)  # noqa: PLW1509


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split(".")[:2])
