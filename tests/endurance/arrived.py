"""What the receiver has of the containers that ran."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from tests.endurance.starter import STEADY, own_purl
from tests.receiver_process import Receiver

_MEMBERS = """
    SELECT container_id, ended_at, coverage_reasons, purl FROM container
    LEFT JOIN member ON member.package_set = container.package_set
    LEFT JOIN package ON package.id = member.package
"""


_UNREACHABLE = "root_unavailable"
_HELD = 75.0  # roots of ended containers are held for a minute


@dataclass(frozen=True, slots=True)
class Arrived:
    """``whole``: containers of ours that the receiver has with both their packages and an end.
    ``unreachable``: those that it has with an end, and with the word that they ended before their files could
    be reached. ``missing`` says of each other what is not there."""

    whole: int
    unreachable: int
    missing: tuple[str, ...]


def arrived(receiver: Receiver, ids: Mapping[int, str]) -> Arrived:
    """``ids``: number -> container."""
    purls: dict[str, set[str]] = {}
    ended: dict[str, float | None] = {}
    told: set[str] = set()
    ours = set(ids.values())
    for row in receiver.rows(_MEMBERS):
        one = row["container_id"]
        if one not in ours:
            continue
        purls.setdefault(one, set()).add(row["purl"])
        ended[one] = row["ended_at"]
        if _UNREACHABLE in (row["coverage_reasons"] or ""):
            told.add(one)
    lacks = {number: _lacks(number, purls.get(one), ended.get(one)) for number, one in ids.items()}
    short = {number for number, lack in lacks.items() if lack}
    unreachable = {number for number in short if ids[number] in told and ended[ids[number]] is not None}
    missing = tuple(f"container {number}: {lacks[number]}" for number in sorted(short - unreachable))
    return Arrived(len(ids) - len(short), len(unreachable), missing)


def others(receiver: Receiver, ids: Mapping[int, str]) -> int:
    """Containers of somebody else on this machine of which the sensor may still hold something: those that
    run, or ended not long ago."""
    rows = receiver.rows(
        "SELECT container_id FROM container WHERE ended_at IS NULL OR ended_at > ?", (time.time() - _HELD,)
    )
    return len({row["container_id"] for row in rows} - set(ids.values()))


def _lacks(number: int, purls: set[str] | None, ended: float | None) -> str:
    if purls is None:
        return "never reported"
    lacking = {STEADY.purl, own_purl(number)} - purls
    if lacking:
        return f"without {', '.join(sorted(lacking))}"
    return "" if ended is not None else "without its end"
