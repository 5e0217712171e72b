"""Starts one real receiver and the players of all nodes, and measures."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.bench.agent import Usage, usage
from tests.fleet import node_side
from tests.fleet.figures import Figures, NodeSide, Phase, percentile
from tests.receiver_process import Receiver

NODES = 5000
CONTAINERS = 60
PLAYERS = 2
CHANGES_PER_MINUTE = 2.0
"""Batches of one node: a container is replaced by another each minute, told as it starts and once it has
loaded everything."""

ROOT = Path(__file__).resolve().parents[2]


class FleetError(Exception):
    """It could not be measured."""


def _silent(_: str) -> None:
    return


def run(
    seconds: float = 30.0,
    *,
    nodes: int = NODES,
    directory: Path | None = None,
    say: Callable[[str], None] = _silent,
) -> Figures:
    """``seconds`` of the steady rate, half as many of as much as goes, and ``seconds`` of a node's side; the
    first snapshots of all nodes take about two minutes before that. ``directory`` is where the
    receiver keeps its data (default: a temporary one). Raises FleetError."""
    with Receiver(directory) as receiver, _players(receiver, nodes) as players:
        pid = _pid(receiver)
        say(f"fleet: the first snapshots of {nodes:,} nodes")
        first = _phase(players, pid, "snapshot")
        say(f"fleet: {seconds:.0f} s of {nodes * CHANGES_PER_MINUTE / 60:.0f} batches a second")
        rate = nodes * CHANGES_PER_MINUTE / 60 / PLAYERS
        steady = _phase(players, pid, f"play {seconds} {rate}")
        memory = usage(pid)
        say(f"fleet: {seconds / 2:.0f} s of as many as go")
        most = _phase(players, pid, f"play {seconds / 2} 0")
        rows = receiver.rows("SELECT count(*) FROM container")[0][0]
        if rows != most.containers:
            raise FleetError(f"the receiver holds {rows:,} containers, expected {most.containers:,}")
        return Figures(
            nodes=nodes,
            containers=nodes * CONTAINERS,
            first=first,
            steady=steady,
            most=most,
            rss_mib=memory.rss_mib,
            peak_rss_mib=usage(pid).peak_rss_mib,
            database_mib=_size(receiver.data_dir) / 2**20,
            rows=rows,
            node_side=_node_side(receiver, seconds, say),
        )


def _node_side(receiver: Receiver, seconds: float, say: Callable[[str], None]) -> NodeSide:
    say(f"fleet: {seconds:.0f} s of one real outbox and uploader")
    with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
        try:
            return node_side.measure(receiver, Path(folder), seconds)
        except node_side.NodeSideError as error:
            raise FleetError(str(error)) from error


def _pid(receiver: Receiver) -> int:
    if receiver.process is None:
        raise FleetError("the receiver does not run")
    return receiver.process.pid


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.iterdir() if file.name.startswith("receiver.db"))


_Player = subprocess.Popen[str]


@contextlib.contextmanager
def _players(receiver: Receiver, nodes: int) -> Iterator[list[_Player]]:
    share = nodes // PLAYERS
    started = [_started(receiver, number * share, share) for number in range(PLAYERS)]
    try:
        for player in started:
            _answer(player)
        yield started
    finally:
        for player in started:
            player.kill()
            player.wait()
            for pipe in filter(None, (player.stdin, player.stdout)):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _started(receiver: Receiver, first: int, count: int) -> _Player:
    command = [sys.executable, "-m", "tests.fleet.player", receiver.grpc_address]
    return subprocess.Popen(
        [*command, str(first), str(count), str(CONTAINERS)],
        cwd=ROOT,
        env={**os.environ, "FLEET_TOKEN": receiver.token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _answer(player: _Player) -> dict[str, Any]:
    assert player.stdout is not None
    line = player.stdout.readline()
    if not line:
        raise FleetError(f"a player ended with {player.wait()}; its words are above")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _phase(players: list[_Player], receiver: int, command: str) -> Phase:
    before, began = usage(receiver), time.monotonic()
    for player in players:
        assert player.stdin is not None
        player.stdin.write(command + "\n")
        player.stdin.flush()
    answers: list[dict[str, Any]] = [{}] * len(players)

    def listen(place: int) -> None:
        answers[place] = _answer(players[place])

    threads = [threading.Thread(target=listen, args=(place,)) for place in range(len(players))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return _joined(answers, time.monotonic() - began, before, usage(receiver))


def _joined(answers: list[dict[str, Any]], seconds: float, before: Usage, after: Usage) -> Phase:
    if not all(answers):
        raise FleetError("a player gave no answer; its words are above")
    latencies = [each for answer in answers for each in answer["latencies"]]
    failures = {answer["failure"] for answer in answers} - {""}
    if failures and not latencies:
        raise FleetError(f"no batch arrived: {'; '.join(sorted(failures))}")
    return Phase(
        seconds=seconds,
        batches=len(latencies),
        reports=sum(answer["reports"] for answer in answers),
        p50=percentile(latencies, 0.5),
        p99=percentile(latencies, 0.99),
        worst=max(latencies, default=0.0),
        failed=sum(answer["failed"] for answer in answers),
        containers=sum(answer["containers"] for answer in answers),
        receiver_cpu=(after.cpu_seconds - before.cpu_seconds) / seconds,
    )
