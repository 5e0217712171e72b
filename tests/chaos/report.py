"""What a run found: for people, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.chaos.compare import Difference, counts
from tests.chaos.run import Outcome

SHOWN = 60
"""Differences printed; all are in the JSON."""


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The content of ``build/chaos.json``."""
    facts = sum(len(each.must) for each in outcome.truth)
    return {
        "rounds": outcome.rounds,
        "seed": outcome.seed,
        **counts(outcome.differences),
        "kills": outcome.kills,
        "times_ready": outcome.readies,
        "containers": len(outcome.lives),
        "containers_ended": sum(life.ended is not None for life in outcome.lives),
        "containers_that_must_be_known": len(outcome.truth),
        "packages_loaded": sum(len(life.loads) for life in outcome.lives),
        "packages_that_must_be_known": facts,
        "rows": len(outcome.rows),
        "rows_partial": sum(row.coverage != "complete" for row in outcome.rows),
        "senders": len({row.sender_id for row in outcome.rows}),
        "settled_seconds": None if outcome.settled is None else round(outcome.settled, 1),
        "seconds": round(outcome.seconds, 1),
        "differences": [_difference(outcome, each) for each in outcome.differences],
    }


def lines(outcome: Outcome) -> Iterator[str]:
    """For people, each difference with its container, its package and its round; see :func:`last_line`."""
    for each in outcome.differences[:SHOWN]:
        number = outcome.round_of(each.at)
        place = f"{each.container} {each.package or ''}".rstrip()
        yield f"chaos: {each.kind}: {place}: {each.found}" + (f" (round {number})" if number else "")
    if len(outcome.differences) > SHOWN:
        yield f"chaos: and {len(outcome.differences) - SHOWN} more, see build/chaos.json"
    figures = as_json(outcome)
    kills = ", ".join(f"{name} {number}" for name, number in outcome.kills.items())
    yield (
        f"chaos: {outcome.seconds:.0f} s, seed {outcome.seed}; killed: {kills}; "
        f"{figures['containers']} containers ({figures['containers_ended']} ended), "
        f"{figures['packages_loaded']} packages loaded, {figures['packages_that_must_be_known']} to know; "
        f"all there {figures['settled_seconds']} s after the last round"
    )


def last_line(outcome: Outcome) -> str:
    """The other kinds of differences are named where there are any."""
    found = counts(outcome.differences)
    told = [f"{outcome.rounds} rounds", f"{found['lost']} lost", f"{found['doubled']} doubled"]
    told += [f"{found[kind]} {kind}" for kind in ("invented", "state", "time") if found[kind]]
    return f"chaos: {', '.join(told)}"


def _difference(outcome: Outcome, each: Difference) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "container": each.container,
        "package": each.package,
        "found": each.found,
        "round": outcome.round_of(each.at),
    }
