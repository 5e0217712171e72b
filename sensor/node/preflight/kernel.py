"""The kernel: its version, its types, what it forbids. ``root`` is where /proc and /sys are."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sensor.node.capability import Capability, effective, holds
from sensor.node.preflight.finding import Finding, Status
from sensor.node.preflight.version import version


def kernel(release: str | None = None) -> Iterator[Finding]:
    """5.8 brought the ring buffer, CAP_BPF and raw tracepoints with BTF."""
    release = os.uname().release if release is None else release
    enough = version(release) >= (5, 8)
    yield Finding(
        "kernel",
        Status.OK if enough else Status.FAIL,
        release,
        "" if enough else "run a kernel of 5.8 or newer: the BPF ring buffer came with it",
    )


def kernel_types(root: Path) -> Iterator[Finding]:
    """Without BTF the offsets of kernel structs are unknown."""
    try:
        size = (root / "sys/kernel/btf/vmlinux").stat().st_size
    except OSError as error:
        cure = "run a kernel built with CONFIG_DEBUG_INFO_BTF=y, as every current distribution's is"
        if not (root / "sys/kernel").is_dir():
            cure = "mount the node's /sys into the container"
        yield Finding("kernel types", Status.FAIL, f"no /sys/kernel/btf/vmlinux: {error.strerror}", cure)
        return
    yield Finding("kernel types", Status.OK, f"BTF, {size / 1e6:.1f} MB")


def pid_namespace() -> Iterator[Finding]:
    """The kernel reports pids of the host's namespace, so ours must be of it."""
    from sensor.node.capture import errors, host  # noqa: PLC0415 - see hook()

    try:
        host.require_host_pids()
    except errors.CaptureError as error:
        yield Finding("pid namespace", Status.FAIL, str(error.args[0]), error.cure)
    else:
        yield Finding("pid namespace", Status.OK, "the host's")


def lockdown(root: Path) -> Iterator[Finding]:
    """``confidentiality`` refuses programs that read kernel memory (kernel_lockdown(7))."""
    text = _read(root / "sys/kernel/security/lockdown")
    mode = re.search(r"\[(\w+)\]", text or "")
    if mode and mode[1] == "confidentiality":
        cure = "boot with lockdown=integrity or without lockdown: this mode lets no program read the kernel"
        yield Finding("lockdown", Status.FAIL, "confidentiality", cure)
    else:
        yield Finding(
            "lockdown", Status.OK, mode[1] if mode else "not in this kernel, or securityfs not mounted"
        )


def perf_event_paranoid(root: Path) -> Iterator[Finding]:
    """Raw tracepoints and fentry ask no perf_event_open; a kprobe does, and 3 or more (a patch of
    Debian and Ubuntu) keeps it from everybody without CAP_SYS_ADMIN."""
    text = (_read(root / "proc/sys/kernel/perf_event_paranoid") or "").strip()
    admin = holds(effective(root), Capability.SYS_ADMIN)
    if text.lstrip("-").isdecimal() and int(text) >= 3 and not admin:
        cure = "only if the hook must be a kprobe: add SYS_ADMIN, or sysctl kernel.perf_event_paranoid=2"
        yield Finding("perf_event_paranoid", Status.WARN, f"{text}, and CAP_SYS_ADMIN is not held", cure)
    else:
        yield Finding("perf_event_paranoid", Status.OK, text or "unknown: this kernel has no perf events")


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
