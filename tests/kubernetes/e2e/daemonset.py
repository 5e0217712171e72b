"""The chart as a DaemonSet, by the command lines that its users already type: installation to removal."""

from __future__ import annotations

from tests.kubernetes.e2e import confinement, consumption, deployment_mode, missing_capabilities, paranoid
from tests.kubernetes.e2e.checks import Checks
from tests.kubernetes.e2e.leavings import Leavings, assert_nothing_left
from tests.kubernetes.e2e.release import READY_SECONDS, Release
from tests.kubernetes.e2e.reports import check_reports
from tests.kubernetes.e2e.stage import DOCUMENTED, NAMESPACE, REGION, SECRET, Stage

_RESOURCES = (
    *("--set", "sensor.resources.requests.memory=512Mi"),
    *("--set", "sensor.resources.requests.cpu=100m"),
    *("--set", "sensor.resources.limits.memory=1024Mi"),
    *("--set", "sensor.resources.limits.cpu=500m"),
)


def check_daemonset(stage: Stage, checks: Checks) -> None:
    """Installs, looks at everything, changes, upgrades, rolls back, uninstalls."""
    stage.make_namespace(NAMESPACE, SECRET)
    release = Release(stage, "my-runtime-sensor", NAMESPACE)
    objects, leavings = release.objects(), Leavings.now(stage)
    with checks.check("helm installs by the documented command, with a region's URL and resources"):
        notes = release.install(*DOCUMENTED, *REGION, *_RESOURCES)
    with checks.check(f"the DaemonSet is ready within {READY_SECONDS:.0f} s"):
        release.wait_until_ready()
    consumption.check_start(release, checks)
    confinement.check_confinement(release, checks)
    check_reports(stage, checks)
    with checks.check("every command of the notes works as it is printed"):
        _run_commands(stage, notes)
    with checks.check("helm test: doctor finds all that node needs"):
        stage.helm("test", release.name, "-n", NAMESPACE)
    consumption.check_steady(release, checks)
    paranoid.check_paranoid_node(release, checks)
    missing_capabilities.check_missing_capabilities(release, checks)
    consumption.check_small_limits(release, checks)
    deployment_mode.check_change_to_deployment(release, checks)
    _check_versions(release, checks)
    with checks.check("helm uninstalls it, and no object is left"):
        release.uninstall()
        release.wait_until_gone(objects)
    with checks.check("no program or map in the kernel, no cgroup and no file is left on the node"):
        assert_nothing_left(stage, leavings)
    stage.remove_namespace(NAMESPACE)


def _check_versions(release: Release, checks: Checks) -> None:
    with checks.check("helm upgrades it by the documented command"):
        release.upgrade(*DOCUMENTED)
        release.wait_until_ready()
    first = _revision(release)
    with checks.check("helm upgrades it to other resources"):
        release.upgrade(*DOCUMENTED, "--set", "sensor.resources.limits.memory=768Mi")
        release.wait_until_ready()
        assert _memory_limit(release) == "768Mi", f"found the limit {_memory_limit(release)}"
    with checks.check("helm rolls it back"):
        release.stage.helm("rollback", release.name, first, "-n", release.namespace)
        release.wait_until_ready()
        # Of the API: an object that was patched has its quantities in their shortest form.
        assert _memory_limit(release) in ("1024Mi", "1Gi"), f"found the limit {_memory_limit(release)}"


def _revision(release: Release) -> str:
    """The last line of ``helm history`` begins with it."""
    return release.stage.helm("history", release.name, "-n", release.namespace).splitlines()[-1].split()[0]


def _memory_limit(release: Release) -> str:
    limit: str = release.pod()["spec"]["containers"][0]["resources"]["limits"]["memory"]
    return limit


def _run_commands(stage: Stage, notes: str) -> None:
    """Those of kubectl: they stand alone on their lines."""
    commands = [line.split() for line in notes.splitlines() if line.startswith("  kubectl ")]
    runnable = [command for command in commands if command[1] != "create"]
    assert len(runnable) >= 4, f"found only {runnable}"
    for command in runnable:
        said = stage.kubectl(*command[1:])
        assert said.strip(), f"{' '.join(command)} printed nothing"
