"""From phases to figures: throughput, p99 and CPU, with the sensor against without. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.bench.pairs import Estimate, ratio
from tests.bench.text import columns

KEY = "applications"
RAW = "raw_tracepoint"
# The project's requirement, where only opens pay (fentry, kprobe).
LOSS_BAR = 0.01
LOSS_BAR_OF = ("redis", "nginx")


@dataclass(frozen=True, slots=True)
class Phase:
    """One measurement: operations a second, their 99th percentile in ms (None: a build has none), and
    microseconds of the container's CPU for one operation."""

    pair: int
    beside: bool
    rate: float
    p99_ms: float | None
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Result:
    """An application's phases, two for each pair."""

    name: str
    what: str
    operation: str
    phases: tuple[Phase, ...]

    def rates(self, beside: bool) -> list[float]:
        return [phase.rate for phase in self._of(beside)]

    def p99_ms(self, beside: bool) -> float | None:
        """The median over the phases."""
        found = [phase.p99_ms for phase in self._of(beside) if phase.p99_ms is not None]
        return statistics.median(found) if found else None

    def throughput(self) -> Estimate:
        """With the sensor to without; 0.99 is a loss of one per cent."""
        return ratio(self.rates(False), self.rates(True))

    def cpu(self) -> Estimate:
        """CPU for one operation, with the sensor to without."""
        without, beside = ([phase.cpu_us for phase in self._of(each)] for each in (False, True))
        return ratio(without, beside)

    def _of(self, beside: bool) -> list[Phase]:
        return sorted((each for each in self.phases if each.beside is beside), key=lambda each: each.pair)


@dataclass(frozen=True, slots=True)
class Applications:
    """All that were measured, by which hook, on which processors."""

    results: tuple[Result, ...]
    hook: str
    events_lost: int
    processors: dict[str, list[int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """Under :data:`KEY` in ``build/bench.json``; docs/performance.md explains each key."""
        each = {result.name: _result_json(result) for result in self.results}
        return {"hook": self.hook, "events_lost": self.events_lost, "processors": self.processors, **each}


def _result_json(result: Result) -> dict[str, object]:
    return {
        "operation": result.operation,
        "without_per_second": round(statistics.median(result.rates(False)), 3),
        "with_per_second": round(statistics.median(result.rates(True)), 3),
        "throughput_ratio": result.throughput().as_json(),
        "without_p99_ms": result.p99_ms(False),
        "with_p99_ms": result.p99_ms(True),
        "cpu_ratio": result.cpu().as_json(),
    }


def bars(found: Applications) -> dict[str, tuple[float, float, bool]]:
    """Name -> (figure, bar, met): the part of its throughput that an application loses, where the hook makes
    only opens pay. The raw tracepoint has no bar, its figure is printed."""
    if found.hook == RAW:
        return {}
    losses = {
        f"{result.name}_throughput_loss": 1 - result.throughput().value
        for result in found.results
        if result.name in LOSS_BAR_OF
    }
    return {name: (loss, LOSS_BAR, loss <= LOSS_BAR) for name, loss in losses.items()}


def lines(found: Applications) -> list[str]:
    """For people."""
    heading = ["", "operations/s without", "with", "ratio (95 % interval)"]
    heading += ["p99 ms without", "with", "CPU each, ratio (95 % interval)"]
    marks = bars(found)
    text = [
        f"applications in a container with the sensor and without, in turn; open hook: {found.hook}",
        *columns([heading, *(_row(result) for result in found.results)]),
        *(f"  {result.name}: {result.what}" for result in found.results),
        f"  {found.events_lost:,} events lost",
    ]
    if found.hook == RAW:
        text.append(_raw_sentence(found.results))
    for name, (loss, bar, met) in marks.items():
        text.append(f"  {name} {100 * loss:.2f} % ({'PASS' if met else 'OVER'}, bar {100 * bar:g} %)")
    return text


def _raw_sentence(results: Sequence[Result]) -> str:
    said = (f"{each.name} {_change(each.throughput())}" for each in results)
    return f"  the raw tracepoint, which every system call passes, changes throughput by: {', '.join(said)}"


def _change(found: Estimate) -> str:
    value, low, high = (100 * (each - 1) for each in (found.value, found.low, found.high))
    return f"{value:+.1f} % ({low:+.1f} to {high:+.1f})"


def _row(result: Result) -> list[str]:
    return [
        f"{result.name} ({result.operation})",
        *(f"{statistics.median(result.rates(beside)):,.5g}" for beside in (False, True)),
        _estimate(result.throughput()),
        *(_milliseconds(result.p99_ms(beside)) for beside in (False, True)),
        _estimate(result.cpu()),
    ]


def _estimate(found: Estimate) -> str:
    return f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
