"""The picture in the documentation: well-formed, said in words too, nothing outside, both colour schemes."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench import chart
from tests.bench.part import verdict
from tests.bench.scale import Scale, application_scale

SVG = "{http://www.w3.org/2000/svg}"


def _ratio(value: float, low: float, high: float) -> dict[str, Any]:
    return {"throughput_ratio": {"value": value, "low": low, "high": high, "pairs": 8}}


DOCUMENT: dict[str, Any] = {
    "environment": {"kernel": "6.1 <&>", "architecture": "x86_64", "cores": 4},
    "hook": "raw_tracepoint",
    "added_fastest": {
        "open_other_ns": {"sensor": 90.0, "opensnoop": 12_000.0, "bpftrace": -6_000.0},
        "open_seen_ns": {"sensor": 210.0, "opensnoop": 12_000.0},
        "other_syscall_ns": {"sensor": 36.0, "opensnoop": 14.0},
        "exec_ns": {"sensor": 900.0},
    },
    "applications": {"hook": "raw_tracepoint", "redis": _ratio(0.97, 0.95, 0.99), "c": _ratio(0.6, 0.1, 3.0)},
}


def _drawn(document: dict[str, Any]) -> ElementTree.Element:
    return ElementTree.fromstring(chart.svg(document))


def test_every_figure_is_drawn_and_said() -> None:
    picture = _drawn(DOCUMENT)
    texts = " ".join("".join(each.itertext()) for each in picture.iter(f"{SVG}text"))
    for figure in (
        "+90 ns",
        "+12,000 ns",
        "-6,000 ns",
        "(bar 100)",
        "(bar 200)",
        "(bar 30)",
        "97.0 % (95.0 to 99.0)",
    ):
        assert figure in texts
    said = picture.findtext(f"{SVG}desc") or ""
    assert "sensor 210 ns, opensnoop 12,000 ns" in said
    assert "redis: 97.0 %" in said
    assert picture.findtext(f"{SVG}title")
    assert picture.get("role") == "img"
    assert "prefers-color-scheme: dark" in (picture.findtext(f"{SVG}style") or "")
    assert "6.1 <&>" in texts


def test_bars_are_as_long_as_their_figures() -> None:
    widths = [float(each.get("width", "0")) for each in _drawn(DOCUMENT).iter(f"{SVG}rect")][1:]
    sensor, opensnoop, bpftrace = widths[:3]
    assert sensor == pytest.approx(max(1.5, opensnoop * 90 / 12_000))
    assert bpftrace == 1.5


def test_nothing_is_drawn_outside() -> None:
    picture = _drawn(DOCUMENT)
    width, height = float(picture.get("width", "0")), float(picture.get("height", "0"))
    places = [
        (axis, float(value))
        for each in picture.iter()
        for axis, value in each.items()
        if axis in {"x", "x1", "x2", "cx", "y", "y1", "y2", "cy"}
    ]
    assert places
    assert [
        (axis, value) for axis, value in places if not 0 <= value <= (width if "x" in axis else height)
    ] == []


@pytest.mark.parametrize("missing", ["added_fastest", "applications", "environment"])
def test_what_was_not_measured_is_left_out(missing: str) -> None:
    _drawn({key: value for key, value in DOCUMENT.items() if key != missing})


def test_a_figure_outside_the_scale_stands_at_its_edge() -> None:
    scale = Scale(0.0, 10.0, 100.0, 50.0)
    assert [scale.place(figure) for figure in (-1.0, 0.0, 5.0, 11.0)] == [100.0, 100.0, 125.0, 150.0]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.99, 1.0, [0.98, 0.99, 1.0, 1.01, 1.02]),
        (0.94, 1.01, [0.94, 0.96, 0.98, 1.0, 1.02]),
        (0.1, 3.0, [0.5, 0.75, 1.0, 1.25, 1.5]),
    ],
)
def test_ticks(low: float, high: float, ticks: list[float]) -> None:
    scale, found = application_scale([{"value": 1.0, "low": low, "high": high}], 0.0, 100.0)
    assert found == ticks
    assert (scale.low, scale.high) == (ticks[0], ticks[-1])


def test_the_verdict_names_what_is_over() -> None:
    assert verdict({"a": (1.0, 2.0, True)}) == ("bench: all bars met", 0)
    assert verdict({}) == ("bench: measured; no bar is set for it", 0)
    line, code = verdict({"a": (1.0, 2.0, True), "b": (3.0, 2.0, False)})
    assert code == 1
    assert "b 3 (bar 2)" in line
    assert "a " not in line.partition(": over the bar:")[2]
