"""Every number of the node program: it moves, and docs/metrics.md says what it means."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from sensor.config.kube import KubeSettings
from sensor.config.node import NodeSettings
from sensor.config.texts import Address
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.sink import SinkError
from sensor.model.package import Ecosystem, Skipped, SkipReason
from sensor.model.report import ContainerReport
from sensor.node.capture.capture import Capture
from sensor.node.capture.layout import Counter
from sensor.node.capture.map_fill import Fill
from sensor.node.capture.program_stats import ProgramFigures, Timed
from sensor.node.coverage import Coverage
from sensor.node.deliver import Delivery
from sensor.node.enrichment.deployed import Deployed
from sensor.node.enrichment.describe import Describer
from sensor.node.enrichment.sources import Sources
from sensor.node.identify.cgroup_tree import CgroupTree
from sensor.node.identify.containers import ContainerRegistry
from sensor.node.identify.metadata import RuntimeMetadata
from sensor.node.introspect.introspector import Introspector
from sensor.node.inventory import Inventory
from sensor.node.metrics import delivery as delivery_metrics
from sensor.node.metrics import node as metrics
from sensor.node.natives import Natives
from sensor.node.pipeline import Pipeline
from sensor.node.reporter import Reporter
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.upkeep import STAGES, Rooms, Upkeep
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Kind, Telemetry
from tests.clock import PATIENCE
from tests.unit.events import DOCKER, Hosting, Scripted, event
from tests.unit.reports import report, use

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
"""
DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


class Statistics:
    is_on, seconds = True, 2.0

    def read(self) -> dict[str, ProgramFigures]:
        return {"exec": ProgramFigures(0.5, 7, None, None, 900), "open": ProgramFigures(1.5, 9, 1, 4000, 800)}


class Filling:
    age = 12.0

    def read(self) -> dict[str, Fill]:
        return {"seen": Fill(40, 65536), "losses": Fill(None, 4096)}


class Kernel:
    hook = "raw_tracepoint"
    refusals: ClassVar = {"fentry": "EPERM", "kprobe": "ENOENT"}
    malformed = 3
    program_statistics, map_fill = Statistics(), Filling()

    def counters(self) -> dict[Counter, int]:
        return {counter: 10 + counter for counter in Counter}

    def timed(self) -> dict[str, Timed]:
        return {"open": Timed(5, 2e-6), "exec": Timed(3, 3e-5)}


class Nowhere:
    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        raise SinkError("nobody takes it")

    def close(self) -> None:
        return


class Node:
    def __init__(self, folder: Path) -> None:
        self.inventory = Inventory()
        self.coverage, self.natives = Coverage(self.inventory), Natives(lambda _pid: ())
        self.registry = ContainerRegistry(host_mount_namespace=7, cgroups=CgroupTree(str(folder)))
        self.resolver = Scripted()
        self.pipeline = Pipeline(self.registry, self.inventory, self.dispatcher, self.coverage, self.natives)
        self.introspector = Introspector((), self.inventory, lambda _number, _id: None, self.coverage.scanned)
        self.describer = Describer(self.inventory, RuntimeMetadata([]))
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(KUBECONFIG)
        sources = Sources(NodeSettings(node="node-1", kube=KubeSettings(kubeconfig)))
        rooms = Rooms(
            cast("Capture", Kernel()),
            self.registry,
            self.pipeline,
            self.inventory,
            self.coverage,
            self.natives,
            self.introspector,
            self.describer,
            sources,
            Deployed(self.inventory, self.registry, self.describer, ()),
            Health(*STAGES),
        )
        self.upkeep = Upkeep(rooms, include_host=False)
        self.telemetry = Telemetry()
        self.reporter = Reporter(Nowhere(), self.inventory, rooms.health, 0.0)
        upstream = UpstreamSettings(Address("127.0.0.1", 1), transport="https", token="t", plaintext=True)
        self.delivery = Delivery(NodeSettings(output="none", upstream=upstream))
        metrics.register(self.telemetry, rooms, self.upkeep, self.reporter, self.delivery)

    def dispatcher(self) -> Dispatcher:
        return Dispatcher([self.resolver], Hosting(Ecosystem.PYPI))

    def read(self) -> dict[str, Any]:
        """Metric -> value, or label -> value."""
        found: dict[str, Any] = {}
        for metric, samples in self.telemetry.collect():
            name = metric.name.removeprefix("runtime_sensor_")
            found[name] = dict(samples) if metric.labels else samples[0][1]
        return found

    def label(self, metric: str, label: str) -> float:
        return cast("float", self.read()[metric][label,])


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.delivery.close(0.1)
    made.pipeline.stop(PATIENCE)
    made.registry.close()


def documented() -> set[str]:
    table = DOCUMENT.read_text().split("##")[0]
    return set(re.findall(r"^\| `([a-z_]+)`", table, re.MULTILINE))


def test_every_metric_is_documented_and_nothing_else_is(node: Node) -> None:
    names = {
        metric.name.removeprefix("runtime_sensor_") + ("_total" if metric.kind is Kind.COUNTER else "")
        for metric, _ in node.telemetry.collect()
    }
    assert names == documented()


def test_every_way_out_of_the_kernel_is_documented(node: Node) -> None:
    outcomes = {label for (label,) in node.read()["kernel_events"]}
    assert outcomes == {counter.name.lower() for counter in Counter}
    section = DOCUMENT.read_text().split("## `kernel_events_total`")[1]
    first_column = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert set(re.findall("`([a-z_]+)`", " ".join(first_column))) - {"outcome"} == outcomes


