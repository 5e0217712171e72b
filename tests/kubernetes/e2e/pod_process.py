"""The sensor's container from outside: its process, its rights and its memory, as the kernel has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.client import Json
from tests.kubernetes import cgroup
from tests.kubernetes.problem import KubernetesError

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class PodProcess:
    """The first process of a pod's only container. ``cgroups`` are the container's, by hierarchy."""

    pid: int
    cgroups: tuple[Path, ...]

    @staticmethod
    def of(pod: Json) -> PodProcess:
        """Raises KubernetesError if its container does not run."""
        identity = pod["status"]["containerStatuses"][0].get("containerID", "").rpartition("/")[2]
        folders = tuple(
            found
            for root in cgroup.folders()
            if identity
            for found in root.rglob(f"*{identity}*")
            if found.is_dir()
        )
        pids = [int(line) for folder in folders[:1] for line in (folder / "cgroup.procs").read_text().split()]
        if not pids:
            raise KubernetesError(f"{pod['metadata']['name']} has no process: {pod['status']}")
        return PodProcess(min(pids), folders)

    def status(self) -> dict[str, str]:
        """Lines of /proc/PID/status by name."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def root_is_read_only(self) -> bool:
        """By its mount table (proc(5), mountinfo): the options of ``/``."""
        lines = [line.split() for line in Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()]
        return next("ro" in fields[5].split(",") for fields in lines if fields[4] == "/")

    def mounts(self) -> set[str]:
        """Mount points that it sees, but for the kernel's own file systems below /proc, /dev and /sys."""
        lines = [line.split() for line in Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()]
        return {fields[4] for fields in lines if not fields[4].startswith(("/proc", "/dev", "/sys"))}

    def resident(self) -> float:
        """MiB in memory, shared libraries included (VmRSS)."""
        return int(self.status()["VmRSS"].split()[0]) / 1024

    def resident_peak(self) -> float:
        """MiB, the most it ever was (VmHWM)."""
        return int(self.status()["VmHWM"].split()[0]) / 1024

    def working_set(self) -> float:
        """MiB, as kubelet counts it: all that is charged to the container but file pages not used of late.

        The kernel's own memory is part of it: BPF maps, page tables, sockets.
        """
        folder = self._memory()
        usage = _number(folder, "memory.current", "memory.usage_in_bytes")
        statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        inactive = statistics.get("total_inactive_file", statistics.get("inactive_file", "0"))
        return (usage - int(inactive)) / MIB

    def charged_peak(self) -> float:
        """MiB, the most that was ever charged to the container, file pages included."""
        return _number(self._memory(), "memory.peak", "memory.max_usage_in_bytes") / MIB

    def out_of_memory_kills(self) -> int:
        folder = self._memory()
        name = "memory.events" if (folder / "memory.events").exists() else "memory.oom_control"
        counts = dict(line.split() for line in (folder / name).read_text().splitlines())
        return int(counts["oom_kill"])

    def _memory(self) -> Path:
        for folder in self.cgroups:
            if (folder / "memory.stat").exists():
                return folder
        raise KubernetesError(f"no memory controller in {[str(folder) for folder in self.cgroups]}")


def _number(folder: Path, *names: str) -> int:
    """Of the first file that is there: cgroup v2's name, then v1's. Linux before 5.19 has no memory.peak."""
    for name in names:
        if (folder / name).exists():
            return int((folder / name).read_text())
    raise KubernetesError(f"{folder} has none of {', '.join(names)}")
