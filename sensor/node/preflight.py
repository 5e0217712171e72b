"""What a node must have for the sensor to run: one check a function, each returning what it found.

Nothing here changes the node. ``root`` is where the node's root file system is seen.
"""

from __future__ import annotations

import ctypes
import enum
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sensor.node.capability import Capability
from sensor.node.capture.host import host_mount_namespace
from sensor.node.identify.node_root import AUTO, open_node_root


class Status(enum.StrEnum):
    OK = "ok"
    WARN = "warn"  # the sensor runs, with the limit that is named
    FAIL = "FAIL"  # the sensor cannot run


@dataclass(frozen=True, slots=True)
class Finding:
    """``cure`` is empty when there is nothing to do."""

    what: str
    status: Status
    found: str
    cure: str = ""

    @property
    def sentence(self) -> str:
        """For a log: what was found, and the cure."""
        return f"{self.what}: {self.found}" + (f"; {self.cure}" if self.cure else "")


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

_RUNTIMES = (
    ("containerd", ("run/containerd/containerd.sock", "run/k3s/containerd/containerd.sock")),
    ("containerd", ("var/snap/microk8s/common/run/containerd.sock", "run/k0s/containerd.sock")),
    ("cri-o", ("run/crio/crio.sock",)),
    ("docker", ("run/docker.sock",)),
    ("podman", ("run/podman/podman.sock", "run/libpod", "var/lib/containers/storage")),
    ("runc", ("run/runc", "run/containerd/runc", "run/docker/runtime-runc")),
    ("crun", ("run/crun",)),
)


def findings(root: Path = Path("/")) -> Iterator[Finding]:
    """Check everything, the quick things first. A check that itself breaks is a failure found."""
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("kernel", kernel),
        ("kernel types", lambda: kernel_types(root)),
        ("capabilities", lambda: capabilities(root)),
        ("pid namespace", pid_namespace),
        ("lockdown", lambda: lockdown(root)),
        ("perf_event_paranoid", lambda: perf_event_paranoid(root)),
        ("cgroups", lambda: cgroups(root)),
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


def kernel(release: str | None = None) -> Iterator[Finding]:
    """5.8 brought the ring buffer, CAP_BPF and raw tracepoints with BTF."""
    release = os.uname().release if release is None else release
    enough = _version(release) >= (5, 8)
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


def capabilities(root: Path, release: str | None = None) -> Iterator[Finding]:
    """Each by name; the effective set of this process."""
    held = _effective((root / "proc/self/status").read_text())
    for need in _NEEDS:
        yield _capability(need, held)
    # 5.11 charges BPF memory to the cgroup; until then it counts against RLIMIT_MEMLOCK.
    limited = _version(os.uname().release if release is None else release) < (5, 11)
    limit = _Need(Capability.SYS_RESOURCE, "lift the limit on locked memory", Status.FAIL)
    if limited or _holds(held, limit.capability):
        yield _capability(limit, held)
    else:
        yield Finding(str(limit.capability), Status.OK, "not held, and not needed since kernel 5.11")


def missing_capabilities(root: Path) -> Iterator[Finding]:
    """Of those that are asked for, the ones which this process has not; quick enough for every start."""
    return (finding for finding in capabilities(root) if finding.found.startswith("not held"))


def _capability(need: _Need, held: int) -> Finding:
    name = str(need.capability)
    if _holds(held, need.capability):
        return Finding(name, Status.OK, f"held, to {need.purpose}")
    if need.capability in _IMPLIED_BY_SYS_ADMIN and _holds(held, Capability.SYS_ADMIN):
        return Finding(name, Status.OK, f"by CAP_SYS_ADMIN, to {need.purpose}")
    cure = f"run as root, or add {need.capability.name} to the container's capabilities"
    return Finding(name, need.missing, f"not held, needed to {need.purpose}", cure)


