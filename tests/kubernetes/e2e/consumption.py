"""Time and memory of the sensor in the cluster, under the limits that its pod has."""

from __future__ import annotations

from datetime import datetime

from tests.cluster.client import Json
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.pod_process import PodProcess
from tests.kubernetes.e2e.release import Release
from tests.kubernetes.e2e.stage import DOCUMENTED

_START_SECONDS = 10.0
_PEAK_MIB = 128.0
_STEADY_MIB = 80.0


def check_start(release: Release, checks: Checks) -> None:
    """The pod is new, and limited to 500m CPU."""
    with checks.check("no container of it was restarted"):
        counts = [status["restartCount"] for status in release.pod()["status"]["containerStatuses"]]
        assert not any(counts), f"found the restarts {counts}"
    with checks.check(
        f"from the container's start to ready under 500m CPU: under {_START_SECONDS:.0f} s"
    ) as tell:
        pod = release.pod()
        assert pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "500m"
        seconds = _start_seconds(pod)
        tell(f"{seconds:.0f} s")
        assert seconds < _START_SECONDS, f"it took {seconds:.0f} s"


def check_steady(release: Release, checks: Checks) -> None:
    """It has had the reports of some containers to make."""
    with checks.check(
        f"its memory: under {_PEAK_MIB:.0f} MiB at its highest, {_STEADY_MIB:.0f} MiB steady"
    ) as tell:
        process = PodProcess.of(release.pod())
        steady, peak = process.working_set(), process.resident_peak()
        resident = process.resident()
        tell(f"working set {steady:.1f} MiB, resident {resident:.1f} MiB, {peak:.1f} MiB at its highest")
        assert peak < _PEAK_MIB, f"{peak:.1f} MiB resident at its highest"
        assert max(steady, resident) < _STEADY_MIB, f"{steady:.1f} MiB"


def check_small_limits(release: Release, checks: Checks) -> None:
    """The kernel holds it to the bar: all that is charged to the container, pages of files included."""
    with checks.check(f"it starts and stays within a limit of {_PEAK_MIB:.0f} MiB") as tell:
        limit = f"{_PEAK_MIB:.0f}Mi"
        memory = [f"sensor.resources.{kind}.memory={limit}" for kind in ("requests", "limits")]
        release.upgrade(*DOCUMENTED, *(word for each in memory for word in ("--set", each)))
        release.wait_until_ready()
        pod = release.pod()
        process = PodProcess.of(pod)
        kills = process.out_of_memory_kills()
        tell(f"ready after {_start_seconds(pod):.0f} s, {process.charged_peak():.1f} MiB charged at most")
        assert kills == 0, f"the kernel ended {kills} processes of it for want of memory"
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 0, "it was restarted"


def _start_seconds(pod: Json) -> float:
    """By the kubelet, which tells whole seconds."""
    started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    ready = next(each for each in pod["status"]["conditions"] if each["type"] == "Ready")
    return (_time(ready["lastTransitionTime"]) - _time(started)).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
