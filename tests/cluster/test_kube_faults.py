"""What goes wrong between a node and a real API server: after each of it no pod is missing and none is stale.

The bound is 30 s from the moment that the server answers again. The waits are those of the product.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor.kube.api_server import ApiServer as Api
from sensor.kube.in_cluster import InCluster
from sensor.kube.owners import Owners
from sensor.kube.pace import Pace
from sensor.kube.pod_store import PodStore
from sensor.kube.pod_watch import REFUSALS, PodWatch
from sensor.model.container import Workload
from tests.clock import PATIENCE
from tests.cluster import objects
from tests.cluster.api_server import ApiServer
from tests.cluster.client import Json, path_of
from tests.cluster.proxy import FaultProxy

pytestmark = pytest.mark.cluster

NODE = "node-1"
BOUND = 30.0
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
REPLICA_SETS = {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["get"]}
_ACCOUNT = ("monitoring", "sensor")


class Impatient(Pace):
    """Without a right it is asked again after minutes, which no test has."""

    def forbidden(self) -> float:
        return 0.2


class Side:
    """An agent's side: by a service account's files, through the proxy."""

    def __init__(self, server: ApiServer, proxy: FaultProxy, pace: Pace | None = None) -> None:
        self.server = server
        self.token = server.accounts.renew(*_ACCOUNT)
        environment = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": proxy.url.rpartition(":")[2],
        }
        self.api = Api(InCluster(environment, self.token.parent), "runtime-sensor/test")
        self.store = PodStore()
        self.watch = PodWatch(self.api, self.store, NODE, pace=pace)

    def known(self) -> set[tuple[str, ...]]:
        """Name, uid and the containers' ids of each pod."""
        return {
            (known.pod.name, known.pod.uid, *(one.id or "" for one in known.pod.containers))
            for known in self.store.pods()
        }

    def really(self) -> set[tuple[str, ...]]:
        """The same, of this node, by a consistent list."""
        listed = self.server.admin.get("/api/v1/pods", fieldSelector=f"spec.nodeName={NODE}")
        return {
            (
                item["metadata"]["name"],
                item["metadata"]["uid"],
                *(
                    one["containerID"].rpartition("/")[2]
                    for one in item["status"].get("containerStatuses", [{"containerID": ""}])
                ),
            )
            for item in listed["items"]
        }

    def right_after(self, what: str, began: float) -> float:
        """Return and print the seconds from ``began`` until nothing was missing or stale."""
        wait_until(lambda: self.store.synced and self.known() == self.really(), BOUND)
        seconds = time.monotonic() - began
        print(f"\n{what}: nothing missing, nothing stale after {seconds:.1f} s; {self.requests()}")
        assert seconds <= BOUND
        return seconds

    def requests(self) -> dict[str, int]:
        counted = sorted(self.api.counters.requests.items())
        return {f"{verb} {result}": number for (verb, _, result), number in counted}


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, f"it did not come to hold within {seconds:g} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        made.accounts.make(*_ACCOUNT, [PODS, REPLICA_SETS])
        yield made


@pytest.fixture
def proxy(server: ApiServer) -> Iterator[FaultProxy]:
    with server.proxy() as made:
        yield made


@pytest.fixture
def side(server: ApiServer, proxy: FaultProxy) -> Iterator[Side]:
    for name in ("stays", "changes", "goes"):
        add(server, name)
    add(server, "elsewhere", node="node-2")
    made = Side(server, proxy)
    made.watch.start()
    wait_until(lambda: made.store.synced and made.known() == made.really(), BOUND)
    yield made
    made.watch.stop(PATIENCE)
    assert not made.watch.is_alive()
    made.api.close()
    for item in server.admin.get("/api/v1/pods")["items"]:
        server.admin.delete(item | {"apiVersion": "v1", "kind": "Pod"})


