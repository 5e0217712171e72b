"""How a state is written, and what goes when there is no room. The caller opens the transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from sensor.delivery import outbox_rows as rows
from sensor.delivery import outbox_schema as schema
from sensor.delivery.outbox_codec import Encoded, Fact, Row, encode, short_id
from sensor.delivery.outbox_packing import unpack_times
from sensor.model.report import ContainerReport

_SETS = ", ".join(f"{name} = ?" for name in Row._fields)
_PLACES = ", ".join("?" * len(Row._fields))
_RESERVE = 32  # pages kept for ends and other small changes of what is there already
_DROP = 64


class Full(Exception):
    """Nothing ended is left to make room with."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A state and where it goes: ``destination`` "" is nowhere, the state is kept for a restart only.

    ``held_until`` (seconds since the epoch) is until when it is not sent, as its destination may become
    another one; at most :data:`rows.HOLD_MOST` seconds from now, and only as long as nothing was sent of it.
    """

    destination: str
    key: str
    report: ContainerReport
    held_until: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """``wall`` is seconds since the epoch, ``boottime`` nanoseconds of CLOCK_BOOTTIME after ``boot``."""

    wall: float
    boot: str
    boottime: int


class StateTable:
    """``generation`` is the last one given; ``dropped`` counts the ended states that went unsent for want of
    room since the caller set it to 0."""

    def __init__(self, connection: sqlite3.Connection, max_pages: int, generation: int) -> None:
        self._connection = connection
        self._max_pages = max_pages
        self.generation = generation
        self.dropped = 0

    def store(self, routed: Routed, at: Moment, retained: Collection[str] | None) -> None:
        """Write one state; raises :class:`Full`, :class:`Damaged`, :class:`sqlite3.Error`."""
        encoded, key = encode(routed.report), short_id(routed.key)
        destination = rows.add_destination(self._connection, routed.destination)
        before = None
        for row in rows.select(self._connection, "key = ?", (key,)):
            if row.destination == destination:
                before = row
            else:
                self._leave(row, encoded, at.wall, retained)
        if not routed.destination and encoded.ended_at is not None:
            self._delete([] if before is None else [before.id])
            return
        if before is None or not self._same(before, encoded):
            self._put((destination, key), encoded, at, _queued(routed, before, at.wall), before)

    def _put(
        self,
        place: tuple[int, bytes | str],
        new: Encoded,
        at: Moment,
        queued_at: float | None,
        before: Row | None,
    ) -> None:
        quiet = before is not None and self._only_last_seen(before, new)
        self._ensure(len(new.times) // schema.PAGE + 4 + (0 if before else _RESERVE))
        shared, packages = self._hold(new.shared), self._hold(new.packages)
        runs = new.ended_at is None
        self._write(
            Row(
                id=None if before is None else before.id,
                generation=0,
                destination=place[0],
                key=place[1],
                queued_at=before.queued_at if quiet and before else queued_at,
                aside=before.aside if quiet and before else None,
                first_seen=new.first_seen,
                observed_at=new.observed_at,
                ended_at=new.ended_at,
                pod_name=new.pod_name,
                pod_uid=new.pod_uid,
                shared=shared,
                packages=packages,
                size=new.size,
                times=new.times,
                boot=short_id(at.boot) if runs else None,
                boottime=at.boottime if runs else None,
                checksum=0,
            ),
            before,
        )
        self._release(shared, packages)

    def _leave(self, row: Row, new: Encoded, now: float, retained: Collection[str] | None) -> None:
        """The container went to another destination: this one is told that it ended."""
        name = rows.name_of(self._connection, row.destination)
        known = name and (retained is None or name in retained)
        if not known or rows.is_held(row.queued_at, now):
            self._delete([row.id])
        elif row.ended_at is None:
            ended_at = new.observed_at if new.ended_at is None else new.ended_at
            end = row._replace(
                observed_at=new.observed_at,
                ended_at=ended_at,
                queued_at=now if row.queued_at is None else row.queued_at,
                aside=None,
                boot=None,
                boottime=None,
            )
            self._write(end, row)

    def _write(self, row: Row, before: Row | None) -> None:
        self.generation += 1
        row = row._replace(generation=self.generation).signed()
        if before is not None:
            changed = self._connection.execute(f"UPDATE state SET {_SETS} WHERE id = ?", (*row, before.id))
            if changed.rowcount:  # else it had ended and was dropped a moment ago, to make room for this
                return
        self._connection.execute(f"INSERT INTO state ({rows.COLUMNS}) VALUES ({_PLACES})", row)

    def _same(self, before: Row, new: Encoded) -> bool:
        return before.times == new.times and self._only_last_seen(before, new)

    def _only_last_seen(self, before: Row, new: Encoded) -> bool:
        """Whether nothing is new but when packages were last seen: no reason to send it."""
        found = (before.shared, before.packages, before.first_seen, before.ended_at)
        facts = (self._known(new.shared), self._known(new.packages))
        if found != (*facts, new.first_seen, new.ended_at):
            return False
        if (before.pod_name, before.pod_uid) != (new.pod_name, new.pod_uid):
            return False
        return unpack_times(before.times, 0)[0] == unpack_times(new.times, 0)[0]

    def _known(self, fact: Fact) -> int | None:
        found = self._connection.execute("SELECT id FROM fact WHERE digest = ?", (fact.digest,)).fetchone()
        return None if found is None else int(found[0])

    def _hold(self, fact: Fact) -> int:
        """Return the fact's row, which stays while room is made, until :meth:`_release`."""
        known = self._known(fact) or self._add(fact)
        self._connection.execute("UPDATE holders SET number = number + 1 WHERE fact = ?", (known,))
        return known

    def _release(self, *facts: int) -> None:
        self._connection.executemany(
            "UPDATE holders SET number = number - 1 WHERE fact = ?", ((fact,) for fact in facts)
        )

    def _add(self, fact: Fact) -> int:
        body = fact.packed()
        self._ensure(len(body) // schema.PAGE + 4 + _RESERVE)
        done = self._connection.execute("INSERT INTO fact (digest, body) VALUES (?, ?)", (fact.digest, body))
        return int(done.lastrowid or 0)

    def _ensure(self, pages: int) -> None:
        """Drop ended states, the oldest end first, until ``pages`` are free; raises :class:`Full`."""
        while self.free_pages() < pages:
            ended = self._ended("aside IS NOT NULL") or self._ended("aside IS NULL")
            if not ended:
                raise Full
            self.dropped += sum(unsent for _, unsent in ended)
            self._delete([one for one, _ in ended])

    def _ended(self, which: str) -> list[tuple[int, bool]]:
        return self._connection.execute(
            f"SELECT id, queued_at IS NOT NULL FROM state WHERE ended_at IS NOT NULL AND {which} "
            f"ORDER BY ended_at LIMIT {_DROP}"
        ).fetchall()

    def fit(self) -> None:
        """Make a file fit that was written under a larger bound: as far as what has ended lets it."""
        with rows.transaction(self._connection), suppress(Full):
            self._ensure(_RESERVE)
        while self.pages() > self._max_pages and self._pragma("freelist_count"):
            self.shrink()
        self._connection.execute(f"PRAGMA max_page_count = {self._max_pages}").fetchall()

    def free_pages(self) -> int:
        return self._max_pages - self.pages() + self._pragma("freelist_count")

    def pages(self) -> int:
        return self._pragma("page_count")

    def shrink(self) -> None:
        """Give back a part of the free pages where they are most of the file, or where it is too large."""
        free, pages = self._pragma("freelist_count"), self.pages()
        if (free > 256 and 2 * free > pages) or pages > self._max_pages:
            # execute() would step once, as there are no columns, and give a single page back
            self._connection.executescript("PRAGMA incremental_vacuum(256)")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _delete(self, ids: Iterable[int | None]) -> None:
        self._connection.executemany("DELETE FROM state WHERE id = ?", ((one,) for one in ids))


def _queued(routed: Routed, before: Row | None, now: float) -> float | None:
    if not routed.destination:
        return None
    waiting = None if before is None else before.queued_at
    never_sent = before is None or rows.is_held(waiting, now)
    if never_sent and routed.held_until is not None and routed.held_until > now:
        return min(routed.held_until, now + rows.HOLD_MOST, waiting or routed.held_until)
    return now if waiting is None or waiting > now else waiting
