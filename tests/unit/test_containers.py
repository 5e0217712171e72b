"""The registry on real processes that need no privileges: what is known, when it ends, who goes first."""

from __future__ import annotations

import gc
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.model.container import HOST_CONTAINER_ID, ContainerIdentity
from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.node.identify.cgroup import read_cgroup_path
from sensor.node.identify.cgroup_tree import CgroupTree
from sensor.node.identify.containers import ContainerRegistry, NotAContainer
from sensor.node.identify.holdings import Holdings
from sensor.node.identify.ignored import EXPIRY_SECONDS
from sensor.node.identify.processes import (
    Process,
    mount_namespace_of,
    oldest,
    processes_by_namespace,
)
from sensor.node.identify.roots import Candidate, HeldRoot, open_folder, open_root
from sensor.node.identify.sighting import Sighting
from sensor.node.identify.watch import ExitWatch

A, B = "a" * 64, "b" * 64
OWN = mount_namespace_of(os.getpid())
ELSEWHERE = 7  # no namespace has so low a number
CONTAINER_A, CONTAINER_B = ContainerIdentity(A, "docker"), ContainerIdentity(B, "docker")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[ContainerRegistry]:
    """A registry to which this machine's own mount namespace is one like any other."""
    made = ContainerRegistry(host_mount_namespace=ELSEWHERE, cgroups=CgroupTree(str(tmp_path)))
    yield made
    made.close()


def event(
    pid: int, path: str, *, namespace: int = OWN, unique: int = 1, start: int | None = None
) -> KernelEvent:
    if start is None:
        with Process(pid) as process:
            start = process.start_boottime()
    return KernelEvent(
        kind=EventKind.OPEN,
        flags=EventFlag.NONE,
        time=1,
        pid=pid,
        start_boottime=start,
        uid=0,
        comm="python3",
        mount_namespace=namespace,
        mount_namespace_id=unique,
        cgroup_id=1,
        cgroup_path=path,
        executable=FileId(1, 1),
        executable_name="python3",
        file=FileId(2, 1),
        path="/x.py",
        seen_key=b"",
    )


def sighting(number: int, at: int) -> Sighting:
    return Sighting(at, 1, 1, number, number, "", chrooted=False)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


