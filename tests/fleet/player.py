"""Plays some of the fleet's nodes: ``python -m tests.fleet.player ADDRESS FIRST COUNT CONTAINERS``.

Commands come as lines on standard input, ``snapshot`` or ``play SECONDS BATCHES_PER_SECOND`` (0: as many as
go with :data:`AT_ONCE` on their way); each is answered by a JSON line when it is done. The token is in
FLEET_TOKEN.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field

import grpc

from sensor.delivery.destination import Batch
from sensor.snyk import grpc_form
from tests.fleet.cluster import Node, catalogue

CHANNELS = 4
AT_ONCE = 16
TIMEOUT = 60.0
METHOD = "/runtimesensor.reports.v1.RuntimeReports/Report"
HOUR = 3600.0


@dataclass(slots=True)
class Tally:
    """``latencies`` are seconds from due to acknowledged, of each batch; ``containers`` is of how many
    something was acknowledged since the start."""

    latencies: list[float] = field(default_factory=list)
    reports: int = 0
    failed: int = 0
    failure: str = ""
    containers: int = 0


class Player:
    def __init__(self, address: str, token: str, nodes: list[Node]) -> None:
        # Channels of their own: gRPC joins equal ones to one connection otherwise.
        self._channels = [
            grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
            for _ in range(CHANNELS)
        ]
        self._report = [channel.unary_unary(METHOD, bytes, bytes) for channel in self._channels]
        self._metadata = (("authorization", f"token {token}"),)
        self._nodes = nodes
        self._busy: set[int] = set()  # a node has one batch on its way at most
        self._dice = random.Random(len(nodes))
        self._sent = 0
        self._arrived: set[str] = set()

    async def snapshot(self) -> Tally:
        """Every node once, whole, as fast as it goes."""
        waiting = list(range(len(self._nodes)))
        tally = Tally()

        async def one() -> None:
            while waiting:
                node = self._nodes[waiting.pop()]
                await self._send(node.snapshot(time.time()), time.monotonic(), tally)

        await asyncio.gather(*(one() for _ in range(AT_ONCE)))
        return tally

    async def play(self, seconds: float, rate: float) -> Tally:
        """Changes for ``seconds``, ``rate`` batches a second; each node's snapshot comes once an hour."""
        tally = Tally()
        share = len(self._nodes) / HOUR / rate if rate else 0.01
        pressing = min(AT_ONCE, len(self._nodes) // 2)
        if rate:
            await self._paced(tally, seconds, rate, share)
        else:
            await asyncio.gather(*(self._pressing(tally, seconds, share) for _ in range(pressing)))
        return tally

    async def _paced(self, tally: Tally, seconds: float, rate: float, share: float) -> None:
        due, sending = time.monotonic(), set[asyncio.Task[None]]()
        end = due + seconds
        while due < end:
            due += self._dice.expovariate(rate)
            while 2 * len(self._busy) > len(self._nodes):  # what is late is counted as that
                await asyncio.sleep(0.001)
            place, batch = self._next(share)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            task = asyncio.create_task(self._send_of(place, batch, due, tally))
            sending.add(task)
            task.add_done_callback(sending.discard)
        await asyncio.gather(*sending)

    async def _pressing(self, tally: Tally, seconds: float, share: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            place, batch = self._next(share)
            await self._send_of(place, batch, time.monotonic(), tally)

    def _next(self, share: float) -> tuple[int, Batch]:
        """Of a node that has nothing on its way; there must be one."""
        place = self._dice.randrange(len(self._nodes))
        while place in self._busy:
            place = self._dice.randrange(len(self._nodes))
        self._busy.add(place)
        node, now = self._nodes[place], time.time()
        return place, node.snapshot(now) if self._dice.random() < share else node.change(now)

    async def _send_of(self, place: int, batch: Batch, due: float, tally: Tally) -> None:
        await self._send(batch, due, tally)
        self._busy.discard(place)

    async def _send(self, batch: Batch, due: float, tally: Tally) -> None:
        request = grpc_form.build(batch, "fleet", "0").SerializeToString()
        self._sent += 1
        report: Callable[..., Awaitable[bytes]] = self._report[self._sent % CHANNELS]
        try:
            await report(request, timeout=TIMEOUT, metadata=self._metadata, compression=grpc.Compression.Gzip)
        except grpc.aio.AioRpcError as error:
            tally.failed += 1
            tally.failure = f"{error.code().name}: {error.details()}"
            return
        tally.latencies.append(time.monotonic() - due)
        tally.reports += len(batch.states)
        self._arrived.update(state.key for state in batch.states)
        tally.containers = len(self._arrived)


async def play(address: str, first: int, count: int, containers: int) -> None:
    made_of, now = catalogue(), time.time()
    nodes = [Node(number, containers, made_of, now) for number in range(first, first + count)]
    player = Player(address, os.environ["FLEET_TOKEN"], nodes)
    loop = asyncio.get_running_loop()
    print(json.dumps({"ready": count}), flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).split():
        tally = await (
            player.snapshot() if line[0] == "snapshot" else player.play(float(line[1]), float(line[2]))
        )
        print(json.dumps(asdict(tally)), flush=True)


if __name__ == "__main__":
    asyncio.run(play(sys.argv[1], *map(int, sys.argv[2:5])))