def add(server: ApiServer, name: str, *, node: str = NODE, seed: str = "") -> Json:
    """A pod whose container runs."""
    made = server.admin.create(objects.pod(name, node=node))
    return server.admin.set_status(made, objects.running(made, {"main": objects.container_id(seed or name)}))


def change(server: ApiServer) -> None:
    """One of each: a pod comes, one goes, a container of one is another."""
    pods = {item["metadata"]["name"]: item for item in server.admin.get("/api/v1/pods")["items"]}
    add(server, f"comes-{len(pods)}")
    goes = pods["goes"] | {"apiVersion": "v1", "kind": "Pod"}
    server.admin.delete(goes)
    changes = pods["changes"] | {"apiVersion": "v1", "kind": "Pod"}
    again = {"main": objects.container_id(str(time.monotonic()))}
    server.admin.set_status(changes, objects.running(changes, again))


@pytest.mark.parametrize("kill", [False, True], ids=["in order", "killed"])
def test_restarted(server: ApiServer, side: Side, *, kill: bool) -> None:
    server.stop(kill=kill)
    time.sleep(3)  # long enough to be refused some times
    server.start()
    began = time.monotonic()
    change(server)
    side.right_after(f"API server restarted ({'killed' if kill else 'in order'})", began)


def test_away_for_long(server: ApiServer, side: Side, proxy: FaultProxy) -> None:
    """By then the waits are as long as they become."""
    proxy.refuse()
    proxy.cut()
    change(server)
    time.sleep(25)
    proxy.accept()
    side.right_after("API server away for 25 s", time.monotonic())


def test_etcd_compacted_and_all_versions_gone(server: ApiServer, side: Side, proxy: FaultProxy) -> None:
    proxy.refuse()
    proxy.cut()
    change(server)
    server.expire_watches()
    proxy.accept()
    side.right_after("etcd compacted, 410", time.monotonic())
    counted = side.api.counters
    assert counted.requests["watch", "pods", "410"] + counted.relists >= 1
    assert side.store.by_uid("none") is None and counted.relists >= 1


def test_etcd_compacted_alone(server: ApiServer, side: Side, proxy: FaultProxy) -> None:
    """The watch cache still knows, so nothing is listed again."""
    server.compact()
    proxy.cut()
    change(server)
    side.right_after("etcd compacted, watch cut", time.monotonic())
    assert side.api.counters.relists == 0


def test_token_expired(server: ApiServer, side: Side, proxy: FaultProxy) -> None:
    server.accounts.renew(*_ACCOUNT, seconds=1)
    expiring = side.token.read_text()
    proxy.cut()  # the watch is begun with the short token
    with server.client(expiring) as client:
        wait_until(lambda: client.status_of("/api/v1/pods") == 401, 30)
    proxy.cut()
    wait_until(lambda: side.api.counters.requests["watch", "pods", "401"], BOUND)
    change(server)
    server.accounts.renew(*_ACCOUNT)
    side.right_after("token expired", time.monotonic())
    assert side.api.counters.relists == 0


@pytest.mark.parametrize("clean", [False, True], ids=["cut", "ended"])
def test_watch_ends_in_mid_object(server: ApiServer, side: Side, proxy: FaultProxy, *, clean: bool) -> None:
    done = proxy.cut_in_object(clean=clean)
    began = time.monotonic()
    change(server)
    assert done.wait(PATIENCE)
    side.right_after(f"watch {'ended' if clean else 'cut'} in mid-object", began)
    assert side.api.counters.relists == 0


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy(server: ApiServer, side: Side, proxy: FaultProxy, status: int) -> None:
    proxy.answer(status, times=3)
    proxy.cut()
    change(server)
    side.right_after(f"three answers of {status}", time.monotonic())


