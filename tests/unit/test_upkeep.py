"""What is done again and again, with stand-ins for the kernel and for the registry of containers."""

from __future__ import annotations

import os
import threading
import time
from typing import cast

import pytest

from sensor.config.node import NodeSettings
from sensor.model.container import ContainerIdentity
from sensor.model.package import Evidence
from sensor.model.report import ContainerReport
from sensor.model.report import Coverage as CoverageState
from sensor.node import upkeep as upkeep_module
from sensor.node.backfill.processes import Process, ProcessTable
from sensor.node.capture.capture import Capture
from sensor.node.capture.layout import Counter
from sensor.node.coverage import EVENTS_LOST, STARTED_BEFORE_SENSOR, Coverage
from sensor.node.enrichment.deployed import Deployed
from sensor.node.enrichment.describe import Describer
from sensor.node.enrichment.sources import Sources
from sensor.node.identify.containers import ContainerRegistry, NotAContainer
from sensor.node.identify.metadata import RuntimeMetadata
from sensor.node.introspect.introspector import Introspector
from sensor.node.inventory import Inventory
from sensor.node.natives import Natives
from sensor.node.pipeline import STUCK_AFTER, Pipeline
from sensor.node.scan import ProcessScan
from sensor.node.upkeep import ECHO_WITHIN, STAGES, Rooms, Upkeep
from sensor.telemetry.health import Health
from tests.clock import PATIENCE, until
from tests.unit.events import OWN_NAMESPACE, event
from tests.unit.reports import WEB, use

OTHER = ContainerIdentity("77" * 32, "cri-o")
GONE = 2**22 + 1
"""No pid is that large: pid_max is at most 2**22."""


class Kernel:
    def __init__(self) -> None:
        self.host_mount_namespace = 7
        self.last_echo = 0.0
        self.lost = 0
        self.losses: dict[tuple[int, int], int] = {}
        self.beats = 0
        self.measured = 0
        self.heeded: list[int] = []
        self.beat_error: Exception | None = None

    def counters(self) -> dict[Counter, int]:
        return dict.fromkeys(Counter, 0) | {Counter.RING_FULL: self.lost}

    def take_losses(self) -> dict[tuple[int, int], int]:
        taken, self.losses = self.losses, {}
        return taken

    def beat(self) -> None:
        self.beats += 1
        if self.beat_error is not None:
            raise self.beat_error

    def heed(self, namespace: int) -> None:
        self.heeded.append(namespace)

    def measure(self) -> None:
        self.measured += 1


class Registry:
    def __init__(self) -> None:
        self.known: dict[int, ContainerIdentity] = {}
        self.admits: dict[int, ContainerIdentity | NotAContainer | None] = {}
        self.admit_error: Exception | None = None
        self.ended: tuple[ContainerIdentity, ...] = ()
        self.expired: tuple[int, ...] = ()
        self.released = 0
        self.left: tuple[int, ...] = ()

    def identity(self, namespace: int) -> ContainerIdentity | None:
        return self.known.get(namespace)

    def container_ids(self) -> frozenset[str]:
        return frozenset(container.id for container in self.known.values())

    def admit_process(self, pid: int) -> ContainerIdentity | NotAContainer | None:
        if self.admit_error is not None:
            raise self.admit_error
        return self.admits.get(pid)

    def poll_ended(self, _now: float) -> tuple[ContainerIdentity, ...]:
        ended, self.ended = self.ended, ()
        return ended

    def release(self, _now: float) -> tuple[int, ...]:
        self.released += 1
        left, self.left = self.left, ()
        return left

    def expired_ignored(self, _now: float) -> tuple[int, ...]:
        expired, self.expired = self.expired, ()
        return expired


class Line:
    def __init__(self) -> None:
        self.work: list[ProcessScan] = []
        self.stuck_for = 0.0
        self.replaced = 0

    def scan(self, scan: ProcessScan) -> bool:
        self.work.append(scan)
        return True

    def replace_stuck_worker(self) -> None:
        self.replaced += 1


class Node:
    """An upkeep and everything it looks after; the thread is started where a test needs it."""

    def __init__(self) -> None:
        self.kernel, self.registry, self.line = Kernel(), Registry(), Line()
        self.inventory = Inventory()
        self.coverage = Coverage(self.inventory)
        self.mapped: list[str] = []
        self.natives = Natives(lambda _pid: self.mapped)
        self.introspector = Introspector((), self.inventory, lambda _number, _id: None, self.coverage.scanned)
        self.describer = Describer(self.inventory, RuntimeMetadata([]))
        self.health = Health(*STAGES)
        rooms = Rooms(
            cast("Capture", self.kernel),
            cast("ContainerRegistry", self.registry),
            cast("Pipeline", self.line),
            self.inventory,
            self.coverage,
            self.natives,
            self.introspector,
            self.describer,
            Sources(NodeSettings(cri_socket="off")),
            Deployed(self.inventory, cast("ContainerRegistry", self.registry), self.describer, ()),
            self.health,
        )
        self.upkeep = Upkeep(rooms, include_host=False)
        self.upkeep._scanned = True

    def report(self, container: ContainerIdentity = WEB) -> ContainerReport:
        (found,) = [r for r in self.inventory.snapshot(time.time()) if r.container == container]
        return found

    def lacks(self, stage: str) -> str:
        return next((reason for reason in self.health.ready().reasons if reason.startswith(stage)), "")


