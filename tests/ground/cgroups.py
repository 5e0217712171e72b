"""Control groups of the ground's containers, on v1, v2 and hybrid machines."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from tests.clock import PATIENCE
from tests.ground.mounts import mounts

_KINDS = ("cgroup", "cgroup2")


def container_path(pod_uid: str, container_id: str) -> str:
    """As kubelet's cgroupfs driver names a container of a burstable pod."""
    return f"/kubepods/burstable/pod{pod_uid}/{container_id}"


def remove(path: str) -> None:
    """Kills what still runs in ``path`` and removes it with the parents that are left empty."""
    for root in (mount.target for mount in mounts() if mount.kind in _KINDS):
        folder = root / path.lstrip("/")
        if folder.is_dir():
            _kill(folder)
            _remove_tree(folder)
        # runc takes away the container's own folder only, kubelet the pod's.
        for parent in folder.parents:
            if parent == root or not _remove_folder(parent):
                break


def _kill(folder: Path, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while (pids := _processes(folder)) and time.monotonic() < deadline:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _processes(folder: Path) -> list[int]:
    pids: list[int] = []
    for listing in folder.rglob("cgroup.procs"):
        with contextlib.suppress(OSError):
            pids += [int(line) for line in listing.read_text().split()]
    return pids


def _remove_tree(folder: Path) -> None:
    for below in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        _remove_folder(below)
    _remove_folder(folder)


def _remove_folder(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False  # another pod's, or the kernel is not through with it
    return True
