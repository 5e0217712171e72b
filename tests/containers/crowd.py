"""Many containers that cost little: cgroups named as Kubernetes names them, a mount namespace and an overlay
of their own, and one Python each that has imported what it was told to and waits.

``with Crowd(250, modules, layer) as crowd``: all run and have imported. ``python -m tests.containers.crowd``
is the program that makes them, and with whose end they end.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.bench.container import hierarchies
from tests.clock import PATIENCE

SITE = "/opt/crowd"
"""Where ``layer`` lies in each container."""

_POD_PREFIX = "pod7c0d7c0d-0000-4000-8000-"
_CLONE_NEWNS, _MS_REC, _MS_PRIVATE, _MNT_DETACH, _PR_SET_PDEATHSIG = 0x20000, 0x4000, 0x40000, 2, 1
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PROGRAM = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
for name in sys.argv[3:]:
    __import__(name)
os.write(int(sys.argv[2]), b".")
os.close(int(sys.argv[2]))
signal.pause()
"""


def pod_uid(number: int) -> str:
    return f"{_POD_PREFIX.removeprefix('pod')}{number:012x}"


def container_id(number: int) -> str:
    return f"{number:064x}"


class Crowd:
    """``count`` containers, numbered from 1. ``layer`` has what they import ``modules`` from. Needs root."""

    def __init__(self, count: int, modules: Sequence[str], layer: Path) -> None:
        self.count = count
        self._command = [sys.executable, "-m", __spec__.name, str(count), str(layer), *modules]
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch: str | None = None

    def __enter__(self) -> Self:
        _sweep()
        self._scratch = tempfile.mkdtemp(prefix="crowd-")
        self._process = subprocess.Popen(
            [*self._command[:3], self._scratch, *self._command[3:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"up\n":
            self.close()
            raise RuntimeError("the containers did not come up; what they said stands above")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
        _sweep()
        if self._scratch is not None:
            shutil.rmtree(self._scratch)


def _sweep() -> None:
    """Remove the cgroups of all crowds, and kill what is still in them."""
    for root in hierarchies(Path("/proc/self/mountinfo").read_text()):
        for pod in root.glob(f"kubepods/besteffort/{_POD_PREFIX}*"):
            for folder in (*pod.glob("*/"), pod):
                _remove(folder)
        for folder in (root / "kubepods/besteffort", root / "kubepods"):
            with contextlib.suppress(OSError):  # not there, or another's as well
                folder.rmdir()


def _remove(folder: Path) -> None:
    end = time.monotonic() + PATIENCE
    while folder.exists():
        for pid in (folder / "cgroup.procs").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        try:
            folder.rmdir()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def main(scratch: str, count: int, layer: str, modules: Sequence[str]) -> None:
    """Make the containers, say ``up``, and wait to be killed."""
    _die_with_parent()
    _check(_libc.unshare(_CLONE_NEWNS))
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    # A layer must not lie below another one, which is the machine's own root.
    _mount("tmpfs", scratch, "tmpfs")
    shutil.copytree(layer, f"{scratch}/layer{SITE}")
    roots = hierarchies(Path("/proc/self/mountinfo").read_text())
    reading, writing = os.pipe()
    for number in range(1, count + 1):
        if os.fork() == 0:
            try:
                _become(number, scratch, roots, writing, modules)
            finally:
                os._exit(1)
    os.close(writing)
    up = sum(len(said) for said in iter(lambda: os.read(reading, 4096), b""))
    if up == count:
        os.write(1, b"up\n")
        signal.pause()


def _become(number: int, scratch: str, roots: Sequence[Path], writing: int, modules: Sequence[str]) -> None:
    _die_with_parent()
    for root in roots:
        folder = root / "kubepods/besteffort" / f"pod{pod_uid(number)}" / container_id(number)
        folder.mkdir(parents=True)
        (folder / "cgroup.procs").write_text(str(os.getpid()))
    _check(_libc.unshare(_CLONE_NEWNS))
    own = Path(scratch, str(number))
    upper, work, root = (own / name for name in ("upper", "work", "root"))
    for each in (upper, work, root):
        each.mkdir(parents=True)
    lower = f"{scratch}/layer:/"
    _mount("overlay", str(root), "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work}")
    (root / "machine").mkdir()
    _mount("proc", str(root / "proc"), "proc")
    os.chdir(root)
    _check(_libc.syscall(_SYS_PIVOT_ROOT[os.uname().machine], b".", b"machine"))
    _check(_libc.umount2(b"/machine", _MNT_DETACH))
    os.set_inheritable(writing, True)
    os.execv("/usr/bin/python3", ["python3", "-I", "-S", "-c", _PROGRAM, SITE, str(writing), *modules])


_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent() -> None:
    _check(_libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))


def _mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    name = None if kind is None else kind.encode()
    _check(_libc.mount(source.encode(), target.encode(), name, ctypes.c_ulong(flags), data.encode()))


def _check(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:])
