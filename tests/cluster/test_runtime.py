"""The ground itself: containerd's pods look as a kubelet's do, and nothing of them is left."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import sweep
from tests.cluster.cgroups import Driver, Qos, hierarchies
from tests.cluster.cri_pod import IMPORTED, ContainerSpec, importing, static_uid
from tests.cluster.cri_proto import api_pb2 as api
from tests.cluster.images import SITE, LocalImage, Origin, python_image
from tests.cluster.running_pod import RunningPod
from tests.cluster.runtime import CriRuntime
from tests.ground.mounts import mounts
from tests.ground.problem import GroundError

pytestmark = pytest.mark.cluster

_UID = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
_ESCAPED = "0f1e2d3c_4b5a_6978_8796_a5b4c3d2e1f0"
_STATE = Path("/run/runtime-sensor-test/containerd")
_SLICE = "/kubepods.slice/kubepods"
_HEAD = "import time; from tests.cluster.cri_pod import ContainerSpec, importing\n"


@pytest.fixture(scope="module")
def runtime() -> Iterator[CriRuntime]:
    with CriRuntime() as runtime:
        yield runtime


@pytest.fixture(scope="module")
def image(runtime: CriRuntime) -> LocalImage:
    return runtime.image("registry.example.com:5000/team/app:1.2", {"six": "1.16.0"})


def _cgroups(pid: int) -> set[str]:
    """The paths of a process in all hierarchies."""
    return {line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}


def _left(*words: str) -> list[str]:
    """What of this machine still has one of ``words`` in its name: processes, mounts, cgroups, folders."""
    found = [str(mount.target) for mount in mounts()]
    for root in (*hierarchies(), Path("/run"), sweep.HOME):
        found += [str(Path(top, name)) for top, folders, files in os.walk(root) for name in folders + files]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [name for name in found if any(word in name for word in words)]


@pytest.mark.parametrize(
    ("driver", "qos", "path"),
    [
        (Driver.CGROUPFS, Qos.GUARANTEED, f"/kubepods/pod{_UID}/ID"),
        (Driver.CGROUPFS, Qos.BURSTABLE, f"/kubepods/burstable/pod{_UID}/ID"),
        (Driver.CGROUPFS, Qos.BESTEFFORT, f"/kubepods/besteffort/pod{_UID}/ID"),
        (
            Driver.SYSTEMD,
            Qos.GUARANTEED,
            f"{_SLICE}-pod{_ESCAPED}.slice/cri-containerd-ID.scope",
        ),
        (
            Driver.SYSTEMD,
            Qos.BURSTABLE,
            f"{_SLICE}-burstable.slice/kubepods-burstable-pod{_ESCAPED}.slice/cri-containerd-ID.scope",
        ),
        (
            Driver.SYSTEMD,
            Qos.BESTEFFORT,
            f"{_SLICE}-besteffort.slice/kubepods-besteffort-pod{_ESCAPED}.slice/cri-containerd-ID.scope",
        ),
    ],
)
def test_processes_are_where_a_kubelet_puts_them(
    runtime: CriRuntime, image: LocalImage, driver: Driver, qos: Qos, path: str
) -> None:
    container = ContainerSpec("app", image, importing("six"))
    with runtime.pod("web", container, uid=_UID, driver=driver, qos=qos) as pod:
        container_id = pod.containers["app"]
        assert _cgroups(pod.pid("app")) == {path.replace("ID", container_id)}
        assert _cgroups(runtime.cri.sandbox_pid(pod.sandbox_id)) == {path.replace("ID", pod.sandbox_id)}
        assert pod.cgroup("app") == path.replace("ID", container_id)
    assert _left(_UID, _ESCAPED) == []


def test_runtime_knows_what_a_kubelet_says(runtime: CriRuntime, image: LocalImage) -> None:
    uid = static_uid("a manifest")
    container = ContainerSpec("app", image, importing("six"), env={"SHOP": "1"})
    labels = {"app.kubernetes.io/name": "web"}
    with runtime.pod("web", container, namespace="shop", uid=uid, labels=labels, is_static=True) as pod:
        own = {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop"}
        own["io.kubernetes.pod.uid"] = uid
        sandbox = runtime.cri.sandbox_status(pod.sandbox_id)
        status = pod.status("app")
        pod.wait_for_output("app")
        environment = Path(f"/proc/{pod.pid('app')}/environ").read_bytes().split(b"\0")
        network = os.stat(f"/proc/{pod.pid('app')}/ns/net").st_ino
    assert dict(sandbox.labels) == own | labels
    assert sandbox.annotations["kubernetes.io/config.source"] == "file"
    assert sandbox.annotations["kubernetes.io/config.hash"] == uid
    assert (sandbox.metadata.name, sandbox.metadata.namespace, sandbox.metadata.uid) == ("web", "shop", uid)
    assert dict(status.labels) == own | {"io.kubernetes.container.name": "app"}
    assert status.annotations["io.kubernetes.container.restartCount"] == "0"
    assert status.state == api.CONTAINER_RUNNING
    assert status.image.image == image.name
    assert status.image_ref == image.repo_digests[0]
    assert b"SHOP=1" in environment
    assert network == os.stat("/proc/self/ns/net").st_ino


@pytest.mark.parametrize(
    ("name", "origin", "tags", "by_digest", "written"),
    [
        (
            "my-app",
            Origin.PULLED,
            ["docker.io/library/my-app:latest"],
            ["docker.io/library/my-app@DIGEST"],
            "my-app",
        ),
        ("acme/web:2", Origin.LOADED, ["docker.io/acme/web:2"], [], "acme/web:2"),
        ("quay.io/a/b", Origin.PULLED_BY_DIGEST, [], ["quay.io/a/b@DIGEST"], "quay.io/a/b@DIGEST"),
        ("localhost/c:3", Origin.PULLED_BY_BOTH, [], ["localhost/c@DIGEST"], "localhost/c:3@DIGEST"),
    ],
)
def test_images_have_the_names_of_their_origin(
    *, runtime: CriRuntime, name: str, origin: Origin, tags: list[str], by_digest: list[str], written: str
) -> None:
    image = runtime.image(name, origin=origin)
    known = runtime.cri.image(image.config_digest)
    assert known is not None
    assert known.id == image.config_digest
    assert known.repo_tags == tags
    digests = [reference.replace("DIGEST", image.digest) for reference in by_digest]
    assert known.repo_digests == digests
    assert image.name == written.replace("DIGEST", image.digest)
    with runtime.pod("named", ContainerSpec("app", image, importing("json"))) as pod:
        assert pod.status("app").image_ref == (digests or [image.config_digest])[0]


def test_equal_content_has_one_digest_if_asked() -> None:
    packages = {"six": "1.16.0"}
    assert python_image(packages, {}, "a") == python_image(dict(packages), {}, "a")
    assert python_image(packages, {}, "a").manifest != python_image(packages, {}, "b").manifest


def test_all_kinds_of_containers(runtime: CriRuntime, image: LocalImage) -> None:
    said = ContainerSpec("init", image, ("python3", "-c", "import six; print(six.__version__, six.__file__)"))
    sidecar = ContainerSpec("mesh", image, importing("json"), is_sidecar=True)
    app = ContainerSpec("app", image, importing("six"))
    with runtime.pod("web", app, init_containers=(said, sidecar)) as pod:
        assert pod.status("init").exit_code == 0
        assert f"1.16.0 /{SITE}/six/__init__.py" in pod.output("init")
        assert pod.status("mesh").state == pod.status("app").state == api.CONTAINER_RUNNING
        pod.add_container(ContainerSpec("debug", image, importing("json"), target="app"))
        namespaces = [os.stat(f"/proc/{pod.pid(name)}/ns/pid").st_ino for name in ("debug", "app", "mesh")]
        assert namespaces[0] == namespaces[1] != namespaces[2]
        pod.wait_for_output("app")
        former = pod.containers["app"]
        pod.stop_container("app", grace=5)
        assert pod.wait("app") == 0
        assert pod.add_container(app) != former
        assert pod.status("app").metadata.attempt == 1
        pod.stop()
        assert pod.wait("debug") != 0
    assert not [each for each in runtime.cri.containers() if each.pod_sandbox_id == pod.sandbox_id]


def test_failing_init_container_is_told(runtime: CriRuntime, image: LocalImage) -> None:
    init = ContainerSpec("init", image, ("python3", "-c", "raise SystemExit('no database')"))
    with pytest.raises(GroundError, match=r"container init of pod default/web ended with 1: .*no database"):
        runtime.pod("web", ContainerSpec("app", image, importing("six")), init_containers=(init,), uid=_UID)
    assert _left(_UID) == []


def test_containers_outlive_containerd(runtime: CriRuntime, image: LocalImage) -> None:
    with runtime.pod("web", ContainerSpec("app", image, importing("six"))) as pod:
        process, containerd = pod.pid("app"), runtime.pid
        runtime.stop()
        assert not runtime.socket.exists()
        assert f"{pod.containers['app']}" in Path(f"/proc/{process}/cgroup").read_text()
        runtime.start()
        assert runtime.socket.is_socket()
        assert runtime.pid != containerd
        assert pod.pid("app") == process
        assert pod.status("app").state == api.CONTAINER_RUNNING
        runtime.restart()
        assert pod.pid("app") == process


def test_short_lived_pods_from_many_threads(runtime: CriRuntime, image: LocalImage) -> None:
    def live(number: int) -> RunningPod:
        container = ContainerSpec("app", image, importing("six", seconds=0.2))
        with runtime.pod(f"short-{number}", container, namespace="many", qos=Qos.BESTEFFORT) as pod:
            assert pod.wait("app") == 0
            assert pod.output("app").split()[3:] == [IMPORTED]
        return pod

    count = 40
    begun = time.monotonic()
    with ThreadPoolExecutor(12) as threads:
        pods = list(threads.map(live, range(count)))
    print(f"{count / (time.monotonic() - begun):.1f} pods a second")
    assert len({pod.containers["app"] for pod in pods}) == count
    assert _left(*(pod.uid for pod in pods)) == []
    assert not [each for each in runtime.cri.sandboxes() if each.metadata.namespace == "many"]


@pytest.mark.parametrize("ended_by", ["exit", "error", "stopped runtime"])
def test_nothing_is_left(ended_by: str) -> None:
    """Also of pods that still run when the ground is left."""
    uids: list[str] = []
    shims: list[Path] = []

    def work() -> None:
        with CriRuntime(_STATE) as runtime:
            assert runtime.socket == _STATE / "containerd.sock"
            container = ContainerSpec("app", runtime.image("app"), importing("json"))
            for driver, qos in itertools.product(Driver, (Qos.GUARANTEED, Qos.BURSTABLE)):
                uids.append(runtime.pod("web", container, driver=driver, qos=qos).uid)
            assert _left(uids[0])
            shims.extend(
                Path(address.read_text().removeprefix("unix://")) for address in _STATE.rglob("address")
            )
            assert shims and all(shim.is_socket() for shim in shims)
            if ended_by == "stopped runtime":
                runtime.stop()
            if ended_by == "error":
                raise GroundError("as a test fails")

    if ended_by == "error":
        with pytest.raises(GroundError, match="as a test fails"):
            work()
    else:
        work()
    names = [name for uid in uids for name in (uid, uid.replace("-", "_"))]
    assert _left(*names, str(_STATE.parent)) == []
    assert not [shim for shim in shims if shim.exists()]


def test_what_a_killed_run_left_is_swept() -> None:
    program = (
        f"{_HEAD}from tests.cluster.runtime import CriRuntime\n"
        f"from pathlib import Path\nwith CriRuntime(Path('{_STATE}')) as runtime:\n"
        f"    container = ContainerSpec('app', runtime.image('app'), importing('json'))\n"
        f"    runtime.pod('web', container, uid='{_UID}')\n"
        "    print(runtime.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as killed:
        assert killed.stdout is not None
        process = Path("/proc", killed.stdout.readline().strip())
        command = process.joinpath("cmdline").read_bytes().replace(b"\0", b" ").decode()
        killed.send_signal(signal.SIGKILL)
    assert _left(_UID, str(_STATE))
    with CriRuntime(_STATE):
        assert _left(_UID, command) == []
    assert _left(str(_STATE.parent)) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(GroundError, match="exists: it may be a runtime's of this machine"):
        CriRuntime(tmp_path).__enter__()
    assert tmp_path.exists()
