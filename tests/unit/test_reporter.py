"""Changed containers reach the sink: debounced, again after a failure, and what is left at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from sensor.config.node import NodeSettings
from sensor.config.texts import Address
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.sink import SinkClosed, SinkError
from sensor.model.container import ContainerIdentity
from sensor.model.report import ContainerReport
from sensor.node import reporter as reporter_module
from sensor.node.deliver import Delivery
from sensor.node.inventory import Inventory
from sensor.node.reporter import Reporter
from sensor.telemetry.health import Health
from tests.clock import in_time
from tests.unit.reports import WEB, use

OTHER = ContainerIdentity("77" * 32, "cri-o")


class Memory:
    """A sink that keeps what it is given, and fails with the next of ``errors`` first."""

    def __init__(self, *errors: SinkError) -> None:
        self.errors = list(errors)
        self.close_error: SinkError | None = None
        self.delivered: list[ContainerReport] = []
        self.deliveries = 0
        self.is_closed = False

    def deliver(self, reports: Sequence[ContainerReport]) -> None:
        self.deliveries += 1
        if self.errors:
            error = self.errors.pop(0)
            self.delivered += reports[: error.delivered]
            raise error
        self.delivered += reports

    def close(self) -> None:
        self.is_closed = True
        if self.close_error is not None:
            raise self.close_error

    def ids(self) -> list[str]:
        return [report.container.id for report in self.delivered]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "PERIOD", 0.005)
    monkeypatch.setattr(reporter_module, "RETRY_FIRST", 20.0)


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory()
    inventory.loaded(WEB, use(), time.time())
    return inventory


def reporter(sink: Memory, inventory: Inventory, debounce: float = 0.0) -> Reporter:
    return Reporter(sink, inventory, Health(), debounce)


def test_a_change_is_delivered_once_and_the_next_one_again(inventory: Inventory) -> None:
    sink = Memory()
    made = reporter(sink, inventory)
    made.run(threading.Event(), 0.05)
    assert sink.ids() == [WEB.id]
    inventory.loaded(WEB, use("flask"), time.time())
    made.run(threading.Event(), 0.05)
    assert [len(report.packages) for report in sink.delivered] == [1, 2]
    assert made.finish() == 0
    assert len(sink.delivered) == 2
    assert sink.is_closed


def test_the_end_does_not_wait_for_the_debounce(inventory: Inventory) -> None:
    sink = Memory()
    made = reporter(sink, inventory, debounce=60)
    made.run(threading.Event(), 0.05)
    assert sink.delivered == []
    assert made.finish() == 0
    assert sink.ids() == [WEB.id]


def test_stop_ends_it_at_once(inventory: Inventory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporter_module, "PERIOD", 60)
    stop = threading.Event()
    threading.Timer(0.02, stop.set).start()
    with in_time():
        reporter(Memory(), inventory).run(stop, None)


def test_a_duration_of_nothing_still_reports(inventory: Inventory) -> None:
    sink = Memory()
    made = reporter(sink, inventory)
    made.run(threading.Event(), 0.0)
    assert made.finish() == 0
    assert sink.ids() == [WEB.id]


def test_it_says_that_it_lives(inventory: Inventory) -> None:
    health = Health()
    health._beat -= 100
    Reporter(Memory(), inventory, health, 0.0).run(threading.Event(), 0.02)
    assert health.silence() < 50


def test_a_delivery_that_failed_is_tried_again_in_the_latest_state(inventory: Inventory) -> None:
    sink = Memory(SinkError("disk full"))
    made = reporter(sink, inventory)
    made.run(threading.Event(), 0.03)
    assert (sink.deliveries, made.failures) == (1, 1)  # the next try is not due yet
    inventory.loaded(WEB, use("flask"), time.time())
    made._retry_at = 0.0
    made.run(threading.Event(), 0.03)
    (report,) = sink.delivered
    assert len(report.packages) == 2
    assert made.finish() == 0


def test_tries_become_rarer_up_to_a_bound_and_a_success_resets_them(inventory: Inventory) -> None:
    made = reporter(Memory(*[SinkError("disk full")] * 3), inventory)
    before = time.monotonic()
    waits = []
    for _ in range(3):
        assert not made._deliver(0.0)
        waits.append(made._retry_at - before)
    assert waits == pytest.approx([20, 30, 30], abs=5)
    assert made._deliver(0.0)
    assert made._retry_after == 20


def test_only_what_did_not_arrive_is_delivered_again(inventory: Inventory) -> None:
    inventory.loaded(OTHER, use(), time.time())
    sink = Memory(SinkError("disk full", delivered=1))
    made = reporter(sink, inventory)
    assert not made._deliver(0.0)
    assert made._deliver(0.0)
    assert sink.ids() == [WEB.id, OTHER.id]


def test_what_failed_before_the_end_is_delivered_at_the_end(inventory: Inventory) -> None:
    sink = Memory(SinkError("disk full"))
    made = reporter(sink, inventory)
    made.run(threading.Event(), 0.03)
    assert sink.delivered == []
    assert made.finish() == 0  # without waiting for the next try
    assert sink.ids() == [WEB.id]


def test_what_does_not_arrive_at_the_end_is_an_error(inventory: Inventory) -> None:
    inventory.loaded(OTHER, use(), time.time())
    sink = Memory(SinkError("disk full", delivered=1))
    assert reporter(sink, inventory).finish() == 1
    assert sink.is_closed


def test_a_sink_that_cannot_finish_is_an_error(
    inventory: Inventory, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Memory()
    sink.close_error = SinkError("disk full")
    assert reporter(sink, inventory).finish() == 1
    assert "the report is not complete: disk full" in caplog.text


def test_a_reader_that_left_ends_it_cleanly(inventory: Inventory) -> None:
    sink = Memory(SinkClosed("reader left"))
    made = reporter(sink, inventory)
    made.run(threading.Event(), None)  # returns by itself
    assert made.failures == 0
    assert made.finish() == 0
    assert (sink.deliveries, sink.is_closed) == (1, False)  # nothing more is tried


@pytest.mark.parametrize("where", [("deliver",), ("close",), ("deliver", "close")])
def test_a_reader_that_leaves_at_the_end_is_no_error(inventory: Inventory, where: tuple[str, ...]) -> None:
    sink = Memory()
    if "deliver" in where:
        sink.errors.append(SinkClosed("reader left"))
    if "close" in where:
        sink.close_error = SinkClosed("reader left")
    assert reporter(sink, inventory).finish() == 0


def test_nothing_to_report_is_no_delivery() -> None:
    sink = Memory()
    made = reporter(sink, Inventory())
    made.run(threading.Event(), 0.02)
    assert made.finish() == 0
    assert sink.deliveries == 0


def test_what_runs_is_whole_once_the_first_scan_has_been_delivered(
    inventory: Inventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without waiting for the debounce, and not before the sink took it."""
    monkeypatch.setattr(reporter_module, "RETRY_FIRST", 0.1)
    sink, whole = Memory(SinkError("not now")), list[int]()
    reporter = Reporter(sink, inventory, Health(), debounce=60)
    reporter.on_whole = lambda: whole.append(len(sink.delivered))
    reporter.run(threading.Event(), 0.05)
    assert sink.deliveries == 0
    reporter.scanned()
    reporter.run(threading.Event(), 0.3)
    assert (sink.deliveries, whole) == (2, [1])


