"""What is printed and kept of a run."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from tests.endurance.run import Outcome
from tests.endurance.sample import Sample

LATE_SHARE = 0.9
"""Of the rate that was asked for: less, and the run does not show what it is for."""
FAILED_SHARE = 0.001
UNREACHABLE_SHARE, UNREACHABLE_LEAST = 0.01, 5
"""Their programs live for a tenth of a second, and the machine may stand still for longer."""
_SHOWN = 10


def problems(outcome: Outcome) -> list[str]:
    """Why the run shows less than it should; empty for one that passed."""
    told = list(outcome.grown)
    if outcome.lost:
        told.append(f"{outcome.lost} events lost, expected none")
    if missing := outcome.arrived.missing:
        told.append(f"{len(missing)} containers have not arrived, or not whole and none the wiser")
        told += [f"  {each}" for each in missing[:_SHOWN]]
    most = max(UNREACHABLE_LEAST, UNREACHABLE_SHARE * outcome.started)
    if outcome.arrived.unreachable > most:
        told.append(
            f"{outcome.arrived.unreachable} containers ended before they could be reached, "
            f"expected at most {most:.0f}"
        )
    return told


def not_shown(outcome: Outcome, rate: float) -> list[str]:
    """Why the load was not what it should have been."""
    told = []
    if outcome.rate < LATE_SHARE * rate:
        told.append(f"{outcome.rate:.1f} containers a second, expected {rate:g}: the machine is too slow")
    if len(outcome.failed) > FAILED_SHARE * outcome.asked:
        told.append(f"{len(outcome.failed)} containers did not run, the first: {outcome.failed[0]}")
    return told


def lines(outcome: Outcome) -> list[str]:
    """The table of both ends, and what goes with it."""
    found = outcome.ends
    columns = {"idle": found.idle, "warm": found.warm, "end": found.end, "after": found.after}
    there = {name: column for name, column in columns.items() if column is not None}
    told = [f"{'':>18}" + "".join(f"{name:>10}" for name in there)]
    told += [
        f"{field.name:>18}" + "".join(f"{_figure(column, field.name):>10}" for column in there.values())
        for field in fields(Sample)
    ]
    told.append(
        f"{outcome.rate:.1f} containers a second by runc, {outcome.late} late, {len(outcome.failed)} failed; "
        f"{outcome.arrived.whole} of {outcome.started} arrived with their packages and end, "
        f"{outcome.arrived.unreachable} as ended too soon; {outcome.others} containers of others in the end"
    )
    told.append(
        f"the sensor took {outcome.cpu_cores:.3f} cores, {outcome.peak_mib:.1f} MiB at most"
        + (
            ""
            if found.slope_mib is None
            else f"; the line through its memory rises {found.slope_mib:+.1f} MiB"
        )
    )
    return told


def _figure(of: Sample, name: str) -> str:
    value = getattr(of, name)
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def last_line(outcome: Outcome) -> str:
    return (
        f"endurance: {outcome.started} containers in {outcome.seconds / 60:.1f} min, {outcome.lost} lost, "
        f"memory {outcome.ends.memory_mib:+.1f} MiB, descriptors {outcome.ends.descriptors:+d}"
    )


def as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "containers": outcome.started,
        "seconds": round(outcome.seconds, 1),
        "lost": outcome.lost,
        "arrived": outcome.arrived.whole,
        "unreachable": outcome.arrived.unreachable,
        "others": outcome.others,
        "cpu_cores": round(outcome.cpu_cores, 4),
        "peak_mib": round(outcome.peak_mib, 1),
        "memory_mib": round(outcome.ends.memory_mib, 1),
        "slope_mib": outcome.ends.slope_mib,
        "descriptors": outcome.ends.descriptors,
        "problems": problems(outcome),
        "idle": asdict(outcome.ends.idle),
        "after": asdict(outcome.ends.after),
        "samples": [asdict(each) for each in outcome.samples],
    }
