"""What waits to be sent, and what has become of it. The caller holds the lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable

from sensor.delivery.outbox_codec import short_id
from sensor.delivery.outbox_rows import HOLD_MOST, find_destination

_DUE = (
    "destination = ? AND queued_at IS NOT NULL "
    f"AND NOT (queued_at > ? AND queued_at <= ? + {HOLD_MOST})"  # is_held()
)


class Queue:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def due(self, destination: str, now: float, most: int) -> list[tuple[int, int]]:
        """Return id and size of what is to be sent, the oldest change first."""
        return self._connection.execute(
            f"SELECT id, size FROM state WHERE {_DUE} ORDER BY queued_at, id LIMIT ?",
            (self._find(destination), now, now, most),
        ).fetchall()

    def unsent(self, destination: str, now: float) -> int:
        found = self._connection.execute(
            f"SELECT count(*) FROM state WHERE {_DUE}", (self._find(destination), now, now)
        )
        return int(found.fetchone()[0])

    def unsent_running(self, destination: str, now: float, up_to: int) -> int:
        """Return how many wait of what runs and has at most the generation ``up_to``."""
        found = self._connection.execute(
            f"SELECT count(*) FROM state INDEXED BY state_running "
            f"WHERE {_DUE} AND ended_at IS NULL AND generation <= ?",
            (self._find(destination), now, now, up_to),
        )
        return int(found.fetchone()[0])

    def oldest(self, destination: str, now: float) -> float | None:
        found = self._connection.execute(
            f"SELECT queued_at FROM state WHERE {_DUE} ORDER BY queued_at LIMIT 1",
            (self._find(destination), now, now),
        ).fetchone()
        return None if found is None else float(found[0])

    def running(self, destination: str | None) -> list[tuple[int, bytes | str]]:
        """Return id and key of what runs; ``None`` is whatever the destination."""
        which = None if destination is None else self._find(destination)
        return self._connection.execute(
            "SELECT id, key FROM state WHERE ended_at IS NULL AND destination = ifnull(?, destination)",
            (which,),
        ).fetchall()

    def delivered(self, destination: str, sent: Iterable[tuple[str, int]]) -> None:
        """What has ended goes; what runs stays, for a restart and the next snapshot."""
        name = self._find(destination)
        for key, generation in sent:
            one = (short_id(key), name, generation)
            which = "WHERE key = ? AND destination = ? AND generation = ?"
            gone = self._connection.execute(f"DELETE FROM state {which} AND ended_at IS NOT NULL", one)
            if not gone.rowcount:
                self._connection.execute(f"UPDATE state SET queued_at = NULL {which}", one)

    def set_aside(self, destination: str, key: str, generation: int, reason: str) -> None:
        self._connection.execute(
            "UPDATE state SET queued_at = NULL, aside = ? "
            "WHERE key = ? AND destination = ? AND generation = ?",
            (reason, short_id(key), self._find(destination), generation),
        )

    def again(self, ids: Iterable[int], now: float) -> None:
        """Send them once more, but for what waits anyway or was set aside."""
        self._connection.executemany(
            "UPDATE state SET queued_at = ? WHERE id = ? AND queued_at IS NULL AND aside IS NULL",
            ((now, one) for one in ids),
        )

    def retry_set_aside(self, now: float) -> None:
        self._connection.execute(
            "UPDATE state SET queued_at = ?, aside = NULL WHERE aside IS NOT NULL", (now,)
        )

    def drop_ended(self, retained: Collection[str]) -> int:
        """Drop what has ended and would go where nothing is sent to any more; return how many."""
        dropped = 0
        for one, name in self._connection.execute("SELECT id, name FROM destination").fetchall():
            if name not in retained:
                dropped += self._connection.execute(
                    "DELETE FROM state WHERE destination = ? AND ended_at IS NOT NULL", (one,)
                ).rowcount
        return dropped

    def unsent_by_destination(self) -> dict[str, int]:
        return dict(
            self._connection.execute(
                "SELECT name, (SELECT count(*) FROM state WHERE queued_at IS NOT NULL "
                "AND state.destination = destination.id) FROM destination WHERE name != ''"
            ).fetchall()
        )

    def numbers(self) -> tuple[int, int, int]:
        """Return how many states there are, how many of them run, and how many were set aside."""
        found: tuple[int, int, int] = self._connection.execute(
            "SELECT (SELECT count(*) FROM state), (SELECT count(*) FROM state WHERE ended_at IS NULL), "
            "(SELECT count(*) FROM state WHERE aside IS NOT NULL)"
        ).fetchone()
        return found

    def _find(self, destination: str) -> int:
        return find_destination(self._connection, destination)
