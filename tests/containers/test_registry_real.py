"""The registry on real containers: their roots, their ends, their names, and every descriptor given back."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.node.capture.host import host_mount_namespace
from sensor.node.identify.cgroup import identify_cgroup, read_cgroup_path
from sensor.node.identify.containers import ContainerRegistry, NotAContainer
from sensor.node.identify.metadata import runtime_metadata
from sensor.node.identify.processes import Process, mount_namespace_of
from sensor.node.identify.roots import HeldRoot, open_folder
from sensor.node.identify.runc import RuncStates
from tests.clock import HANGS, PATIENCE
from tests.ground import cgroups

pytestmark = pytest.mark.containers

_PARENT = "registry-test"
# A mount namespace with a root of its own, as a container has: its process moves to the cgroups first.
_SCRIPT = """
for folder in $CGROUPS; do echo $$ > $folder/cgroup.procs; done
exec unshare --mount --propagation private sh -c '
    [ -z "$LATE" ] || { echo early; read _; }
    mount --bind "$ROOT" "$ROOT" && mount --rbind /usr "$ROOT/usr" &&
    mount --rbind /proc "$ROOT/proc" && cd "$ROOT" &&
    pivot_root . old && cd / && umount -l /old && echo ready && exec cat > /dev/null'
"""


class Namespace:
    """A process in a mount namespace and in cgroups of its own; it ends when its input does."""

    def __init__(self, root: Path, container_id: str, late: bool = False) -> None:
        self.path = f"/{_PARENT}/docker/{container_id}"
        self.identity = ContainerIdentity(container_id, "docker")
        self._folders = [Path(mount + self.path) for mount in _cgroup_mounts()]
        for folder in self._folders:
            folder.mkdir(parents=True)
        environment = {"CGROUPS": " ".join(map(str, self._folders)), "ROOT": str(root), "LATE": "1" * late}
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", _SCRIPT],
            env=os.environ | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        said = self.await_line()
        if said != ("early" if late else "ready"):
            self.end()
            raise AssertionError(f"the container did not come up: {said!r}")

    def await_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line)
        self.process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def event(self) -> KernelEvent:
        return event_of(self.process.pid, self.path)

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE)
        for folder in self._folders:
            deadline = time.monotonic() + PATIENCE
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _cgroup_mounts() -> list[str]:
    mounts = [
        f"/sys/fs/cgroup/{name}" for name in ("memory", "pids") if Path(f"/sys/fs/cgroup/{name}").is_dir()
    ]
    return mounts or ["/sys/fs/cgroup"]


def event_of(pid: int, path: str) -> KernelEvent:
    with Process(pid) as process:
        number = process.mount_namespace()
        start = process.start_boottime()
    return KernelEvent(
        kind=EventKind.OPEN,
        flags=EventFlag.NONE,
        time=time.clock_gettime_ns(time.CLOCK_BOOTTIME),
        pid=pid,
        start_boottime=start,
        uid=0,
        comm="cat",
        mount_namespace=number,
        mount_namespace_id=(start << 32) + pid,  # unique as the kernel's is
        cgroup_id=1,
        cgroup_path=path,
        executable=FileId(1, 1),
        executable_name="cat",
        file=FileId(2, 1),
        path="/x.py",
        seen_key=b"",
    )


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root of its own with the machine's programs, and a file that tells it from the machine's."""
    made = tmp_path / "root"
    for folder in ("usr", "old", "etc", "dev", "proc"):
        (made / folder).mkdir(parents=True)
    for link in ("bin", "lib", "lib64", "sbin"):
        (made / link).symlink_to(f"usr/{link}")
    (made / "etc/hostname").write_text("the container's\n", encoding="ascii")
    (made / "dev/null").touch()
    return made


@pytest.fixture(autouse=True)
def _cgroups_are_removed() -> Iterator[None]:
    yield
    cgroups.remove(f"/{_PARENT}/docker")


@pytest.fixture
def registry() -> Iterator[ContainerRegistry]:
    made = ContainerRegistry(host_mount_namespace=host_mount_namespace())
    yield made
    made.close()


