"""What must arrive: all that somebody could know."""

from __future__ import annotations

import re

from tests.chaos.compare import Difference
from tests.chaos.plan import AGENT, RECEIVER, rounds
from tests.chaos.report import as_json, last_line, lines
from tests.chaos.run import Outcome
from tests.chaos.truth import KNOWN_AFTER, Life, Load, Watch, expected, known_until

N = KNOWN_AFTER


def life(started: float, ended: float | None, *done: float) -> Life:
    loads = tuple(Load(f"p{number}", moment - 0.1, moment) for number, moment in enumerate(done))
    return Life("id", "name", started, ended, loads, frozenset({"begun"}))


def must(of: Life, *watches: Watch) -> set[str]:
    found = expected(of, watches)
    assert found is not None
    return {fact.purl for fact in found.must}


def test_all_that_a_running_container_has_loaded_must_arrive() -> None:
    """What it loaded while no sensor ran too: the next one reads it from memory."""
    assert must(life(10, None, 11, 25, 33), Watch(12, 20), Watch(30, 60)) == {"p0", "p1", "p2"}


def test_what_was_loaded_just_before_a_kill_need_not_be_known_if_the_container_ended_then() -> None:
    one = life(10, 21, 12, 20 - N - 0.5, 20 - 0.5)
    assert must(one, Watch(5, 20), Watch(30, 60)) == {"p0", "p1"}
    found = expected(one, [Watch(5, 20)])
    assert found is not None and found.may == {"p0", "p1", "p2", "begun"}


def test_an_end_while_a_sensor_runs_on_leaves_nothing_unknown() -> None:
    assert must(life(10, 15, 11, 14.9), Watch(5, 15 + N)) == {"p0", "p1"}


def test_nobody_must_know_of_a_container_that_lived_while_no_sensor_did() -> None:
    assert expected(life(21, 29, 25), [Watch(5, 20), Watch(30, 60)]) is None


def test_nobody_must_know_of_one_that_started_just_before_the_kill() -> None:
    assert known_until(life(18, 29), [Watch(5, 20)]) is None


def test_a_sensor_that_was_killed_during_its_first_scan_knows_nothing_for_sure() -> None:
    assert known_until(life(10, None), [Watch(15, 15 + N - 0.1)]) is None
    assert known_until(life(10, 15 + N - 0.1), [Watch(15, 60)]) is None, "it ended during the scan"


def test_first_sights_lie_between_the_load_and_when_somebody_had_to_know() -> None:
    found = expected(life(10, None, 11, 25), [Watch(12, 20), Watch(30, 60)])
    assert found is not None
    assert [(fact.earliest, fact.latest) for fact in found.must] == [(10.9, 12 + N), (24.9, 30 + N)]
    assert found.known_by == 12 + N


def test_an_end_while_no_sensor_runs_is_known_when_the_next_is_there() -> None:
    found = expected(life(10, 25, 11), [Watch(12, 20), Watch(30, 60)])
    assert found is not None and found.end == (25, 30 + N)


def test_a_plan_kills_both_alone_and_together_and_is_the_same_for_a_seed() -> None:
    plan = list(rounds(300, 7))
    assert plan == list(rounds(300, 7)) != list(rounds(300, 8))
    assert {frozenset({AGENT}), frozenset({RECEIVER}), frozenset({AGENT, RECEIVER})} == {
        each.victims for each in plan
    }
    assert sum(each.delay for each in plan) < 720
    assert any(each.pauses[AGENT] == 0 for each in plan) and any(each.pauses[AGENT] > 1 for each in plan)


def outcome(*differences: Difference) -> Outcome:
    return Outcome(
        rounds=300,
        seed=1,
        kills={"node": 2, "receiver": 1},
        readies={},
        round_ends=(10.0, 20.0),
        truth=(),
        lives=(),
        rows=(),
        differences=differences,
        settled=None,
        seconds=1.0,
    )


def test_the_last_line_says_what_was_lost_and_doubled() -> None:
    assert last_line(outcome()) == "chaos: 300 rounds, 0 lost, 0 doubled"
    lost, invented = (Difference(kind, "one", "a", "…") for kind in ("lost", "invented"))
    assert last_line(outcome(lost, lost)) == "chaos: 300 rounds, 2 lost, 0 doubled"
    assert last_line(outcome(invented)) == "chaos: 300 rounds, 0 lost, 0 doubled, 1 invented"


def test_a_difference_is_told_with_its_container_package_and_round() -> None:
    found = outcome(Difference("lost", "chaos-7", "pkg:pypi/a@1", "the package is not there", 15.0))
    assert re.search(r"chaos-7 pkg:pypi/a@1: .*\(round 2\)", next(lines(found)))
    assert as_json(found)["differences"][0]["round"] == 2
    assert as_json(found)["lost"] == 1
