"""The processes of a cgroup, from the mounted hierarchies of the host."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

from sensor.node.identify.cgroup import is_cut

_PROCESSES_MAX = 256
_GROUPS_MAX = 64  # nested cgroups looked into
_FILE_MAX = _PROCESSES_MAX * 8  # a pid has at most seven digits, and a newline


class CgroupTree:
    """``mount`` is where the host's cgroup hierarchies are mounted.

    Inside a container it often shows only the container's own part: then nothing can be told from it.
    """

    def __init__(self, mount: str = "/sys/fs/cgroup") -> None:
        candidates = (f"{mount}/memory", f"{mount}/pids", mount, f"{mount}/unified")
        self._roots = tuple(path for path in candidates if _is_host_root(path))

    def processes(self, path: str) -> tuple[int, ...] | None:
        """Return some pids of the cgroup at ``path`` and those nested in it, its own first.

        Empty means that it holds none or is gone; None means that it cannot be told.
        """
        if not self._roots or is_cut(path) or ".." in path.split("/"):
            return None
        for root in self._roots:
            pids = _pids_below(root + path)
            if pids:
                return pids
        return ()


def _is_host_root(path: str) -> bool:
    """Only the root cgroup lacks cgroup.events (v2); only the root cgroup has release_agent (v1)."""
    if os.path.exists(f"{path}/cgroup.controllers"):
        return not os.path.exists(f"{path}/cgroup.events")
    return os.path.exists(f"{path}/release_agent")


def _pids_below(path: str) -> tuple[int, ...]:
    pids: list[int] = []
    for folder in _groups(path):
        pids += _read_pids(f"{folder}/cgroup.procs")
        if len(pids) >= _PROCESSES_MAX:
            break
    return tuple(pids[:_PROCESSES_MAX])


def _groups(path: str) -> Iterator[str]:
    """Yield the cgroup and those nested in it, breadth first, a bounded number."""
    pending = [path]
    for seen in range(_GROUPS_MAX):
        if seen >= len(pending):
            return
        yield pending[seen]
        try:
            with os.scandir(pending[seen]) as entries:
                folders = (entry.path for entry in entries if entry.is_dir(follow_symlinks=False))
                pending += itertools.islice(folders, _GROUPS_MAX)
        except OSError:
            continue


def _read_pids(path: str) -> list[int]:
    try:
        with open(path, "rb", buffering=0) as file:
            content = file.read(_FILE_MAX)
    except OSError:
        return []
    content = content[: content.rfind(b"\n") + 1]  # a cut pid is another process's
    # 0 is a process that this pid namespace cannot see.
    return [int(word) for word in content.split() if word.isdigit() and word != b"0"]