@pytest.fixture
def node() -> Node:
    return Node()


def own() -> Process:
    (found,) = [p for p in ProcessTable().processes_of(OWN_NAMESPACE) if p.pid == os.getpid()]
    return found


def test_what_ran_before_the_sensor_is_scanned_and_partial_until_then(node: Node) -> None:
    node.upkeep._scanned = False
    node.registry.admits[os.getpid()] = WEB
    node.upkeep._round()
    scans = node.line.work
    assert [(scan.process.pid, scan.container) for scan in scans] == [(os.getpid(), WEB)]
    assert node.report().coverage_reasons == (STARTED_BEFORE_SENSOR,)
    assert node.describer._new.get_nowait() == (WEB, False)
    assert (node.lacks("identify"), node.lacks("first scan")) == ("", "")
    node.coverage.scanned(scans[0], True)
    assert node.report().coverage is CoverageState.COMPLETE
    node.upkeep._round()
    assert len(node.line.work) == 1  # once


def test_a_host_process_is_not_scanned(node: Node) -> None:
    node.upkeep._scanned = False
    node.registry.admits = {os.getpid(): NotAContainer(1, newly_found=True)}
    node.upkeep._round()
    assert node.line.work == []
    assert node.lacks("first scan") == ""


def test_a_first_scan_that_failed_is_made_up_for(node: Node) -> None:
    node.upkeep._scanned = False
    node.registry.admits[os.getpid()] = WEB
    node.registry.admit_error = OSError("no descriptors left")
    node.upkeep._round()
    assert node.upkeep.failures == 1
    assert node.lacks("first scan")
    node.registry.admit_error = None
    node.upkeep._round()
    assert node.lacks("first scan") == ""
    assert len(node.line.work) == 1


def test_one_step_that_fails_does_not_keep_the_others_from_their_work(node: Node) -> None:
    node.kernel.beat_error = OSError("no descriptors left")
    node.inventory.seen(WEB)
    node.registry.ended = (WEB,)
    node.registry.expired = (12,)
    node.health.set("capture", True)
    node.upkeep._began -= 2 * ECHO_WITHIN
    node.upkeep._round()
    assert node.upkeep.failures == 1
    assert not node.report().deployed
    assert node.kernel.heeded == [12]
    assert node.line.replaced == 1
    assert node.lacks("capture"), "an old word that all is well must not stand"


