"""The bounds of `make endurance` hold what is steady and find what grows: it must be able to fail."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, cast

import pytest

from tests.endurance.arrived import Arrived, arrived, others
from tests.endurance.report import last_line, lines, not_shown, problems
from tests.endurance.run import Outcome
from tests.endurance.sample import Sample
from tests.endurance.starter import STEADY, own_purl
from tests.endurance.verdict import Ends, ends, grown, slope
from tests.receiver_process import Receiver

IDLE = Sample(**{field.name: 0 for field in fields(Sample)})
IDLE = replace(
    IDLE, memory=50.0, anonymous=30.0, descriptors=31, other_descriptors=30, threads=15, mappings=200
)
LOADED = replace(
    IDLE,
    memory=60.0,
    descriptors=640,
    held_roots=610,
    containers=610,
    packages=1220,
    mappings=240,
    outbox_mib=2.0,
    outbox_ended=20,
    seen=65536,
    ignored=30,
)
AFTER = replace(IDLE, memory=61.0, outbox_mib=2.0, seen=65536)
HOUR, PERIOD = 3600, 10


def hour(change: Callable[[float], dict[str, Any]] = lambda _share: {}) -> list[Sample]:
    """Under load, with the noise of scrapes; ``change`` has what is different at that share of the hour."""
    noise = random.Random(5)
    return [
        replace(
            LOADED,
            **{
                "seconds": float(second),
                "memory": 60.0 + noise.uniform(-0.8, 0.8) - (10.0 if second < 90 else 0.0),
                "held_roots": 610 + noise.randrange(-20, 20),
            }
            | change(second / HOUR),
        )
        for second in range(0, HOUR, PERIOD)
    ]


def judged(samples: list[Sample], after: Sample = AFTER, others: int = 0) -> list[str]:
    return grown(ends(IDLE, samples, after), others)


def test_what_is_steady_passes() -> None:
    assert judged(hour()) == []


def test_a_rise_in_the_warm_up_is_none() -> None:
    assert judged(hour(lambda share: {"memory": 20.0} if share < 0.09 else {})) == []


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("memory under load", lambda share: {"memory": 60.0 + 6.0 * share}),
        ("the line through memory", lambda share: {"memory": 60.0 + 6.0 * min(share, 0.8)}),
        ("other_descriptors under load", lambda share: {"other_descriptors": 30 + int(10 * share)}),
        ("threads under load", lambda share: {"threads": 15 + int(10 * share)}),
        ("pidfds under load", lambda share: {"pidfds": int(10 * share) + int(999 * share) % 9}),
        ("mappings under load", lambda share: {"mappings": 240 + int(80 * share)}),
        ("held_roots under load", lambda share: {"held_roots": 610 + int(200 * share)}),
        ("containers under load", lambda share: {"containers": 610 + int(200 * share)}),
        ("packages under load", lambda share: {"packages": 1220 + int(400 * share)}),
        ("asked_processes under load", lambda share: {"asked_processes": int(10 * share)}),
        ("ignored under load", lambda share: {"ignored": 30 + int(30 * share)}),
        ("outbox under load", lambda share: {"outbox_mib": 2.0 + 6.0 * share}),
    ],
)
def test_what_grows_is_found(what: str, change: Callable[[float], dict[str, Any]]) -> None:
    found = judged(hour(change))
    assert any(line.startswith(what) for line in found), found


def test_more_containers_at_a_time_are_no_growth() -> None:
    busy = lambda share: {"pidfds": int(1000 * share) % (40 if share > 0.5 else 9)}  # noqa: E731
    assert judged(hour(busy)) == []


def test_one_scrape_decides_nothing() -> None:
    samples = hour()
    samples[-1] = replace(samples[-1], memory=90.0, other_descriptors=60)
    assert judged(samples) == []


@pytest.mark.parametrize(
    "change",
    [
        {"other_descriptors": 40},
        {"pidfds": 1},
        {"held_roots": 1},
        {"containers": 1},
        {"asked_processes": 1},
        {"outbox_running": 1},
        {"outbox_ended": 10},
        {"ignored": 10},
        {"losses": 1},
        {"threads": 25},
        {"memory": 66.0},
    ],
)
def test_what_stays_after_the_last_container_is_found(change: dict[str, Any]) -> None:
    (found,) = judged(hour(), replace(AFTER, **change))
    assert next(iter(change)).split("_", maxsplit=1)[0] in found.replace(
        "descriptors", "other_descriptors"
    ).replace("asked processes", "asked_processes")


def test_containers_of_others_may_still_be_there() -> None:
    after = replace(AFTER, held_roots=3, containers=3, outbox_running=3)
    assert judged(hour(), after, others=3) == []
    assert len(judged(hour(), after, others=2)) == 3


def short(memory: float) -> Ends:
    return ends(IDLE, hour()[:9], replace(AFTER, memory=memory))


def test_a_short_run_is_held_at_its_ends_alone() -> None:
    assert short(60.0).warm is None
    assert grown(short(60.0), 0) == []
    assert len(grown(short(80.0), 0)) == 1
    assert short(60.0).memory_mib == 10.0


def test_slope_is_not_bent_by_bursts() -> None:
    points = [(float(x), 0.5 * x + (100.0 if x % 7 == 0 else 0.0)) for x in range(2000)]
    assert slope(points) == pytest.approx(0.5, abs=0.02)


def outcome(**changes: Any) -> Outcome:
    samples = hour()
    found = ends(IDLE, samples, AFTER)
    made = Outcome(
        asked=36_000,
        started=36_000,
        failed=(),
        late=2,
        seconds=3600.0,
        arrived=Arrived(36_000, 0, ()),
        lost=0,
        samples=tuple(samples),
        others=0,
        ends=found,
        grown=(),
    )
    return replace(made, **changes)


def test_the_last_line() -> None:
    assert last_line(outcome()).startswith("endurance: 36000 containers in 60.0 min, 0 lost, memory ")
    assert last_line(outcome()).endswith(" MiB, descriptors +0")


def test_the_table_has_a_column_for_each_moment_that_there_is() -> None:
    assert lines(outcome())[0].split() == ["idle", "warm", "end", "after"]
    assert lines(outcome(ends=short(60.0)))[0].split() == ["idle", "after"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"lost": 1}, "1 events lost"),
        (
            {"arrived": Arrived(35_999, 0, ("container 7: never reported",))},
            "1 containers have not arrived",
        ),
        ({"grown": ("threads",)}, "threads"),
    ],
)
def test_problems(changes: dict[str, Any], told: str) -> None:
    assert problems(outcome()) == []
    assert problems(outcome(**changes))[0].startswith(told)


def test_a_load_that_was_too_small_shows_nothing() -> None:
    assert not_shown(outcome(), 10.0) == []
    assert "too slow" in not_shown(outcome(seconds=4200.0), 10.0)[0]
    assert "did not run" in not_shown(outcome(failed=("runc",) * 40), 10.0)[0]


class Database:
    """A row for each package of a container, or one without."""

    def __init__(self, *found: dict[str, Any]) -> None:
        self.found = found

    def rows(self, _query: str, _parameters: object = ()) -> list[dict[str, Any]]:
        return list(self.found)


def row(container: str, purl: str | None, ended: float | None = 5.0, reasons: str = "") -> dict[str, Any]:
    return {"container_id": container, "purl": purl, "ended_at": ended, "coverage_reasons": reasons}


def seen(*found: dict[str, Any]) -> Arrived:
    return arrived(cast("Receiver", Database(*found)), {7: "a"})


def test_a_container_is_whole_with_both_packages_and_its_end() -> None:
    assert seen(row("a", STEADY.purl), row("a", own_purl(7))) == Arrived(1, 0, ())


@pytest.mark.parametrize(
    ("found", "lack"),
    [
        ((), "never reported"),
        ((row("b", STEADY.purl), row("b", own_purl(7))), "never reported"),
        ((row("a", STEADY.purl),), f"without {own_purl(7)}"),
        ((row("a", STEADY.purl), row("a", own_purl(8))), f"without {own_purl(7)}"),
        ((row("a", STEADY.purl, None), row("a", own_purl(7), None)), "without its end"),
        ((row("a", None, None, "root_unavailable"),), f"without {own_purl(7)}, {STEADY.purl}"),
    ],
)
def test_what_is_missing_is_said(found: tuple[dict[str, Any], ...], lack: str) -> None:
    assert seen(*found) == Arrived(0, 0, (f"container 7: {lack}",))


def test_one_that_ended_too_soon_and_says_so_is_not_missing() -> None:
    assert seen(row("a", None, reasons="root_unavailable")) == Arrived(0, 1, ())
    assert seen(row("a", None, reasons="events_lost")).missing != ()


def test_containers_of_others_are_told_from_ours() -> None:
    database = Database({"container_id": "a"}, {"container_id": "b"}, {"container_id": "b"})
    assert others(cast("Receiver", database), {7: "a"}) == 1
