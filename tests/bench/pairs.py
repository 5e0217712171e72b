"""What a pair of measurements says: with the sensor against without, and how sure that is. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
# Fewer pairs cannot give 95 %: even the widest interval of five covers 93.75 %.
LEAST_PAIRS = 6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A ratio with its confidence interval (:data:`CONFIDENCE`); with fewer than :data:`LEAST_PAIRS` pairs
    the interval is only the range of what was seen."""

    value: float
    low: float
    high: float
    pairs: int

    def as_json(self) -> dict[str, float | int]:
        """For ``build/bench.json``."""
        numbers = {name: round(getattr(self, name), 4) for name in ("value", "low", "high")}
        return {**numbers, "pairs": self.pairs}


def order(pairs: int) -> Iterator[tuple[int, bool]]:
    """(number of the pair, whether with the sensor): without, with, with, without, without, with, …

    Turning every second pair round takes a steady drift of the machine out of the mean of two.
    """
    for pair in range(pairs):
        first = pair % 2 == 1
        yield pair, first
        yield pair, not first


def ratio(without: Sequence[float], beside: Sequence[float]) -> Estimate:
    """``beside`` to ``without``, pair by pair: Hodges and Lehmann's estimate with Wilcoxon's interval, on the
    logarithms.

    A pair that fell into a stall of the machine moves it no further than any other, and no distribution is
    assumed but that differences lie evenly about their middle. Raises ValueError without pairs.
    """
    if not without or len(without) != len(beside):
        raise ValueError(f"found {len(without)} and {len(beside)} measurements; expected pairs of them")
    logs = [math.log(theirs / ours) for ours, theirs in zip(without, beside, strict=True)]
    averages = sorted((one + other) / 2 for place, one in enumerate(logs) for other in logs[place:])
    outside = outside_interval(len(logs))
    return Estimate(
        value=math.exp(statistics.median(averages)),
        low=math.exp(averages[outside]),
        high=math.exp(averages[-1 - outside]),
        pairs=len(logs),
    )


def outside_interval(pairs: int) -> int:
    """How many of the ordered averages lie below the interval, and as many above.

    From the exact distribution of Wilcoxon's signed-rank statistic: its values are the sums of the subsets of
    1…pairs, each subset as likely as any other.
    """
    ways = [1]
    for rank in range(1, pairs + 1):
        longer = [0] * (len(ways) + rank)
        for total, count in enumerate(ways):
            longer[total] += count
            longer[total + rank] += count
        ways = longer
    allowed = (1 - CONFIDENCE) / 2 * 2**pairs
    below = outside = 0
    while below + ways[outside] <= allowed:
        below += ways[outside]
        outside += 1
    return outside
