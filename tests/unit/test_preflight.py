"""What the doctor makes of nodes other than this one."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.node import doctor
from sensor.node.capture.errors import CaptureError
from sensor.node.preflight import checks, node, programs
from sensor.node.preflight.capabilities import capabilities
from sensor.node.preflight.finding import Finding, Status
from sensor.node.preflight.kernel import kernel, kernel_types, lockdown, perf_event_paranoid
from sensor.node.preflight.node import cgroups, runtimes

EVERYTHING = (1 << 41) - 1


def only(found: Iterator[Finding]) -> Finding:
    (finding,) = found
    return finding


def write(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return root


def with_capabilities(root: Path, held: int) -> Path:
    return write(root, "proc/self/status", f"Name:\tx\nCapPrm:\t{0:016x}\nCapEff:\t{held:016x}\n")


@pytest.mark.parametrize(
    ("release", "status"),
    [
        ("5.8.0-1-amd64", Status.OK),
        ("6.18.44", Status.OK),
        ("10.0", Status.OK),
        ("5.7.19", Status.FAIL),
        ("4.18.0-553.el8", Status.FAIL),
        ("", Status.FAIL),
    ],
)
def test_kernel_versions(release: str, status: Status) -> None:
    finding = only(kernel(release))
    assert finding.status is status
    assert bool(finding.cure) == (status is Status.FAIL)


def test_a_kernel_without_types(tmp_path: Path) -> None:
    assert "mount the node's /sys" in only(kernel_types(tmp_path)).cure
    (tmp_path / "sys/kernel").mkdir(parents=True)
    assert "CONFIG_DEBUG_INFO_BTF=y" in only(kernel_types(tmp_path)).cure
    write(tmp_path, "sys/kernel/btf/vmlinux", "x" * 1_500_000)
    assert only(kernel_types(tmp_path)) == Finding("kernel types", Status.OK, "BTF, 1.5 MB")


@pytest.mark.parametrize(
    ("held", "release", "not_ok"),
    [
        (EVERYTHING, "5.8", {}),
        (EVERYTHING & ~(1 << 24), "5.11", {}),
        (EVERYTHING & ~(1 << 24), "5.10", {"CAP_SYS_RESOURCE": Status.FAIL}),
        # CAP_SYS_ADMIN implies the first two only
        (
            1 << 21,
            "6.1",
            {
                "CAP_SYS_PTRACE": Status.FAIL,
                "CAP_DAC_READ_SEARCH": Status.WARN,
                "CAP_SYS_NICE": Status.WARN,
            },
        ),
        (1 << 39 | 1 << 38 | 1 << 23 | 1 << 19 | 1 << 2, "6.1", {}),
        (EVERYTHING & ~(1 << 23), "6.1", {"CAP_SYS_NICE": Status.WARN}),
        (EVERYTHING & ~(1 << 21) & ~(1 << 38), "6.1", {"CAP_PERFMON": Status.FAIL}),
    ],
)
def test_capabilities_by_name(tmp_path: Path, held: int, release: str, not_ok: dict[str, Status]) -> None:
    found = list(capabilities(with_capabilities(tmp_path, held), release))
    assert [finding.what for finding in found] == [
        "CAP_BPF",
        "CAP_PERFMON",
        "CAP_SYS_PTRACE",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE",
    ]
    assert {f.what: f.status for f in found if f.status is not Status.OK} == not_ok
    assert all(f.what.removeprefix("CAP_") in f.cure for f in found if f.status is not Status.OK)


@pytest.mark.parametrize(
    ("text", "status", "found"),
    [
        ("none [integrity] confidentiality\n", Status.OK, "integrity"),
        ("none integrity [confidentiality]\n", Status.FAIL, "confidentiality"),
        ("[none] integrity confidentiality\n", Status.OK, "none"),
    ],
)
def test_lockdown(tmp_path: Path, text: str, status: Status, found: str) -> None:
    assert only(lockdown(tmp_path)).status is Status.OK
    finding = only(lockdown(write(tmp_path, "sys/kernel/security/lockdown", text)))
    assert (finding.status, finding.found) == (status, found)


@pytest.mark.parametrize(
    ("value", "held", "status"),
    [
        ("2", 0, Status.OK),
        ("-1", 0, Status.OK),
        ("3", EVERYTHING, Status.OK),
        ("3", 1 << 38, Status.WARN),
        ("4", 0, Status.WARN),
    ],
)
def test_perf_event_paranoid(tmp_path: Path, value: str, held: int, status: Status) -> None:
    with_capabilities(tmp_path, held)
    write(tmp_path, "proc/sys/kernel/perf_event_paranoid", value + "\n")
    assert only(perf_event_paranoid(tmp_path)).status is status


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["cgroup.controllers"], "v2"),
        (["memory/cgroup.procs", "cpu/cgroup.procs"], "v1"),
        (["pids/cgroup.procs"], "v1"),
        (["memory/cgroup.procs", "unified/cgroup.controllers"], "hybrid: v1 controllers beside v2"),
        ([], "none in /sys/fs/cgroup"),
    ],
)
def test_cgroup_versions(tmp_path: Path, files: list[str], found: str) -> None:
    for each in files:
        write(tmp_path, f"sys/fs/cgroup/{each}", "")
    finding = only(cgroups(tmp_path))
    assert finding.found == found
    assert finding.status is (Status.OK if files else Status.FAIL)


def test_without_rights_there_is_a_finding_of_what_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> int:
        raise CaptureError("cannot be read", "grant CAP_SYS_PTRACE")

    monkeypatch.setattr(node, "host_mount_namespace", closed)
    finding = only(node.node_files())
    assert finding.status is Status.WARN and "SYS_PTRACE" in finding.cure


def test_runtimes(tmp_path: Path) -> None:
    assert only(runtimes(tmp_path)).status is Status.WARN
    write(tmp_path, "run/k3s/containerd/containerd.sock", "")
    write(tmp_path, "run/crio/crio.sock", "")
    finding = only(runtimes(tmp_path))
    assert finding.found == "containerd (/run/k3s/containerd/containerd.sock), cri-o (/run/crio/crio.sock)"


def test_bcc_is_never_imported_by_the_checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bcc.py").write_text("raise SystemExit('a file of the current folder was run')")
    monkeypatch.chdir(tmp_path)
    finding = only(programs.bcc())
    assert finding.status is Status.OK, finding
    assert "bcc/__init__.py" in finding.found
    import sys

    assert "bcc" not in sys.modules


def test_a_check_that_breaks_is_a_failure_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken() -> Iterator[Finding]:
        raise FileNotFoundError("gone")

    monkeypatch.setattr(checks, "hook", lambda: iter([Finding("hook", Status.OK, "not tried")]))
    monkeypatch.setattr(checks, "cgroups", broken)
    found = {finding.what: finding for finding in checks.findings(tmp_path)}
    assert found["cgroups"].status is Status.FAIL
    assert found["cgroups"].found.startswith("the check broke: FileNotFoundError")
    assert found["CAP_BPF"].status is Status.FAIL  # there is no /proc that says otherwise
    assert found["hook"].status is Status.OK


def test_lines_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [
        Finding("kernel", Status.OK, "6.1"),
        Finding("runtimes", Status.WARN, "none", "mount /run"),
        Finding("hook", Status.FAIL, "refused:\n  line 2", "do this"),
    ]
    monkeypatch.setattr(doctor, "findings", lambda: iter(findings))
    stream = io.StringIO()
    assert doctor.run(stream=stream) == 1
    assert stream.getvalue().splitlines() == [
        "ok    kernel: 6.1",
        "warn  runtimes: none — mount /run",
        "FAIL  hook: refused: line 2 — do this",
        "doctor: 1 failed: the sensor cannot run here",
    ]
    findings.pop()
    assert doctor.run(stream=io.StringIO()) == 0
    assert doctor.run(json_output=True, stream=io.StringIO()) == 0
    assert doctor.line(findings[0], colour=True) == "\033[32mok  \033[0m  kernel: 6.1"
