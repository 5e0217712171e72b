"""What the sensor may do on the node, as the kernel enforces it: not what the manifest asks for."""

from __future__ import annotations

from sensor.node.capability import Capability
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.pod_process import PodProcess
from tests.kubernetes.e2e.release import Release
from tests.kubernetes.runc import missing_capabilities

_DEFAULT = frozenset({"BPF", "PERFMON", "SYS_RESOURCE", "DAC_READ_SEARCH", "SYS_PTRACE", "SYS_NICE"})
_KEPT = frozenset({"BPF", "DAC_READ_SEARCH", "SYS_PTRACE"})
"""Once it watches."""
_MOUNTS = {
    "/",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/hostname",
    "/etc/runtime-sensor/ca",
    "/etc/runtime-sensor/secret",
    "/var/run/secrets/kubernetes.io/serviceaccount",
    "/tmp",
    "/var/lib/runtime-sensor",
}
_CALLS = "runtime_sensor_cri_calls_total{"
_FILTER = "2"
"""Of Seccomp in proc(5): a filter is in force."""


def check_confinement(release: Release, checks: Checks) -> None:
    with checks.check("it runs with no more than the default capabilities, and keeps only those of watching"):
        status = _process(release).status()
        lacking = {name.removeprefix("CAP_") for name in missing_capabilities()}
        assert _names(status["CapBnd"]) == _DEFAULT - lacking, f"may have {sorted(_names(status['CapBnd']))}"
        assert _names(status["CapEff"]) == _KEPT, f"has {sorted(_names(status['CapEff']))}"
        assert status["NoNewPrivs"] == "1", "a program that it starts could get more"
    with checks.check("under a seccomp filter, with a read-only root, and no folder of the node"):
        process = _process(release)
        assert process.status()["Seccomp"] == _FILTER, f"found seccomp mode {process.status()['Seccomp']}"
        assert process.root_is_read_only(), "its root can be written to"
        assert process.mounts() == _MOUNTS, f"sees {sorted(process.mounts() ^ _MOUNTS)}"
    with checks.check("so it sees the node through /proc, and its container runtime answers"):
        calls = [line for line in release.metrics().splitlines() if line.startswith(_CALLS)]
        assert any('result="ok"' in line and not line.endswith(" 0") for line in calls), f"found {calls}"
        # Here the chart's option led there; without it, as on a node of its own, it finds the way by itself.
        assert "node's files: seen through" in release.doctor(), f"doctor says:\n{release.doctor()}"


def _process(release: Release) -> PodProcess:
    return PodProcess.of(release.pod())


def _names(mask: str) -> set[str]:
    """Of a mask in /proc/PID/status; a capability that we have no name for keeps its number."""
    bits = [bit for bit in range(64) if int(mask, 16) >> bit & 1]
    known = {int(each): each.name for each in Capability}
    return {known.get(bit, str(bit)) for bit in bits}
