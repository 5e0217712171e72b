"""When packages were first and last seen, over many containers.

The times of a container are a blob (see ``schema.sql``); those of the containers of one package set have
their packages at the same places, so that a thousand of them are compared by slices.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from typing import NamedTuple

from sensor.receiver.queries.selection import (
    Condition,
    Selection,
    of_packages,
    search_containers,
    search_packages,
)

MOST_CONTAINERS = 100_000
"""Beyond, the answer would take seconds: no times are told."""
_AT_ONCE = 512


class Span(NamedTuple):
    """Seconds since the epoch."""

    first: float
    last: float


def spans(
    connection: sqlite3.Connection,
    wanted: Selection,
    chosen: Condition,
    packages: Collection[int] | None = None,
) -> dict[int, Span]:
    """Return the span of each wanted package (of ``packages`` where given) over the chosen containers.

    After :func:`sensor.receiver.queries.cells.fold`. Packages without known times are left out, all
    of them where more than :data:`MOST_CONTAINERS` are chosen.
    """
    if (connection.execute("SELECT sum(containers) FROM reach").fetchone()[0] or 0) > MOST_CONTAINERS:
        return {}
    places = _places(connection, wanted, packages)
    found: dict[int, Span] = {}
    waiting: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    hit = search_containers(wanted)
    sql = f"""SELECT c.package_set, {hit.sql}, c.package_times FROM container c
        WHERE c.package_times IS NOT NULL AND {chosen.sql}"""
    for package_set, is_hit, blob in connection.execute(sql, {**chosen.values, **hit.values}):
        of_set = places.get((package_set, is_hit))
        if of_set is None or len(blob) != 16 * of_set.width:
            continue
        blobs = waiting[package_set, is_hit]
        blobs.append(blob)
        if len(blobs) == _AT_ONCE:
            _widen(found, blobs, of_set)
            blobs.clear()
    for key, blobs in waiting.items():
        if blobs:
            _widen(found, blobs, places[key])
    return found


class Places(NamedTuple):
    """How many packages a set has, and at which of its places those are that are asked for."""

    width: int
    of_package: Mapping[int, int]


def _places(
    connection: sqlite3.Connection, wanted: Selection, packages: Collection[int] | None
) -> dict[tuple[int, int], Places]:
    """By package set, and whether its containers are hits of the search themselves."""
    condition, found = of_packages(wanted), search_packages(wanted)
    having = "" if packages is None else _HAVING
    sql = f"""SELECT m.package_set, m.package, {condition.sql} AS wanted, {found.sql} AS found
        FROM member m JOIN package p ON p.id = m.package
        WHERE m.package_set IN (SELECT package_set FROM reach {having}) ORDER BY m.package_set, m.package"""
    values = {**condition.values, **found.values, "packages": json.dumps(list(packages or ()))}
    named = None if packages is None else frozenset(packages)
    hits: dict[int, dict[int, int]] = defaultdict(dict)
    others: dict[int, dict[int, int]] = defaultdict(dict)
    widths: Counter[int] = Counter()
    for package_set, package, is_wanted, is_found in connection.execute(sql, values):
        at = widths[package_set]
        widths[package_set] = at + 1
        if is_wanted and (named is None or package in named):
            hits[package_set][package] = at
            if is_found:
                others[package_set][package] = at
    return {
        (package_set, hit): Places(width, places[package_set])
        for package_set, width in widths.items()
        for hit, places in ((1, hits), (0, others))
    }


_HAVING = """WHERE package_set IN
    (SELECT package_set FROM member WHERE package IN (SELECT value FROM json_each(:packages)))"""


def milliseconds(blob: bytes) -> array[int]:
    """First and last of each member, in turn."""
    values = array("q", blob)
    if sys.byteorder == "big":
        values.byteswap()
    return values


def _widen(found: dict[int, Span], blobs: list[bytes], places: Places) -> None:
    values, step = milliseconds(b"".join(blobs)), 2 * places.width
    for package, at in places.of_package.items():
        first, last = min(values[2 * at :: step]) / 1000, max(values[2 * at + 1 :: step]) / 1000
        known = found.get(package)
        found[package] = Span(min(first, known.first), max(last, known.last)) if known else Span(first, last)
