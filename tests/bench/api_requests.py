"""What a node asks of the API server in an hour: requests and bytes, idle and at a pod a second.

The sensor's own watch and owners follow one node of a real API server, through a proxy that counts bytes.
Watches are shortened by :data:`SHORTER`, so that an hour's restarts fit into minutes. An hour is reckoned
back by verb: watches by that factor, all else by time alone. Bookmarks, of which a server sends one a minute,
are added by their size. TLS is not counted: about 30 bytes a record, and 3 KiB for the one connection.

``python -m tests.bench.api_requests``: exit 0, or 2 when it could not measure.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import queue
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sensor.config.kube import KubeSettings
from sensor.kube.api_server import ApiServer as Client
from sensor.kube.connect import connect
from sensor.kube.owners import Owners
from sensor.kube.pace import WATCH, Pace
from sensor.kube.pod_store import KnownPod, PodStore
from sensor.kube.pod_watch import PodWatch
from tests.bench.cluster_pods import pod, status
from tests.bench.process import BenchError, progress, wait_until
from tests.cluster import objects
from tests.cluster.api_server import ApiServer
from tests.cluster.build import BuildError
from tests.cluster.daemon import ClusterError
from tests.cluster.proxy import FaultProxy

KEY = "api_requests"
SHORTER = 30
NODES = 5_000
NODE = "node-1"
PODS = 30
"""On the node at the start, one Deployment for each three."""
PHASE_SECONDS = 60.0
_HOUR = 3600.0
_WATCH_SECONDS = sum(WATCH) / 2
_BOOKMARK_SECONDS = 60.0
_BOOKMARK_WATCH = 15
_RULES = (
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
)


@dataclass(frozen=True, slots=True)
class Hour:
    """Of one node: requests by verb and resource, and bytes of HTTP both ways, headers included."""

    requests: dict[str, float]
    bytes: float

    def as_json(self) -> dict[str, Any]:
        total = sum(self.requests.values())
        return {
            "requests_per_hour": round(total, 1),
            "by_verb": {name: round(count, 1) for name, count in self.requests.items()},
            "bytes_per_hour": round(self.bytes),
            "fleet_nodes": NODES,
            "fleet_requests_per_second": round(total * NODES / _HOUR, 1),
            "fleet_bytes_per_second": round(self.bytes * NODES / _HOUR),
        }


@dataclass(frozen=True, slots=True)
class Start:
    """What a node asks once, when the sensor starts there."""

    pods: int
    requests: dict[str, int]
    bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """``bookmark_bytes`` is of one event with its frame. ``audited`` requests the API server has counted."""

    start: Start
    steady: Hour
    watches_measured: float
    """Of an idle hour, as counted; ``steady`` has them by the mean of what the sensor asks for."""
    deployments: Hour
    """A pod a second, all of one Deployment."""
    jobs: Hour
    """A pod a second, each of a new Job."""
    bookmark_bytes: int
    counted: int
    audited: int
    phase_seconds: float

    def as_json(self) -> dict[str, Any]:
        """For ``build/bench.json``."""
        return {
            "start": asdict(self.start),
            "steady": self.steady.as_json(),
            "pod_per_second_deployment": self.deployments.as_json(),
            "pod_per_second_job": self.jobs.as_json(),
            "watches_per_hour_measured": round(self.watches_measured, 1),
            "bookmark_bytes": self.bookmark_bytes,
            "requests_counted": self.counted,
            "requests_audited": self.audited,
            "phase_seconds": self.phase_seconds,
            "watches_shortened_by": SHORTER,
        }


def lines(found: Figures) -> list[str]:
    """For people."""
    start = found.start
    rows = [
        (
            f"API server: what a node asks in an hour, and {NODES:,} nodes together "
            f"(watches shortened {SHORTER} times, reckoned back)"
        ),
        (
            f"  {'start':34} {sum(start.requests.values()):8,} requests {start.bytes / 1024:12,.1f} KiB, "
            f"once, with {start.pods} pods on the node"
        ),
    ]
    for name, hour in (
        ("idle", found.steady),
        ("a pod a second, of one Deployment", found.deployments),
        ("a pod a second, each of a new Job", found.jobs),
    ):
        known = hour.as_json()
        rows.append(
            f"  {name:34} {known['requests_per_hour']:8,} requests {hour.bytes / 1024:12,.1f} KiB; fleet "
            f"{known['fleet_requests_per_second']:,} requests and "
            f"{known['fleet_bytes_per_second'] / 1024:,.1f} KiB a second"
        )
    return rows


class _ShortWatches(Pace):
    def watch(self) -> float:
        return super().watch() / SHORTER


class Node:
    """The sensor's watch of one node, and its owners, each asked for as its pod shows up."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.workloads = 0
        self._new: queue.SimpleQueue[KnownPod | None] = queue.SimpleQueue()
        self._asked: set[str] = set()
        self._owners = Owners(client)
        self.store = PodStore(on_change=self._new.put)
        self._watch = PodWatch(client, self.store, NODE, pace=_ShortWatches(start_spread=0.0))
        self._asker = threading.Thread(target=self._ask, name="owners", daemon=True)

    def start(self) -> None:
        self._asker.start()
        self._watch.start()

    def stop(self) -> None:
        self._watch.stop(5.0)
        self._new.put(None)
        self._asker.join(10.0)
        self.client.close()

    def requests(self) -> Counter[str]:
        """By verb and resource."""
        found: Counter[str] = Counter()
        for (verb, resource, result), count in list(self.client.counters.requests.items()):
            if result.isdecimal():  # answered; what failed after it is counted once more
                found[f"{verb} {resource}"] += count
        return found

    def _ask(self) -> None:
        while (known := self._new.get()) is not None:
            if known.pod.uid not in self._asked:
                self._asked.add(known.pod.uid)
                self.workloads += self._owners.workload(known.pod) is not None


