"""Reading the outbox's rows. The caller holds the lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from sensor.delivery.outbox_codec import Row, decode, decode_uses, unpacked_fact
from sensor.delivery.outbox_packing import Damaged
from sensor.model.package import PackageUse
from sensor.model.report import ContainerReport

HOLD_MOST = 60.0
"""Seconds for which a state may wait for its destination to be known."""
COLUMNS = ", ".join(Row._fields)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # a full disk rolls back by itself
            connection.execute("ROLLBACK")
        raise


def is_held(queued_at: float | None, now: float) -> bool:
    # What is later still was written before the clock was set back.
    return queued_at is not None and now < queued_at <= now + HOLD_MOST


def select(connection: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[Row]:
    """Raises :class:`Damaged`."""
    found = connection.execute(f"SELECT {COLUMNS} FROM state WHERE {where}", values)
    rows = [Row(*row) for row in found]
    for row in rows:
        row.check()
    return rows


def by_id(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int | None, Row]:
    """Those that are still there; raises :class:`Damaged`."""
    places = ", ".join("?" * len(ids))
    return {row.id: row for row in select(connection, f"id IN ({places})", (*ids,))}


def find_destination(connection: sqlite3.Connection, name: str) -> int:
    """Return its row, 0 where nothing was ever written for it."""
    found = connection.execute("SELECT id FROM destination WHERE name = ?", (name,)).fetchone()
    return 0 if found is None else int(found[0])


def add_destination(connection: sqlite3.Connection, name: str) -> int:
    known = find_destination(connection, name)
    if known:
        return known
    return int(connection.execute("INSERT INTO destination (name) VALUES (?)", (name,)).lastrowid or 0)


def name_of(connection: sqlite3.Connection, destination: int) -> str:
    found = connection.execute("SELECT name FROM destination WHERE id = ?", (destination,)).fetchone()
    if found is None:
        raise Damaged("a state has a destination that is not there")
    return str(found[0])


class Decoder:
    """Reads reports, and what they share once."""

    def __init__(self) -> None:
        self._shared: dict[int, bytes] = {}
        self._uses: dict[int, tuple[PackageUse, ...]] = {}

    def read(self, connection: sqlite3.Connection, ids: Sequence[int]) -> list[tuple[Row, ContainerReport]]:
        """Return those that are still there, in the same order; raises :class:`Damaged`."""
        found = by_id(connection, ids)
        return [
            (row, decode(row, self._shared_by(connection, row), self._uses_by(connection, row)))
            for row in (found[one] for one in ids if one in found)
        ]

    def _shared_by(self, connection: sqlite3.Connection, row: Row) -> bytes:
        if row.shared not in self._shared:
            self._shared[row.shared] = _fact(connection, row.shared)
        return self._shared[row.shared]

    def _uses_by(self, connection: sqlite3.Connection, row: Row) -> tuple[PackageUse, ...]:
        if row.packages not in self._uses:
            self._uses[row.packages] = decode_uses(_fact(connection, row.packages))
        return self._uses[row.packages]


def _fact(connection: sqlite3.Connection, one: int) -> bytes:
    found = connection.execute("SELECT digest, body FROM fact WHERE id = ?", (one,)).fetchone()
    if found is None:
        raise Damaged("a state shares what is not there")
    return unpacked_fact(*found)
