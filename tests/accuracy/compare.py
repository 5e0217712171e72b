"""A container's report beside its truth, and what follows from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.ground.sensor import Report

BUNDLED = "bundled"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Packages as purls. ``bundled`` are those reported as no more than that: neither right nor wrong."""

    correct: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    wrong: frozenset[str] = frozenset()
    bundled: frozenset[str] = frozenset()

    @property
    def exact(self) -> bool:
        return not self.missing and not self.wrong


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one application.

    ``seconds`` is the time from its truth to the first report that equalled it and stayed, ``None`` when
    there was none. ``packages`` are the report's. ``failure`` says why it could not be measured.
    """

    name: str
    language: str
    exercises: str
    comparison: Comparison = field(default_factory=Comparison)
    seconds: float | None = None
    coverage: str = ""
    coverage_reasons: tuple[str, ...] = ()
    packages: tuple[Report, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over applications; every package counts the same, whichever application loaded it."""

    applications: int = 0
    correct: int = 0
    missing: int = 0
    wrong: int = 0

    @property
    def packages(self) -> int:
        """How many the truths named."""
        return self.correct + self.missing

    @property
    def precision(self) -> float:
        """Share of what was reported that is true: 0 to 1, and 1 where nothing was reported."""
        return _share(self.correct, self.wrong)

    @property
    def recall(self) -> float:
        """Share of what is true that was reported: 0 to 1, and 1 where nothing was loaded."""
        return _share(self.correct, self.missing)

    def reaches(self, bar: float) -> bool:
        """``bar`` in per cent, for both."""
        return min(self.precision, self.recall) * 100 >= bar


def loaded(report: Report | None) -> frozenset[str]:
    """The purls that a report says are loaded: with stronger evidence than ``bundled``."""
    packages = report["packages"] if report else ()
    return frozenset(package["purl"] for package in packages if package["evidence"] != BUNDLED)


def compare(truth: frozenset[str], report: Report | None) -> Comparison:
    """Compare by purl. A report that never came says nothing: all is missing."""
    said = loaded(report)
    named = frozenset(package["purl"] for package in report["packages"]) if report else frozenset()
    return Comparison(
        correct=truth & said, missing=truth - said, wrong=said - truth, bundled=frozenset(named - said)
    )


def score(outcomes: Iterable[Outcome]) -> Score:
    """Micro-average over the packages of all applications that could be measured."""
    measured = [outcome for outcome in outcomes if not outcome.failure]
    return Score(
        applications=len(measured),
        correct=sum(len(outcome.comparison.correct) for outcome in measured),
        missing=sum(len(outcome.comparison.missing) for outcome in measured),
        wrong=sum(len(outcome.comparison.wrong) for outcome in measured),
    )


def by_language(outcomes: Iterable[Outcome]) -> dict[str, Score]:
    """Language -> score, in the order in which they come."""
    outcomes = list(outcomes)
    languages = dict.fromkeys(outcome.language for outcome in outcomes)
    return {
        language: score(outcome for outcome in outcomes if outcome.language == language)
        for language in languages
    }


def percent(share: float) -> str:
    """Rounded towards zero, so that 100 % says that nothing at all was different."""
    return f"{int(share * 10_000 + 1e-6) / 100:.2f} %"


def _share(right: int, off: int) -> float:
    return right / (right + off) if right + off else 1.0
