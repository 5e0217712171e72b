"""Each capability of the default ones removed in turn: the log and ``doctor`` name it."""

from __future__ import annotations

import time

import pytest

from tests.ground.problem import GroundError
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.release import READY_SECONDS, Release
from tests.kubernetes.e2e.stage import DOCUMENTED

_WITHOUT = {
    "BPF": False,
    "PERFMON": False,
    "SYS_PTRACE": False,
    "SYS_RESOURCE": True,
    "DAC_READ_SEARCH": True,
    "SYS_NICE": True,
}
"""Whether it runs without. SYS_RESOURCE is needed before Linux 5.11 alone."""


def check_missing_capabilities(release: Release, checks: Checks) -> None:
    for name, runs in _WITHOUT.items():
        outcome = "runs with a warning" if runs else "does not run"
        with checks.check(f"without {name} it {outcome}; its log and doctor name CAP_{name}"):
            _remove_former_doctor(release)
            release.upgrade(*DOCUMENTED, "--set", f"securityContext.omitCapabilities={{{name}}}")
            _wait_until_settled(release, runs=runs)
            assert f"CAP_{name}" in release.log(), f"its log:\n{release.log()}"
            said = release.doctor() if runs else _doctor_of_test(release)
            line = next((line for line in said.splitlines() if f"CAP_{name}" in line), "")
            assert "not held" in line, f"doctor says:\n{said}"


def _wait_until_settled(release: Release, *, runs: bool) -> None:
    """Ready, or ended with an error."""
    if runs:
        release.wait_until_ready()
        return
    deadline = time.monotonic() + READY_SECONDS
    while not _has_ended(release):
        assert not release.is_ready(), "it runs"
        assert time.monotonic() < deadline, f"it neither runs nor ends:\n{release.states()}"
        time.sleep(0.2)


def _has_ended(release: Release) -> bool:
    """The new pod's container, at least once, by itself and not by a signal."""
    pods = [pod for pod in release.pods() if "deletionTimestamp" not in pod["metadata"]]
    ends = [
        state["terminated"]
        for pod in pods
        for status in pod["status"].get("containerStatuses", [])
        for state in (status["state"], status.get("lastState", {}))
        if "terminated" in state
    ]
    return len(release.pods()) == 1 and any(end["exitCode"] == 1 for end in ends)


def _doctor_of_test(release: Release) -> str:
    """By ``helm test``: it has a pod of its own, so it can tell also where the sensor does not start."""
    with pytest.raises(GroundError):  # what it found makes it fail; then the pod stays
        release.stage.helm("test", release.name, "-n", release.namespace)
    return release.stage.kubectl("logs", f"{release.name}-doctor", "-n", release.namespace)


def _remove_former_doctor(release: Release) -> None:
    release.stage.kubectl(
        "delete", "pod", f"{release.name}-doctor", "-n", release.namespace, "--ignore-not-found"
    )
