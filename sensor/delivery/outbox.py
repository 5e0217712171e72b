"""The latest state of each container, until it has arrived.

It is a file (``--state-dir``) or in memory. What the disk does to it never ends the sensor:
a damaged file is set aside and made anew; a disk that does not let us leaves the states in memory, until it
lets us again. The reasons are in ``docs/decisions/0009-state-in-sqlite.md``.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from sensor.delivery import outbox_schema as schema
from sensor.delivery.destination import OutgoingState
from sensor.delivery.outbox_answers import OutboxCounts, Remembered
from sensor.delivery.outbox_codec import Row, long_id
from sensor.delivery.outbox_errors import OutboxError
from sensor.delivery.outbox_packing import Damaged
from sensor.delivery.outbox_queue import Queue
from sensor.delivery.outbox_rows import Decoder, transaction
from sensor.delivery.outbox_storage import Storage
from sensor.delivery.outbox_table import Full, Moment, Routed
from sensor.model.report import ContainerReport

__all__ = ["Outbox", "OutboxCounts", "OutboxError", "Remembered", "Routed"]

log = logging.getLogger(__name__)

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_STATE_PAGES = 6  # that the WAL gets of one state: its row, the indexes', those of what it shares
_CHUNK = 16  # states decoded at a time, under the lock
_CHANGES = 256  # rows changed in one transaction
_SAY_AGAIN = 60.0
_REASON = 200  # characters
_NO_MARKS: Mapping[str, str] = MappingProxyType({})
_PACKAGE = 160  # bytes that what a package is takes in a request, once for all that have loaded it
_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Outbox:
    """Every method may be called from any thread, and raises :class:`OutboxError` where all fails.

    ``directory`` is made if missing; ``None`` is in memory. ``max_bytes`` bounds the file with its WAL.
    When it is full, containers that ended go first, the oldest end first, counted.
    ``clock`` gives seconds since the epoch; ``monotonic`` decides when the disk is tried again.
    """

    def __init__(
        self,
        directory: Path | None,
        *,
        max_bytes: int = 64 << 20,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self.boot_id = _boot_id()
        """Of the kernel, which a reboot changes: what :class:`Remembered` is compared with."""
        self._retained: frozenset[str] | None = None
        self._refused = 0
        self._said_dropped = -_SAY_AGAIN
        self._storage = Storage(directory, max_bytes, clock, monotonic)
        self._do(lambda at: at.queue.retry_set_aside(self._clock()))

    @property
    def sender_id(self) -> str:
        """A UUID, within which generations grow. Another one says that states were lost."""
        return self._storage.sender_id

    @property
    def durable(self) -> bool:
        """Whether states are on the disk."""
        return self._storage.durable

    def whole_sender(self) -> str:
        """Return the sender id, "" where states were lost since :meth:`take_lost` was called last."""
        with self._lock:
            return "" if self._storage.lost else self._storage.sender_id

    def take_lost(self) -> bool:
        """Whether states were lost with a damaged file since the last call: then write all that run."""
        with self._lock:
            lost, self._storage.lost = self._storage.lost, False
            return lost

    def write(self, states: Sequence[Routed], marks: Mapping[str, str] = _NO_MARKS) -> None:
        """Write the states and ``marks`` in one transaction; equal states are no change.

        More states than half the WAL's bound holds take several, the marks come with the last.
        Raises :class:`OutboxError` when full; what has room is written all the same.
        """
        done = 0
        for chunk in self._chunks(states) if states else [states]:
            last = done + len(chunk) == len(states)
            try:
                self._do(lambda at: self._store(at, chunk, marks if last else _NO_MARKS))  # noqa: B023 - called at once
            except Full:
                self._write_what_fits(states, done, marks)
                return
            done += len(chunk)

    def _write_what_fits(self, states: Sequence[Routed], done: int, marks: Mapping[str, str]) -> None:
        """One that has no room must not keep out the ends beside it, which make room."""
        refused = [number for number in range(done, len(states)) if not self._fits(states[number])]
        if not refused:
            self._do(lambda at: self._store(at, (), marks))
            return
        self._refused += len(refused)
        raise OutboxError(
            f"the outbox is full: found {self._max_bytes >> 20} MiB of states of running containers, "
            "and none that ended to make room with; raise --state-limit",
            refused[0],
        )

    def _fits(self, state: Routed) -> bool:
        try:
            self._do(lambda at: self._store(at, (state,), _NO_MARKS))
        except Full:
            return False
        return True

    def mark(self, name: str) -> str | None:
        """Return what was last written under that name."""
        return self._do(lambda at: schema.get(at.connection, "mark", name))

    def remembered(self) -> Iterator[Remembered]:
        """Yield what had not ended when it was last written."""
        running = self._do(lambda at: at.queue.running(None))
        for row, report in self._read([one for one, _ in running]):
            yield Remembered(report, long_id(row.boot or ""), row.boottime or 0)

    def pending(self, destination: str, max_states: int, max_bytes: int) -> tuple[OutgoingState, ...]:
        """Return what is to be sent, the oldest change first: at most ``max_states``, about ``max_bytes``
        before compression; a state that is larger comes alone."""
        due = self._do(lambda at: at.queue.due(destination, self._clock(), max_states))
        taken: list[OutgoingState] = []
        size = 0
        counted: set[int] = set()
        for row, report in self._read([one for one, _ in due]):
            size += row.size + (0 if row.packages in counted else _PACKAGE * len(report.packages))
            counted.add(row.packages)
            if taken and size > max_bytes:
                break
            taken.append(OutgoingState(long_id(row.key), row.generation, report))
        return tuple(taken)

    def is_batch(self, destination: str, max_states: int, max_bytes: int) -> bool:
        """Whether as much waits as :meth:`pending` would return at most."""
        due = self._do(lambda at: at.queue.due(destination, self._clock(), max_states))
        return len(due) >= max_states or sum(size for _, size in due) >= max_bytes

    def acknowledge(self, destination: str, sent: Iterable[tuple[str, int]]) -> None:
        """These, key and generation, have arrived. What changed since is still to be sent."""
        self._in_parts(list(sent), lambda queue, part: queue.delivered(destination, part))
        self._do(lambda at: at.table.shrink())

    def set_aside(self, destination: str, key: str, generation: int, reason: str) -> None:
        """Send it no more as it is: when it changes, and once after the next start."""
        reason = reason[:_REASON].encode("utf-8", "replace").decode()
        try:
            self._do(lambda at: at.queue.set_aside(destination, key, generation, reason))
        except Full:  # of the reason: it is tried with each snapshot then, but blocks nothing
            self.acknowledge(destination, [(key, generation)])

    def resend(self, destination: str) -> int:
        """Send all that runs once more. Return the last generation: when none up to it waits any more
        (:meth:`unsent_running`), all has been sent."""
        with self._lock:
            running = self._do(lambda at: at.queue.running(destination))
            now = self._clock()
            self._in_parts([one for one, _ in running], lambda queue, part: queue.again(part, now))
            return self._storage.table.generation

    def unsent(self, destination: str) -> int:
        """Return how many states wait to be sent."""
        return self._do(lambda at: at.queue.unsent(destination, self._clock()))

    def unsent_running(self, destination: str, up_to: int) -> int:
        """Return how many wait of what runs and has not changed since :meth:`resend` returned ``up_to``."""
        return self._do(lambda at: at.queue.unsent_running(destination, self._clock(), up_to))

    def oldest_unsent(self, destination: str) -> float | None:
        """Return when the oldest change came that is to be sent, seconds since the epoch."""
        return self._do(lambda at: at.queue.oldest(destination, self._clock()))

    def running(self, destination: str) -> tuple[str, ...]:
        """Return the keys of what runs."""
        return tuple(long_id(key) for _, key in self._do(lambda at: at.queue.running(destination)))

    def retain(self, destinations: Collection[str]) -> None:
        """These are all there are: what has ended and was for another one goes, counted as dropped."""
        with self._lock:
            self._retained = frozenset(destinations)
            dropped = self._do(lambda at: at.queue.drop_ended(destinations))
            self._storage.dropped += dropped
        if dropped:
            log.warning("dropped %d ended containers, reported to groups that are no longer set", dropped)

    def counts(self) -> OutboxCounts:
        with self._lock:
            states, running, aside = self._do(lambda at: at.queue.numbers())
            return OutboxCounts(
                states=states,
                running=running,
                ended=states - running,
                set_aside=aside,
                unsent=self._do(lambda at: at.queue.unsent_by_destination()),
                bytes=self._do(lambda at: at.bytes()),
                dropped_ended=self._storage.dropped,
                refused=self._refused,
                fallbacks=self._storage.fallbacks,
                damaged=self._storage.damaged,
            )

    def close(self) -> None:
        """The last call; what is in memory only is lost."""
        with self._lock:
            self._storage.close()

    def _do(self, work: Callable[[Storage], _Result]) -> _Result:
        """Call ``work``; once more where the outbox was made anew or moved, because of what it met."""
        with self._lock:
            self._storage.try_disk()
            while True:
                try:
                    return work(self._storage)
                except (sqlite3.Error, Damaged, UnicodeDecodeError) as error:
                    self._storage.recover(error)

    def _in_parts(self, items: Sequence[_Item], work: Callable[[Queue, Sequence[_Item]], None]) -> None:
        def change(at: Storage, part: Sequence[_Item]) -> None:
            with transaction(at.connection):
                work(at.queue, part)

        for start in range(0, len(items), _CHANGES):
            part = items[start : start + _CHANGES]
            self._do(lambda at: change(at, part))  # noqa: B023 - called at once

    def _store(self, storage: Storage, chunk: Sequence[Routed], marks: Mapping[str, str]) -> None:
        connection, table = storage.connection, storage.table
        at = Moment(self._clock(), self.boot_id, time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        table.dropped = 0
        with transaction(connection):
            for one in chunk:
                table.store(one, at, self._retained)
            for name, value in marks.items():
                schema.put(connection, "mark", name, value)
            schema.put(connection, "meta", "generation", str(table.generation))
        if table.dropped:
            storage.dropped += table.dropped
            self._say_dropped()

    def _say_dropped(self) -> None:
        if self._monotonic() - self._said_dropped < _SAY_AGAIN:
            return
        self._said_dropped = self._monotonic()
        log.warning(
            "the outbox is full: found %d MiB of states; %d containers that had ended were dropped "
            "undelivered since the start, the oldest end first; raise --state-limit if there is room",
            *(self._max_bytes >> 20, self._storage.dropped),
        )

    def _chunks(self, states: Sequence[Routed]) -> Iterator[Sequence[Routed]]:
        """So many that what the WAL gets of them is within its bound."""
        most, begin, size = self._max_bytes // 16, 0, 0
        for number, one in enumerate(states):
            size += _STATE_PAGES * schema.PAGE + _PACKAGE * len(one.report.packages)
            if size > most and number > begin:
                yield states[begin:number]
                begin, size = number, 0
        yield states[begin:]

    def _read(self, ids: Sequence[int]) -> Iterator[tuple[Row, ContainerReport]]:
        decoder = Decoder()
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            yield from self._do(lambda at: decoder.read(at.connection, part))  # noqa: B023 - at once


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
