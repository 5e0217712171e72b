"""The test ground itself: containers as Kubernetes makes them, fast, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ground import Container, Ground, GroundError, Pod
from tests.ground.ground import PROJECT
from tests.ground.mounts import mounts, mounts_below

pytestmark = pytest.mark.containers

SLEEP = ["/bin/sleep", "600"]
LEAVE_BEHIND = """
import sys, time
from pathlib import Path
from tests.ground import Ground
with Ground(Path(sys.argv[1])) as ground:
    with ground.container(ground.machine_image(), ["sleep", "600"], name="left") as container:
        print(container.id, container.pid, flush=True)
        time.sleep(600)
"""


@pytest.fixture(scope="module")
def container(ground: Ground) -> Container:
    """One that only sleeps; the ground removes it."""
    return ground.container(ground.machine_image(), SLEEP, name="sleeper", pod=Pod("pod-1", "space")).start()


def test_container_is_in_a_cgroup_as_kubelet_names_it(container: Container) -> None:
    uid = container.specification.pod.uid
    cgroups = Path(f"/proc/{container.pid}/cgroup").read_text()
    assert f"/kubepods/burstable/pod{uid}/{container.id}" in cgroups
    assert len(container.id) == 64


def test_runtime_state_leads_to_the_annotations(container: Container) -> None:
    state = json.loads(Path(f"/run/runc/{container.id}/state.json").read_text())
    bundle = dict(label.split("=", 1) for label in state["config"]["labels"])["bundle"]
    annotations = json.loads((Path(bundle) / "config.json").read_text())["annotations"]
    assert annotations["io.kubernetes.cri.container-name"] == "sleeper"
    assert annotations["io.kubernetes.cri.sandbox-name"] == "pod-1"
    assert annotations["io.kubernetes.cri.sandbox-namespace"] == "space"


def test_container_has_namespaces_of_its_own(container: Container) -> None:
    for kind in ("pid", "mnt", "ipc", "uts"):
        assert os.readlink(f"/proc/{container.pid}/ns/{kind}") != os.readlink(f"/proc/self/ns/{kind}")
    assert container.exec("/bin/sh", "-c", "echo $$ >/dev/null; hostname").strip() == "pod-1"


def test_private_folders_of_the_machine_do_not_show(container: Container) -> None:
    shown = container.exec(
        "/bin/sh", "-c", f"find /root /home /tmp {PROJECT} -mindepth 1 2>/dev/null || true"
    )
    # Of the project nothing but where it is, if that is below one of them.
    assert {Path(path) for path in shown.splitlines()} <= {PROJECT, *PROJECT.parents}


def test_start_takes_under_200_ms(ground: Ground) -> None:
    took = []
    for _ in range(5):
        begun = time.monotonic()
        with ground.container(ground.machine_image(), SLEEP, name="quick"):
            took.append(time.monotonic() - begun)
    print("starts:", " ".join(f"{each * 1000:.0f} ms" for each in took))
    assert sorted(took)[2] < 0.2


def test_failure_to_start_names_the_cause(ground: Ground) -> None:
    broken = ground.container(ground.machine_image(), ["/no/such/program"], name="broken")
    with pytest.raises(GroundError, match="/no/such/program"), broken:
        pass
    assert not broken.bundle.exists()


def test_exit_status_and_output(ground: Ground) -> None:
    with ground.container(
        ground.machine_image(), ["sh", "-c", "echo said; exit 7"], name="ends"
    ) as container:
        assert container.wait() == 7
        assert container.output() == "said\n"


def test_killed_run_is_swept_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEAVE_BEHIND, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        container, pid = killed.stdout.readline().split()
        killed.send_signal(signal.SIGKILL)
    assert Path("/proc", pid).exists(), "nothing was left: this test shows nothing"
    assert mounts_below(tmp_path)

    with Ground(tmp_path):
        _assert_gone(container, pid, tmp_path / "containers" / container)
    assert mounts_below(tmp_path) == []


def test_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    with Ground(tmp_path) as ground:
        container = ground.container(ground.machine_image(), SLEEP, name="left").start()
        pid = str(container.pid)
    _assert_gone(container.id, pid, container.bundle)
    assert mounts_below(tmp_path) == []


def _assert_gone(container: str, pid: str, bundle: Path) -> None:
    assert not Path("/proc", pid).exists()
    assert not Path("/run/runc", container).exists()
    assert not bundle.exists()
    roots = [mount.target for mount in mounts() if mount.kind in ("cgroup", "cgroup2")]
    assert roots
    assert [found for root in roots for found in root.glob(f"kubepods/*/*/{container}")] == []


def test_second_ground_is_refused_while_the_first_is_used(tmp_path: Path) -> None:
    with (
        Ground(tmp_path),
        pytest.raises(GroundError, match=f"in use by process {os.getpid()}"),
        Ground(tmp_path),
    ):
        pass
    with Ground(tmp_path):
        pass
