"""A release of Snyk's chart becomes one of ours by the documented command, and goes back.

``former_chart/`` has that chart's kinds, names, selectors and defaults, as published in snyk/runtime-sensor,
helm/runtime-sensor/templates; its pods do nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.client import Json
from tests.ground.problem import GroundError
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.release import Release
from tests.kubernetes.e2e.stage import GROUP, Stage
from tests.kubernetes.node import PAUSE
from tests.kubernetes.workloads import wait_for

CHART = Path(__file__).with_suffix("")
NAMESPACE = "snyk-runtime-sensor"
_SECRET = "former-secret"
_DOCUMENTED = (
    *("--set", f"secretName={_SECRET}"),
    *("--set", "clusterName=prod"),
    *("--set", f"snykGroupId={GROUP}"),
)
_RELEASES = ("my-runtime-sensor", "runtime-sensor")
"""What people call it: as documented for the installation, and as documented for the upgrade."""


def check_upgrade_from_former_chart(stage: Stage, checks: Checks) -> None:
    """For each of the names that the documents give a release; nothing is left at the end."""
    for name in _RELEASES:
        release = Release(stage, name, NAMESPACE)
        with _namespace(stage):
            before = release.objects()
            with checks.check(f"Snyk's chart is installed as {name}"):
                stage.helm("install", name, *_DOCUMENTED, "-n", NAMESPACE, str(CHART))
                _wait_for_former_pod(stage)
            with checks.check(f"its command, with our chart, makes ours of {name}"):
                _upgrade(stage, release)
            with checks.check(f"{name} goes back to Snyk's chart"):
                stage.helm("rollback", name, "1", "-n", NAMESPACE)
                _wait_for_former_pod(stage)
            with checks.check(f"--reuse-values over Snyk's chart is refused, and leaves {name} as it was"):
                with pytest.raises(GroundError, match="replicaCount"):  # its image came along, if not
                    release.upgrade("--reuse-values", *_upstream(stage))
                _wait_for_former_pod(stage)
            with checks.check(f"{name} becomes ours again"):
                _upgrade(stage, release)
            with checks.check(f"uninstalling {name} leaves nothing of either chart"):
                release.uninstall()
                release.wait_until_gone(before)


@contextlib.contextmanager
def _namespace(stage: Stage) -> Iterator[None]:
    stage.make_namespace(NAMESPACE, _SECRET)
    try:
        yield
    finally:
        for name in _RELEASES:
            with contextlib.suppress(GroundError):  # it is not there, as it should be
                stage.helm("uninstall", name, "-n", NAMESPACE)
        stage.remove_namespace(NAMESPACE)


def _upgrade(stage: Stage, release: Release) -> None:
    """To our chart, by the documented command."""
    release.upgrade(*_DOCUMENTED, *_upstream(stage))
    release.wait_until_ready()
    _assert_only_ours(stage, release)


def _upstream(stage: Stage) -> tuple[str, str]:
    return ("--set", f"snykAPIBaseURL={stage.receiver.upstream()}")


def _wait_for_former_pod(stage: Stage) -> None:
    """One pod, and that of the former chart, runs."""

    def running() -> bool | None:
        found = [(pod["spec"]["containers"][0]["image"], pod["status"]["phase"]) for pod in _pods(stage)]
        return found == [(PAUSE, "Running")] or None

    wait_for(running, "the former chart's pod alone", lambda: str([pod["status"] for pod in _pods(stage)]))


def _assert_only_ours(stage: Stage, release: Release) -> None:
    """No object and no pod of the former chart is left, and what was its own in a shared one is gone."""
    found = {path.rpartition("/")[2] for path in release.objects()}
    assert not {"runtime-sensor-role", "runtime-sensor-rolebinding"} & found, f"found {sorted(found)}"
    (workload,) = release.workloads()
    assert workload["metadata"]["name"] == release.name
    wait_for(
        lambda: len(_pods(stage)) == 1 or None,
        "the end of the former chart's pod",
        lambda: str([pod["metadata"]["name"] for pod in _pods(stage)]),
    )
    pod = release.pod()
    (container,) = pod["spec"]["containers"]
    paths = {volume["hostPath"]["path"] for volume in pod["spec"]["volumes"] if "hostPath" in volume}
    assert "/" not in paths and "/sys" not in paths, f"it mounts {sorted(paths)} of the node"
    assert not container.get("envFrom"), f"it still has the variables of {container['envFrom']}"
    assert "NET_ADMIN" not in container["securityContext"]["capabilities"]["add"]


def _pods(stage: Stage) -> list[Json]:
    items: list[Json] = stage.client.get(f"/api/v1/namespaces/{NAMESPACE}/pods")["items"]
    return items
