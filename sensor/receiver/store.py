"""The database: one thread writes, in groups; what was asked for is answered once it is on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

SCHEMA_VERSION = 1
GROUP = 256
"""Requests stored by one commit, at most. What arrives while one runs waits for the next: no timer."""


class StoreError(Exception):
    """The text is for people: what was found, what to do."""


class Store:
    """Opens ``path``, or makes it. Raises :class:`StoreError`.

    ``on_commit`` is called in the event loop after each commit, ``on_undone`` in the writer's thread when
    something that was written is undone: what was remembered of it is wrong.
    """

    def __init__(
        self,
        path: Path,
        on_commit: Callable[[], None] = lambda: None,
        on_undone: Callable[[], None] = lambda: None,
    ) -> None:
        self.path = path
        self.commits = 0
        self.failures = 0
        self._on_commit = on_commit
        self._on_undone = on_undone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: queue.SimpleQueue[tuple[Work[Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._connection = _opened(path)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._read_connection = connect(path, read_only=True)
        self._writer = threading.Thread(target=self._write, name="write", daemon=True)

    def start(self) -> None:
        """To be called in the event loop that will use it."""
        self._loop = asyncio.get_running_loop()
        self._writer.start()

    async def write(self, work: Work[T]) -> T:
        """Return what ``work`` returns, once it is committed. What it raises undoes it alone."""
        assert self._loop is not None, "not started"
        answer: asyncio.Future[T] = self._loop.create_future()
        self._waiting.put((work, answer))
        return await answer

    async def read(self, work: Work[T]) -> T:
        assert self._loop is not None, "not started"
        return await self._loop.run_in_executor(self._reader, work, self._read_connection)

    def close(self) -> None:
        """Store what waits, and end."""
        if self._writer.is_alive():
            self._waiting.put(None)
            self._writer.join()
        self._reader.shutdown()
        self._read_connection.close()
        self._connection.close()

    def _write(self) -> None:
        ending = False
        while not ending:
            group = self._next_group()
            ending = group[-1] is None
            works = [entry for entry in group if entry is not None]
            if works:
                self._answer([answer for _, answer in works], self._stored([work for work, _ in works]))

    def _next_group(self) -> list[tuple[Work[Any], asyncio.Future[Any]] | None]:
        group = [self._waiting.get()]
        with contextlib.suppress(queue.Empty):
            while len(group) < GROUP and group[-1] is not None:
                group.append(self._waiting.get_nowait())
        return group

    def _stored(self, works: list[Work[Any]]) -> list[Any]:
        """A result or an exception for each of ``works``."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._done(work) for work in works]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            return [self._undone(error)] * len(works)
        self.commits += 1
        return outcomes

    def _done(self, work: Work[Any]) -> Any:
        self._connection.execute("SAVEPOINT work")
        try:
            outcome = work(self._connection)
        except Exception as error:  # goes to who asked; the others of the group are stored
            if not self._connection.in_transaction:  # a full disk rolls everything back
                raise sqlite3.OperationalError(str(error)) from error
            self._on_undone()
            self._connection.execute("ROLLBACK TO work")
            outcome = error
        self._connection.execute("RELEASE work")
        return outcome

    def _undone(self, error: sqlite3.Error) -> StoreError:
        self.failures += 1
        self._on_undone()
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        told = StoreError(f"cannot store in {str(self.path)!r}: {error}; {_cure(error)}")
        log.error("%s", told)
        return told

    def _answer(self, answers: list[asyncio.Future[Any]], outcomes: list[Any]) -> None:
        assert self._loop is not None

        def answer() -> None:
            self._on_commit()
            for future, outcome in zip(answers, outcomes, strict=True):
                if future.done():  # who asked has left
                    continue
                if isinstance(outcome, BaseException):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(answer)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that begins transactions only where it is told to. Raises ``sqlite3.Error``."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=10.0,
        cached_statements=256,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _opened(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot open {str(path)!r}: {error}; {_cure(error)}") from None
    try:
        _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"cannot use {str(path)!r}: {error}; {_cure(error)}") from None
    except StoreError:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found > SCHEMA_VERSION:
        raise StoreError(
            f"cannot use {str(path)!r}: found a database of version {found}, expected at most "
            f"{SCHEMA_VERSION}; a newer receiver made it: run that, or give another --data-dir"
        )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # what is acknowledged outlives a power cut
    connection.execute("PRAGMA cache_size = -65536")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    connection.execute("PRAGMA wal_autocheckpoint = 4096")
    connection.executescript(resources.files(__package__).joinpath("schema.sql").read_text("utf-8"))
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _cure(error: Exception) -> str:
    text = str(error)
    if "full" in text or "No space" in text:
        return "make room on the disk"
    if "malformed" in text or "not a database" in text:
        return "the file is damaged: move it away and start again, sensors report anew within the hour"
    if "locked" in text:
        return "another receiver uses it: end that, or give another --data-dir"
    return "see that the directory exists and can be written, or give another --data-dir"