def test_a_sink_that_lost_everything_gets_everything_again(inventory: Inventory) -> None:
    sink, lost = Memory(), list[bool]()
    reporter = Reporter(sink, inventory, Health(), debounce=0)
    reporter.lost = lambda: bool(lost and lost.pop())
    reporter.run(threading.Event(), 0.05)
    assert sink.ids() == [WEB.id]
    lost.append(True)
    reporter.run(threading.Event(), 0.05)
    assert sink.ids() == [WEB.id, WEB.id]


def test_what_runs_is_not_told_of_an_outbox_lost_in_the_moment_before(
    inventory: Inventory, tmp_path: Path
) -> None:
    """The outbox that took its place is empty: nothing would run."""
    upstream = UpstreamSettings(Address("localhost", 1), token="t", plaintext=True)
    delivery = Delivery(NodeSettings(output="none", state_dir=tmp_path, upstream=upstream))
    assert delivery.outbox is not None
    made = Reporter(delivery.sink, inventory, Health(), 0.0)
    made.lost = delivery.take_lost
    outbox, batches = delivery.outbox, delivery.uploaders[0]._batches

    def whole() -> None:
        if not outbox.counts().damaged:
            outbox._storage.connection.execute("UPDATE state SET checksum = 1")
            assert list(outbox.remembered()) == []  # meets it, as an upload would
        delivery.snapshot()
        batch = batches.next(0.0, flush=False)
        told.append(batch.running if batch else None)

    told: list[tuple[str, ...] | None] = []
    made.on_whole = whole
    made.scanned()
    made.run(threading.Event(), 0.1)
    assert told == [None, (WEB.id,)]
    delivery.close(0)


def test_only_what_is_on_the_disk_outlives_the_sensor(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = [Delivery(NodeSettings(output="none", state_dir=tmp_path / name)) for name in ("new", "file")]
    assert [delivery.close(0) for delivery in kept] == [True, True]
    assert [delivery.keeps for delivery in kept] == [True, False]