def test_files_stay_readable_after_the_end(registry: ContainerRegistry, root: Path) -> None:
    container = Namespace(root, "a" * 64)
    event = container.event()
    assert registry.admit(event) == container.identity
    container.end()
    assert registry.poll_ended(100.0) == (container.identity,)
    held = registry.root(event.mount_namespace, event.mount_namespace_id)
    assert held is not None
    assert held.read("/etc/hostname") == b"the container's\n"
    del held
    before = descriptors()
    assert registry.release(130.0) == (event.mount_namespace,)
    assert descriptors() == before - 1
    assert registry.root(event.mount_namespace, event.mount_namespace_id) is None


def test_a_root_comes_from_a_sibling_when_the_process_has_gone(
    registry: ContainerRegistry, root: Path
) -> None:
    container = Namespace(root, "b" * 64)
    command = ["nsenter", "--mount", f"--target={container.process.pid}", "cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as gone:
        while mount_namespace_of(gone.pid) != mount_namespace_of(container.process.pid):
            time.sleep(0.001)
        event = event_of(gone.pid, container.path)
    assert registry.admit(event) == container.identity
    held = registry.root(event.mount_namespace, event.mount_namespace_id)
    assert held is not None
    assert held.read("/etc/hostname") == b"the container's\n"
    assert registry.poll_ended(0.0) == ()
    container.end()
    assert registry.poll_ended(1.0) == (container.identity,)


def test_before_its_root_is_its_own_the_hosts_is_never_read(registry: ContainerRegistry, root: Path) -> None:
    container = Namespace(root, "c" * 64, late=True)
    early = container.event()
    assert registry.admit(early) == container.identity
    assert registry.root(early.mount_namespace, early.mount_namespace_id) is None
    container.send("go on\n")
    assert container.await_line() == "ready"
    assert registry.admit(early) == container.identity
    held = registry.root(early.mount_namespace, early.mount_namespace_id)
    assert held is not None
    assert held.read("/etc/hostname") == b"the container's\n"
    container.end()


def test_a_service_with_a_mount_namespace_of_its_own(registry: ContainerRegistry) -> None:
    with subprocess.Popen(
        ["unshare", "--mount", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as service:
        while mount_namespace_of(service.pid) == host_mount_namespace():
            time.sleep(0.001)
        event = event_of(service.pid, "/system.slice/web.service")
        assert registry.admit(event) == NotAContainer(event.mount_namespace, newly_found=True)
        assert registry.admit_process(os.getpid()) == NotAContainer(host_mount_namespace(), newly_found=False)
    assert registry.expired_ignored(time.monotonic()) == (event.mount_namespace,)


def test_200_containers_leave_nothing(root: Path) -> None:
    before = descriptors()
    registry = ContainerRegistry(host_mount_namespace=host_mount_namespace())
    known: list[int] = []
    first: list[int] = []
    ended: list[ContainerIdentity] = []
    started: list[ContainerIdentity] = []
    for number in range(200):
        container = Namespace(root, f"{number:064x}")
        event = container.event()
        first.append(timed(registry, event))
        known.append(min(timed(registry, event) for _ in range(20)))
        started.append(container.identity)
        assert registry.root(event.mount_namespace, event.mount_namespace_id) is not None
        container.end()
        if number % 20 == 19:
            ended += registry.poll_ended(float(number))
    counters = registry.counters
    assert ended == started
    assert (counters.admitted, counters.ended, counters.root_unavailable, counters.evicted) == (
        200,
        200,
        0,
        0,
    )
    print(
        f"\n200 containers: known {statistics.median(known) / 1000:.2f} us, first sight "
        f"{statistics.median(first) / 1000:.0f} us, worst {max(first) / 1000:.0f} us, "
        f"{registry.held_roots} roots held"
    )
    assert registry.held_roots == 200
    assert statistics.median(known) < 5_000
    registry.release(300.0)
    assert (registry.held_roots, counters.released) == (0, 200)
    registry.close()
    assert descriptors() == before


def timed(registry: ContainerRegistry, event: KernelEvent) -> int:
    start = time.perf_counter_ns()
    registry.admit(event)
    return time.perf_counter_ns() - start


def test_at_the_bound_the_longest_ended_gives_way(root: Path) -> None:
    registry = ContainerRegistry(host_mount_namespace=host_mount_namespace(), max_containers=5)
    before = descriptors()
    for number in range(20):
        container = Namespace(root, f"{number:064x}")
        registry.admit(container.event())
        container.end()
        registry.poll_ended(float(number))
    assert registry.held_roots == 5
    assert descriptors() == before + 10  # as many again wait to be closed, no more
    assert (registry.counters.admitted, registry.counters.ended, registry.counters.evicted) == (20, 20, 15)
    registry.release(0.0)
    assert descriptors() == before + 5
    registry.close()


def test_while_roots_are_closed_new_containers_are_admitted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last descriptor of a root unmounts a file system; who comes then may live for less than that."""
    registry = ContainerRegistry(host_mount_namespace=host_mount_namespace())
    ended, new = Namespace(root, f"{1:064x}"), Namespace(root, f"{2:064x}")
    registry.admit(ended.event())
    ended.end()
    registry.poll_ended(0.0)
    unmounting, go_on = threading.Event(), threading.Event()
    close = HeldRoot.__del__

    def close_slowly(held: HeldRoot) -> None:
        unmounting.set()
        assert go_on.wait(HANGS)
        close(held)

    with monkeypatch.context() as patched, ThreadPoolExecutor(2) as pool:
        patched.setattr(HeldRoot, "__del__", close_slowly)
        released = pool.submit(registry.release, 100.0)
        assert unmounting.wait(PATIENCE)
        admitted = pool.submit(registry.admit, new.event())
        try:
            assert admitted.result(PATIENCE) == new.identity
        finally:
            go_on.set()
        assert len(released.result(PATIENCE)) == 1
    new.end()
    registry.close()


def test_runc_alone(registry: ContainerRegistry, root: Path, tmp_path: Path) -> None:
    name = f"registry-test-{os.getpid()}"
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    subprocess.run(["runc", "spec", "--bundle", bundle], check=True)
    config = json.loads((bundle / "config.json").read_bytes())
    config["root"] = {"path": str(root)}
    config["process"] |= {"terminal": False, "args": ["/bin/sleep", "60"]}
    config["mounts"].append(
        {"destination": "/usr", "source": "/usr", "type": "bind", "options": ["rbind", "ro"]}
    )
    config["annotations"] = {"io.kubernetes.cri.container-name": "web"}
    (bundle / "config.json").write_text(json.dumps(config), encoding="utf-8")
    states = RuncStates(open_folder("/"))
    own = ContainerRegistry(host_mount_namespace=host_mount_namespace(), runc_ids=states.exists)
    subprocess.run(
        ["runc", "run", "--detach", "--bundle", bundle, name],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        state = json.loads(subprocess.run(["runc", "state", name], check=True, capture_output=True).stdout)
        identity = ContainerIdentity(name, "runc")
        path = read_cgroup_path(state["pid"])
        assert path is not None
        assert path.endswith(name)
        assert identify_cgroup(path) is None
        assert isinstance(registry.admit_process(state["pid"]), NotAContainer)
        assert own.admit_process(state["pid"]) == identity
        assert runtime_metadata().lookup(identity).name == "web"
    finally:
        subprocess.run(["runc", "delete", "--force", name], check=True)
    assert own.poll_ended(0.0) == (identity,)
    own.close()


def test_podman(registry: ContainerRegistry, root: Path) -> None:
    name = f"registry-test-{os.getpid()}"
    limits = ["--ulimit", "nofile=512:512", "--ulimit", "nproc=512:512"]
    options = ["--network=none", "--name", name, "--volume", "/usr:/usr:ro", *limits]
    command = ["podman", "--cgroup-manager=cgroupfs", "run", "--detach", *options, "--rootfs", str(root)]
    container_id = subprocess.run(
        [*command, "/bin/sleep", "60"], check=True, capture_output=True, text=True
    ).stdout.strip()
    try:
        shown = subprocess.run(
            ["podman", "inspect", "--format", "{{.State.Pid}}", name], check=True, capture_output=True
        ).stdout
        identity = ContainerIdentity(container_id, "podman")
        assert registry.admit_process(int(shown)) == identity
        assert runtime_metadata().lookup(identity).name == name
    finally:
        subprocess.run(["podman", "rm", "--force", "--time=0", name], check=True, capture_output=True)
    assert registry.poll_ended(0.0) == (identity,)
