"""What the programs must know of the host."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sensor.node.capture import host
from sensor.node.capture.errors import CaptureError

HEAD = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"


def stat_without(*guarded: str) -> Callable[[str], os.stat_result]:
    """os.stat as it is where a security module guards some processes."""
    real = os.stat

    def stat(path: str) -> os.stat_result:
        if path in guarded:
            raise PermissionError(path)
        return real("/proc/self/ns/mnt" if path.startswith("/proc/") else path)

    return stat


def test_the_hosts_namespace_is_that_of_the_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    real = os.stat

    def stat(path: str) -> os.stat_result:
        asked.append(path)
        return real("/proc/self/ns/mnt")

    monkeypatch.setattr(os, "stat", stat)
    assert host.host_mount_namespace() == real("/proc/self/ns/mnt").st_ino
    assert asked == ["/proc/1/ns/mnt"]


def test_a_guarded_first_process_has_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.stat("/proc/self/ns/mnt").st_ino
    monkeypatch.setattr(os, "stat", stat_without("/proc/1/ns/mnt"))
    assert host.host_mount_namespace() == own


def test_without_either_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "stat", stat_without("/proc/1/ns/mnt", "/proc/2/ns/mnt"))
    with pytest.raises(CaptureError, match="CAP_SYS_PTRACE"):
        host.host_mount_namespace()


def test_pids_of_a_namespace_of_our_own_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.stat("/proc/self/ns/pid").st_ino
    monkeypatch.setattr(host, "_INITIAL_PID_NAMESPACE", own)
    host.require_host_pids()
    monkeypatch.setattr(host, "_INITIAL_PID_NAMESPACE", own + 1)
    with pytest.raises(CaptureError, match="hostPID: true"):
        host.require_host_pids()


@pytest.mark.parametrize(
    ("lines", "controller"),
    [
        ("cpu\t0\t1\t1\nmemory\t0\t90\t1\npids\t0\t90\t1\n", ""),  # pure v2
        ("cpu\t3\t1\t1\nmemory\t9\t90\t1\npids\t5\t90\t1\n", "memory"),  # v1
        ("memory\t9\t90\t0\npids\t5\t90\t1\n", "pids"),  # cgroup_disable=memory
        ("memory\t0\t90\t1\npids\t5\t90\t1\n", "pids"),  # hybrid, memory moved to v2
        ("net_cls\t4\t1\t1\nmemory\t0\t90\t1\npids\t0\t90\t1\n", ""),  # v2, one v1 controller beside it
        ("", ""),
    ],
)
def test_the_controller_that_names_containers(tmp_path: Path, lines: str, controller: str) -> None:
    (tmp_path / "cgroups").write_text(HEAD + lines)
    assert host.cgroup_controller(tmp_path / "cgroups") == controller


def test_this_machine_has_one_of_them() -> None:
    assert host.cgroup_controller() in ("memory", "pids", "")
