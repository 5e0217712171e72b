"""The way of an event, and what holds when a worker hangs, fails, or the sensor ends."""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensor.model.container import ContainerEvent, ContainerIdentity
from sensor.model.events import EventFlag, EventKind, KernelEvent
from sensor.model.package import Ecosystem, Evidence, Skipped, SkipReason
from sensor.model.report import ContainerReport
from sensor.model.report import Coverage as CoverageState
from sensor.node import pipeline as pipeline_module
from sensor.node import worker as worker_module
from sensor.node.backfill.processes import ProcessTable
from sensor.node.capture import layout
from sensor.node.coverage import Coverage
from sensor.node.identify.cgroup_tree import CgroupTree
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.inventory import Inventory
from sensor.node.natives import Natives
from sensor.node.pipeline import Pipeline
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.resolve.interface import Resolution
from sensor.node.rootfs import RootFilesystem
from sensor.node.scan import ProcessScan, Scanned
from tests.clock import HANGS, LATE, PATIENCE, in_time, until
from tests.unit.events import DOCKER, OTHER, Hosting, Scripted, event
from tests.unit.reports import use


class Line:
    """A pipeline on a real registry. Each worker gets a resolver of its own: ``resolvers[-1]``."""

    def __init__(self, folder: Path) -> None:
        # No namespace has so low a number: this machine's own is one like any other.
        self.registry = ContainerRegistry(host_mount_namespace=7, cgroups=CgroupTree(str(folder)))
        self.inventory = Inventory()
        self.coverage = Coverage(self.inventory)
        self.mapped: list[str] = []
        self.natives = Natives(lambda _pid: self.mapped)
        self.resolvers: list[Scripted] = []
        self.pipeline = Pipeline(self.registry, self.inventory, self._dispatcher, self.coverage, self.natives)

    def _dispatcher(self) -> Dispatcher:
        self.resolvers.append(Scripted())
        return Dispatcher(self.resolvers[-1:], Hosting(Ecosystem.PYPI))

    def report(self, container: ContainerIdentity = DOCKER) -> ContainerReport:
        (found,) = [r for r in self.inventory.snapshot(time.time()) if r.container == container]
        return found

    def packages(self) -> list[str]:
        return [loaded.use.package.name for loaded in self.report().packages]

    def close(self) -> None:
        for resolver in self.resolvers:
            resolver.answer = lambda _root, _path: Skipped(SkipReason.NOT_A_PACKAGE)
        self.pipeline.stop(PATIENCE)
        self.registry.close()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(tmp_path)
    yield made
    made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Opened at the end of the test, so that no worker stays behind."""
    gate = threading.Event()
    yield gate
    gate.set()


def blocked(gate: threading.Event) -> Callable[[RootFilesystem, str], Resolution]:
    def answer(_root: RootFilesystem, path: str) -> Resolution:
        gate.wait(HANGS)
        return (use(path),)

    return answer


def ring_thread(line: Line, events: int) -> threading.Thread:
    def receive() -> None:
        for number in range(events):
            line.pipeline.receive(event(f"/{number}.py"))

    ring = threading.Thread(target=receive)
    ring.start()
    return ring


def own_scan(container: ContainerIdentity = DOCKER) -> ProcessScan:
    found = ProcessTable()._process(os.getpid())
    assert found is not None
    return ProcessScan(found, container, "started_before_sensor")


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "resolve"]


def test_an_open_becomes_a_package_of_its_container(line: Line) -> None:
    before = time.time()
    line.pipeline.receive(event("/a.py"))
    assert line.pipeline.drain(PATIENCE)
    (loaded,) = line.report().packages
    assert loaded.use == use("/a.py")
    assert before - 0.1 <= loaded.first_seen <= time.time()
    assert line.report().coverage is CoverageState.COMPLETE
    assert line.pipeline.counters.received == 1


def test_an_old_event_keeps_its_own_time(line: Line) -> None:
    line.pipeline.receive(event("/a.py", time=time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 30 * 10**9))
    assert line.pipeline.drain(PATIENCE)
    assert line.report().packages[0].last_seen == pytest.approx(time.time() - 30, abs=LATE)


def test_strangers_are_counted_and_told_of_once(line: Line) -> None:
    told: list[KernelEvent] = []
    line.pipeline.on_stranger = told.append
    service = event(cgroup_path="/system.slice/cron.service")
    line.pipeline.receive(service)
    line.pipeline.receive(service)
    assert line.pipeline.drain(PATIENCE)
    assert told == [service]
    assert line.pipeline.counters.no_container == 2
    assert line.resolvers[0].asked == []
    assert line.inventory.counts().containers == 0


def test_events_of_an_excluded_container_go_nowhere_and_are_told_of(line: Line) -> None:
    told: list[KernelEvent] = []
    line.pipeline.on_excluded = told.append
    line.pipeline.receive(event("/a.py"))
    assert line.pipeline.drain(PATIENCE)
    line.inventory.exclude(DOCKER)
    later = event("/b.py")
    line.pipeline.receive(later)
    assert line.pipeline.drain(PATIENCE)
    assert told == [later]
    assert line.pipeline.counters.excluded == 1
    assert line.resolvers[0].asked == ["/a.py"]
    assert line.inventory.counts().containers == 0


def test_a_new_container_is_told_of_once(line: Line) -> None:
    told: list[ContainerIdentity] = []
    line.pipeline.on_container = told.append
    for path in ("/a.py", "/b.py"):
        line.pipeline.receive(event(path))
    assert line.pipeline.drain(PATIENCE)
    assert told == [DOCKER]


def test_a_container_is_held_and_named_before_its_turn_in_the_queue(
    line: Line, gate: threading.Event
) -> None:
    told: list[ContainerIdentity] = []
    line.pipeline.on_container = told.append
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event("/a.py"))
    line.pipeline.receive(event("/b.py", cgroup_path=f"/docker/{OTHER.id}", mount_namespace_id=2))
    assert told == [DOCKER, OTHER]
    # It loses events and ends while its first one still waits.
    line.inventory.partial(OTHER, "events_lost")
    line.inventory.ended(OTHER, time.time())
    gate.set()
    assert line.pipeline.drain(PATIENCE)
    report = line.report(OTHER)
    assert not report.deployed
    assert report.coverage_reasons == ("events_lost",)
    assert len(report.packages) == 1


def test_only_an_event_after_the_end_starts_a_container_anew(line: Line) -> None:
    late = event("/a.py")
    time.sleep(0.01)
    line.pipeline.receive(event("/b.py"))
    assert line.pipeline.drain(PATIENCE)
    line.inventory.ended(DOCKER, time.time())
    line.pipeline.receive(late)
    assert line.pipeline.drain(PATIENCE)
    assert not line.report().deployed
    time.sleep(0.01)
    line.pipeline.receive(event("/c.py"))
    assert line.pipeline.drain(PATIENCE)
    assert line.report().deployed
    assert line.packages() == ["/c.py"]


def test_drain_waits_for_what_was_taken_and_is_not_yet_worked_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(queue.Queue[object]):
        def get(self, block: bool = True, timeout: float | None = None) -> object:
            work = super().get(block, timeout)
            time.sleep(0.1)  # the worker has it, and has not said so
            return work

    monkeypatch.setattr(
        pipeline_module, "queue", SimpleNamespace(Queue=Slow, Full=queue.Full, Empty=queue.Empty)
    )
    line = Line(tmp_path)
    line.pipeline.receive(event("/a.py"))
    until(lambda: line.pipeline.backlog == 0)
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/a.py"]
    line.close()


def test_drain_gives_up_after_its_time(line: Line, gate: threading.Event) -> None:
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event())
    assert not line.pipeline.drain(0.05)
    gate.set()
    assert line.pipeline.drain(PATIENCE)


def test_drain_gives_up_when_there_is_no_room_even_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(pipeline_module, "QUEUE_BATCHES", 1)
    line = Line(tmp_path)
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event())
    until(lambda: line.pipeline.stuck_for > 0)
    line.pipeline.receive(event())
    assert not line.pipeline.drain(0.05)
    gate.set()
    assert line.pipeline.drain(PATIENCE)
    line.close()


def test_a_full_queue_holds_the_ring_up_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(pipeline_module, "QUEUE_BATCHES", 2)
    line = Line(tmp_path)
    line.resolvers[0].answer = blocked(gate)
    ring = ring_thread(line, 7)
    until(lambda: line.pipeline.backlog == 2)
    ring.join(0.05)
    assert ring.is_alive()
    assert line.pipeline.counters.received == 4  # one in work, two queued, one in hand
    gate.set()
    ring.join(PATIENCE)
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == [f"/{n}.py" for n in range(7)]
    line.close()


def test_a_worker_that_hangs_is_replaced_and_its_container_marked(
    line: Line, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event("/hangs.py"))
    until(lambda: line.pipeline.stuck_for > 0)
    line.pipeline.replace_stuck_worker()
    assert len(line.resolvers) == 1, "not before its time"
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 0.0)
    line.pipeline.replace_stuck_worker()
    line.pipeline.receive(event("/b.py"))
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/b.py"]
    assert line.report().coverage_reasons == ("file_system_hangs",)
    assert line.pipeline.counters.abandoned_workers == 1
    # It did not hang for ever: what it found counts, and it takes no more work.
    gate.set()
    until(lambda: len(line.report().packages) == 2)
    until(lambda: len(workers()) == 1)
    line.pipeline.receive(event("/c.py"))
    assert line.pipeline.drain(PATIENCE)
    assert line.resolvers[0].asked == ["/hangs.py"]


def test_a_full_queue_gives_up_a_worker_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(pipeline_module, "QUEUE_BATCHES", 1)
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 3.0)  # more than a stall of the second worker
    line = Line(tmp_path)
    line.resolvers[0].answer = blocked(gate)
    for number in range(4):  # with nobody but the ring's own thread to notice
        line.pipeline.receive(event(f"/{number}.py"))
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/1.py", "/2.py", "/3.py"]
    assert line.pipeline.counters.abandoned_workers == 1
    line.close()


def test_two_threads_that_find_a_worker_stuck_replace_it_once(
    line: Line, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event())
    until(lambda: line.pipeline.stuck_for > 0.01)
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 0.01)

    def slow() -> Dispatcher:
        time.sleep(0.05)
        return line._dispatcher()

    monkeypatch.setattr(line.pipeline, "_make_dispatcher", slow)
    threads = [threading.Thread(target=line.pipeline.replace_stuck_worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert line.pipeline.counters.abandoned_workers == 1
    assert len(workers()) == 2


def test_workers_given_up_are_bounded(
    line: Line, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 0.0)
    monkeypatch.setattr(pipeline_module, "MAX_ABANDONED", 2)
    for number in range(4):
        line.resolvers[-1].answer = blocked(gate)
        line.pipeline.receive(event(f"/{number}.py"))
        until(lambda: line.pipeline.stuck_for > 0)
        line.pipeline.replace_stuck_worker()
    assert line.pipeline.counters.abandoned_workers == 2
    assert len(line.resolvers) == 3
    assert line.pipeline.backlog == 1


def test_an_idle_worker_is_not_stuck(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 0.0)
    line.pipeline.receive(event())
    assert line.pipeline.drain(PATIENCE)
    until(lambda: line.pipeline.stuck_for == 0.0)
    line.pipeline.replace_stuck_worker()
    assert line.pipeline.counters.abandoned_workers == 0


def test_a_long_scan_that_moves_on_is_not_stuck(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[float, float]] = []

    def scan(_work: ProcessScan, resolve: Callable[[KernelEvent], None]) -> Scanned:
        for number in range(10):
            begun = time.monotonic()
            resolve(event(f"/{number}.py"))
            time.sleep(0.02)
            steps.append((line.pipeline.stuck_for, time.monotonic() - begun))
        return Scanned.WHOLE

    monkeypatch.setattr(pipeline_module, "scan", scan)
    line.pipeline.scan(own_scan())
    assert line.pipeline.drain(PATIENCE)
    assert len(steps) == 10
    assert all(0.02 <= stuck <= step for stuck, step in steps)  # not for all of the steps together


def test_a_scan_takes_the_doubt_back_only_when_whole(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(_work: ProcessScan, resolve: Callable[[KernelEvent], None]) -> Scanned:
        resolve(event("/a.py"))
        return Scanned.WHOLE if whole else Scanned.PART

    monkeypatch.setattr(pipeline_module, "scan", scan)
    line.pipeline.receive(event(kind=EventKind.EXEC))
    for whole in (True, False):
        assert line.coverage.doubt(own_scan())
        assert line.report().coverage is CoverageState.PARTIAL
        line.pipeline.scan(own_scan())
        assert line.pipeline.drain(PATIENCE)
        assert line.report().coverage is (CoverageState.COMPLETE if whole else CoverageState.PARTIAL)
    assert line.packages() == ["/a.py"]


def test_a_scan_that_only_the_process_can_answer_is_handed_on(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ProcessScan] = []
    line.pipeline.on_older = asked.append
    monkeypatch.setattr(pipeline_module, "scan", lambda _work, _resolve: Scanned.ASK_PROCESS)
    work = own_scan()
    line.inventory.seen(DOCKER)
    assert line.coverage.doubt(work)
    line.pipeline.scan(work)
    assert line.pipeline.drain(PATIENCE)
    assert asked == [work]
    assert line.report().coverage is CoverageState.PARTIAL
    line.coverage.scanned(work, True)
    assert line.report().coverage is CoverageState.COMPLETE


def test_without_anybody_to_ask_such_a_scan_is_not_whole(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline_module, "scan", lambda _work, _resolve: Scanned.ASK_PROCESS)
    line.inventory.seen(DOCKER)
    assert line.coverage.doubt(own_scan())
    line.pipeline.scan(own_scan())
    assert line.pipeline.drain(PATIENCE)
    assert line.coverage.open_scans == 0
    assert line.report().coverage is CoverageState.PARTIAL


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ((use("requests"),), None),
        ((use("requests"), use("idna", evidence=Evidence.BUNDLED)), True),
        (Skipped(SkipReason.ASK_PROCESS), False),
        (Skipped(SkipReason.NOT_A_PACKAGE), None),
    ],
)
def test_what_a_file_leaves_open_is_asked(line: Line, answer: Resolution, question: bool | None) -> None:
    questions: list[tuple[KernelEvent, ContainerIdentity, bool]] = []
    line.pipeline.on_question = lambda *asked: questions.append(asked)
    line.resolvers[-1].answer = lambda _root, _path: answer
    opened = event(__file__)
    line.pipeline.receive(opened)
    assert line.pipeline.drain(PATIENCE)
    assert questions == ([] if question is None else [(opened, DOCKER, question)])
    assert line.report().coverage is CoverageState.COMPLETE


def test_a_library_that_anybody_may_open_counts_once_it_is_mapped(line: Line) -> None:
    line.resolvers[-1]._claims = ".so"
    line.resolvers[-1].answer = lambda _root, path: (use(path, evidence=Evidence.MAPPED, path=path),)
    for path in ("/plugin.so", "/copied.so"):
        line.pipeline.receive(event(path))
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == []
    line.mapped = ["/plugin.so"]
    line.natives.settle(lambda container, use: line.inventory.loaded(container, use, time.time()))
    assert line.packages() == ["/plugin.so"]


def test_a_scan_that_fails_is_done_and_not_whole(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def scan(_work: ProcessScan, _resolve: Callable[[KernelEvent], None]) -> Scanned:
        raise RuntimeError("defect")

    monkeypatch.setattr(pipeline_module, "scan", scan)
    line.inventory.seen(DOCKER)
    line.coverage.doubt(own_scan())
    line.pipeline.scan(own_scan())
    assert line.pipeline.drain(PATIENCE)
    assert line.coverage.open_scans == 0
    assert line.pipeline.counters.failed == 1
    assert line.report().coverage_reasons == ("failed", "started_before_sensor")


def test_one_event_that_fails_is_counted_and_the_next_is_worked_on(line: Line) -> None:
    def defect(_event: object) -> None:
        raise RuntimeError("defect")

    line.pipeline.on_passing_failure = defect
    line.resolvers[0].answer = lambda _root, _path: Skipped(SkipReason.VANISHED)
    line.pipeline.receive(event("/a.py"))
    assert line.pipeline.drain(PATIENCE)
    line.resolvers[0].answer = lambda _root, path: (use(path),)
    line.pipeline.receive(event("/b.py"))
    assert line.pipeline.drain(PATIENCE)
    assert line.pipeline.counters.failed == 1
    assert line.packages() == ["/b.py"]
    assert "failed" in line.report().coverage_reasons


@pytest.mark.parametrize(
    ("reason", "again"),
    [
        (SkipReason.VANISHED, True),
        (SkipReason.TOO_SLOW, True),
        (SkipReason.IO_ERROR, True),
        (SkipReason.MALFORMED, False),
        (SkipReason.ESCAPES_ROOT, False),
    ],
)
def test_a_loss_marks_the_container_and_a_passing_one_is_tried_again(
    line: Line, reason: SkipReason, again: bool
) -> None:
    told: list[KernelEvent] = []
    line.pipeline.on_passing_failure = told.append
    line.resolvers[0].answer = lambda _root, _path: Skipped(reason)
    failing = event()
    line.pipeline.receive(failing)
    assert line.pipeline.drain(PATIENCE)
    assert line.report().coverage_reasons == (f"skipped_{reason}",)
    assert told == ([failing] if again else [])


def test_what_the_kernel_never_sent_it_cannot_forget(line: Line) -> None:
    told: list[KernelEvent] = []
    line.pipeline.on_passing_failure = told.append
    line.resolvers[0].answer = lambda _root, _path: Skipped(SkipReason.VANISHED)
    container = line.pipeline.admit(event())
    assert container is not None
    line.pipeline.put(ContainerEvent(event(seen_key=b""), container))
    assert line.pipeline.drain(PATIENCE)
    assert len(line.resolvers[0].asked) == 1
    assert told == []


def test_a_file_that_proves_nothing_loses_nothing(line: Line) -> None:
    line.resolvers[0].answer = lambda _root, _path: Skipped(SkipReason.NOT_A_PACKAGE)
    line.pipeline.receive(event(__file__))
    assert line.pipeline.drain(PATIENCE)
    assert line.report().coverage is CoverageState.COMPLETE


@pytest.mark.parametrize("flags", [EventFlag.NONE, EventFlag.CHROOT])
def test_without_a_root_what_could_prove_a_package_is_missing(line: Line, flags: EventFlag) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    nobody = {"pid": gone.pid, "mount_namespace": 8, "flags": flags}
    line.pipeline.receive(event("/usr/bin/python3.11", kind=EventKind.EXEC, **nobody))
    assert line.pipeline.drain(PATIENCE)
    assert line.report().coverage is CoverageState.COMPLETE
    line.pipeline.receive(event("/a.py", **nobody))
    assert line.pipeline.drain(PATIENCE)
    assert line.report().coverage_reasons == ("root_unavailable",)
    assert line.pipeline.counters.no_root == 2


def test_inside_a_chroot_the_files_are_those_of_the_process(line: Line) -> None:
    # The registry knows nothing of this namespace: it is not asked.
    line.pipeline.put(ContainerEvent(event("/a.py", flags=EventFlag.CHROOT, mount_namespace_id=9), DOCKER))
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/a.py"]


def test_a_number_given_to_another_namespace_does_not_lend_its_root(line: Line) -> None:
    line.pipeline.receive(event("/a.py", mount_namespace_id=2))
    # Still queued when the number was given away: the root that has the number now is another's.
    line.pipeline.put(ContainerEvent(event("/b.py", mount_namespace_id=1), DOCKER))
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/a.py"]
    assert line.pipeline.counters.no_root == 1


def test_native_modules_are_graded_later(line: Line) -> None:
    line.resolvers[0]._claims = ".so"
    line.mapped.append("/a.so")
    line.resolvers[0].answer = lambda _root, path: (use("a", path=path),)
    line.pipeline.receive(event("/a.so"))
    assert line.pipeline.drain(PATIENCE)
    line.natives.settle(lambda container, found: line.inventory.loaded(container, found, time.time()))
    assert line.report().packages[0].use.evidence is Evidence.MAPPED


def test_caches_are_swept_by_an_idle_worker_and_by_a_busy_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(worker_module, "SWEEP_PERIOD", 0.01)
    line = Line(tmp_path)
    resolver = line.resolvers[0]
    until(lambda: resolver.sweeps >= 2)
    resolver.answer = blocked(gate)
    line.pipeline.receive(event("/0.py"))
    until(lambda: line.pipeline.stuck_for > 0.02)
    before = resolver.sweeps
    # Never idle from here on, and the last event is in work when we look.
    resolver.answer = lambda _root, path: (use(path, version=str(resolver.sweeps)),)
    line.pipeline.receive(event("/1.py"))
    gate.set()
    assert line.pipeline.drain(PATIENCE)
    (found,) = [loaded.use for loaded in line.report().packages if loaded.use.package.name == "/1.py"]
    assert found.package.version == str(before + 1)
    line.close()


def test_caches_that_cannot_be_swept_do_not_end_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(_dispatcher: Dispatcher) -> None:
        raise RuntimeError("defect")

    monkeypatch.setattr(worker_module, "SWEEP_PERIOD", 0.01)
    monkeypatch.setattr(Dispatcher, "sweep", defect)
    line = Line(tmp_path)
    until(lambda: line.pipeline.counters.failed >= 2)
    line.pipeline.receive(event("/a.py"))
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/a.py"]
    line.close()


def test_stop_ends_the_worker_and_drops_what_is_queued(line: Line, gate: threading.Event) -> None:
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event("/a.py"))
    until(lambda: line.pipeline.stuck_for > 0)
    line.pipeline.receive(event("/b.py"))
    threading.Timer(0.05, gate.set).start()
    line.pipeline.stop(PATIENCE)
    assert workers() == []
    assert line.packages() == ["/a.py"]


def test_stop_does_not_wait_for_a_worker_that_hangs(
    line: Line, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive(event())
    until(lambda: line.pipeline.stuck_for > 0)
    with in_time():
        line.pipeline.stop(0.05)
    # Nor is a new one started for nothing.
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 0.0)
    line.pipeline.replace_stuck_worker()
    assert len(line.resolvers) == 1


def test_stop_with_a_full_queue_frees_who_waits_to_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    class AlmostFull(queue.Queue[object]):
        def full(self) -> bool:
            return False  # the ring's thread took the last room just after this was asked

    monkeypatch.setattr(pipeline_module, "QUEUE_BATCHES", 1)
    monkeypatch.setattr(
        pipeline_module, "queue", SimpleNamespace(Queue=AlmostFull, Full=queue.Full, Empty=queue.Empty)
    )
    line = Line(tmp_path)
    line.resolvers[0].answer = blocked(gate)
    ring = ring_thread(line, 3)
    until(lambda: line.pipeline.backlog == 1 and line.pipeline.stuck_for > 0)
    line.pipeline.stop(0.05)
    ring.join(PATIENCE)
    assert not ring.is_alive()
    gate.set()
    until(lambda: workers() == [])
    line.close()


def as_record(path: str) -> bytes:
    """The event of :func:`event` as the kernel's programs write it."""
    like = event(path)
    cgroups = [part.encode() for part in reversed(like.cgroup_path.strip("/").split("/"))]
    parts = [part.encode() for part in reversed(path.strip("/").split("/"))]
    names = b"".join(name + b"\0" for name in (like.executable_name.encode(), *cgroups, *parts))
    header = layout.Event(
        time=like.time,
        start_boottime=like.start_boottime,
        mount_namespace=like.mount_namespace,
        mount_namespace_id=like.mount_namespace_id,
        cgroup_id=like.cgroup_id,
        pid=like.pid,
        kind=like.kind,
        names_size=len(names),
        cgroup_count=len(cgroups),
        path_count=len(parts),
        comm=like.comm.encode(),
    )
    return bytes(header) + names


