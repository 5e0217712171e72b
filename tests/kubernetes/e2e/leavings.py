"""What a release could leave on the node beyond the API's objects: BPF programs and maps, cgroups, files."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.ground.problem import run
from tests.kubernetes import cgroup
from tests.kubernetes.e2e.stage import Stage
from tests.kubernetes.problem import KubernetesError

_GONE_SECONDS = 60.0
_FOLDERS = ("/run", "/tmp", "/var", "/sys/fs/bpf")
# Kept by containerd, kubelet and network plugin for every pod. What is left there is looked for by pod.
_OTHERS = (
    "/run/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log",
)


@dataclass(frozen=True, slots=True)
class Leavings:
    """``programs`` and ``maps`` are ids in the kernel, ``files`` paths on the node."""

    programs: frozenset[int]
    maps: frozenset[int]
    files: frozenset[str]

    @staticmethod
    def now(stage: Stage) -> Leavings:
        return Leavings(_ids("bpf_prog_get_next_id"), _ids("bpf_map_get_next_id"), _files(stage))


def assert_nothing_left(stage: Stage, before: Leavings) -> None:
    """Waits until the node is as ``before`` but for pods that the API still knows. AssertionError if not.

    The kernel frees programs and maps some time after the last reference is gone.
    """
    deadline = time.monotonic() + _GONE_SECONDS
    while left := _left(stage, before):
        assert time.monotonic() < deadline, f"left on the node: {', '.join(left)}"
        time.sleep(0.5)


def _left(stage: Stage, before: Leavings) -> list[str]:
    now = Leavings.now(stage)
    return [
        *(f"BPF program {each}" for each in sorted(now.programs - before.programs)),
        *(f"BPF map {each}" for each in sorted(now.maps - before.maps)),
        *(f"file {each}" for each in sorted(now.files - before.files)),
        *_of_gone_pods(stage),
    ]


def _of_gone_pods(stage: Stage) -> list[str]:
    """Cgroups and the kubelet's folders of pods that are no more."""
    known = {pod["metadata"]["uid"] for pod in stage.client.get("/api/v1/pods")["items"]}
    cgroups = {path for root in cgroup.folders() for path in root.rglob("pod*") if path.is_dir()}
    folders = run(stage.cluster.machine.inside(["ls", "/var/lib/kubelet/pods"])).split()
    return [
        *(f"cgroup {path}" for path in sorted(cgroups) if path.name.removeprefix("pod") not in known),
        *(f"/var/lib/kubelet/pods/{uid}" for uid in folders if uid not in known),
    ]


def _files(stage: Stage) -> frozenset[str]:
    prune = [word for other in _OTHERS for word in ("-path", other, "-prune", "-o")]
    find = f'find "$each" -xdev {" ".join(prune)} -print'
    script = f'for each; do test ! -e "$each" || {find}; done'
    return frozenset(run(stage.cluster.machine.inside(["sh", "-c", script, "find", *_FOLDERS])).splitlines())


def _ids(name: str) -> frozenset[int]:
    """By bpf(BPF_PROG_GET_NEXT_ID) or of maps, through libbpf, which needs CAP_SYS_ADMIN."""
    following: Callable[..., int] = getattr(ctypes.CDLL("libbpf.so.1", use_errno=True), name)
    found: set[int] = set()
    current = ctypes.c_uint32(0)
    while following(current, ctypes.byref(current)) == 0:
        found.add(current.value)
    if ctypes.get_errno() != errno.ENOENT:
        raise KubernetesError(f"{name}: {os.strerror(ctypes.get_errno())}; run this as root of the machine")
    return frozenset(found)
