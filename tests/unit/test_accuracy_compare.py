"""What the yardstick makes of a report and a truth."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.accuracy.compare import Comparison, Outcome, Score, by_language, compare, loaded, score
from tests.accuracy.run import Observed
from tests.accuracy.verdict import outdated, problems, unexplained
from tests.ground.sensor import Report

TRUTH = frozenset({"pkg:pypi/a@1", "pkg:pypi/b@1", "pkg:pypi/c@1"})
CALM = Observed({"agent": 40.0, "other": 128.0}, {"loader": 140.0}, events=100, events_lost=0)


def report(**evidence: str) -> Report:
    """Name -> evidence, all of them at version 1."""
    return {
        "packages": [{"purl": f"pkg:pypi/{name}@1", "evidence": grade} for name, grade in evidence.items()]
    }


def outcome(name: str = "shop", language: str = "python", **packages: int) -> Outcome:
    """With so many packages of each kind: correct, missing, wrong, bundled."""
    made = {kind: frozenset(f"pkg:x/{kind}{n}@1" for n in range(count)) for kind, count in packages.items()}
    return Outcome(name, language, "something", Comparison(**made))


def test_report_is_split_into_correct_missing_and_wrong() -> None:
    compared = compare(TRUTH, report(a="opened", b="executed", x="mapped", y="bundled"))
    assert compared.correct == {"pkg:pypi/a@1", "pkg:pypi/b@1"}
    assert compared.missing == {"pkg:pypi/c@1"}
    assert compared.wrong == {"pkg:pypi/x@1"}
    assert compared.bundled == {"pkg:pypi/y@1"}
    assert not compared.exact


def test_bundled_does_not_count_as_loaded() -> None:
    compared = compare(TRUTH, report(a="opened", b="opened", c="bundled"))
    assert compared.missing == compared.bundled == {"pkg:pypi/c@1"}


def test_stronger_grade_of_one_package_wins() -> None:
    twice = {"packages": [*report(a="bundled")["packages"], *report(a="mapped")["packages"]]}
    assert loaded(twice) == {"pkg:pypi/a@1"}
    assert compare(frozenset({"pkg:pypi/a@1"}), twice).bundled == frozenset()


def test_without_a_report_everything_is_missing() -> None:
    assert compare(TRUTH, None) == Comparison(missing=TRUTH)


def test_another_version_is_missing_and_wrong() -> None:
    compared = compare(frozenset({"pkg:pypi/a@2"}), report(a="opened"))
    assert (len(compared.missing), len(compared.wrong)) == (1, 1)


def test_shares_are_taken_over_packages() -> None:
    found = score([outcome(correct=90), outcome(correct=8, missing=2, wrong=1)])
    assert found == Score(applications=2, correct=98, missing=2, wrong=1)
    assert found.packages == 100
    assert found.recall == pytest.approx(0.98)
    assert found.precision == pytest.approx(98 / 99)


def test_nothing_loaded_and_nothing_reported_is_right() -> None:
    assert (Score().precision, Score().recall) == (1.0, 1.0)
    assert score([outcome(wrong=1)]).precision == 0.0


def test_languages_are_kept_apart() -> None:
    found = by_language([outcome(correct=1), outcome("b", "go", missing=1), outcome("c", correct=1)])
    assert {name: one.packages for name, one in found.items()} == {"python": 2, "go": 1}
    assert found["go"].recall == 0.0


def test_what_could_not_be_measured_has_no_part_in_the_score() -> None:
    assert score([outcome(correct=3), replace(outcome(missing=9), failure="no image")]).recall == 1.0


@pytest.mark.parametrize(
    ("correct", "missing", "wrong", "reached"),
    [(199, 1, 0, True), (199, 0, 1, True), (198, 2, 0, False), (198, 0, 2, False), (0, 0, 0, True)],
)
def test_bar_holds_for_precision_and_recall(correct: int, missing: int, wrong: int, reached: bool) -> None:
    assert Score(1, correct, missing, wrong).reaches(99.5) is reached


def test_exact_run_has_no_problem() -> None:
    assert problems([outcome(correct=10, bundled=3)], CALM, {}) == []


def test_difference_is_a_problem_until_it_is_explained() -> None:
    outcomes = [outcome(correct=1000, missing=1, wrong=1)]
    assert list(unexplained(outcomes, {})) == [
        ("shop", "pkg:x/missing0@1", "missing"),
        ("shop", "pkg:x/wrong0@1", "wrong"),
    ]
    assert len(problems(outcomes, CALM, {})) == 2
    why = {("shop", "pkg:x/missing0@1"): "…", ("shop", "pkg:x/wrong0@1"): "…"}
    assert problems(outcomes, CALM, why) == []
    assert problems(outcomes, CALM, why, bar=99.95) != []
    assert list(unexplained([replace(outcomes[0], name="other")], why)) != [], "of that application only"


def test_language_below_the_bar_is_a_problem_though_explained() -> None:
    outcomes = [outcome(correct=1, missing=1), outcome("big", "go", correct=1000)]
    (only,) = problems(outcomes, CALM, {("shop", "pkg:x/missing0@1"): "…"})
    assert only.startswith("python: precision 100.00 %, recall 50.00 %")


def test_failure_and_memory_are_problems() -> None:
    failed = replace(outcome(), failure="no truth")
    found = problems([failed], Observed({"agent": 130.0, "other": 128.0}, {"loader": 140.0}, 1, 0), {})
    assert [line.partition(":")[0] for line in found] == [
        "shop",
        "the sensor's agent took 130.0 MiB; expected at most 128",
    ]


def test_explanation_of_what_is_right_by_now_is_told() -> None:
    why = {("shop", "pkg:x/missing0@1"): "…", ("not-run", "pkg:x/a@1"): "…"}
    assert outdated([outcome(correct=1)], why) == ["shop: pkg:x/missing0@1"]
    assert outdated([outcome(missing=1)], why) == []
    assert outdated([replace(outcome(), failure="no image")], why) == []
