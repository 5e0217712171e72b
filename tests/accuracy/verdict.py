"""What is wrong with a run. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.accuracy.compare import Outcome, by_language, percent
from tests.accuracy.memory import BAR_MIB
from tests.accuracy.run import Observed

BAR = 99.5
"""Per cent, for precision and for recall."""

Explanations = Mapping[tuple[str, str], str]


def problems(
    outcomes: Sequence[Outcome], sensor: Observed, explanations: Explanations, bar: float = BAR
) -> list[str]:
    """A line for everything that makes the run fail; none when it passes."""
    return [
        *_unmeasured(outcomes),
        *_below(outcomes, bar),
        *(f"{name}: unexplained: {purl} {how}" for name, purl, how in unexplained(outcomes, explanations)),
        *_memory(sensor),
    ]


def differences(outcomes: Sequence[Outcome]) -> Iterator[tuple[str, str, str]]:
    """Application, purl, and ``missing`` (perhaps with its weak evidence) or ``wrong``."""
    for outcome in outcomes:
        compared = outcome.comparison
        for purl in sorted(compared.missing):
            weak = purl in compared.bundled
            yield outcome.name, purl, "missing, reported as bundled only" if weak else "missing"
        for purl in sorted(compared.wrong):
            yield outcome.name, purl, "wrong"


def unexplained(outcomes: Sequence[Outcome], explanations: Explanations) -> Iterator[tuple[str, str, str]]:
    """The differences that no explanation covers."""
    return (found for found in differences(outcomes) if found[:2] not in explanations)


def outdated(outcomes: Sequence[Outcome], explanations: Explanations) -> list[str]:
    """Explanations of what is right by now, as ``application: purl``; of the applications that ran."""
    ran = {outcome.name for outcome in outcomes if not outcome.failure}
    different = {found[:2] for found in differences(outcomes)}
    return [f"{name}: {purl}" for name, purl in explanations if name in ran and (name, purl) not in different]


def _unmeasured(outcomes: Sequence[Outcome]) -> Iterator[str]:
    for outcome in outcomes:
        if outcome.failure:
            yield f"{outcome.name}: could not be measured: {outcome.failure}"


def _below(outcomes: Sequence[Outcome], bar: float) -> Iterator[str]:
    for language, score in by_language(outcomes).items():
        if not score.reaches(bar):
            yield (
                f"{language}: precision {percent(score.precision)}, recall {percent(score.recall)}; "
                f"expected at least {bar:g} % of both"
            )


def _memory(sensor: Observed) -> Iterator[str]:
    for process, mib in sensor.peaks_mib.items():
        if mib > BAR_MIB:
            yield f"the sensor's {process} took {mib:.1f} MiB; expected at most {BAR_MIB:g}"
