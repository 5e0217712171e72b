"""The figures of a run for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from tests.fuzz.run import Outcome, Problem

_HEADINGS = ("TARGET", "INPUTS", "PER SECOND", "FEATURES", "CORPUS", "PEAK MiB", "SLOWEST ms", "")


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each target."""
    rows = [_HEADINGS, *map(_row, outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    return [
        "  ".join(
            text.rjust(width) if 0 < column < len(row) - 1 else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def problems(outcomes: Sequence[Outcome]) -> list[str]:
    """What went wrong, each with the command that shows it again."""
    lines: list[str] = []
    for outcome in outcomes:
        if problem := outcome.problem:
            lines += ["", f"{outcome.name}: {problem.kind}", *_indented(problem)]
            if problem.input is not None:
                lines.append(f"  again: python -m tests.fuzz --target {outcome.name} --input {problem.input}")
    return lines


def last_line(outcomes: Sequence[Outcome]) -> str:
    """One line with the sum."""
    kinds = [outcome.problem.kind for outcome in outcomes if outcome.problem]
    hangs = kinds.count("hang")
    inputs = sum(outcome.executions for outcome in outcomes)
    peak = max((outcome.peak_mib for outcome in outcomes), default=0.0)
    found = f"{_counted(len(kinds) - hangs, 'crash', 'es')}, {_counted(hangs, 'hang', 's')} over 1 s"
    return f"fuzz: {inputs:,} inputs over {len(outcomes)} targets: {found}, peak {peak:.0f} MiB"


def _counted(number: int, word: str, plural: str) -> str:
    return f"{number} {word}{'' if number == 1 else plural}"


def _row(outcome: Outcome) -> tuple[str, ...]:
    said = outcome.problem.kind if outcome.problem else ""
    if outcome.slowed:
        said = f"{said} {outcome.slowed} over 1 s by the wall clock, not repeated".strip()
    return (
        outcome.name,
        f"{outcome.executions:,}",
        f"{outcome.per_second:,}",
        f"{outcome.features:,}",
        f"{outcome.corpus:,}",
        f"{outcome.peak_mib:.0f}",
        f"{outcome.slowest_ms:.0f}",
        said,
    )


def _indented(problem: Problem) -> list[str]:
    return [f"  {line}" for line in problem.text.splitlines()]
