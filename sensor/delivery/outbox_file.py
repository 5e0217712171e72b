"""The outbox's file: opened, set aside where it is damaged, put there anew."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from sensor.delivery import outbox_schema as schema
from sensor.delivery.outbox_errors import OutboxError, Unusable, is_damage, unusable
from sensor.delivery.outbox_packing import Damaged

log = logging.getLogger(__name__)

NAME, LOCK, NEW = "outbox.db", "outbox.lock", "outbox.db.new"
KEPT = 3
"""How many damaged files are kept; each is at most as large as the outbox may be."""


class StateFile:
    """``damaged`` counts the files that were set aside. Used under the outbox's lock."""

    def __init__(self, directory: Path, max_bytes: int, clock: Callable[[], float]) -> None:
        self.directory = directory
        self.path = directory / NAME
        self.damaged = 0
        self._clock = clock
        self._bounds = bounds(max_bytes)
        self._lock: int | None = None
        self._superseded = False  # whether what the file on the disk holds is in memory too

    def open(self) -> sqlite3.Connection:
        """Return the file that is there, or a new one. Raises :class:`Unusable`; :class:`OutboxError`
        where another sensor uses the directory."""
        try:
            self._take_lock()
            found = self._existing()
            if found is None:
                with closing(memory(self._bounds)) as empty:
                    found = self._place(empty)
        except (Damaged, UnicodeDecodeError) as error:
            raise Unusable(str(error)) from error
        except (OSError, sqlite3.Error) as error:
            raise unusable(self.directory, error) from error
        return found

    def replace(self, source: sqlite3.Connection) -> sqlite3.Connection:
        """Write ``source`` as the file. Raises :class:`Unusable`."""
        try:
            self._take_lock()
            return self._place(source)
        except (OutboxError, Damaged, UnicodeDecodeError) as error:
            raise Unusable(str(error)) from error
        except (OSError, sqlite3.Error) as error:
            raise unusable(self.directory, error) from error

    def set_aside(self, why: Exception) -> None:
        """Keep the damaged file under another name, for whoever wants to look at it. Raises
        :class:`OSError`."""
        self.damaged += 1
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        target = self.directory / f"{NAME}.damaged-{moment}"
        os.rename(self.path, target)
        with suppress(OSError):
            os.rename(f"{self.path}-wal", f"{target}-wal")
        log.error(
            "found the outbox damaged: %s; it was set aside as %s (the last %d are kept); states are rebuilt "
            "from a scan of the running containers, what had ended and was not delivered yet is lost",
            *(why, target, KEPT),
        )
        self._forget_oldest()

    def salvage(self, into: sqlite3.Connection) -> None:
        """Copy what a file that may only be read holds, its WAL included. Raises :class:`Damaged`,
        :class:`OSError`, :class:`sqlite3.Error`."""
        with self.path.open("rb") as file:
            schema.check_header(file.read(100))
        # What a killed sensor wrote last is in the WAL, which ``immutable`` passes over. Where there is none,
        # SQLite would make one. Locks, which unix-none has not, want to write.
        how = "vfs=unix-none" if Path(f"{self.path}-wal").exists() else "immutable=1"
        uri = f"{self.path.absolute().as_uri()}?mode=ro&{how}"
        with closing(sqlite3.connect(uri, uri=True, check_same_thread=False)) as found:
            found.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            schema.verify(found)
            found.backup(into)
        self._superseded = True

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self.directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(fd, 20).decode("ascii", "replace").strip()
            os.close(fd)
            raise OutboxError(
                f"--state-dir: found {self.directory} in use by another sensor (pid {owner or 'unknown'}), "
                "expected one of its own: end the other, or name another directory"
            ) from None
        except OSError:
            os.close(fd)
            raise
        self._lock = fd
        with suppress(OSError):  # the pid is for people only; a full disk shows soon enough
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def _existing(self) -> sqlite3.Connection | None:
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return None
        try:
            if not stat.S_ISREG(status.st_mode):
                raise Damaged("found no regular file")
            with self.path.open("rb") as file:
                schema.check_header(file.read(100))
            return self._connect()
        except (Damaged, UnicodeDecodeError, sqlite3.DatabaseError) as error:
            if not is_damage(error):
                raise
            self.set_aside(error)
            return None

    def _place(self, source: sqlite3.Connection) -> sqlite3.Connection:
        """The file is there whole or not at all: it is made beside and renamed."""
        new = self.directory / NEW
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        try:
            with closing(sqlite3.connect(new, isolation_level=None, check_same_thread=False)) as target:
                source.backup(target)
        except BaseException:
            new.unlink(missing_ok=True)  # half of it would take the room that the disk does not have
            raise
        if not self._superseded and self.path.exists():
            self.set_aside(Damaged("it could not be read at the start"))
        # What is left of another file: SQLite would play it into the new one.
        self._forget("-wal", "-shm")
        os.replace(new, self.path)
        folder = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=1.0, isolation_level=None, check_same_thread=False)
        try:
            schema.configure(connection, *self._bounds)
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            schema.verify(connection)
            schema.begin(connection, self._clock())
        except BaseException:
            connection.close()
            raise
        self._superseded = True
        return connection

    def _forget(self, *endings: str) -> None:
        for ending in endings:
            Path(f"{self.path}{ending}").unlink(missing_ok=True)

    def _forget_oldest(self) -> None:
        kept = sorted(
            (path for path in self.directory.glob(f"{NAME}.damaged-*") if not path.name.endswith("-wal")),
            key=lambda path: path.name,
        )
        for path in kept[:-KEPT]:
            with suppress(OSError):
                path.unlink()
            with suppress(OSError):
                Path(f"{path}-wal").unlink()


def memory(bounds: tuple[int, int]) -> sqlite3.Connection:
    """Return an empty outbox that is in memory."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    schema.configure(connection, *bounds)
    schema.create(connection)
    return connection


def bounds(max_bytes: int) -> tuple[int, int]:
    """Return how many pages the file may have, and after how many the WAL is put into it.

    The WAL gets an eighth: it is checkpointed at a quarter of that, and one transaction adds at most half
    of it (:meth:`sensor.delivery.outbox.Outbox.write`).
    """
    wal = max_bytes // 8
    return (max_bytes - wal) // schema.PAGE, max(16, wal // 4 // schema.PAGE)
