"""A run as the JSON object of ``build/accuracy.json``, and as lines for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.accuracy.compare import Outcome, Score, by_language, percent, score
from tests.accuracy.memory import BAR_MIB
from tests.accuracy.run import Result
from tests.accuracy.verdict import Explanations, differences

_HEADINGS = (
    "APPLICATION",
    "LANGUAGE",
    "PACKAGES",
    "MISSING",
    "WRONG",
    "BUNDLED",
    "PRECISION",
    "RECALL",
    "SECONDS",
    "COVERAGE",
)
_TEXTS = 2  # columns that are flushed left
_GREEN, _RED, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[0m"


def as_json(result: Result, explanations: Explanations, environment: Mapping[str, str]) -> dict[str, Any]:
    """``precision`` and ``recall`` are from 0 to 1, memory in MiB, times in seconds."""
    sensor = result.sensor
    return {
        "languages": {name: _score(found) for name, found in by_language(result.outcomes).items()},
        "overall": _score(score(result.outcomes)),
        "applications": [_application(outcome, explanations) for outcome in result.outcomes],
        "sensor": {
            "peak_mib": {name: round(mib, 2) for name, mib in sorted(sensor.peaks_mib.items())},
            "starting_mib": {name: round(mib, 2) for name, mib in sorted(sensor.starting_mib.items())},
            "bar_mib": BAR_MIB,
            "events": sensor.events,
            "events_lost": sensor.events_lost,
        },
        "environment": dict(environment),
    }


def table(result: Result, explanations: Explanations, bar: float, colour: bool) -> list[str]:
    """A line per application and per language, then every difference, then the sensor's own figures."""
    outcomes = result.outcomes
    rows = [_row(outcome) for outcome in outcomes]
    sums = {**by_language(outcomes), "all": score(outcomes)}
    good = [not outcome.failure and outcome.comparison.exact for outcome in outcomes]
    good += [found.reaches(bar) for found in sums.values()]
    lines = _aligned([_HEADINGS, *rows, *(_sum_row(name, found) for name, found in sums.items())])
    if colour:
        painted = [
            f"{_GREEN if fine else _RED}{line}{_PLAIN}" for line, fine in zip(lines[1:], good, strict=True)
        ]
        lines = [lines[0], *painted]
    lines.insert(1 + len(rows), "")
    lines += _different(outcomes, explanations)
    return [*lines, "", *_sensor(result)]


def last_line(outcomes: Sequence[Outcome]) -> str:
    """One line with the sum."""
    found = score(outcomes)
    return (
        f"accuracy: {found.packages:,} packages in {found.applications} applications: "
        f"precision {percent(found.precision)}, recall {percent(found.recall)}"
    )


def _score(found: Score) -> dict[str, Any]:
    return {
        "precision": found.precision,
        "recall": found.recall,
        "applications": found.applications,
        "packages": found.packages,
        "missing": found.missing,
        "wrong": found.wrong,
    }


def _application(outcome: Outcome, explanations: Explanations) -> dict[str, Any]:
    compared = outcome.comparison
    return {
        "name": outcome.name,
        "language": outcome.language,
        "exercises": outcome.exercises,
        "correct": len(compared.correct),
        "missing": sorted(compared.missing),
        "wrong": sorted(compared.wrong),
        "bundled": len(compared.bundled),
        "seconds": None if outcome.seconds is None else round(outcome.seconds, 2),
        "coverage": outcome.coverage,
        "coverage_reasons": list(outcome.coverage_reasons),
        "explanations": {
            purl: explanations[outcome.name, purl]
            for purl in sorted(compared.missing | compared.wrong)
            if (outcome.name, purl) in explanations
        },
        "failure": outcome.failure or None,
    }


def _row(outcome: Outcome) -> tuple[str, ...]:
    if outcome.failure:
        return (outcome.name, outcome.language, *["-"] * 7, "could not be measured")
    own, compared = score([outcome]), outcome.comparison
    return (
        outcome.name,
        outcome.language,
        str(own.packages),
        str(own.missing),
        str(own.wrong),
        str(len(compared.bundled)),
        percent(own.precision),
        percent(own.recall),
        "-" if outcome.seconds is None else f"{outcome.seconds:.1f}",
        " ".join([outcome.coverage, *outcome.coverage_reasons]),
    )


def _sum_row(name: str, found: Score) -> tuple[str, ...]:
    figures = (str(found.packages), str(found.missing), str(found.wrong), "")
    applications = f"{found.applications} application{'' if found.applications == 1 else 's'}"
    return (applications, name, *figures, percent(found.precision), percent(found.recall), "", "")


def _different(outcomes: Sequence[Outcome], explanations: Explanations) -> list[str]:
    lines = [
        f"{name}: {purl} {how}: {explanations.get((name, purl), 'unexplained')}"
        for name, purl, how in differences(outcomes)
    ]
    lines += [f"{outcome.name}: {outcome.failure}" for outcome in outcomes if outcome.failure]
    return ["", *lines] if lines else []


def _sensor(result: Result) -> list[str]:
    sensor = result.sensor
    lines = [
        f"sensor: memory at its highest: {memory(sensor.peaks_mib)} (bar {BAR_MIB:g} each)",
        f"sensor: while it started: {memory(sensor.starting_mib)}",
    ]
    lines.append(f"sensor: {sensor.events:,} events, {sensor.events_lost:,} lost")
    if sensor.events_lost:
        lines.append("beware: events were lost, so what is missing may be the storm's fault")
    return lines


def memory(peaks: Mapping[str, float]) -> str:
    """``agent 81.5 MiB, loader 131.6 MiB``"""
    return ", ".join(f"{name} {mib:.1f} MiB" for name, mib in sorted(peaks.items()))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    last = len(rows[0]) - 1
    widths = [max(len(row[column]) for row in rows) for column in range(last + 1)]
    return [
        "  ".join(
            text.ljust(width) if column < _TEXTS or column == last else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
