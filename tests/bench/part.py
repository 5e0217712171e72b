"""A part of the benchmark once it has run: what it prints, what it writes, what it is held against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Name -> (figure, bar, met).
Bars = Mapping[str, tuple[float, float, bool]]


@dataclass(frozen=True, slots=True)
class Part:
    """``document`` is its keys of ``build/bench.json``."""

    document: dict[str, object]
    lines: list[str]
    bars: Bars = field(default_factory=dict)


def verdict(bars: Bars) -> tuple[str, int]:
    """The last line, and the exit code: 1 when a bar is not met."""
    over = [f"{name} {figure:.4g} (bar {bar:g})" for name, (figure, bar, met) in bars.items() if not met]
    if over:
        return f"bench: over the bar: {', '.join(over)}", 1
    return ("bench: all bars met" if bars else "bench: measured; no bar is set for it"), 0
