"""Where the outbox's tables are at the moment: on the disk or, while that does not let us, in memory."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sensor.delivery import outbox_schema as schema
from sensor.delivery.outbox_errors import OutboxError, Unusable, is_damage, is_unusable, unusable
from sensor.delivery.outbox_file import StateFile, bounds, memory
from sensor.delivery.outbox_packing import Damaged
from sensor.delivery.outbox_queue import Queue
from sensor.delivery.outbox_table import Full, StateTable

log = logging.getLogger(__name__)

_TRY_DISK_EVERY = 60.0


class Storage:
    """``lost`` says that states went with a damaged file, ``fallbacks`` how often the disk had to be left,
    ``dropped`` how many ended states went unsent for want of room.

    Used under the outbox's lock.
    """

    connection: sqlite3.Connection
    table: StateTable
    queue: Queue
    sender_id: str

    def __init__(
        self,
        directory: Path | None,
        max_bytes: int,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._bounds = bounds(max_bytes)
        self._file = None if directory is None else StateFile(directory, max_bytes, clock)
        self._try_at = 0.0
        self.durable = False
        self.lost = False
        self.fallbacks = 0
        self.dropped = 0
        self._open()

    @property
    def damaged(self) -> int:
        return 0 if self._file is None else self._file.damaged

    def bytes(self) -> int:
        """Return the size of the file with its WAL, or in memory."""
        size = self.table.pages() * schema.PAGE
        if self.durable and self._file is not None:
            with suppress(OSError):
                size += os.stat(f"{self._file.path}-wal").st_size
        return size

    def try_disk(self) -> None:
        """Go back to the disk if it was left a while ago and lets us again."""
        if self._file is None or self.durable or self._monotonic() < self._try_at:
            return
        self._try_at = self._monotonic() + _TRY_DISK_EVERY
        try:
            found = self._file.replace(self.connection)
        except Unusable as error:
            log.warning("states are still in memory only: %s", error)
            return
        self.connection.close()
        self._adopt(found, durable=True)
        log.info("states are kept in %s again", self._file.directory)

    def recover(self, error: Exception) -> None:
        """Make the tables usable again after ``error``, or raise :class:`OutboxError`."""
        if isinstance(error, sqlite3.Error) and self._is_full(error):
            raise Full from error
        if is_damage(error):
            self._make_anew(error)
        elif self.durable and self._file is not None and is_unusable(error):
            self._leave_disk(unusable(self._file.directory, error))
        else:
            raise OutboxError(f"cannot keep states: {error}") from error

    def close(self) -> None:
        with suppress(sqlite3.Error, OutboxError):
            self._try_at = 0.0
            self.try_disk()
        with suppress(sqlite3.Error):  # what was committed is in the WAL
            self.connection.close()
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        if self._file is None:
            self._adopt(self._empty(), durable=False)
            return
        try:
            self._adopt(self._file.open(), durable=True)
        except Unusable as error:
            self._adopt(self._salvaged(self._file), durable=False)
            self._said_left(error)

    def _salvaged(self, file: StateFile) -> sqlite3.Connection:
        connection = self._empty()
        try:
            file.salvage(connection)
            schema.begin(connection, self._clock())  # the copy has brought the numbers of the file along
        except (OSError, sqlite3.Error, Damaged, UnicodeDecodeError):
            connection.close()
            return self._empty()
        return connection

    def _empty(self) -> sqlite3.Connection:
        connection = memory(self._bounds)
        schema.begin(connection, self._clock())
        return connection

    def _make_anew(self, error: Exception) -> None:
        self.lost = True
        self.connection.close()
        if self._file is None or not self.durable:
            log.error("found the states in memory damaged: %s; they are rebuilt from what runs", error)
            self._adopt(self._empty(), durable=False)
            return
        try:
            self._file.set_aside(error)
            self._adopt(self._file.open(), durable=True)
        except OSError as cause:
            self._adopt(self._empty(), durable=False)
            self._said_left(unusable(self._file.directory, cause))
        except Unusable as cause:
            self._adopt(self._empty(), durable=False)
            self._said_left(cause)

    def _leave_disk(self, cause: Unusable) -> None:
        connection = self._empty()
        try:
            self.connection.backup(connection)
            schema.verify(connection)
        except (sqlite3.Error, Damaged, UnicodeDecodeError):
            connection.close()
            connection = self._empty()
            self.lost = True
        with suppress(sqlite3.Error):
            self.connection.close()
        self._adopt(connection, durable=False)
        self._said_left(cause)

    def _said_left(self, cause: Unusable) -> None:
        self.fallbacks += 1
        self._try_at = self._monotonic() + _TRY_DISK_EVERY
        log.error(
            "%s; until then states are kept in memory, until the sensor ends; the disk is tried every %.0f s",
            *(cause, _TRY_DISK_EVERY),
        )

    def _adopt(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        self.connection, self.durable = connection, durable
        # In memory the numbers go on from there: the file may be found again, with its own.
        begun = int(schema.get(connection, "meta", "generation") or 0)
        last = max(begun, self.table.generation if hasattr(self, "table") else 0)
        self.table = StateTable(connection, self._bounds[0], last)
        self.queue = Queue(connection)
        if self.table.pages() > self._bounds[0]:
            with suppress(sqlite3.Error):  # met again, and told, by whatever is done next
                self.table.fit()
            self.dropped += self.table.dropped
        self.sender_id = schema.get(connection, "meta", "sender") or ""

    def _is_full(self, error: sqlite3.Error) -> bool:
        """SQLite says the same of a full disk and of our own bound."""
        if getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_FULL:
            return False
        return not self.durable or self.table.free_pages() < 16