def test_no_right_to_pods(server: ApiServer, proxy: FaultProxy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    add(server, "alone")
    server.accounts.allow(*_ACCOUNT, [REPLICA_SETS])
    with server.client(server.accounts.renew(*_ACCOUNT).read_text()) as client:
        wait_until(lambda: client.status_of("/api/v1/pods") == 403, 10)
    made = Side(server, proxy, Impatient())
    made.watch.start()
    try:
        wait_until(lambda: made.api.counters.requests["list", "pods", "403"] > REFUSALS, BOUND)
        rule = '- {apiGroups: [""], resources: ["pods"], verbs: ["list", "watch"]}'
        assert caplog.text.count(rule) == 1 and not made.store.synced
        server.accounts.allow(*_ACCOUNT, [PODS, REPLICA_SETS])
        made.right_after("right to pods given", time.monotonic())
        assert "the API server answers again" in caplog.text
    finally:
        made.watch.stop(PATIENCE)
        made.api.close()
        server.accounts.allow(*_ACCOUNT, [PODS, REPLICA_SETS])
        server.admin.delete(objects.pod("alone"))


def test_owners_with_and_without_the_right_to_replica_sets(
    server: ApiServer, side: Side, caplog: pytest.LogCaptureFixture
) -> None:
    above = server.admin.create(objects.workload("Deployment", "shop"))
    between = server.admin.create(objects.workload("ReplicaSet", "shop-5d4f", owner=above))
    lone = server.admin.create(objects.workload("ReplicaSet", "lone-5d4f"))
    labels = {"pod-template-hash": "5d4f"}
    for name, owner in (("shop-5d4f-a", between), ("shop-5d4f-b", between), ("lone-5d4f-a", lone)):
        server.admin.create(objects.pod(name, owner=owner, labels=labels))
    wait_until(lambda: side.known() == side.really(), BOUND)
    pods = {known.pod.name: known.pod for known in side.store.pods()}

    with_right = Owners(side.api)
    assert with_right.workload(pods["shop-5d4f-a"]) == Workload("Deployment", "shop")
    assert with_right.workload(pods["shop-5d4f-b"]) == Workload("Deployment", "shop")
    assert with_right.workload(pods["lone-5d4f-a"]) == Workload("ReplicaSet", "lone-5d4f")
    assert side.api.counters.requests["get", "replicasets", "200"] == 2
    whole = len(str(server.admin.get(path_of(between))))
    print(f"\nowner's answer: metadata only, of an object of {whole} characters; {side.requests()}")

    server.accounts.allow(*_ACCOUNT, [PODS])
    with server.client(side.token.read_text()) as client:
        wait_until(lambda: client.status_of(path_of(between)) == 403, 10)
    without = Owners(side.api)
    wait_until(lambda: without.workload(pods["shop-5d4f-a"]), 30)  # a few refusals prove nothing
    assert without.workload(pods["shop-5d4f-a"]) == Workload("Deployment", "shop")
    assert without.workload(pods["lone-5d4f-a"]) == Workload("Deployment", "lone")  # a guess
    assert side.api.counters.requests["get", "replicasets", "403"] == 3
    rule = '- {apiGroups: ["apps"], resources: ["replicasets"], verbs: ["get"]}'
    assert caplog.text.count(rule) == 1
    server.accounts.allow(*_ACCOUNT, [PODS, REPLICA_SETS])
    for made in (between, lone, above):
        server.admin.delete(made)


def test_by_kubeconfig(server: ApiServer, tmp_path: Path) -> None:
    from sensor.config.kube import KubeSettings
    from sensor.kube.connect import connect

    add(server, "seen")
    api = connect(KubeSettings(server.kubeconfig(tmp_path / "config")), "all")
    store = PodStore()
    watch = PodWatch(api, store, None)
    watch.start()
    wait_until(lambda: store.synced, BOUND)
    assert "seen" in {known.pod.name for known in store.pods()}
    watch.stop(PATIENCE)
    api.close()
    server.admin.delete(objects.pod("seen"))
    (listed,) = [one for one in server.requests(api.user_agent) if one.verb == "list"]
    assert "limit=500" in listed.uri
