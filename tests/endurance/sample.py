"""What the sensor's process and its own metrics say at one moment."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.ground import Sensor

_PREFIX = "runtime_sensor_"
_LOST = ("ring_full", "fault")


@dataclass(frozen=True, slots=True)
class Sample:
    """``seconds`` since the load began. Memory in MiB, resident. ``pidfds`` are held of containers that run;
    ``other_descriptors`` are neither these nor containers' roots. ``seen``, ``losses`` and ``ignored`` are
    entries of the kernel's maps, up to a minute old. ``no_root``: containers whose root could not be opened
    in time, since the start."""

    seconds: float
    memory: float
    anonymous: float
    cpu_seconds: float
    descriptors: int
    pidfds: int
    other_descriptors: int
    threads: int
    mappings: int
    held_roots: int
    containers: int
    packages: int
    asked_processes: int
    outbox_running: int
    outbox_ended: int
    outbox_mib: float
    seen: int
    losses: int
    ignored: int
    lost: int
    unread: int
    no_root: int


def sample(sensor: Sensor, began: float) -> Sample:
    """``began`` is monotonic. Raises OSError when the sensor does not answer, or is gone."""
    metrics = sensor.metrics()

    def metric(name: str, labels: str = "") -> int:
        return int(metrics.get((_PREFIX + name, labels), 0))

    process = Path(f"/proc/{sensor.process.pid}")
    memory = _memory(process)
    links, held = _descriptors(process), metric("held_roots")
    pidfds = links.count("anon_inode:[pidfd]")
    of_others = metric("ignored_namespaces")
    return Sample(
        seconds=time.monotonic() - began,
        memory=memory["VmRSS"],
        anonymous=memory["RssAnon"],
        cpu_seconds=_cpu_seconds(process),
        descriptors=len(links),
        pidfds=pidfds - of_others,
        other_descriptors=len(links) - pidfds - held,
        threads=len(os.listdir(process / "task")),
        mappings=(process / "maps").read_bytes().count(b"\n"),
        held_roots=held,
        containers=metric("inventory", 'what="containers"'),
        packages=metric("inventory", 'what="packages"'),
        asked_processes=metric("introspected_processes", 'state="known"'),
        outbox_running=metric("outbox_states", 'state="running"'),
        outbox_ended=metric("outbox_states", 'state="ended"'),
        outbox_mib=metric("outbox_bytes") / 2**20,
        seen=metric("bpf_map_entries", 'map="seen"'),
        losses=metric("bpf_map_entries", 'map="losses"'),
        ignored=metric("bpf_map_entries", 'map="ignored"'),
        lost=sum(metric("kernel_events_total", f'outcome="{outcome}"') for outcome in _LOST),
        no_root=metric("containers_total", 'outcome="root_unavailable"'),
        unread=metric("malformed_records_total") + metric("events_total", 'outcome="failed"'),
    )


def _memory(process: Path) -> dict[str, float]:
    """Name -> MiB, of /proc/PID/status (proc(5))."""
    lines = (line.split() for line in (process / "status").read_text().splitlines())
    return {line[0].rstrip(":"): int(line[1]) / 1024 for line in lines if line[-1] == "kB"}


def _descriptors(process: Path) -> list[str]:
    """What each open descriptor leads to."""
    links = []
    for link in (process / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since
            links.append(os.readlink(link))
    return links


def _cpu_seconds(process: Path) -> float:
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
