"""``docs/performance.svg`` from the figures of ``build/bench.json``: plain SVG, light and dark. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from tests.bench.report import ADDED_BARS_NS, CONTENDERS, Case
from tests.bench.scale import Scale, application_scale

WIDTH = 880
MARGIN = 24
PANEL_WIDTH = 404
ROW = 24
LABEL_WIDTH = 132
BAR_WIDTH = 156

Point = tuple[float, float]
_ROLE = 'role="img" aria-labelledby="title desc"'
_CASES = {
    Case.OPEN_OTHER: "open+close, no package",
    Case.OPEN_SEEN: "open+close, package file seen before",
    Case.OTHER_SYSCALL: "any other system call (getppid)",
    Case.EXEC: "start of a program seen before",
}
_TOOLS = {
    "sensor": "sensor",
    "opensnoop": "opensnoop",
    "bpftrace": "bpftrace",
    "bcc_opensnoop": "opensnoop of bcc",
}
_APPLICATIONS = {
    "redis": "redis",
    "nginx": "nginx",
    "python": "Flask, gunicorn",
    "nodejs": "Node.js http",
    "npm": "npm ci",
    "c": "C build, make -j",
}
# Contrast of text to ground is above 7 in both; bars above 3.
_STYLE = """
  .ground { fill: #ffffff } .text { fill: #1f2328 } .quiet { fill: #59636e } .ours { fill: #0969da }
  .theirs { fill: #8c959f } .line { stroke: #8c959f } .whole { stroke: #1f2328 } .limit { stroke: #bc4c00 }
  .limit-text { fill: #953800 } .whisker { stroke: #0969da }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } .text { fill: #f0f6fc } .quiet { fill: #b1bac4 } .ours { fill: #4493f8 }
    .theirs { fill: #7d8590 } .line { stroke: #6e7681 } .whole { stroke: #f0f6fc } .limit { stroke: #f0883e }
    .limit-text { fill: #ffa657 } .whisker { stroke: #4493f8 }
  }
  text { font: 13px system-ui, sans-serif } .title { font-size: 18px; font-weight: 600 }
  .heading { font-size: 14px; font-weight: 600 } .small { font-size: 12px }
"""


def svg(document: Mapping[str, Any]) -> str:
    """The whole picture; sections whose figures ``document`` lacks are left out."""
    parts: list[str] = []
    said: list[str] = []
    bottom = _head(document, parts)
    if document.get("added_fastest"):
        bottom = _operations(document, bottom, parts, said)
    if document.get("applications"):
        bottom = _applications(document["applications"], bottom, parts, said)
    height = bottom + MARGIN
    size = f'width="{WIDTH}" height="{height:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height:g}" {_ROLE}>',
            '<title id="title">What the sensor costs</title>',
            f'<desc id="desc">{escape(" ".join(said))}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height:g}"/>',
            *parts,
            "</svg>",
            "",
        ]
    )


def _head(document: Mapping[str, Any], parts: list[str]) -> float:
    facts = document.get("environment", {})
    where = [f"Linux {facts.get('kernel', '?')}", str(facts.get("architecture", "?"))]
    where += [f"{facts.get('cores', '?')} processors", f"open hook: {_hook(document)}"]
    parts.append(_text(MARGIN, 38, "What the sensor costs", "text title"))
    parts.append(_text(MARGIN, 60, ", ".join(where), "quiet"))
    return 72.0


def _hook(document: Mapping[str, Any]) -> str:
    return str(document.get("hook", "unknown")).replace("_", " ")


def _operations(document: Mapping[str, Any], top: float, parts: list[str], said: list[str]) -> float:
    """Two panels a row, each with a scale of its own."""
    top += 24
    parts.append(_text(MARGIN, top, "ns of CPU added to one operation, lower is better", "text heading"))
    parts.append(_text(MARGIN, top + 18, "each panel has its own scale", "quiet small"))
    top += 34
    cases = [case for case in _CASES if document["added_fastest"].get(f"{case}_ns")]
    deepest = top
    for place, case in enumerate(cases):
        left = MARGIN + (place % 2) * (PANEL_WIDTH + MARGIN)
        if place % 2 == 0:
            top = deepest
        figures = document["added_fastest"][f"{case}_ns"]
        said.append(f"Added to {_CASES[case]}: {_spoken(figures)}.")
        deepest = max(deepest, _panel(case, figures, left, top, parts))
    return deepest


def _spoken(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{_TOOLS[tool]} {figure:,.0f} ns" for tool, figure in figures.items())


def _panel(case: Case, figures: Mapping[str, float], left: float, top: float, parts: list[str]) -> float:
    limit = ADDED_BARS_NS.get(case)
    parts.append(_text(left, top + 16, _CASES[case], "text"))
    scale = Scale(0.0, max(*figures.values(), limit or 0.0, 1.0), left + LABEL_WIDTH, BAR_WIDTH)
    bottom = top + 26
    for tool in CONTENDERS[1:]:
        if tool in figures:
            ours = limit if tool == "sensor" else None
            parts += _bar(tool, figures[tool], scale, (left, bottom), ours)
            bottom += ROW
    return bottom + 16


def _bar(tool: str, figure: float, scale: Scale, corner: Point, limit: float | None) -> list[str]:
    """``limit``, where there is one, is a mark on the bar and stands beside its figure."""
    left, top = corner
    begin, end = scale.place(0.0), scale.place(figure)
    kind = "ours" if tool == "sensor" else "theirs"
    width = max(end - begin, 1.5)
    drawn = [
        _text(left, top + 16, _TOOLS[tool], "text"),
        f'<rect class="{kind}" x="{begin:.1f}" y="{top + 4:.1f}" width="{width:.1f}" height="15" rx="2"/>',
    ]
    figures = f"{figure:+,.0f} ns"
    if limit is None:
        return [*drawn, _text(begin + width + 8, top + 16, figures, "text")]
    mark = scale.place(limit)
    after = max(begin + width, mark) + 8
    drawn.append(_line((mark, top + 1), (mark, top + 22), "limit", width=2))
    place = f'x="{after:.1f}" y="{top + 16:.1f}"'
    bar = f'<tspan class="limit-text" dx="5">(bar {limit:g})</tspan>'
    return [*drawn, f'<text class="text" {place}>{figures}{bar}</text>']


def _applications(found: Mapping[str, Any], top: float, parts: list[str], said: list[str]) -> float:
    """A dot with its interval for each; 100 % is the throughput without the sensor."""
    results = {name: found[name]["throughput_ratio"] for name in _APPLICATIONS if name in found}
    hook = str(found.get("hook", "unknown")).replace("_", " ")
    top += 24
    heading = f"throughput with the sensor, % of that without; open hook: {hook}"
    parts.append(_text(MARGIN, top, heading, "text heading"))
    parts.append(_text(MARGIN, top + 18, "dot: estimate over the pairs; line: 95 % interval", "quiet small"))
    top += 30
    scale, ticks = application_scale(results.values(), MARGIN + LABEL_WIDTH, 500)
    bottom = top + ROW * len(results) + 6
    for tick in ticks:
        place = scale.place(tick)
        parts.append(_line((place, top), (place, bottom), "whole" if tick == 1 else "line", dashes=tick != 1))
        parts.append(_text(place, bottom + 16, f"{100 * tick:.0f} %", "quiet small", anchor="middle"))
    for row, (name, ratio) in enumerate(results.items()):
        parts += _dot(name, ratio, scale, top + 3 + row * ROW)
        said.append(f"{_APPLICATIONS[name]}: {_percent(ratio)} of the throughput without.")
    return bottom + 20


def _percent(ratio: Mapping[str, float]) -> str:
    value, low, high = (100 * ratio[part] for part in ("value", "low", "high"))
    return f"{value:.1f} % ({low:.1f} to {high:.1f})"


def _dot(name: str, ratio: Mapping[str, float], scale: Scale, top: float) -> list[str]:
    middle = top + ROW / 2
    value, low, high = (scale.place(ratio[part]) for part in ("value", "low", "high"))
    return [
        _text(MARGIN, middle + 5, _APPLICATIONS[name], "text"),
        _line((low, middle), (high, middle), "whisker", width=3),
        f'<circle class="ours" cx="{value:.1f}" cy="{middle:.1f}" r="5.5"/>',
        _text(WIDTH - MARGIN, middle + 5, _percent(ratio), "text", anchor="end"),
    ]


def _text(left: float, base: float, text: str, kind: str, anchor: str = "start") -> str:
    place = f'x="{left:.1f}" y="{base:.1f}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{escape(text)}</text>'


def _line(begin: Point, end: Point, kind: str, width: float = 1, *, dashes: bool = False) -> str:
    pattern = ' stroke-dasharray="3 3"' if dashes else ""
    (x1, y1), (x2, y2) = begin, end
    place = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line class="{kind}" {place} stroke-width="{width:g}"{pattern}/>'