def test_all_can_be_read(node: Node) -> None:
    assert node.read()["unreadable_metrics"] == {}


def test_the_kernels_numbers(node: Node) -> None:
    assert node.label("kernel_events", "ring_full") == 10 + Counter.RING_FULL
    assert node.label("hook_info", "raw_tracepoint") == 1
    assert node.read()["malformed_records"] == 3


def test_what_the_kernel_says_of_our_programs_and_maps(node: Node) -> None:
    found = node.read()
    assert found["hook_refused_info"] == {("fentry", "EPERM"): 1, ("kprobe", "ENOENT"): 1}
    assert found["bpf_program_run_seconds"] == {("exec",): 0.5, ("open",): 1.5}
    assert found["bpf_program_runs"] == {("exec",): 7, ("open",): 9}
    assert found["bpf_program_misses"] == {("open",): 1}
    assert found["bpf_program_verified_instructions"] == {("open",): 4000}
    assert found["bpf_program_jited_bytes"] == {("exec",): 900, ("open",): 800}
    assert (found["bpf_statistics_on"], found["bpf_statistics_seconds"]) == (1, 2)
    assert found["kernel_handling_seconds"] == {("open",): 2e-6, ("exec",): 3e-5}
    assert found["kernel_handling_samples"] == {("open",): 5, ("exec",): 3}
    assert found["bpf_map_entries"] == {("seen",): 40}
    assert found["bpf_map_max_entries"] == {("seen",): 65536, ("losses",): 4096}
    assert found["bpf_map_count_age_seconds"] == 12


def test_the_numbers_of_an_event_move_with_it(node: Node) -> None:
    def defect(_event: object) -> None:
        raise RuntimeError

    before = node.read()
    node.pipeline.receive(event("/a.py"))
    node.pipeline.receive(event(cgroup_path="/system.slice/cron.service", mount_namespace_id=3))
    node.pipeline.receive(event("/a.py", mount_namespace=8, mount_namespace_id=4, pid=2**22 + 1))
    assert node.pipeline.drain(PATIENCE)
    node.resolver.answer = lambda _root, _path: Skipped(SkipReason.VANISHED)
    node.pipeline.on_passing_failure = defect
    node.pipeline.receive(event("/b.py"))
    assert node.pipeline.drain(PATIENCE)
    after = node.read()
    moved = {
        (name, *label): value - before[name].get(label, 0)
        for name, values in after.items()
        if isinstance(values, dict)
        for label, value in values.items()
        if value != before[name].get(label, 0)
    }
    assert moved == {
        ("events", "received"): 4,
        ("events", "no_container"): 1,
        ("events", "no_root"): 1,
        ("events", "failed"): 1,
        ("resolved_packages", "pypi"): 1,
        ("skipped_files", "vanished"): 1,
        ("containers", "admitted"): 1,
        ("containers", "not_a_container"): 1,
        ("containers", "root_unavailable"): 1,
        ("inventory", "containers"): 1,
        ("inventory", "packages"): 1,
    }
    assert after["held_roots"] == 1
    assert after["backlog_batches"] == 0


def test_numbers_of_a_worker_that_was_given_up_still_count(node: Node) -> None:
    node.pipeline.receive(event("/a.py"))
    assert node.pipeline.drain(PATIENCE)
    node.pipeline.counters.abandoned_workers += 1
    node.pipeline._worker = node.pipeline._start_worker()
    node.pipeline.receive(event("/b.py"))
    node.pipeline.receive(event("/lib/libc.so.6"))
    assert node.pipeline.drain(PATIENCE)
    assert node.label("resolved_packages", "pypi") == 2
    assert node.label("skipped_files", "not_a_package") == 1
    assert node.read()["abandoned_workers"] == 1
    node.pipeline._queue.put(None)  # for the first worker, which was not really given up


def test_the_other_rooms_numbers_are_read_where_they_are_counted(node: Node) -> None:
    node.upkeep.failures, node.upkeep.rescans = 1, 2
    node.describer.dropped, node.describer.failures = 3, 4
    node.natives.dropped = 5
    node.pipeline.dispatchers[0].failures = 6
    node.coverage._count = 7
    node.inventory.loaded(DOCKER, use(), time.time())
    found = node.read()
    assert (found["upkeep_failures"], found["loss_rescans"]) == (1, 2)
    assert found["unnamed_containers"] == {("dropped",): 3, ("failed",): 4}
    assert found["native_grades_dropped"] == 5
    assert found["resolver_failures"] == 6
    assert found["open_scans"] == 7
    assert found["inventory"] == {("containers",): 1, ("packages",): 1}
    assert found["inventory_dropped"] == {("containers",): 0, ("packages",): 0}


def test_a_node_that_delivers_nothing_has_no_numbers_of_it() -> None:
    telemetry = Telemetry()
    delivery_metrics.register(telemetry, Delivery(NodeSettings(output="none")))
    assert [metric.name for metric, _ in telemetry.collect() if "upload" in metric.name] == []


def test_states_in_the_outbox_are_counted(node: Node) -> None:
    node.delivery.sink.deliver([report(use("a"))])
    assert node.label("outbox_states", "running") == 1
    assert node.read()["outbox_durable"] == 0
    assert node.read()["outbox_bytes"] > 0
    assert node.label("oldest_unsent_seconds", "default") >= 0
