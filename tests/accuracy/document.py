"""``docs/accuracy.md``: the same text for the same figures. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.accuracy.compare import Outcome, Score, by_language, percent, score
from tests.accuracy.memory import BAR_MIB
from tests.accuracy.report import memory
from tests.accuracy.run import Result
from tests.accuracy.verdict import BAR, Explanations, differences

TITLES = {"python": "Python", "node": "Node.js", "java": "Java", "go": "Go", "dotnet": ".NET"}

_INTRODUCTION = f"""\
# How right it is

Written by `make accuracy` (as root); do not edit. The same figures are in `build/accuracy.json`.

## How it is measured
- **Real applications** in real containers: runc over an overlay, their packages from the public registries,
  versions pinned. Each loads what it loads, lazy parts included, prints its truth and waits.
- **The truth is the runtime's own**: what the interpreter, the virtual machine or the build says is loaded,
  told by other code than the sensor's. It is fixed before the sensor's report is looked at.
- **The report** is the sensor's newest line for that container, by its id. One sensor watches them all,
  several at a time. It has 12 seconds after the truth, as it asks some processes later than they load.
- **Compared by purl**, version included. Only what is graded stronger than `bundled` counts as reported.
  Missing: in the truth, not reported. Wrong: reported, not in the truth.
- **Precision** is correct / (correct + wrong), **recall** is correct / (correct + missing), over all packages
  of all applications of a language. The bar for each language is {BAR:g} % of both.
- The run fails below the bar, when an application could not be measured, when a difference has no explanation
  below, and when a process of the sensor takes more than {BAR_MIB:g} MiB once it is ready.
"""


def document(result: Result, explanations: Explanations, environment: Mapping[str, str]) -> str:
    """The whole page. Without dates and places: a run with the same results changes nothing but times."""
    parts = [
        _INTRODUCTION,
        "\n".join(_languages(result.outcomes)),
        "\n".join(_sensor(result, environment)),
        "\n".join(_differences(result.outcomes, explanations)),
        "\n".join(_applications(result.outcomes)),
    ]
    return "\n".join(f"{part.rstrip()}\n" for part in parts)


def _languages(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "## By language"
    yield "| | applications | packages | missing | wrong | precision | recall |"
    yield "|---|---|---|---|---|---|---|"
    for language, found in by_language(outcomes).items():
        yield _score_row(TITLES.get(language, language), found)
    yield _score_row("all", score(outcomes))


def _score_row(title: str, found: Score) -> str:
    figures = (found.applications, found.packages, found.missing, found.wrong)
    return _row(title, *map(str, figures), percent(found.precision), percent(found.recall))


def _sensor(result: Result, environment: Mapping[str, str]) -> Iterator[str]:
    sensor = result.sensor
    system = ("kernel", "distribution", "architecture")
    runtimes = ", ".join(
        f"{name} {version}" for name, version in environment.items() if name not in (*system, "runc")
    )
    where = ", ".join(environment[name] for name in system if name in environment)
    yield "## Where, and what the sensor took"
    yield f"{where}. Runtimes of the machine:"
    yield f"{runtimes}; where an application brings another, its line says so."
    yield ""
    yield f"Memory of the sensor's processes at their highest: {memory(sensor.peaks_mib)} (bar {BAR_MIB:g});"
    yield f"while it started, with its loader, which is gone when it is ready: {memory(sensor.starting_mib)}."
    yield f"Events: {sensor.events:,}, of which {sensor.events_lost:,} were lost."
    if slowest := max((each.seconds for each in result.outcomes if each.seconds is not None), default=None):
        yield f"Where the report equalled the truth, it did so after {slowest:.0f} s at the latest."


def _differences(outcomes: Sequence[Outcome], explanations: Explanations) -> Iterator[str]:
    yield "## Every difference"
    found = list(differences(outcomes))
    failed = [outcome for outcome in outcomes if outcome.failure]
    if not found and not failed:
        yield "None: nothing is missing and nothing is wrong."
        return
    yield "| application | package | | why |"
    yield "|---|---|---|---|"
    for name, purl, how in found:
        yield _row(name, f"`{purl}`", how, explanations.get((name, purl), "unexplained"))
    for outcome in failed:
        yield _row(outcome.name, "", "could not be measured", "")


def _applications(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "## By application"
    yield "`bundled` are packages that were inside something opened, without a sign of use: not counted."
    for language in by_language(outcomes):
        yield ""
        yield f"### {TITLES.get(language, language)}"
        yield "| application | exercises | packages | missing | wrong | bundled | coverage |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_application(outcome) for outcome in outcomes if outcome.language == language)


def _application(outcome: Outcome) -> str:
    own = score([outcome])
    figures = (own.packages, own.missing, own.wrong, len(outcome.comparison.bundled))
    texts = ["-"] * len(figures) if outcome.failure else [str(figure) for figure in figures]
    coverage = " ".join([outcome.coverage, *outcome.coverage_reasons]) or "-"
    return _row(outcome.name, outcome.exercises, *texts, coverage)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
