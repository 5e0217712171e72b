"""Deployment mode with 10,000 pods of a real API server: its memory, its CPU, what it asks.

``python -m tests.bench.pods``: exit 0 when the bar is met, 1 when not, 2 when it could not measure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.agent import Agent, agent
from tests.bench.cluster_pods import Changes, containers, populate, samples, size
from tests.bench.process import BenchError, progress, wait_until
from tests.cluster.api_server import ApiServer
from tests.cluster.build import BuildError
from tests.cluster.daemon import ClusterError
from tests.receiver_process import Receiver

KEY = "deployment_mode"
RSS_BAR_MIB = 200.0
PODS = 10_000
CHANGES_PER_SECOND = 10.0
STEADY_SECONDS = 60.0
ARRIVE_SECONDS = 300.0
FOLLOW_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Memory in MiB, resident: ``peak`` of the whole run, ``listed`` once every container has arrived at the
    receiver, ``steady`` after ``seconds`` of ``changes`` a second. ``ready_seconds`` is until /readyz,
    ``arrived_seconds`` until all was delivered. Requests and bytes are of the API server."""

    pods: int
    containers: int
    pod_bytes: int
    ready_seconds: float
    arrived_seconds: float
    listed_mib: float
    steady_mib: float
    peak_mib: float
    seconds: float
    changes: float
    cpu_cores: float
    outbox_bytes: int
    start_requests: int
    start_bytes: int
    steady_requests: int
    steady_bytes: int

    def as_json(self) -> dict[str, Any]:
        """For ``build/bench.json``."""
        return {name: round(value, 4) for name, value in asdict(self).items()}


def bars(found: Figures) -> dict[str, tuple[float, float, bool]]:
    """Name -> (figure, bar, met)."""
    return {
        "deployment_mode_peak_mib": (found.peak_mib, RSS_BAR_MIB, found.peak_mib <= RSS_BAR_MIB),
    }


def lines(found: Figures) -> list[str]:
    """For people."""
    mark = "PASS" if found.peak_mib <= RSS_BAR_MIB else "OVER"
    return [
        (
            f"deployment mode, {found.pods:,} pods ({found.containers:,} containers, "
            f"{found.pod_bytes / 1024:.1f} KiB of JSON each) of a real API server, delivering by gRPC:"
        ),
        (
            f"  ready after {found.ready_seconds:.1f} s, all delivered after {found.arrived_seconds:.1f} s, "
            f"with {found.start_requests:,} requests and {found.start_bytes / 2**20:.1f} MiB"
        ),
        (
            f"  memory resident: {found.listed_mib:.1f} MiB then, {found.steady_mib:.1f} MiB after "
            f"{found.seconds:.0f} s of {found.changes:.1f} changes a second"
        ),
        (
            f"  memory at its highest {found.peak_mib:.1f} MiB ({mark}, bar {RSS_BAR_MIB:g}); "
            f"outbox {found.outbox_bytes / 2**20:.1f} MiB"
        ),
        (
            f"  CPU {found.cpu_cores:.4f} cores, {found.steady_requests:,} requests and "
            f"{found.steady_bytes / 2**20:.2f} MiB of the API server meanwhile"
        ),
    ]


def run(pods: int = PODS, seconds: float = STEADY_SECONDS) -> Figures:
    """Raises BenchError."""
    try:
        with ApiServer() as server, Receiver() as receiver, tempfile.TemporaryDirectory() as folder:
            progress(f"making {pods:,} pods")
            made = populate(server.admin, pods)
            options = [
                *("--workload-type", "deployment", "--output", "none", "--cluster-name", "bench"),
                *("--kubeconfig", str(server.kubeconfig(Path(folder) / "kubeconfig"))),
                *("--upstream", receiver.grpc_address, "--plaintext"),
                *("--token-file", str(receiver.token_file), "--state-dir", f"{folder}/state"),
                *("--batch-interval", "1", "--requests-per-minute", "600"),
            ]
            progress("the sensor lists them")
            began = time.monotonic()
            with agent(Path(folder) / "output", Path(folder) / "log", *options) as sensor:
                return _measure(server, sensor, made, seconds, began)
    except (BuildError, ClusterError) as error:
        raise BenchError(str(error)) from error


def _measure(
    server: ApiServer, sensor: Agent, made: list[dict[str, Any]], seconds: float, began: float
) -> Figures:
    ready = time.monotonic() - began
    expected = containers(made)
    if not wait_until(lambda: _counted(sensor)["arrived"] >= expected, ARRIVE_SECONDS):
        raise BenchError(f"found {_counted(sensor)}, expected {expected} containers to arrive")
    arrived = time.monotonic() - began
    listed, before = sensor.usage(), _counted(sensor)
    progress(f"{CHANGES_PER_SECOND:g} changes a second for {seconds:.0f} s")
    changes, since = Changes(server.admin, made, CHANGES_PER_SECOND), time.monotonic()
    changes.start()
    wait_until(lambda: time.monotonic() - since >= seconds, seconds + 1)
    changes.stop()
    lasted, after, usage = time.monotonic() - since, _counted(sensor), sensor.usage()
    expected = containers(changes.pods)
    if not wait_until(lambda: _counted(sensor)["running"] == expected, FOLLOW_SECONDS):
        raise BenchError(f"found {_counted(sensor)}, expected {expected} containers to run")
    return Figures(
        pods=len(made),
        containers=expected,
        pod_bytes=round(sum(map(size, made)) / len(made)),
        ready_seconds=ready,
        arrived_seconds=arrived,
        listed_mib=listed.rss_mib,
        steady_mib=usage.rss_mib,
        peak_mib=sensor.usage().peak_rss_mib,
        seconds=lasted,
        changes=changes.done / lasted,
        cpu_cores=(usage.cpu_seconds - listed.cpu_seconds) / lasted,
        outbox_bytes=after["outbox"],
        start_requests=before["requests"],
        start_bytes=before["bytes"],
        steady_requests=after["requests"] - before["requests"],
        steady_bytes=after["bytes"] - before["bytes"],
    )


def _counted(sensor: Agent) -> dict[str, int]:
    exposition = sensor.exposition()

    def total(name: str) -> int:
        return round(sum(value for _, value in samples(exposition, f"runtime_sensor_{name}")))

    return {
        "arrived": total("upload_states_total"),
        "running": total("deployed_containers"),
        "outbox": total("outbox_bytes"),
        "requests": total("kube_requests_total"),
        "bytes": total("kube_received_bytes_total"),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.pods", description=__doc__)
    parser.add_argument("--pods", type=int, default=PODS)
    parser.add_argument("--seconds", type=float, default=STEADY_SECONDS, help="of changes")
    arguments = parser.parse_args()
    try:
        found = run(arguments.pods, arguments.seconds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines(found)))
    print(json.dumps({KEY: found.as_json()}))
    return 0 if all(met for _, _, met in bars(found).values()) else 1


if __name__ == "__main__":
    sys.exit(main())