def test_hearts_beat_every_few_seconds(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.upkeep._round()
    node.upkeep._round()
    assert node.kernel.beats == 1
    monkeypatch.setattr(upkeep_module, "HEARTBEAT_PERIOD", 0.0)
    node.upkeep._next_beat = 0.0
    node.upkeep._round()
    node.upkeep._round()
    assert node.kernel.beats == 3


def test_capture_is_ready_while_its_echo_comes_back(node: Node) -> None:
    node.upkeep._round()
    assert "no echo of our own open" in node.lacks("capture")  # never so far
    node.kernel.last_echo = time.monotonic()
    node.upkeep._round()
    assert node.lacks("capture") == ""
    node.kernel.last_echo = time.monotonic() - ECHO_WITHIN - 1
    node.upkeep._began -= 2 * ECHO_WITHIN
    node.upkeep._round()
    assert "for 16 s" in node.lacks("capture")


def test_resolve_is_ready_unless_its_worker_hangs(node: Node) -> None:
    node.upkeep._round()
    assert node.lacks("resolve") == ""
    node.line.stuck_for = STUCK_AFTER + 1
    node.upkeep._round()
    assert "hangs for 21 s" in node.lacks("resolve")


def test_without_losses_nothing_is_scanned_again(node: Node) -> None:
    node.kernel.losses = {(OWN_NAMESPACE, os.getpid()): 1}  # its counter has not moved
    node.upkeep._round()
    assert (node.upkeep.rescans, node.line.work) == (0, [])


def test_who_lost_events_is_scanned_again_and_partial_until_then(node: Node) -> None:
    node.registry.known[OWN_NAMESPACE] = WEB
    node.inventory.seen(WEB)
    node.kernel.lost, node.kernel.losses = 3, {(OWN_NAMESPACE, os.getpid()): 3}
    node.upkeep._round()
    assert node.upkeep.rescans == 1
    scan = ProcessScan(own(), WEB, EVENTS_LOST)
    assert node.line.work == [scan]
    assert node.report().coverage_reasons == (EVENTS_LOST,)
    node.coverage.scanned(scan, True)
    assert node.report().coverage is CoverageState.COMPLETE
    node.upkeep._round()
    assert node.upkeep.rescans == 1


def test_who_lost_events_and_ended_leaves_its_container_partial(node: Node) -> None:
    node.registry.known[OWN_NAMESPACE] = WEB
    node.inventory.seen(WEB)
    node.kernel.lost, node.kernel.losses = 2, {(OWN_NAMESPACE, GONE): 1, (OWN_NAMESPACE, os.getpid()): 1}
    node.upkeep._round()
    (scan,) = node.line.work
    assert isinstance(scan, ProcessScan)
    node.coverage.scanned(scan, True)
    assert node.report().coverage_reasons == (EVENTS_LOST,)


def test_a_container_whose_every_event_was_lost_is_found_by_its_processes(node: Node) -> None:
    node.registry.admits[os.getpid()] = WEB
    node.kernel.lost, node.kernel.losses = 1, {(OWN_NAMESPACE, os.getpid()): 1}
    node.upkeep._round()
    assert node.line.work == [ProcessScan(own(), WEB, EVENTS_LOST)]
    assert node.report().coverage_reasons == (EVENTS_LOST,)
    assert node.describer._new.get_nowait() == (WEB, False)


def test_losses_of_what_is_no_container_are_nobodys(node: Node) -> None:
    node.kernel.lost, node.kernel.losses = 1, {(OWN_NAMESPACE, os.getpid()): 1, (8, GONE): 1}
    node.upkeep._round()
    assert node.line.work == []
    assert node.upkeep.failures == 0
    assert node.inventory.counts().containers == 0


def test_a_container_that_ended_is_reported_and_forgotten_everywhere(node: Node) -> None:
    node.inventory.seen(WEB)
    node.coverage.gone(WEB, EVENTS_LOST)
    node.registry.ended = (WEB,)
    node.upkeep._round()
    assert not node.report().deployed
    assert not node.coverage._spoilt
    assert list(node.describer._ended) == [WEB]
    assert node.registry.released == 1


def test_the_kernel_need_not_ignore_namespaces_that_are_gone(node: Node) -> None:
    node.registry.left = (12, 13)
    node.upkeep._round()
    assert node.kernel.heeded == [12, 13]


def test_processes_of_an_excluded_container_are_not_scanned(node: Node) -> None:
    node.registry.admits[os.getpid()] = WEB
    node.inventory.exclude(WEB)
    assert node.upkeep._admit(own()) is None


def test_one_that_ended_before_its_first_event_was_worked_on_is_not_deployed_for_ever(node: Node) -> None:
    began = time.time() - 0.3
    node.registry.ended = (WEB,)
    node.upkeep._round()
    node.inventory.seen(WEB, began)  # the pipeline comes to its event
    node.inventory.loaded(WEB, use(), began)
    report = node.report()
    assert not report.deployed
    assert len(report.packages) == 1


def test_natives_are_graded_in_each_round(node: Node) -> None:
    node.inventory.seen(WEB)
    node.mapped.append("/a.so")
    node.natives.note(event("/a.so"), WEB, (use(path="/a.so"),))
    node.upkeep._round()
    (loaded,) = node.report().packages
    assert loaded.use.evidence is Evidence.MAPPED
    assert loaded.last_seen == pytest.approx(time.time(), abs=PATIENCE)


def test_it_runs_until_it_is_stopped(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "PERIOD", 0.005)
    node.upkeep.start()
    until(lambda: node.line.replaced >= 3)
    node.upkeep.stop(PATIENCE)
    assert not node.upkeep.is_alive()


def test_stop_ends_a_first_scan_under_way(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    admitting, go_on, asked = threading.Event(), threading.Event(), list[int]()

    def admit(pid: int) -> None:
        asked.append(pid)
        admitting.set()
        go_on.wait(PATIENCE)

    node.upkeep._scanned = False
    processes = (own(), own(), own())
    monkeypatch.setattr(node.upkeep._table, "all_containers_processes", lambda _host: processes)
    monkeypatch.setattr(node.registry, "admit_process", admit)
    node.upkeep.start()
    assert admitting.wait(PATIENCE)
    node.upkeep.stop(0.01)
    go_on.set()
    node.upkeep.join(PATIENCE)
    assert len(asked) == 1
    assert node.lacks("first scan")


def test_one_that_ended_before_its_first_event_was_worked_on_is_asked_for(node: Node) -> None:
    """Who finds it held already does not ask for its name any more."""
    node.registry.ended = (WEB,)
    node.upkeep._round()
    assert node.describer._new.get_nowait() == (WEB, False)
    node.registry.ended = (WEB,)
    node.upkeep._round()
    assert node.describer._new.empty()


def test_what_the_programs_cost_is_looked_at_in_each_round(node: Node) -> None:
    node.upkeep._round()
    node.upkeep._round()
    assert node.kernel.measured == 2
