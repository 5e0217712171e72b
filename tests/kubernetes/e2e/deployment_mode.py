"""``workloadType=deployment``: one pod without rights on the node, which tells what is deployed."""

from __future__ import annotations

from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.pod_process import PodProcess
from tests.kubernetes.e2e.release import Release
from tests.kubernetes.e2e.reports import owner
from tests.kubernetes.workloads import IMAGE, apply, give_image, ready_pod, template, wait_for, workload

_NAME = "only-deployed"


def check_deployment_mode(release: Release, checks: Checks, *options: str) -> None:
    """Upgrades the release to it, and starts a workload that nothing was reported of before."""
    stage = release.stage
    with checks.check("workloadType=deployment takes the DaemonSet's place, as a user without capabilities"):
        # Without what names the node's files: it has nothing to do with a node.
        mode = ("--set", "workloadType=deployment", "--set", "sensor.extraArgs=null")
        release.upgrade(*options, *mode)
        release.wait_until_ready()
        assert [each["kind"] for each in release.workloads()] == ["Deployment"]
        status = PodProcess.of(release.pod()).status()
        assert int(status["CapBnd"], 16) == 0, f"it may have the capabilities {status['CapBnd']}"
        assert "0" not in status["Uid"].split(), "it runs as root"
    with checks.check("a workload that starts then is reported as deployed"):
        give_image(stage.cluster)
        apply(stage.client, workload("Deployment", _NAME, template(_NAME, ("sleep", "86400"))))
        ready_pod(stage.client, _NAME)
        mine = f"Deployment {_NAME} in default"
        found = wait_for(
            lambda: next((each for each in stage.receiver.containers() if owner(each) == mine), None),
            f"a report of {mine}",
            lambda: str([owner(each) for each in stage.receiver.containers()]),
        )
        assert IMAGE.rpartition(":")[0] in str(found["image"]), f"its image is {found['image']}"
    stage.kubectl("delete", "deployment", _NAME)
