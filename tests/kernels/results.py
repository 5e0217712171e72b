"""What the guests told, held against what they had to tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.kernels import protocol
from tests.kernels.inside import applications, check_run, cost
from tests.kernels.matrix import Spec
from tests.kernels.protocol import APPLICATIONS, CHECKS, COST


@dataclass(frozen=True)
class Result:
    """One check of one hook in one guest. ``missing``: the guest never told."""

    spec: Spec
    hook: str
    check: str
    ok: bool
    detail: str
    missing: bool = False


@dataclass
class Told:
    """All that one guest told. ``figures`` maps (hook, name) to a value."""

    spec: Spec
    bcc: str
    release: str = ""
    version: str = ""
    python: str = ""
    why: str = ""
    console: tuple[str, ...] = ()
    seconds: float = 0.0
    checks: dict[tuple[str, str], Result] = field(default_factory=dict)
    figures: dict[tuple[str, str], Any] = field(default_factory=dict)

    def hear(self, text: str) -> Result | None:
        """Take one line of the guest; returns the check that it tells, if it does."""
        values = protocol.parsed(text)
        match values.get("kind"):
            case "booted":
                self.release, self.python = values["release"], values["python"]
                self.version = values["version"]
            case "figure":
                self.figures[values["hook"], values["name"]] = values["value"]
            case "check":
                key = values["hook"], values["check"]
                result = Result(self.spec, *key, values["ok"], values["detail"])
                self.checks[key] = result
                return result
        return None

    def missing(self) -> list[tuple[str, str]]:
        """What must be told and was not."""
        return [key for key in expected(self.spec) if key not in self.checks]

    def results(self) -> Iterator[Result]:
        """One for each of :func:`expected`, and nothing else counts."""
        for key in expected(self.spec):
            lost = f"the guest told nothing of it: {self.why or 'it ended early'}"
            yield self.checks.get(key) or Result(self.spec, *key, ok=False, detail=lost, missing=True)


def expected(spec: Spec) -> list[tuple[str, str]]:
    """Every (hook, check) of a guest."""
    expects = {CHECKS: check_run.expected, COST: cost.expected, APPLICATIONS: applications.expected}
    return expects[spec.order.what](spec.order)


def counts(told: Iterable[Told]) -> tuple[int, int]:
    """How many passed and failed."""
    everything = [result.ok for one in told for result in one.results()]
    return sum(everything), len(everything) - sum(everything)


def failures(told: Sequence[Told]) -> list[Result]:
    """In the order of the guests."""
    return [result for one in told for result in one.results() if not result.ok]
