"""A proxy before the API server whose faults are switched while it runs.

It ends TLS and relays HTTP/1.1, so that it knows a watch from a list and can end a watch in the middle of an
object. Client certificates end here too: clients use tokens.
"""

from __future__ import annotations

import asyncio
import re
import ssl
import threading
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tests.clock import PATIENCE
from tests.cluster.daemon import free_ports

_ANSWER_SECONDS = PATIENCE
_REQUEST = re.compile(rb"(?:GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n")
_WATCH = re.compile(rb"[?&]watch=(?:true|1)(?:&|$)")
_CHUNK = re.compile(rb"([0-9a-fA-F]+)\r\n")


@dataclass(slots=True)
class Traffic:
    """What went through since the start: bytes of HTTP without TLS, headers included."""

    connections: int = 0
    requests: int = 0
    bytes_up: int = 0
    bytes_down: int = 0


@dataclass(slots=True)
class _Armed:
    """A watch is to be cut in its next object."""

    clean: bool
    done: threading.Event


class FaultProxy:
    """Context manager; listens on a loopback port of its own until it is left.

    ``latency`` is in seconds, may be set at any time, and delays new connections and every piece of an
    answer; pieces overlap on their way, as on a long line.
    """

    def __init__(self, port: int, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
        self.latency = 0.0
        self.traffic = Traffic()
        self._upstream = port
        self._server_context = server
        self._client_context = client
        self._port = free_ports(1)[0]
        self.url = f"https://127.0.0.1:{self._port}"
        self._canned: deque[bytes] = deque()
        self._armed: _Armed | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_ANSWER_SECONDS)
        self._loop.close()

    @property
    def connections(self) -> int:
        """Open at this moment."""
        return len(self._tasks)

    def refuse(self) -> None:
        """New connections are refused (ECONNREFUSED); those that are open go on."""
        self._do(self._unlisten())

    def accept(self) -> None:
        """Ends :meth:`refuse`."""
        self._do(self._listen())

    def cut(self) -> None:
        """Drops all connections now, without a word of HTTP or TLS."""
        self._do(self._drop_all())

    def stall(self) -> None:
        """Answers stay on their way, nothing is closed: a firewall that has forgotten the connection."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def resume(self) -> None:
        """Ends :meth:`stall`; what was held back arrives."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut_in_object(self, *, clean: bool = False) -> threading.Event:
        """Lets half of the next watch event through and ends that connection; the event is set when done.

        With ``clean`` the half comes as a whole chunk followed by the last one: by HTTP a complete answer.
        """
        done = threading.Event()
        self._armed = _Armed(clean, done)
        return done

    def answer(self, status: int, times: int = 1, headers: str = "Retry-After: 1\r\n") -> None:
        """The next requests are answered with ``status`` (429, 500, 503, 401) here, not by the server."""
        body = b'{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d}' % status
        head = f"HTTP/1.1 {status} Fault\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._canned.extend([f"{head}{headers}\r\n".encode() + body] * times)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_ANSWER_SECONDS)

    async def _listen(self) -> None:
        if self._listener is None:
            self._listener = await asyncio.start_server(
                self._connected, "127.0.0.1", self._port, ssl=self._server_context
            )

    async def _unlisten(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _drop_all(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A transport closes its socket one turn of the loop after it is aborted.
        await asyncio.sleep(0.01)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.connections += 1
        try:
            await asyncio.sleep(self.latency)
            upstream = await asyncio.open_connection("127.0.0.1", self._upstream, ssl=self._client_context)
        except OSError:
            writer.transport.abort()
            return
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        connection = _Connection(self, reader, writer, *upstream)
        try:
            await connection.relay()
        finally:
            writer.transport.abort()
            upstream[1].transport.abort()

    def take_canned(self) -> bytes | None:
        """An answer to give instead of the server's."""
        return self._canned.popleft() if self._canned else None

    def take_armed(self, data: bytes) -> bytes | None:
        """What to let through of ``data`` before the end, where a cut is due and ``data`` can be cut."""
        armed = self._armed
        part = None if armed is None else half_an_event(data, clean=armed.clean)
        if armed is not None and part is not None:
            self._armed = None
            armed.done.set()
        return part

    async def flowing(self) -> None:
        """Returns when answers are not held back."""
        await self._flowing.wait()


class _Connection:
    def __init__(
        self,
        proxy: FaultProxy,
        client_reader: asyncio.StreamReader,
        client_writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
    ) -> None:
        self._proxy = proxy
        self._client_reader, self._client_writer = client_reader, client_writer
        self._server_reader, self._server_writer = server_reader, server_writer
        self._on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)
        self._watching = False

    async def relay(self) -> None:
        """Returns when one side has ended, or a fault has."""
        pumps = [asyncio.create_task(work) for work in (self._up(), self._down(), self._deliver())]
        try:
            await asyncio.wait([pumps[0], pumps[2]], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _up(self) -> None:
        """What the client sends. A request's head comes in one piece from the clients that we have."""
        while data := await self._client_reader.read(65536):
            self._proxy.traffic.bytes_up += len(data)
            request = _REQUEST.match(data)
            if request is not None:
                self._proxy.traffic.requests += 1
                self._watching = _WATCH.search(request[1]) is not None
                canned = self._proxy.take_canned()
                if canned is not None:
                    await self._send(canned)
                    continue
            self._server_writer.write(data)
            await self._server_writer.drain()

    async def _down(self) -> None:
        clock = asyncio.get_running_loop()
        while data := await self._server_reader.read(65536):
            await self._on_the_way.put((clock.time() + self._proxy.latency, data))
        await self._on_the_way.put((clock.time() + self._proxy.latency, b""))

    async def _deliver(self) -> None:
        clock = asyncio.get_running_loop()
        while True:
            due, data = await self._on_the_way.get()
            await asyncio.sleep(due - clock.time())
            await self._proxy.flowing()
            part = self._proxy.take_armed(data) if self._watching else None
            await self._send(data if part is None else part)
            if part is not None or not data:
                # Closed in order: aborted, the transport would throw away what is not sent yet.
                self._client_writer.close()
                await self._client_writer.wait_closed()
                return

    async def _send(self, data: bytes) -> None:
        self._proxy.traffic.bytes_down += len(data)
        self._client_writer.write(data)
        await self._client_writer.drain()


def half_an_event(data: bytes, *, clean: bool) -> bytes | None:
    """Half of the first chunk of ``data``, with the answer's head where it is there; None without a chunk."""
    head, found, body = data.partition(b"\r\n\r\n") if data.startswith(b"HTTP/") else (b"", b"", data)
    chunk = _CHUNK.match(body)
    if chunk is None or int(chunk[1], 16) < 2:
        return None
    half = body[chunk.end() :][: int(chunk[1], 16) // 2]
    if clean:
        return b"%s%s%x\r\n%s\r\n0\r\n\r\n" % (head, found, len(half), half)
    return b"%s%s%s%s" % (head, found, chunk[0], half)
