"""Where a run took place: figures without it are worth nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from tests.bench.agent import COMMAND


def environment(processor: int) -> dict[str, object]:
    """Kernel, processor and versions; ``load_average`` is the last minute's, before the run."""
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu_model": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "load_average": round(os.getloadavg()[0], 2),
        "probe_processor": processor,
        "distribution": platform.freedesktop_os_release().get("PRETTY_NAME"),
        "sensor": _answer([str(COMMAND), "--version"]),
        "opensnoop": _package_version("libbpf-tools"),
        "bpftrace": _answer(["bpftrace", "--version"]),
    }


def _cpu_model() -> str | None:
    match = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else None


def _package_version(package: str) -> str | None:
    answer = _answer(["dpkg-query", "--show", "--showformat=${Version}", package])
    return f"{package} {answer}" if answer else None


def _answer(command: list[str]) -> str | None:
    """First line of a program's answer, None when there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except OSError:
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None