def _effective(status: str) -> int:
    """The effective set in a /proc/PID/status, a bit for each capability."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    return int(match[1], 16) if match else 0


def _holds(held: int, capability: Capability) -> bool:
    return bool(held >> capability & 1)


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
    admin = _holds(_effective(_read(root / "proc/self/status") or ""), Capability.SYS_ADMIN)
    if text.lstrip("-").isdecimal() and int(text) >= 3 and not admin:
        cure = "only if the hook must be a kprobe: add SYS_ADMIN, or sysctl kernel.perf_event_paranoid=2"
        yield Finding("perf_event_paranoid", Status.WARN, f"{text}, and CAP_SYS_ADMIN is not held", cure)
    else:
        yield Finding("perf_event_paranoid", Status.OK, text or "unknown: this kernel has no perf events")


def cgroups(root: Path) -> Iterator[Finding]:
    """cgroups name containers; cgroups(7)."""
    types = set()
    for line in (root / "proc/self/mountinfo").read_text().splitlines():
        _, _, tail = line.partition(" - ")
        types.add(tail.partition(" ")[0])
    match "cgroup" in types, "cgroup2" in types:
        case True, True:
            yield Finding("cgroups", Status.OK, "hybrid: v1 controllers beside v2")
        case True, False:
            yield Finding("cgroups", Status.OK, "v1")
        case False, True:
            yield Finding("cgroups", Status.OK, "v2")
        case _:
            cure = "mount the node's /sys/fs/cgroup: containers are told apart by their cgroups"
            yield Finding("cgroups", Status.FAIL, "no cgroup file system is mounted", cure)


def node_files() -> Iterator[Finding]:
    """Sockets and bundles of the container runtime, and the cgroups, are the node's."""
    root = open_node_root(AUTO, host_mount_namespace())
    if root.path == "/" and root.is_node:
        yield Finding("node's files", Status.OK, "our own root is the node's")
    elif root.is_node:
        yield Finding("node's files", Status.OK, "seen through the root of process 1")
    else:
        cure = (
            "grant SYS_PTRACE, hostPID and, where the node has AppArmor or SELinux, a profile that allows it"
        )
        yield Finding("node's files", Status.WARN, "the root of process 1 cannot be seen", cure)


def runtimes(root: Path | None = None) -> Iterator[Finding]:
    """Where none can be asked, containers are named by their id alone."""
    seen = open_node_root(AUTO if root is None else str(root), host_mount_namespace())
    root = Path(seen.path)
    found = [f"{name} (/{path})" for name, paths in _RUNTIMES for path in paths if (root / path).exists()]
    if found:
        yield Finding("container runtimes", Status.OK, ", ".join(found))
    else:
        cure = "if this node runs containers, name the socket with --cri-socket: names come from the runtime"
        yield Finding("container runtimes", Status.WARN, "none in their usual places", cure)


def libbpf() -> Iterator[Finding]:
    """The agent reads the ring buffer through it."""
    try:
        library = ctypes.CDLL("libbpf.so.1")
    except OSError as error:
        yield Finding("libbpf", Status.FAIL, str(error), "install libbpf1 of the distribution")
        return
    library.libbpf_version_string.restype = ctypes.c_char_p
    yield Finding("libbpf", Status.OK, library.libbpf_version_string().decode())


def bcc() -> Iterator[Finding]:
    """In a child process: importing bcc maps LLVM, and this process stays without."""
    code = "import bcc; from bcc import BPF; print(bcc.__version__, bcc.__file__)"
    cure = (
        "install python3-bpfcc of the distribution, and make the environment from its python3 with "
        "--system-site-packages, as `make setup` does; the bcc of the package index is another project"
    )
    try:
        # -I: no module of the current folder may stand in for bcc.
        child = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("bcc", Status.FAIL, "its import took more than 30 s", cure)
        return
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        yield Finding("bcc", Status.FAIL, last, cure)
    else:
        version, _, path = child.stdout.strip().partition(" ")
        yield Finding("bcc", Status.OK, f"{version} ({path})")


def temporary_folder() -> Iterator[Finding]:
    """BCC reads a few headers out of one; writes them, and removes them, as the loader does."""
    from sensor.node.capture import scratch  # noqa: PLC0415 - see hook()

    try:
        with scratch.header_tree() as tree:
            yield Finding("temporary folder", Status.OK, f"{tree.parent} can be written")
    except scratch.ScratchError as error:
        yield Finding("temporary folder", Status.FAIL, str(error), scratch.CURE)


def hook() -> Iterator[Finding]:
    """Loads and attaches the real programs, and waits for an event of its own."""
    # Late: what this module imports may be what is broken on this node.
    from sensor.node.capture import capture, errors  # noqa: PLC0415

    try:
        used, refusals = capture.probe()
    except errors.CaptureError as error:
        found = "; ".join([str(error.args[0]), *error.log])
        yield Finding("hook", Status.FAIL, found, error.cure)
        return
    for refused, reason in refusals.items():
        yield Finding(f"hook {refused}", Status.OK, f"not to be had, and not needed: {reason}")
    yield Finding("hook", Status.OK, f"{used}: loaded, attached, and our own open came back")
    if used == "raw_tracepoint":
        found = "every system call of the node pays a little, io_uring and 32-bit programs are not seen"
        cure = "nothing to do where the kernel refuses the other hooks, as above"
        yield Finding("hook limits", Status.WARN, f"of {used}: {found}", cure)


def _version(release: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", release)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
