"""Every check in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from sensor.node.preflight.capabilities import capabilities
from sensor.node.preflight.finding import Finding, Status
from sensor.node.preflight.kernel import kernel, kernel_types, lockdown, perf_event_paranoid, pid_namespace
from sensor.node.preflight.node import cgroups, node_files, runtimes
from sensor.node.preflight.programs import bcc, hook, libbpf, temporary_folder


def findings(root: Path = Path("/")) -> Iterator[Finding]:
    """Check everything, the quick things first. A check that itself breaks is a failure found.

    ``root`` is where /proc and /sys are.
    """
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("kernel", kernel),
        ("kernel types", lambda: kernel_types(root)),
        ("capabilities", lambda: capabilities(root)),
        ("pid namespace", pid_namespace),
        ("lockdown", lambda: lockdown(root)),
        ("perf_event_paranoid", lambda: perf_event_paranoid(root)),
        ("cgroups", cgroups),
        ("node's files", node_files),
        ("container runtimes", runtimes),
        ("libbpf", libbpf),
        ("bcc", bcc),
        ("temporary folder", temporary_folder),
        ("hook", hook),
    )
    for what, check in checks:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 - shown as a finding of its own; the rest still counts
            yield Finding(what, Status.FAIL, f"the check broke: {error!r}", "report this as a defect")
