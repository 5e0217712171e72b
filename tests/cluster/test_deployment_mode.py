"""``runtime-sensor node --workload-type deployment`` against a real API server and a real receiver."""

from __future__ import annotations

import contextlib
import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clock import PATIENCE
from tests.cluster import objects, workloads
from tests.cluster.api_server import ApiServer
from tests.receiver_process import Receiver, free_ports

pytestmark = pytest.mark.cluster

RULES = (
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]},
    {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["replicationcontrollers"], "verbs": ["get"]},
)
KINDS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "ReplicationController", "Rollout")


class Cluster:
    """An API server, a receiver, and sensors between them, as a service account with just its rules."""

    def __init__(self, server: ApiServer, receiver: Receiver, folder: Path) -> None:
        self.server, self.receiver, self.admin = server, receiver, server.admin
        self._folder = folder
        self._token = server.accounts.make("sensor", "cluster", RULES)
        self.port = 0

    @contextlib.contextmanager
    def sensor(self, *options: str, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[bytes]]:
        """A sensor that has listed everything; it ends in order, with 0."""
        (self.port,) = free_ports(1)
        command = [
            *(*before, sys.executable, "-m", "sensor.cli", "node", "--workload-type", "deployment"),
            *("--kubeconfig", str(self.server.kubeconfig(self._kubeconfig, token_file=self._token))),
            *("--cluster-name", "east", "--upstream", self.receiver.grpc_address, "--plaintext"),
            *("--token-file", str(self.receiver.token_file), "--batch-interval", "0.2"),
            *("--metrics-address", f"127.0.0.1:{self.port}", *options),
        ]
        with (self._folder / "sensor.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.until(lambda: process.poll() is not None or self.ask("/readyz")[0] == 200)
            assert process.poll() is None, self.log()
            yield process
            process.terminate()
            assert process.wait(PATIENCE) == 0, self.log()
        finally:
            process.kill()
            process.wait()

    @property
    def _kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    def log(self) -> str:
        return (self._folder / "sensor.log").read_text()

    def ask(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        return 0, ""

    def metric(self, name: str, labels: str = "") -> float:
        found = re.search(
            rf"^runtime_sensor_{name}{re.escape(labels)} (\S+)$", self.ask("/metrics")[1], re.MULTILINE
        )
        return float(found[1]) if found else 0.0

    def run_pod(self, kind: str | None, name: str, space: str = "shop", **fields: Any) -> Any:
        """A pod whose containers all run, ephemeral ones too."""
        workloads.ensure_namespace(self.admin, space)
        made = workloads.workload_pod(self.admin, kind, name, space, **fields)
        return self.let_run(made)

    def let_run(self, pod: Any, *names: str, generation: int = 1) -> Any:
        declared = pod["spec"]["containers"] + pod["spec"].get("initContainers", [])
        declared += pod["spec"].get("ephemeralContainers", [])
        ids = {
            one["name"]: container_id(pod, one["name"], generation)
            for one in declared
            if not names or one["name"] in names
        }
        return self.admin.set_status(pod, objects.running(pod, ids))

    def rows(self, space: str = "shop") -> dict[tuple[str, str], dict[str, Any]]:
        """What the receiver holds as running, by pod and container."""
        return {
            (row["pod_name"], row["container_name"]): row
            for row in self.receiver.containers()
            if row["namespace"] == space and row["ended_at"] is None
        }

    def until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, (self.rows().keys(), self.log()[-4000:])
            time.sleep(0.05)


def container_id(pod: Any, name: str, generation: int = 1) -> str:
    return objects.container_id(f"{pod['metadata']['uid']}/{name}/{generation}")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        workloads.serve_custom_kinds(made.admin)
        yield made


@pytest.fixture
def cluster(server: ApiServer, tmp_path: Path) -> Iterator[Cluster]:
    with Receiver() as receiver:
        made = Cluster(server, receiver, tmp_path)
        yield made
        for pod in server.admin.get("/api/v1/pods")["items"]:
            server.admin.delete({"apiVersion": "v1", "kind": "Pod", **pod})


def test_every_running_container_is_told_with_its_names(cluster: Cluster) -> None:
    expected: dict[tuple[str, str], tuple[str, str]] = {}
    for kind in (*KINDS, None):
        name = f"{(kind or 'bare').lower()}-of-names"
        pod = cluster.run_pod(
            kind,
            name,
            node="node-7",
            containers=[objects.container("app", f"registry.example.com:5000/shop/{name}:1.2")],
            init=[objects.sidecar("mesh", "mesh/proxy")],
        )
        pod = cluster.admin.add_ephemeral(pod, objects.container("debug", "busybox"))
        cluster.let_run(pod)
        for container in ("app", "mesh", "debug"):
            expected[pod["metadata"]["name"], container] = (kind or "Pod", name)
    with cluster.sensor():
        cluster.until(lambda: len(cluster.rows()) == len(expected))
        rows = cluster.rows()
    assert {key: (row["workload_kind"], row["workload_name"]) for key, row in rows.items()} == expected
    images = {"mesh": "docker.io/mesh/proxy:latest", "debug": "docker.io/library/busybox:latest"}
    for (pod_name, name), row in rows.items():
        workload = expected[pod_name, name][1]
        written = f"registry.example.com:5000/shop/{workload}:1.2" if name == "app" else ""
        assert row["image_name"] == (written or images[name])
        of = written or {"mesh": "mesh/proxy", "debug": "busybox"}[name]
        assert row["image_digest"] == objects.image_id_of(of).partition("@")[2]
        assert (row["cluster"], row["node"], row["runtime"]) == ("east", "node-7", "containerd")
        assert (row["coverage"], row["coverage_reasons"]) == ("partial", "packages_not_watched")


def test_changes_are_told_at_once_and_ends_end(cluster: Cluster) -> None:
    with cluster.sensor():
        pod = cluster.run_pod("Deployment", "changes")
        name = pod["metadata"]["name"]
        cluster.until(lambda: (name, "main") in cluster.rows(), 10)
        cluster.let_run(pod, generation=2)
        again = container_id(pod, "main", 2).partition("//")[2]
        cluster.until(lambda: [row["key"] for row in cluster.rows().values()] == [again], 10)
        cluster.admin.delete(pod)
        cluster.until(lambda: not cluster.rows(), 10)
        assert cluster.metric("deployed_containers") == 0


def test_only_what_the_filters_allow_is_told(cluster: Cluster) -> None:
    cluster.run_pod("Deployment", "allowed", "shop", labels={"tier": "web"})
    cluster.run_pod("Job", "other-kind", "shop", labels={"tier": "web"})
    cluster.run_pod("Deployment", "other-label", "shop", labels={"tier": "db"})
    cluster.run_pod("Deployment", "other-space", "kitchen", labels={"tier": "web"})
    options = ("--filter-namespaces", "sh*", "--filter-workload-types", "deployment")
    with cluster.sensor(*options, "--filter-pod-labels", "tier=web"):
        cluster.until(cluster.rows)
        cluster.until(lambda: cluster.metric("pods_by_filter", '{verdict="out"}') == 3)
    assert [row["workload_name"] for row in cluster.receiver.containers()] == ["allowed"]


def test_what_happened_while_it_was_down_is_told_after_a_restart(cluster: Cluster, tmp_path: Path) -> None:
    state = ("--state-dir", str(tmp_path / "state"), "--snapshot-interval", "86400")
    stays, goes, restarts = (cluster.run_pod("Deployment", name) for name in ("stays", "goes", "restarts"))
    with cluster.sensor(*state):
        cluster.until(lambda: len(cluster.rows()) == 3)
    cluster.admin.delete(goes)
    cluster.let_run(restarts, generation=2)
    cluster.run_pod("Deployment", "comes")
    with cluster.sensor(*state):
        cluster.until(lambda: {name for name, _ in cluster.rows()} >= {"comes-5d8f6c9b7-x7k2p"})
        cluster.until(lambda: len(cluster.rows()) == 3)
        known = {row["key"]: row for row in cluster.receiver.containers()}
    assert known[container_id(goes, "main").partition("//")[2]]["ended_at"] is not None
    assert known[container_id(restarts, "main", 1).partition("//")[2]]["ended_at"] is not None
    assert known[container_id(restarts, "main", 2).partition("//")[2]]["ended_at"] is None
    assert known[container_id(stays, "main").partition("//")[2]]["ended_at"] is None


def test_without_a_state_directory_the_snapshot_ends_what_is_gone(cluster: Cluster) -> None:
    goes, stays = cluster.run_pod("Deployment", "goes-whole"), cluster.run_pod("Deployment", "stays-whole")
    with cluster.sensor():
        cluster.until(lambda: len(cluster.rows()) == 2)
    cluster.admin.delete(goes)
    with cluster.sensor():
        cluster.until(lambda: [name for name, _ in cluster.rows()] == [stays["metadata"]["name"]])


@pytest.mark.parametrize("fault", ["restart", "expire_watches"])
def test_no_pod_is_missed_and_none_is_stale_after_a_fault(cluster: Cluster, fault: str) -> None:
    pods = [cluster.run_pod("Deployment", f"{fault.replace('_', '-')}-{number}") for number in range(4)]
    with cluster.sensor():
        cluster.until(lambda: len(cluster.rows()) == 4)
        getattr(cluster.server, fault)()
        cluster.admin.delete(pods[0])
        new = cluster.run_pod("StatefulSet", f"{fault.replace('_', '-')}-new")
        expected = {one["metadata"]["name"] for one in (*pods[1:], new)}
        cluster.until(lambda: {name for name, _ in cluster.rows()} == expected)


def test_a_missing_right_is_said_and_what_it_would_tell_is_guessed(cluster: Cluster) -> None:
    """The workload is guessed from the name meanwhile."""
    cluster.server.accounts.allow("sensor", "cluster", RULES[:1])
    try:
        cluster.run_pod("Deployment", "guessed", labels={"pod-template-hash": "5d8f6c9b7"})
        with cluster.sensor():
            cluster.until(cluster.rows)
            assert 'resources: ["replicasets"]' in cluster.log()
        (row,) = cluster.rows().values()
        assert (row["workload_kind"], row["workload_name"]) == ("Deployment", "guessed")
    finally:
        cluster.server.accounts.allow("sensor", "cluster", RULES)


def test_it_needs_no_capability(cluster: Cluster) -> None:
    """As root without any, which setpriv(1) takes away for good."""
    cluster.run_pod("Deployment", "bounded")
    none = ("setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
    with cluster.sensor(before=none) as process:
        cluster.until(cluster.rows)
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE), status
        assert not re.search("lib(bpf|bcc|LLVM)", Path(f"/proc/{process.pid}/maps").read_text())
