"""The page alone, on a port of its own, over a database: what a test looks at."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from aiohttp import web

from sensor.receiver.changed import Changed
from sensor.receiver.main import LONGEST_LINE
from sensor.receiver.page.routes import routes
from sensor.receiver.store import connect
from tests.clock import PATIENCE

T = TypeVar("T")


class PageServer:
    """Serves from a thread; ``grow`` tells open pages that something changed."""

    def __init__(self, database: Path, port: int = 0) -> None:
        self._database = database
        self._port = port
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.address = ""

    def grow(self) -> None:
        self._loop.call_soon_threadsafe(self._changed.grow)

    def __enter__(self) -> PageServer:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set_result, None)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with contextlib.closing(connect(self._database)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            found = work(connection)
            connection.execute("COMMIT")
        self._changed.grow()
        return found

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = Changed()
        self._over: asyncio.Future[None] = self._loop.create_future()
        application = web.Application()
        application.add_routes(routes(self._database, self._changed, self._write))
        runner = web.AppRunner(
            application, shutdown_timeout=0.1, max_line_size=LONGEST_LINE, auto_decompress=False
        )
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self._port)
        await site.start()
        self.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._over
        await runner.cleanup()


if __name__ == "__main__":
    import sys

    with PageServer(Path(sys.argv[1]), 9999) as server:
        print(server.address)
        threading.Event().wait()
