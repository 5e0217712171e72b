"""Taking away what belongs to a containerd of ours, also one whose owner was killed.

A folder of HOME is in use while somebody holds the lock beside it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tests.cluster import cgroups
from tests.ground.mounts import mounts_below, unmount

HOME = Path(tempfile.gettempdir(), "runtime-sensor-cri")
STATE = "state-folder"
"""File that tells where containerd's state is."""
CGROUPS = "cgroups"
"""File of the pods' cgroups, one a line."""
_BUNDLES = "io.containerd.runtime.v2.task/k8s.io"


def new_folder() -> tuple[Path, IO[str]]:
    """A new folder and the lock that says it is in use. Sweeps what runs that were killed have left."""
    HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    with (HOME / "entrance").open("w") as entrance:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        for left in (entry for entry in HOME.iterdir() if entry.is_dir()):
            with left.with_suffix(".lock").open("a") as file, contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                sweep(left)
        folder = Path(tempfile.mkdtemp(dir=HOME))
        lock = folder.with_suffix(".lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def sweep(folder: Path) -> None:
    """Ends what belongs to the containerd of ``folder``, however it was left, and removes it."""
    noted = folder / STATE
    state = Path(noted.read_text()) if noted.exists() else folder / "state"
    bundles = list((state / _BUNDLES).glob("*")) if (state / _BUNDLES).is_dir() else []
    sockets = [path for bundle in bundles for path in _shim_socket(bundle)]
    _kill_programs(folder, state)
    cgroups.sweep(_cgroups_of(folder, bundles))
    for root in dict.fromkeys((state, folder)):
        for target in mounts_below(root):
            unmount(target)
        shutil.rmtree(root, ignore_errors=True)
    for path in sockets:
        path.unlink(missing_ok=True)
    # Shims make the latter two wherever containerd's own folders are; those of another containerd hold files.
    for empty in (state.parent, Path("/run/containerd/s"), Path("/run/containerd")):
        with contextlib.suppress(OSError):
            empty.rmdir()
    folder.with_suffix(".lock").unlink(missing_ok=True)


def _shim_socket(bundle: Path) -> Iterator[Path]:
    with contextlib.suppress(OSError):
        yield Path((bundle / "address").read_text().removeprefix("unix://"))


def _cgroups_of(folder: Path, bundles: list[Path]) -> Iterator[str]:
    for bundle in bundles:
        with contextlib.suppress(OSError, KeyError, json.JSONDecodeError):
            yield json.loads((bundle / "config.json").read_text())["linux"]["cgroupsPath"]
    with contextlib.suppress(FileNotFoundError):
        yield from reversed((folder / CGROUPS).read_text().split())


def _kill_programs(folder: Path, state: Path, seconds: float = 10) -> None:
    """containerd first, which would start shims anew; then its shims: by their own command lines."""
    for program in (b"containerd", b"containerd-shim-runc-v2"):
        wanted = {f"{folder}/config.toml".encode(), f"{state}/containerd.sock".encode()}
        deadline = time.monotonic() + seconds
        while (pids := _running(program, wanted)) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _running(program: bytes, arguments: set[bytes]) -> list[int]:
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                words = Path(entry.path, "cmdline").read_bytes().split(b"\0")
                if os.path.basename(words[0]) == program and arguments & set(words):
                    found.append(int(entry.name))
    return found
