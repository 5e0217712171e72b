"""What delivery costs the sensor: one real outbox and uploader in a process of their own.

``python -m tests.fleet.node_side ADDRESS FOLDER CONTAINERS CHANGES_PER_MINUTE``; the token is in FLEET_TOKEN.
It says ``base`` on standard output before it has either, ``ready`` once everything has arrived, and then
goes on changing containers until it is ended. A simulated node gives the states; what that takes is in both.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.agent import usage
from tests.fleet.figures import NodeSide
from tests.receiver_process import Receiver

CONTAINERS = 250
CHANGES_PER_MINUTE = 30.0
ROOT = Path(__file__).resolve().parents[2]


class NodeSideError(Exception):
    """It could not be measured."""


def measure(
    receiver: Receiver, folder: Path, seconds: float, changes_per_minute: float = CHANGES_PER_MINUTE
) -> NodeSide:
    """Memory after ``seconds`` of changes, and CPU meanwhile. Raises NodeSideError."""
    command = [sys.executable, "-m", "tests.fleet.node_side", receiver.grpc_address, str(folder)]
    with subprocess.Popen(
        [*command, str(CONTAINERS), str(changes_per_minute)],
        cwd=ROOT,
        env={**os.environ, "FLEET_TOKEN": receiver.token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _expect(process, "base")
            base = usage(process.pid)
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
            _expect(process, "ready")
            before, began = usage(process.pid), time.monotonic()
            time.sleep(seconds)
            after, elapsed = usage(process.pid), time.monotonic() - began
        finally:
            process.kill()
    return NodeSide(
        containers=CONTAINERS,
        changes=changes_per_minute,
        seconds=elapsed,
        base_mib=base.rss_mib,
        rss_mib=after.rss_mib,
        peak_mib=after.peak_rss_mib,
        cpu_cores=(after.cpu_seconds - before.cpu_seconds) / elapsed,
    )


def _expect(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    found = process.stdout.readline().strip()
    if found != word:
        raise NodeSideError(f"the process said {found!r}, expected {word!r}; its last words are above")


def play(address: str, folder: Path, containers: int, changes_per_minute: float) -> None:
    """Does not return."""
    from tests.fleet.cluster import Node, catalogue

    node = Node(1, containers, catalogue(), time.time())
    print("base", flush=True)
    sys.stdin.readline()

    from sensor.config import texts
    from sensor.config.upstream import UpstreamSettings
    from sensor.delivery.outbox import Outbox, Routed
    from sensor.delivery.uploader import Uploader
    from sensor.snyk.connect import connect
    from sensor.snyk.token import Token

    token = os.environ["FLEET_TOKEN"]
    settings = UpstreamSettings(texts.address("upstream", address), token=token, plaintext=True)
    outbox = Outbox(folder)
    uploader = Uploader(
        "default", outbox, connect(settings, "", Token(token)), settings, cluster="side", node="node-1"
    )

    def write(now: float, whole: bool = False) -> None:
        batch = node.snapshot(now) if whole else node.change(now)
        outbox.write([Routed("default", state.key, state.report) for state in batch.states])

    write(time.time(), whole=True)
    uploader.snapshot_now()
    uploader.start()
    while outbox.unsent("default"):
        time.sleep(0.05)
    print("ready", flush=True)
    while True:
        time.sleep(60 / changes_per_minute)
        write(time.time())


if __name__ == "__main__":
    play(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
