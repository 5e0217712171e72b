"""aiohttp as server and client on uvloop, with the native helpers it is made of."""

from __future__ import annotations

import aiohttp
import told
import uvloop
from aiohttp import web


async def orders(request: web.Request) -> web.Response:
    import aiosqlite

    async with aiosqlite.connect(":memory:") as database, database.execute("SELECT 7") as rows:
        row = await rows.fetchone()
    response = web.json_response({"number": row[0] if row else None})
    response.enable_compression()
    return response


async def main() -> None:
    application = web.Application()
    application.router.add_get("/orders", orders)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 8125).start()
    async with (
        aiohttp.ClientSession(headers={"Accept-Encoding": "br"}) as session,
        session.get("http://127.0.0.1:8125/orders") as answer,
    ):
        assert await answer.json() == {"number": 7}
    await runner.cleanup()


uvloop.run(main())
told.tell()