class TestAdmit:
    def test_a_container(self, registry: ContainerRegistry, child: subprocess.Popen[bytes]) -> None:
        assert registry.admit(event(child.pid, f"/docker/{A}")) == CONTAINER_A
        assert registry.counters.admitted == 1
        assert registry.mount_namespaces(CONTAINER_A) == (OWN,)
        assert registry.mount_namespaces(CONTAINER_B) == ()

    def test_again(self, registry: ContainerRegistry, child: subprocess.Popen[bytes]) -> None:
        for path in (f"/docker/{A}", f"/docker/{A}/nested", "/user.slice/entered.scope"):
            assert registry.admit(event(child.pid, path)) == CONTAINER_A
        assert registry.counters.admitted == 1
        assert registry.held_roots == 1

    def test_a_process_that_has_gone_still_names_its_container(self, registry: ContainerRegistry) -> None:
        with subprocess.Popen(["true"]) as gone:
            gone.wait()
        seen = event(gone.pid, f"/docker/{A}", namespace=99, start=1)
        assert registry.admit(seen) == CONTAINER_A
        assert registry.root(99) is None
        assert registry.counters.root_unavailable == 1
        assert registry.poll_ended(0.0) == (CONTAINER_A,)

    def test_its_root_comes_from_another_process_when_its_own_has_gone(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(2**22, f"/docker/{A}", start=1))
        root = registry.root(OWN)
        assert root is not None
        assert root.list("/")

    def test_the_number_of_a_namespace_given_to_another_container(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        assert registry.admit(event(child.pid, f"/docker/{A}", unique=1)) == CONTAINER_A
        assert registry.admit(event(child.pid, f"/docker/{B}", unique=2)) == CONTAINER_B
        # What A queued before still leads to A's root.
        assert registry.admit(event(child.pid, f"/docker/{A}", unique=1)) == CONTAINER_A
        first, second = registry.root(OWN, 1), registry.root(OWN, 2)
        assert first is not None
        assert second is not None
        assert first is not second
        assert registry.root(OWN) is second
        assert registry.root(OWN, 3) is None
        assert registry.identity(OWN) == CONTAINER_B
        assert registry.identity(99) is None

    def test_a_namespace_known_by_its_number_learns_its_id(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        assert registry.admit(event(child.pid, f"/docker/{A}", unique=0)) == CONTAINER_A
        assert registry.root(OWN, 5) is registry.root(OWN)
        assert registry.admit(event(child.pid, f"/docker/{A}", unique=5)) == CONTAINER_A
        assert registry.root(OWN, 6) is None
        assert (registry.counters.admitted, registry.held_roots) == (1, 1)

    def test_many_namespaces_of_one_container(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        for number in (101, 102, 103):
            registry.admit(event(child.pid, f"/docker/{A}", namespace=number, unique=number))
        assert registry.mount_namespaces(CONTAINER_A) == (101, 102, 103)
        assert registry.counters.admitted == 1

    def test_the_host(self, tmp_path: Path) -> None:
        registry = ContainerRegistry(host_mount_namespace=OWN, cgroups=CgroupTree(str(tmp_path)))
        assert registry.admit(event(os.getpid(), f"/docker/{A}")) == NotAContainer(OWN, newly_found=False)
        assert registry.root(OWN) is None
        registry.close()

    def test_the_host_included(self, tmp_path: Path) -> None:
        registry = ContainerRegistry(
            host_mount_namespace=OWN, include_host=True, cgroups=CgroupTree(str(tmp_path))
        )
        host = ContainerIdentity(HOST_CONTAINER_ID, "host")
        assert registry.admit(event(os.getpid(), "/init.scope")) == host
        assert registry.admit_process(os.getpid()) == host
        assert registry.poll_ended(0.0) == ()
        registry.close()

    def test_a_process_known_by_its_pid(self, registry: ContainerRegistry) -> None:
        assert registry.admit_process(os.getpid()) == NotAContainer(OWN, newly_found=True)
        assert registry.admit_process(2**22) is None


class TestEnd:
    def test_told_once_and_released_later(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        # Only the child stands for the container: this namespace has many other processes.
        registry.admit(event(child.pid, f"/docker/{A}", namespace=99, start=1))
        assert registry.poll_ended(10.0) == (CONTAINER_A,)
        assert registry.poll_ended(11.0) == ()
        assert registry.release(39.9) == ()
        assert registry.mount_namespaces(CONTAINER_A) == (99,)
        assert registry.release(40.0) == (99,)
        assert registry.mount_namespaces(CONTAINER_A) == ()
        assert (registry.counters.ended, registry.counters.released) == (1, 1)

    def test_lives_on_while_a_process_is_left(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(child.pid, f"/docker/{A}"))
        end(child)
        assert registry.poll_ended(0.0) == ()

    def test_has_ended_when_another_container_has_its_namespaces_number(self, tmp_path: Path) -> None:
        """The kernel gives a number away again at once, to the next container of the pod as a rule."""
        process = tmp_path / "proc" / "4711"
        (process / "ns").mkdir(parents=True)
        (process / "ns" / "mnt").symlink_to("mnt:[99]")
        (process / "stat").write_text(f"4711 (app) S {'0 ' * 18}500 0")
        registry = ContainerRegistry(
            host_mount_namespace=ELSEWHERE, cgroups=CgroupTree(str(tmp_path)), proc=str(tmp_path / "proc")
        )
        registry.admit(event(2**22, f"/docker/{A}", namespace=99, start=1))
        (process / "cgroup").write_text("0::/user.slice/entered.scope\n")
        assert registry.poll_ended(10.0) == ()
        (process / "cgroup").write_text(f"0::/docker/{B}\n")
        assert registry.poll_ended(11.0) == (CONTAINER_A,)
        registry.close()

    def test_a_restart_is_another_life(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(2**22, f"/docker/{A}", namespace=99, unique=1, start=1))
        assert registry.poll_ended(10.0) == (CONTAINER_A,)
        registry.admit(event(child.pid, f"/docker/{A}", unique=2))
        assert registry.counters.admitted == 2
        assert registry.release(40.0) == (99,)
        assert registry.mount_namespaces(CONTAINER_A) == (OWN,)
        assert registry.poll_ended(50.0) == ()

    def test_an_event_that_comes_late_revives_nothing(self, registry: ContainerRegistry) -> None:
        registry.admit(event(2**22, f"/docker/{A}", namespace=99, start=1))
        assert registry.poll_ended(10.0) == (CONTAINER_A,)
        assert registry.admit(event(2**22, f"/docker/{A}", namespace=99, start=1)) == CONTAINER_A
        assert registry.poll_ended(11.0) == ()
        assert registry.counters.admitted == 1

    def test_nothing_is_held_longer_than_a_minute(self, tmp_path: Path) -> None:
        registry = ContainerRegistry(
            host_mount_namespace=ELSEWHERE, hold_seconds=1e9, cgroups=CgroupTree(str(tmp_path))
        )
        registry.admit(event(2**22, f"/docker/{A}", namespace=99, start=1))
        registry.poll_ended(0.0)
        assert registry.release(60.0) == (99,)
        registry.close()


class TestNotAContainer:
    PATH = "/system.slice/nginx.service"

    def test_newly_found_once(self, registry: ContainerRegistry, child: subprocess.Popen[bytes]) -> None:
        assert registry.admit(event(child.pid, self.PATH)) == NotAContainer(OWN, newly_found=True)
        assert registry.admit(event(child.pid, self.PATH)) == NotAContainer(OWN, newly_found=False)
        assert registry.counters.not_a_container == 1

    def test_forgotten_after_five_minutes(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(child.pid, self.PATH))
        now = time.monotonic()
        assert registry.expired_ignored(now + EXPIRY_SECONDS - 5) == ()
        assert registry.expired_ignored(now + EXPIRY_SECONDS + 1) == (OWN,)
        assert registry.expired_ignored(now + EXPIRY_SECONDS + 1) == ()
        assert registry.admit(event(child.pid, self.PATH)) == NotAContainer(OWN, newly_found=True)

    def test_forgotten_when_its_process_ends(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(child.pid, self.PATH))
        end(child)
        assert registry.expired_ignored(time.monotonic()) == (OWN,)

    def test_never_ignored_when_its_process_has_gone(self, registry: ContainerRegistry) -> None:
        seen = event(2**22, self.PATH, namespace=99, start=1)
        assert registry.admit(seen) == NotAContainer(99, newly_found=False)
        assert registry.counters.not_a_container == 0

    def test_its_number_given_to_a_container(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(child.pid, self.PATH, unique=1))
        assert registry.admit(event(child.pid, f"/docker/{A}", unique=2)) == CONTAINER_A
        assert registry.expired_ignored(time.monotonic()) == (OWN,)

    def test_its_number_given_to_another_stranger(
        self, registry: ContainerRegistry, child: subprocess.Popen[bytes]
    ) -> None:
        registry.admit(event(child.pid, self.PATH, unique=1))
        # Whoever lifts the first by its number must not lift the second.
        assert registry.admit(event(child.pid, self.PATH, unique=2)) == NotAContainer(OWN, newly_found=False)
        assert registry.expired_ignored(time.monotonic()) == (OWN,)
        assert registry.admit(event(child.pid, self.PATH, unique=2)) == NotAContainer(OWN, newly_found=True)

    def test_runc_writes_its_state_after_the_first_event(self, tmp_path: Path) -> None:
        known: set[str] = set()
        registry = ContainerRegistry(
            host_mount_namespace=ELSEWHERE,
            cgroups=CgroupTree(str(tmp_path)),
            runc_ids=lambda _name: bool(known),
        )
        ignored = registry._ignored
        assert ignored.add(OWN, 1, os.getpid(), time.monotonic())
        assert registry.expired_ignored(time.monotonic()) == ()
        known.add("every name")
        own_path = read_cgroup_path(os.getpid()) or "/"
        expected = (OWN,) if own_path.strip("/…") else ()  # a root cgroup has no name to ask for
        assert registry.expired_ignored(time.monotonic()) == expected
        registry.close()

    def test_bounded(self, registry: ContainerRegistry, child: subprocess.Popen[bytes]) -> None:
        before = len(os.listdir("/proc/self/fd"))
        ignored = registry._ignored
        for number in range(1000, 1600):
            assert ignored.add(number, number, child.pid, 0.0)
        assert len(ignored) == 512
        assert len(os.listdir("/proc/self/fd")) - before == 512
        assert len(ignored.expired(0.0, lambda _pid: False)) == 88


class TestBounds:
    def holdings(self, count: int, limit: int) -> Holdings:
        made = Holdings(limit)
        for number in range(count):
            self.add(made, number)
        return made

    def add(self, holdings: Holdings, number: int) -> None:
        identity = ContainerIdentity(f"{number:064x}", "docker")
        container = holdings.container(identity, f"/docker/{identity.id}/nested")
        holdings.make_room(container, 1.0)
        holdings.add(container, sighting(number, at=1000 - number), open_folder("/"))

    def test_the_longest_ended_goes_first_then_the_one_not_seen_for_longest(self) -> None:
        holdings = self.holdings(4, limit=4)
        by_number = {number: namespace.container for number, namespace in holdings.by_number.items()}
        holdings.end(by_number[1], 20.0)
        holdings.end(by_number[2], 10.0)
        holdings.take_ended()
        self.add(holdings, 10)
        assert set(holdings.by_number) == {0, 1, 3, 10}
        self.add(holdings, 11)
        assert set(holdings.by_number) == {0, 3, 10, 11}
        assert holdings.take_ended() == ()
        self.add(holdings, 12)
        assert set(holdings.by_number) == {0, 3, 10, 12}
        assert [identity.id for identity in holdings.take_ended()] == [f"{11:064x}"]

    def test_descriptors(self) -> None:
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        holdings = self.holdings(200, limit=50)
        gc.collect()
        assert len(holdings) == holdings.held_roots == 50
        assert len(holdings.live()) == 50
        assert len(os.listdir("/proc/self/fd")) - before == 2 * 50  # as many again wait to be closed, no more
        holdings.take_let_go()
        assert len(os.listdir("/proc/self/fd")) - before == 50
        holdings.clear()
        gc.collect()
        assert len(os.listdir("/proc/self/fd")) == before

    def test_one_container_does_not_crowd_out_the_others(self) -> None:
        holdings = self.holdings(3, limit=40)
        greedy = holdings.container(CONTAINER_A, f"/docker/{A}")
        for number in range(100, 200):
            holdings.make_room(greedy, 1.0)
            holdings.add(greedy, sighting(number, at=number), None)
        assert sorted(greedy.numbers) == list(range(184, 200))
        assert {0, 1, 2} <= set(holdings.by_number)

    def test_namespaces_that_are_left_go_before_their_container(self) -> None:
        holdings = self.holdings(1, limit=10)
        container = holdings.live()[0]
        holdings.add(container, sighting(7, at=1), None)
        holdings.survived_by(container, frozenset((7,)), 100.0)
        assert holdings.release(99.0).namespaces == ()
        assert holdings.release(100.0).namespaces == (0,)
        assert container.numbers == (7,)

    def test_a_container_is_named_without_what_is_nested_in_it(self) -> None:
        holdings = self.holdings(1, limit=4)
        assert holdings.live()[0].cgroup_path == f"/docker/{0:064x}"


class TestRoots:
    def test_a_root_outlives_its_registry_while_it_is_read(self) -> None:
        root = open_folder("/etc")
        held = HeldRoot(os.dup(root.descriptor))
        descriptor = held.descriptor
        assert held.read("/passwd")
        del held
        gc.collect()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)

    def test_the_first_that_lives_in_the_namespace(self, child: subprocess.Popen[bytes]) -> None:
        found = open_root(
            [Candidate(2**22), Candidate(os.getpid(), 1), Candidate(child.pid)], OWN, None, "/proc"
        )
        assert found is not None
        assert found.pid == child.pid
        assert found.root is not None
        assert found.root.list("/")

    def test_another_namespace(self, child: subprocess.Popen[bytes]) -> None:
        assert open_root([Candidate(child.pid)], ELSEWHERE, None, "/proc") is None

    def test_the_hosts_root_is_never_held_for_a_containers(self, child: subprocess.Popen[bytes]) -> None:
        host = os.stat("/")
        found = open_root([Candidate(child.pid)], OWN, (host.st_dev, host.st_ino), "/proc")
        assert found is not None
        assert found.root is None


class TestProcesses:
    def test_start_time(self, child: subprocess.Popen[bytes]) -> None:
        with Process(child.pid) as process:
            start = process.start_boottime()
            assert abs(start - time.clock_gettime_ns(time.CLOCK_BOOTTIME)) < 5_000_000_000
            assert process.started_at(start + 10_000_000)
            assert not process.started_at(start + 20_000_001)
            assert not process.started_at(start - 20_000_001)

    def test_a_zombie_has_gone(self, child: subprocess.Popen[bytes]) -> None:
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        with Process(child.pid) as process, pytest.raises(ProcessLookupError):
            process.start_ticks()
        assert oldest([child.pid]) is None
        assert mount_namespace_of(child.pid) == 0

    def test_a_held_process_is_never_confused_with_a_later_one(self, child: subprocess.Popen[bytes]) -> None:
        with Process(child.pid) as process:
            end(child)
            with pytest.raises(ProcessLookupError):
                process.start_ticks()
            with pytest.raises(OSError):  # noqa: PT011 - which errno depends on the kernel
                process.open_root()

    def test_the_oldest(self, child: subprocess.Popen[bytes]) -> None:
        assert oldest([child.pid, os.getpid(), 2**22]) == os.getpid()
        assert oldest([]) is None

    def test_by_namespace(self, child: subprocess.Popen[bytes]) -> None:
        found = processes_by_namespace(frozenset((OWN, ELSEWHERE)))
        assert set(found) == {OWN}
        assert {child.pid, os.getpid()} <= set(found[OWN])


class TestExitWatch:
    def test_tells_once(self, child: subprocess.Popen[bytes]) -> None:
        watch: ExitWatch[str] = ExitWatch()
        assert watch.add("x", child.pid)
        assert "x" in watch
        assert watch.exited() == []
        end(child)
        assert watch.exited() == ["x"]
        assert watch.exited() == []
        assert len(watch) == 0
        watch.close()

    def test_one_descriptor_per_key(self, child: subprocess.Popen[bytes]) -> None:
        watch: ExitWatch[str] = ExitWatch()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            assert watch.add("x", child.pid)
        assert len(os.listdir("/proc/self/fd")) == before + 1
        assert not watch.add("x", 2**22)
        assert len(os.listdir("/proc/self/fd")) == before
        watch.close()


class TestCgroupTree:
    def tree(self, folder: Path) -> CgroupTree:
        (folder / "cgroup.controllers").touch()
        nested = folder / "docker" / A / "nested"
        nested.mkdir(parents=True)
        (nested.parent / "cgroup.procs").write_text("0\n5\n", encoding="ascii")
        (nested / "cgroup.procs").write_text("7\n", encoding="ascii")
        return CgroupTree(str(folder))

    def test_with_nested_ones(self, tmp_path: Path) -> None:
        assert self.tree(tmp_path).processes(f"/docker/{A}") == (5, 7)

    def test_one_that_has_gone(self, tmp_path: Path) -> None:
        assert self.tree(tmp_path).processes(f"/docker/{B}") == ()

    @pytest.mark.parametrize("path", ["…/x", "/../x", f"/docker/{A}/../../.."])
    def test_a_path_that_leads_nowhere(self, tmp_path: Path, path: str) -> None:
        assert self.tree(tmp_path).processes(path) is None

    def test_a_mount_that_shows_only_a_part(self, tmp_path: Path) -> None:
        (tmp_path / "cgroup.events").touch()
        assert self.tree(tmp_path).processes(f"/docker/{A}") is None

    def test_bounded(self, tmp_path: Path) -> None:
        tree = self.tree(tmp_path)
        for number in range(500):
            folder = tmp_path / "docker" / A / f"g{number}"
            folder.mkdir()
            (folder / "cgroup.procs").write_text(
                "".join(f"{pid}\n" for pid in range(1, 600)), encoding="ascii"
            )
        pids = tree.processes(f"/docker/{A}")
        assert pids is not None
        assert len(pids) == 256