def test_records_are_resolved_in_order_and_in_batches(line: Line) -> None:
    for number in range(500):
        line.pipeline.receive_record(as_record(f"/{number:03}.py"))
    line.pipeline.flush()
    assert line.pipeline.drain(PATIENCE)
    assert line.resolvers[0].asked == [f"/{number:03}.py" for number in range(500)]
    assert line.pipeline.counters.received == 500
    assert len(line.packages()) == 500


def test_a_container_is_known_before_its_first_record_is_resolved(line: Line, gate: threading.Event) -> None:
    line.resolvers[0].answer = blocked(gate)
    line.pipeline.receive_record(as_record("/a.py"))
    assert line.report().deployed
    assert line.registry.held_roots == 1


def test_the_rest_of_a_batch_goes_to_the_next_worker(
    line: Line, monkeypatch: pytest.MonkeyPatch, gate: threading.Event
) -> None:
    monkeypatch.setattr(pipeline_module, "STUCK_AFTER", 0.0)
    line.pipeline.receive_record(as_record("/first.py"))  # queued alone: its container is new
    assert line.pipeline.drain(PATIENCE)
    line.resolvers[0].answer = blocked(gate)
    for number in range(5):
        line.pipeline.receive_record(as_record(f"/{number}.py"))
    line.pipeline.flush()
    until(lambda: line.pipeline.stuck_for > 0)
    line.pipeline.replace_stuck_worker()
    assert line.pipeline.drain(PATIENCE)
    assert line.resolvers[0].asked == ["/first.py", "/0.py"]
    assert line.resolvers[1].asked == ["/1.py", "/2.py", "/3.py", "/4.py"]


def test_a_record_that_is_cut_is_refused_before_it_joins_others(line: Line) -> None:
    line.pipeline.receive_record(as_record("/a.py"))
    with pytest.raises(layout.MalformedRecord):
        line.pipeline.receive_record(as_record("/b.py")[:-1])
    line.pipeline.receive_record(as_record("/c.py"))
    line.pipeline.flush()
    assert line.pipeline.drain(PATIENCE)
    assert line.packages() == ["/a.py", "/c.py"]
