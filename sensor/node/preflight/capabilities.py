"""The capabilities that are needed, and what for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sensor.node.capability import Capability, effective, holds
from sensor.node.preflight.finding import Finding, Status
from sensor.node.preflight.version import version


@dataclass(frozen=True, slots=True)
class _Need:
    capability: Capability
    purpose: str
    missing: Status


_NEEDS = (
    _Need(Capability.BPF, "load programs and maps", Status.FAIL),
    _Need(Capability.PERFMON, "let programs read kernel memory", Status.FAIL),
    _Need(Capability.SYS_PTRACE, "see the roots and namespaces of containers' processes", Status.FAIL),
    _Need(Capability.DAC_READ_SEARCH, "read package files whatever their owner", Status.WARN),
    _Need(Capability.SYS_NICE, "reach containers that live for milliseconds on a busy node", Status.WARN),
)
# Before 5.8 both were part of CAP_SYS_ADMIN, which still implies them: bpf_capable(), perfmon_capable().
_IMPLIED_BY_SYS_ADMIN = {Capability.BPF, Capability.PERFMON}


def capabilities(root: Path, release: str | None = None) -> Iterator[Finding]:
    """Each by name; the effective set of this process."""
    held = effective(root)
    for need in _NEEDS:
        yield _capability(need, held)
    # 5.11 charges BPF memory to the cgroup; until then it counts against RLIMIT_MEMLOCK.
    limited = version(os.uname().release if release is None else release) < (5, 11)
    limit = _Need(Capability.SYS_RESOURCE, "lift the limit on locked memory", Status.FAIL)
    if limited or holds(held, limit.capability):
        yield _capability(limit, held)
    else:
        yield Finding(str(limit.capability), Status.OK, "not held, and not needed since kernel 5.11")


def missing_capabilities(root: Path) -> Iterator[Finding]:
    """Of those that are asked for, the ones which this process has not; quick enough for every start."""
    return (finding for finding in capabilities(root) if finding.found.startswith("not held"))


def _capability(need: _Need, held: int) -> Finding:
    name = str(need.capability)
    if holds(held, need.capability):
        return Finding(name, Status.OK, f"held, to {need.purpose}")
    if need.capability in _IMPLIED_BY_SYS_ADMIN and holds(held, Capability.SYS_ADMIN):
        return Finding(name, Status.OK, f"by CAP_SYS_ADMIN, to {need.purpose}")
    cure = f"run as root, or add {need.capability.name} to the container's capabilities"
    return Finding(name, need.missing, f"not held, needed to {need.purpose}", cure)
