"""Which processes are asked, when, and what becomes of their answers."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.events import EventFlag, KernelEvent
from sensor.model.package import Evidence, PackageUse
from sensor.model.report import ContainerReport
from sensor.model.report import Coverage as CoverageState
from sensor.node.backfill.processes import ProcessTable
from sensor.node.introspect import introspector as module
from sensor.node.introspect.interface import Finding, Subject
from sensor.node.introspect.introspector import Introspector
from sensor.node.introspect.schedule import Schedule
from sensor.node.inventory import Inventory
from sensor.node.rootfs import RootFilesystem
from sensor.node.scan import ProcessScan
from tests.clock import PATIENCE, until
from tests.unit.events import DOCKER, OTHER, event, own_start
from tests.unit.reports import use

CLASSES = (use("guava", evidence=Evidence.EXECUTED),)
LATER = 1e9


class Scripted:
    """A probe that says what it is told."""

    def __init__(self, name: str = "hotspot") -> None:
        self.name = name
        self.looks: list[tuple[Subject, tuple[str, ...]]] = []
        self.answer: Callable[[], Finding | None] = lambda: Finding(CLASSES)
        self.counter: object | None = None
        self.sweeps = 0

    def stamp(self, _subject: Subject, _root: RootFilesystem) -> object | None:
        return self.counter

    def look(self, subject: Subject, _root: RootFilesystem, files: Collection[str]) -> Finding | None:
        self.looks.append((subject, tuple(files)))
        return self.answer()

    def sweep(self) -> None:
        self.sweeps += 1


class Asking:
    """An introspector whose rounds are made by hand."""

    def __init__(self) -> None:
        self.probe = Scripted()
        self.inventory = Inventory()
        self.inventory.seen(DOCKER)
        self.descriptor = os.open("/", os.O_PATH)
        self.root: RootFilesystem | None = RootFilesystem(self.descriptor)
        self.scanned: list[tuple[ProcessScan, bool]] = []
        self.introspector = Introspector(
            [self.probe],
            self.inventory,
            lambda _number, _id: self.root,
            lambda scan, whole: self.scanned.append((scan, whole)),
        )

    def note(self, opened: KernelEvent | None = None, *, holds_packages: bool = True) -> None:
        self.introspector.note(opened or event("/app.jar"), DOCKER, holds_packages)

    def round(self, now: float = LATER) -> None:
        self.introspector.round(now)

    def report(self, container: ContainerIdentity = DOCKER) -> ContainerReport:
        (found,) = [r for r in self.inventory.snapshot(time.time()) if r.container == container]
        return found

    def packages(self) -> dict[str, Evidence]:
        return {loaded.use.package.name: loaded.use.evidence for loaded in self.report().packages}


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asking]:
    # Every process of this machine would be one of the container's.
    monkeypatch.setattr(module, "processes_by_namespace", lambda _wanted: {})
    made = Asking()
    yield made
    made.introspector.stop(PATIENCE)
    os.close(made.descriptor)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as child:
        yield child
        child.kill()


def scan_of(pid: int) -> ProcessScan:
    process = ProcessTable().process(pid)
    assert process is not None
    return ProcessScan(process, DOCKER, "started_before_sensor")


def test_a_process_that_opened_an_archive_is_asked_once_it_is_quiet(asking: Asking) -> None:
    begun = time.monotonic()
    asking.note(event("/a.jar"))
    asking.note(event("/b.jar"))
    asking.round(begun)
    assert asking.probe.looks == []
    assert asking.report().coverage_reasons == ("unasked",)
    asking.round(begun + 0.7)
    ((subject, files),) = asking.probe.looks
    assert files == ("/a.jar", "/b.jar")
    assert (subject.pid, subject.container, subject.executable_name) == (os.getpid(), DOCKER, "python3.11")
    assert asking.packages() == {"guava": Evidence.EXECUTED}
    assert asking.report().coverage is CoverageState.COMPLETE
    assert asking.introspector.counters == {"asked": 1, "hotspot": 1}


def test_a_process_that_opens_on_and_on_is_asked_meanwhile(asking: Asking) -> None:
    begun = time.monotonic()
    for _ in range(3):
        asking.note()
    entry = asking.introspector._processes[os.getpid()]
    for step in range(40):
        entry.schedule.opened(begun + 0.1 * step)
    assert begun + 1.9 < entry.schedule.due < begun + 2.1


def test_the_counter_of_the_runtime_spares_the_question(asking: Asking) -> None:
    asking.probe.counter = 7
    asking.note()
    for _ in range(3):
        asking.round()
    assert (len(asking.probe.looks), asking.introspector.counters["unchanged"]) == (1, 2)
    asking.probe.counter = 8
    asking.round()
    assert len(asking.probe.looks) == 2


def test_without_a_counter_it_is_asked_each_time(asking: Asking) -> None:
    asking.note()
    for _ in range(3):
        asking.round()
    assert len(asking.probe.looks) == 3


def test_a_process_that_is_of_no_known_runtime_costs_nothing_but_the_look(asking: Asking) -> None:
    asking.probe.answer = lambda: None
    asking.note()
    asking.round()
    assert asking.packages() == {}
    assert asking.report().coverage is CoverageState.COMPLETE
    assert asking.introspector.waiting == 0


def test_a_problem_holds_until_the_process_has_told_everything(asking: Asking) -> None:
    asking.probe.answer = lambda: Finding((), "class_graph_unreadable")
    asking.note()
    asking.round()
    assert asking.report().coverage_reasons == ("class_graph_unreadable",)
    asking.probe.answer = lambda: Finding(CLASSES, "archive_unreadable")
    asking.round()
    assert asking.report().coverage_reasons == ("archive_unreadable",)
    assert asking.packages() == {"guava": Evidence.EXECUTED}
    asking.probe.answer = lambda: Finding(CLASSES)
    asking.round()
    assert asking.report().coverage_reasons == ()


def test_a_reason_of_two_processes_holds_as_long_as_one_gives_it(
    asking: Asking, child: subprocess.Popen[bytes]
) -> None:
    asking.probe.answer = lambda: Finding((), "class_graph_unreadable")
    asking.note()
    asking.introspector.answer(scan_of(child.pid))
    asking.round()
    solved = {os.getpid()}
    asking.probe.answer = lambda: Finding(
        (), "" if asking.probe.looks[-1][0].pid in solved else "class_graph_unreadable"
    )
    asking.round()
    assert asking.report().coverage_reasons == ("class_graph_unreadable",)
    solved.add(child.pid)
    asking.round()
    assert asking.report().coverage_reasons == ()


def test_a_probe_that_fails_ends_neither_the_thread_nor_in_silence(asking: Asking) -> None:
    def fail() -> Finding:
        raise RuntimeError("defect")

    asking.probe.answer = fail
    asking.note()
    asking.round()
    assert asking.introspector.counters["failed"] == 1
    assert asking.report().coverage_reasons == ("failed",)
    asking.probe.answer = lambda: Finding(CLASSES)
    asking.round()
    assert asking.report().coverage_reasons == ()


@pytest.mark.parametrize("holds_packages", [True, False])
def test_an_end_before_the_question_is_said_where_packages_are_at_stake(
    asking: Asking, child: subprocess.Popen[bytes], holds_packages: bool
) -> None:
    process = scan_of(child.pid).process
    opened = event("/app.jar", pid=child.pid, start_boottime=process.start_boottime)
    asking.note(opened, holds_packages=holds_packages)
    child.kill()
    child.wait()
    asking.round()
    assert asking.probe.looks == []
    assert asking.introspector.processes == 0
    assert asking.report().coverage_reasons == (("ended_unasked",) if holds_packages else ())
    assert asking.introspector.counters["ended_unasked"] == holds_packages


def test_an_end_after_the_answer_is_no_loss(asking: Asking, child: subprocess.Popen[bytes]) -> None:
    process = scan_of(child.pid).process
    asking.note(event("/app.jar", pid=child.pid, start_boottime=process.start_boottime))
    asking.round()
    child.kill()
    child.wait()
    asking.round()
    assert (asking.introspector.processes, len(asking.probe.looks)) == (0, 1)
    assert asking.report().coverage is CoverageState.COMPLETE


def test_the_next_process_with_the_pid_is_another(asking: Asking) -> None:
    asking.note(event("/former.jar", start_boottime=own_start() - 10**9))
    asking.note(event("/present.jar"))
    asking.round()
    assert [files for _, files in asking.probe.looks] == [("/present.jar",)]
    assert asking.report().coverage_reasons == ("ended_unasked",)


def test_starts_that_differ_by_a_clock_tick_are_one_process(asking: Asking) -> None:
    asking.note(event("/app.jar", start_boottime=own_start() + 9_999_999))
    asking.introspector.answer(scan_of(os.getpid()))
    asking.round()
    assert len(asking.probe.looks) == 1


def test_a_container_whose_root_is_gone_is_not_asked(asking: Asking) -> None:
    asking.root = None
    asking.note()
    asking.round()
    assert asking.probe.looks == []
    assert asking.report().coverage_reasons == ("ended_unasked",)


def test_paths_below_a_chroot_are_not_the_containers(asking: Asking) -> None:
    asking.note(event("/app.jar", flags=EventFlag.CHROOT))
    asking.round()
    assert asking.probe.looks == []
    assert asking.report().coverage_reasons == ("root_unavailable",)


@pytest.mark.parametrize(
    ("answer", "whole"),
    [(Finding(CLASSES), True), (Finding(CLASSES, "archive_unreadable"), False), (None, False)],
)
def test_a_scan_that_was_handed_on_is_answered(asking: Asking, answer: Finding | None, whole: bool) -> None:
    asking.probe.answer = lambda: answer
    work = scan_of(os.getpid())
    asking.introspector.answer(work)
    asking.round()
    asking.round()
    assert asking.scanned == [(work, whole)]


def test_a_scan_asks_also_where_the_counter_stands_still(asking: Asking) -> None:
    asking.probe.counter = 7
    asking.note()
    asking.round()
    asking.introspector.answer(scan_of(os.getpid()))
    asking.round()
    assert [whole for _, whole in asking.scanned] == [True]


def test_a_scan_of_a_process_that_fails_or_ends_is_done_and_not_whole(
    asking: Asking, child: subprocess.Popen[bytes]
) -> None:
    def fail() -> Finding:
        raise RuntimeError("defect")

    asking.probe.answer = fail
    asking.introspector.answer(scan_of(os.getpid()))
    ended = scan_of(child.pid)
    child.kill()
    child.wait()
    asking.introspector.answer(ended)
    asking.round()
    assert sorted(whole for _, whole in asking.scanned) == [False, False]


def test_bounds_are_said(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 1)
    monkeypatch.setattr(module, "MAX_PROCESSES", 1)
    asking.note(event("/a.jar"))
    asking.note(event("/a.jar"))
    assert asking.introspector.counters["dropped"] == 0
    asking.note(event("/b.jar"))
    assert asking.report().coverage_reasons == ("too_many_archives", "unasked")
    asking.inventory.seen(OTHER)
    asking.introspector.note(event("/c.jar", pid=1), OTHER, True)
    assert asking.report(OTHER).coverage_reasons == ("too_many_processes",)
    assert asking.introspector.counters["dropped"] == 2


def test_further_processes_of_the_program_are_found(
    asking: Asking, child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ProcessTable().process(os.getpid())
    assert own is not None
    with subprocess.Popen([f"/proc/{os.getpid()}/exe", "-c", "input()"], stdin=subprocess.PIPE) as sibling:
        found = {own.mount_namespace: [os.getpid(), sibling.pid, child.pid]}
        monkeypatch.setattr(module, "processes_by_namespace", lambda _wanted: found)
        asking.note(event("/app.jar", executable_name=own.executable_name))
        asking.round()  # the program is known from its first answer on
        asking.round(LATER + 10)
        looked = {subject.pid: files for subject, files in asking.probe.looks}
        assert looked == {os.getpid(): ("/app.jar",), sibling.pid: ("/app.jar",)}
        sibling.communicate()


def test_a_sweep_reaches_every_probe(asking: Asking) -> None:
    asking.round(100.0)
    asking.round(101.0)
    assert asking.probe.sweeps == 1
    asking.round(100.0 + module.SWEEP_PERIOD)
    assert asking.probe.sweeps == 2


def test_what_is_unasked_at_the_end_is_asked(asking: Asking) -> None:
    asking.introspector.start()
    asking.note()
    asking.introspector.stop(PATIENCE)
    assert not asking.introspector.is_alive()
    assert asking.packages() == {"guava": Evidence.EXECUTED}


def test_the_thread_asks_by_itself(asking: Asking) -> None:
    asking.introspector.start()
    asking.note()
    until(lambda: asking.probe.looks)
    assert len(asking.probe.looks) == 1


def gaps(schedule: Schedule, times: int, took: float, *, counted: bool) -> list[float]:
    found, now = [], 1000.0
    for _ in range(times):
        schedule.asked(now, took, news=False, counted=counted)
        found.append(schedule.due - now)
        now = schedule.due
    return found


def test_a_process_that_tells_nothing_new_is_asked_ever_more_rarely() -> None:
    found = gaps(Schedule(0.0), 12, 0.001, counted=False)
    assert found[0] == 2.0
    assert all(b == min(2 * a, 300.0) for a, b in itertools.pairwise(found))


def test_news_make_it_prompt_again() -> None:
    schedule = Schedule(0.0)
    gaps(schedule, 5, 0.001, counted=False)
    schedule.asked(2000.0, 0.001, news=True, counted=False)
    assert schedule.due == 2001.0


def test_while_its_counter_moves_a_process_is_asked_promptly_as_long_as_there_is_credit() -> None:
    found = gaps(Schedule(0.0), 200, 0.3, counted=True)
    assert found[:20] == [2.0] * 20
    spent = 200 * 0.3
    assert spent <= 10.0 + 0.015 * sum(found), "the credit and its refill, or little more"


def test_what_takes_long_does_not_keep_a_starting_process_waiting() -> None:
    schedule = Schedule(0.0)
    schedule.asked(100.0, 2.5, news=True, counted=True)
    schedule.opened(100.1)
    assert schedule.due == 102.5
    schedule.asked(110.0, 12.0, news=True, counted=True)  # the credit is spent
    assert schedule.due == 110.0 + 240.0


def test_the_strongest_grade_stays(asking: Asking) -> None:
    bundled: PackageUse = replace(CLASSES[0], evidence=Evidence.BUNDLED)
    asking.inventory.loaded(DOCKER, bundled, time.time())
    asking.note()
    asking.round()
    assert asking.packages() == {"guava": Evidence.EXECUTED}
