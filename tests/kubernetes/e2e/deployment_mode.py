"""``workloadType=deployment``: one pod without rights on the node, which tells what is deployed."""

from __future__ import annotations

from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.leavings import Leavings, assert_nothing_left
from tests.kubernetes.e2e.pod_process import PodProcess
from tests.kubernetes.e2e.release import READY_SECONDS, Release
from tests.kubernetes.e2e.reports import owner
from tests.kubernetes.e2e.stage import DOCUMENTED, NAMESPACE, REGION, SECRET, Stage
from tests.kubernetes.workloads import IMAGE, apply, give_image, ready_pod, template, wait_for, workload

# Beside it, without what names the node's files: it has nothing to do with a node.
_MODE = ("--set", "workloadType=deployment", "--set", "sensor.extraArgs=null")


def check_deployment(stage: Stage, checks: Checks) -> None:
    """By the documented command, installed and uninstalled."""
    stage.make_namespace(NAMESPACE, SECRET)
    release = Release(stage, "my-runtime-sensor", NAMESPACE)
    objects, leavings = release.objects(), Leavings.now(stage)
    with checks.check(f"helm installs workloadType=deployment, and it is ready within {READY_SECONDS:.0f} s"):
        release.install(*DOCUMENTED, *REGION, *_MODE)
        release.wait_until_ready()
    _check_report(release, checks, "installed-as-deployment")
    with checks.check("helm uninstalls it, and nothing is left of it in the cluster or on the node"):
        release.uninstall()
        release.wait_until_gone(objects)
        assert_nothing_left(stage, leavings)
    stage.remove_namespace(NAMESPACE)


def check_change_to_deployment(release: Release, checks: Checks) -> None:
    """Upgrades a DaemonSet to it."""
    with checks.check("workloadType=deployment takes the DaemonSet's place, as a user without capabilities"):
        release.upgrade(*DOCUMENTED, *_MODE)
        release.wait_until_ready()
        assert [each["kind"] for each in release.workloads()] == ["Deployment"]
        status = PodProcess.of(release.pod()).status()
        assert int(status["CapBnd"], 16) == 0, f"it may have the capabilities {status['CapBnd']}"
        assert "0" not in status["Uid"].split(), "it runs as root"
    _check_report(release, checks, "changed-to-deployment")


def _check_report(release: Release, checks: Checks, name: str) -> None:
    """Starts a workload ``name``, of which nothing was reported before."""
    stage = release.stage
    with checks.check("a workload that starts then is reported as deployed"):
        give_image(stage.cluster)
        apply(stage.client, workload("Deployment", name, template(name, ("sleep", "86400"))))
        ready_pod(stage.client, name)
        mine = f"Deployment {name} in default"
        found = wait_for(
            lambda: next((each for each in stage.receiver.containers() if owner(each) == mine), None),
            f"a report of {mine}",
            lambda: str([owner(each) for each in stage.receiver.containers()]),
        )
        assert IMAGE.rpartition(":")[0] in str(found["image"]), f"its image is {found['image']}"
    stage.kubectl("delete", "deployment", name, "--ignore-not-found")
