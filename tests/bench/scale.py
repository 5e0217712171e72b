"""Where a figure stands on the chart. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# The farthest from 100 % that is drawn: an interval beyond ends at the edge, its figures stand beside it.
FARTHEST = 0.5
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.25)
MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class Scale:
    """``low`` to ``high`` over ``width`` pixels from ``left``."""

    low: float
    high: float
    left: float
    width: float

    def place(self, figure: float) -> float:
        """In pixels; a figure outside stands at the edge."""
        part = (figure - self.low) / (self.high - self.low)
        return self.left + min(1.0, max(0.0, part)) * self.width


def application_scale(
    ratios: Iterable[Mapping[str, float]], left: float, width: float
) -> tuple[Scale, list[float]]:
    """A scale that holds 98 to 102 % and all intervals up to :data:`FARTHEST`, and its ticks."""
    found = list(ratios)
    low = max(1 - FARTHEST, min([0.98, *(ratio["low"] for ratio in found)]))
    high = min(1 + FARTHEST, max([1.02, *(ratio["high"] for ratio in found)]))
    step = next((each for each in _STEPS if (high - low) / each <= MOST_TICKS - 2), _STEPS[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(number * step, 4) for number in range(first, last + 1)]
    return Scale(ticks[0], ticks[-1], left, width), ticks