def run(phase_seconds: float = PHASE_SECONDS) -> Figures:
    """Raises BenchError."""
    try:
        with ApiServer() as server, server.proxy() as proxy, tempfile.TemporaryDirectory() as folder:
            owners = _Owned(server)
            for number in range(PODS):
                owners.start(owners.replica_set(number // 3), number)
            with _node(server, proxy, Path(folder)) as node:
                return _measure(server, proxy, node, owners, phase_seconds)
    except (BuildError, ClusterError) as error:
        raise BenchError(str(error)) from error


@contextlib.contextmanager
def _node(server: ApiServer, proxy: FaultProxy, folder: Path) -> Iterator[Node]:
    token = server.accounts.make("sensor", "node", _RULES)
    kubeconfig = server.kubeconfig(folder / "kubeconfig", url=proxy.url, token_file=token)
    node = Node(connect(KubeSettings(kubeconfig), NODE))
    try:
        yield node
    finally:
        node.stop()


class _Owned:
    """Pods on the node, and what owns them."""

    def __init__(self, server: ApiServer) -> None:
        self._admin = server.admin
        self._sets: dict[int, Any] = {}

    def replica_set(self, number: int) -> Any:
        if number not in self._sets:
            deployment = self._admin.create(objects.workload("Deployment", f"app-{number}"))
            made = objects.workload("ReplicaSet", f"app-{number}-5d9c7b8f6", owner=deployment)
            self._sets[number] = self._admin.create(made)
        return self._sets[number]

    def job(self, number: int) -> Any:
        return self._admin.create(objects.workload("Job", f"job-{number}"))

    def start(self, owner: Any, number: int) -> Any:
        name = f"{owner['metadata']['name']}-{number:05x}"
        made = self._admin.create(pod(name, "default", NODE, owner, number))
        return self._admin.set_status(made, status(made))

    def live(self, owner: Any, number: int) -> None:
        """A whole short life, as five events of a watch: made, started, running, done, deleted."""
        one = self.start(owner, number)
        self._admin.set_status(one, {"conditions": [], "podIP": "10.1.2.4"})
        self._admin.set_status(one, {"phase": "Succeeded"})
        self._admin.delete(one)


def _measure(server: ApiServer, proxy: FaultProxy, node: Node, owned: _Owned, seconds: float) -> Figures:
    progress("a node's sensor starts")
    node.start()
    if not wait_until(lambda: node.workloads >= PODS and node.requests()["watch pods"] > 0, 30.0):
        raise BenchError(f"found {node.workloads} workloads, expected those of {PODS} pods within 30 s")
    start = Start(PODS, dict(node.requests()), _bytes(proxy))
    bookmark = _bookmark_bytes(server)

    def phase(what: str, live: Callable[[int], None] | None) -> tuple[Counter[str], int, float]:
        progress(f"{what}: {seconds:.0f} s")
        requests, sent, began = node.requests(), _bytes(proxy), time.monotonic()
        for number in range(int(seconds)):
            if live is not None:
                live(number)
            wait_until(lambda until=began + number + 1: time.monotonic() >= until, 2.0)  # type: ignore[misc]
        node_has = node.requests()
        return node_has - requests, _bytes(proxy) - sent, time.monotonic() - began

    idle = phase("idle", None)
    steady, of_a_watch = _idle(idle[0], idle[1], bookmark)
    shared = owned.replica_set(0)
    deployments = phase(
        "a pod a second of one Deployment", lambda number: owned.live(shared, 10_000 + number)
    )
    jobs = phase("a pod a second, each of a Job", lambda number: owned.live(owned.job(number), number))
    node.stop()
    counted = sum(node.requests().values())
    audited = sum(one.status == 200 for one in server.requests("runtime-sensor/"))
    if counted != audited:
        raise BenchError(f"the sensor counted {counted} requests, the API server's audit log {audited}")
    return Figures(
        start=start,
        steady=steady,
        watches_measured=idle[0]["watch pods"] * _HOUR / idle[2] / SHORTER,
        deployments=_busy(*deployments, steady, of_a_watch),
        jobs=_busy(*jobs, steady, of_a_watch),
        bookmark_bytes=bookmark,
        counted=counted,
        audited=audited,
        phase_seconds=seconds,
    )


def _idle(requests: Counter[str], sent: int, bookmark: int) -> tuple[Hour, float]:
    """Return the hour, and the bytes that one watch takes by itself."""
    if set(requests) != {"watch pods"}:
        raise BenchError(f"an idle node asked for {dict(requests)}, expected watches alone")
    of_a_watch = sent / requests["watch pods"]
    watches = _HOUR / _WATCH_SECONDS
    size = watches * of_a_watch + _HOUR / _BOOKMARK_SECONDS * bookmark
    return Hour({"watch pods": watches}, size), of_a_watch


def _busy(requests: Counter[str], sent: int, seconds: float, steady: Hour, of_a_watch: float) -> Hour:
    others = {verb: count * _HOUR / seconds for verb, count in requests.items() if verb != "watch pods"}
    events = max(0.0, sent - requests["watch pods"] * of_a_watch) * _HOUR / seconds
    return Hour(dict(steady.requests) | others, steady.bytes + events)


def _bytes(proxy: FaultProxy) -> int:
    return proxy.traffic.bytes_up + proxy.traffic.bytes_down


def _bookmark_bytes(server: ApiServer) -> int:
    """A server sends one shortly before it ends a watch."""
    version = server.admin.get("/api/v1/pods", limit=1)["metadata"]["resourceVersion"]
    for event in server.admin.watch(
        "/api/v1/pods", resourceVersion=version, allowWatchBookmarks="true", timeoutSeconds=_BOOKMARK_WATCH
    ):
        if event["type"] == "BOOKMARK":
            return len(json.dumps(event, separators=(",", ":"))) + len("100\r\n\n\r\n")
    raise BenchError(f"found no bookmark in a watch of {_BOOKMARK_WATCH} s, expected one before its end")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.api_requests", description="API requests")
    parser.add_argument("--seconds", type=float, default=PHASE_SECONDS, help="of each of the three phases")
    arguments = parser.parse_args()
    try:
        found = run(arguments.seconds)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines(found)))
    print(json.dumps({KEY: found.as_json()}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
