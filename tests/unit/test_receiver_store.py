"""One thread writes, in groups; what was asked for is answered once it is on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sensor.receiver.changed import Changed
from sensor.receiver.store import SCHEMA_VERSION, Store, StoreError, connect
from tests.clock import HANGS, PATIENCE, in_time


def _insert(name: str) -> Callable[[sqlite3.Connection], None]:
    def insert(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO rest_object VALUES ('o', 'project', ?, '{}')", (name,))

    return insert


def _names(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT id FROM rest_object")}


@contextlib.asynccontextmanager
async def _store(path: Path, *hooks: Callable[[], None]) -> AsyncIterator[Store]:
    store = Store(path, *hooks)
    store.start()
    with contextlib.closing(store):
        yield store


def _run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_what_arrives_while_a_commit_runs_is_committed_together(tmp_path: Path) -> None:
    async def main() -> None:
        async with _store(tmp_path / "r.db") as store:
            hold = threading.Event()
            first = asyncio.create_task(store.write(lambda connection: hold.wait(PATIENCE)))
            others = [asyncio.create_task(store.write(_insert(f"{number}"))) for number in range(100)]
            await asyncio.sleep(0)
            hold.set()
            await asyncio.gather(first, *others)
            assert store.commits <= 2
            assert len(await store.read(_names)) == 100

    _run(main())


def test_what_fails_fails_alone(tmp_path: Path) -> None:
    async def main() -> None:
        undone: list[int] = []
        async with _store(tmp_path / "r.db", lambda: None, lambda: undone.append(1)) as store:

            def half(connection: sqlite3.Connection) -> None:
                _insert("half")(connection)
                raise ValueError("no")

            works = store.write(_insert("a")), store.write(half), store.write(_insert("b"))
            outcomes = await asyncio.gather(*works, return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, type(None)]
            assert await store.read(_names) == {"a", "b"}
            assert undone == [1]

    _run(main())


def test_a_full_disk_is_told_and_passes(tmp_path: Path) -> None:
    async def main() -> None:
        async with _store(tmp_path / "r.db") as store:

            def limit(connection: sqlite3.Connection) -> None:
                pages = connection.execute("PRAGMA page_count").fetchone()[0]
                connection.execute(f"PRAGMA max_page_count = {pages + 2}")

            await store.write(limit)
            big = "x" * 100_000
            with pytest.raises((StoreError, sqlite3.OperationalError), match="full"):
                await store.write(_insert(big))
            await store.write(lambda connection: connection.execute("PRAGMA max_page_count = 100000"))
            await store.write(_insert(big))
            assert await store.read(_names) == {big}

    _run(main())


def test_a_database_that_another_locks_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with _store(tmp_path / "r.db") as store:
            await store.write(lambda connection: connection.execute("PRAGMA busy_timeout = 10"))
            other = connect(tmp_path / "r.db")
            with contextlib.closing(other):
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreError, match="another receiver"):
                    await store.write(_insert("a"))
            await store.write(_insert("a"))
            assert store.failures == 1

    _run(main())


def test_what_waits_at_the_end_is_stored(tmp_path: Path) -> None:
    async def main() -> None:
        async with _store(tmp_path / "r.db") as store:
            tasks = [asyncio.create_task(store.write(_insert(f"{number}"))) for number in range(50)]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    _run(main())
    with contextlib.closing(connect(tmp_path / "r.db")) as connection:
        assert len(_names(connection)) == 50


def test_databases_that_are_not_ours_to_use(tmp_path: Path) -> None:
    Store(tmp_path / "r.db").close()
    with contextlib.closing(connect(tmp_path / "r.db")) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="newer receiver"):
        Store(tmp_path / "r.db")
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="--data-dir"):
        Store(tmp_path / "file" / "r.db")


def test_who_waits_is_told_of_a_commit(tmp_path: Path) -> None:
    async def main() -> None:
        changed = Changed()
        async with _store(tmp_path / "r.db", changed.grow) as store:
            since = changed.version
            assert await changed.wait(since, 0.01) == since
            waiting = [asyncio.create_task(changed.wait(since, HANGS)) for _ in range(3)]
            await asyncio.sleep(0)
            with in_time():
                await store.write(_insert("a"))
                assert set(await asyncio.gather(*waiting)) == {changed.version} and changed.version > since
                assert await changed.wait(since, HANGS) == changed.version

    _run(main())
