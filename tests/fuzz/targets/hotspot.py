"""Parsers of what a JVM in a container holds: its tables and lists in memory, its published counters,
its argument files."""

from __future__ import annotations

from sensor.node.backfill.hotspot_classes import CLASSES_MAX
from sensor.node.backfill.hotspot_launch import launch
from sensor.node.backfill.hsperf import parse
from tests.fuzz.target import Target
from tests.unit.hotspot_image import scan


def _memory(data: bytes) -> None:
    reading, problem = scan(data)
    assert len(reading.result(problem).classes) <= 4 * CLASSES_MAX


def _perf_data(data: bytes) -> None:
    parse(data)


def _launch(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    launch(text.split("\0"), {"JDK_JAVA_OPTIONS": text, "CLASSPATH": text}, lambda _name: text)


TARGETS = (
    Target("hotspot_memory", "sensor.node.backfill.hotspot", _memory),
    Target("hotspot_perf_data", "sensor.node.backfill.hsperf", _perf_data),
    Target("hotspot_launch", "sensor.node.backfill.hotspot_launch", _launch),
)
