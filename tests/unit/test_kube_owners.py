"""Pod -> workload, with as few requests as possible."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sensor.kube.api_server import METADATA_ONLY, ApiServer, Limits
from sensor.kube.in_cluster import InCluster
from sensor.kube.owners import MOST_OWNERS, Owners
from sensor.kube.pods import pod
from sensor.model.container import Workload
from sensor.model.pod import OwnerReference, Pod
from tests.clock import PATIENCE
from tests.unit.kube_server import Authority, KubeServer, kube_server, owned, pod_json, service_account

REPLICA_SETS = "/apis/apps/v1/namespaces/shop/replicasets"
JOBS = "/apis/batch/v1/namespaces/shop/jobs"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[KubeServer]:
    with kube_server(authority) as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def owners(tmp_path: Path, server: KubeServer, authority: Authority, clock: Clock) -> Iterator[Owners]:
    environment = service_account(tmp_path, server, authority)
    api = ApiServer(InCluster(environment, tmp_path), "test", limits=Limits(get=PATIENCE))
    yield Owners(api, clock=clock, chance=random.Random(1))
    api.close()


def a_pod(kind: str, name: str, uid: str = "u", *, version: str = "apps/v1", **changes: Any) -> Pod:
    reference = owned(kind, name, uid, version=version)
    found = pod(pod_json("the-pod", metadata__ownerReferences=[reference], **changes))
    assert found is not None
    return found


def holds(server: KubeServer, path: str, uid: str = "u", owner: dict[str, Any] | None = None) -> None:
    server.objects[path] = {"metadata": {"uid": uid, "ownerReferences": [owner] if owner else []}}


@dataclass(frozen=True)
class Chain:
    kind: str
    version: str
    path: str
    above: tuple[str, str] | None


RS, RC = "ReplicaSet", "ReplicationController"
CONTROLLERS = "/api/v1/namespaces/shop/replicationcontrollers"


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        (Chain(RS, "apps/v1", REPLICA_SETS, ("Deployment", "apps/v1")), "Deployment"),
        (Chain(RS, "extensions/v1beta1", REPLICA_SETS, ("Deployment", "apps/v1")), "Deployment"),
        (Chain(RS, "apps/v1", REPLICA_SETS, ("Rollout", "argoproj.io/v1alpha1")), "Rollout"),
        (Chain(RS, "apps/v1", REPLICA_SETS, None), RS),
        (Chain("Job", "batch/v1", JOBS, ("CronJob", "batch/v1beta1")), "CronJob"),
        (Chain("Job", "batch/v1", JOBS, None), "Job"),
        (Chain(RC, "v1", CONTROLLERS, ("DeploymentConfig", "apps.openshift.io/v1")), "DeploymentConfig"),
        (Chain(RC, "v1", CONTROLLERS, None), RC),
    ],
)
def test_one_hop_above(server: KubeServer, owners: Owners, chain: Chain, expected: str) -> None:
    path, above = f"{chain.path}/x", chain.above
    holds(server, path, owner=owned(above[0], "above", "v", version=above[1]) if above else None)
    workload = owners.workload(a_pod(chain.kind, "x", version=chain.version))
    assert workload == Workload(expected, "above" if above else "x")
    assert owners.workload(a_pod(chain.kind, "x", version=chain.version)) == workload
    (call,) = server.calls
    assert call.path == path and call.headers["accept"] == METADATA_ONLY


@pytest.mark.parametrize(
    ("kind", "version"),
    [
        ("StatefulSet", "apps/v1"),
        ("DaemonSet", "apps/v1"),
        ("ReplicaSet", "example.org/v1"),
        ("Job", "batch.volcano.sh/v1alpha1"),
        ("Workflow", "argoproj.io/v1alpha1"),
    ],
)
def test_others_are_taken_as_they_are(server: KubeServer, owners: Owners, kind: str, version: str) -> None:
    assert owners.workload(a_pod(kind, "x", version=version)) == Workload(kind, "x")
    assert not server.calls


def test_bare_and_static_pods_are_their_own(server: KubeServer, owners: Owners) -> None:
    bare = pod(pod_json("bare"))
    assert bare is not None and owners.workload(bare) == Workload("Pod", "bare")
    assert owners.workload(a_pod("Node", "node-1", version="v1")) == Workload("Pod", "the-pod")
    assert not server.calls


HASH: dict[str, Any] = {"metadata__labels": {"pod-template-hash": "5d4"}}


@pytest.mark.parametrize(
    "guess",
    [
        ("web-5d4", {"pod-template-hash": "5d4"}, Workload("Deployment", "web")),
        ("web-5d4", {"rollouts-pod-template-hash": "5d4"}, Workload("Rollout", "web")),
        ("web-5d4", {}, Workload("ReplicaSet", "web-5d4")),
        ("web-5d4", {"pod-template-hash": ""}, Workload("ReplicaSet", "web-5d4")),
        ("web-5d4", {"pod-template-hash": "d4"}, Workload("ReplicaSet", "web-5d4")),
    ],
)
@pytest.mark.parametrize("why", ["forbidden", "deleted", "another of the name"])
def test_without_an_answer_the_name_is_a_guess(
    server: KubeServer,
    owners: Owners,
    clock: Clock,
    *,
    why: str,
    guess: tuple[str, dict[str, str], Workload],
) -> None:
    name, labels, expected = guess
    does_not_tell(server, why, f"{REPLICA_SETS}/{name}")
    assert in_the_end(owners, clock, a_pod("ReplicaSet", name, metadata__labels=labels)) == expected
    assert owners.guessed == 1


@pytest.mark.parametrize("why", ["forbidden", "deleted", "another of the name"])
def test_a_job_s_name_is_no_mark_of_a_cron_job(
    server: KubeServer, owners: Owners, clock: Clock, why: str
) -> None:
    does_not_tell(server, why, f"{JOBS}/backup-28391820")
    found = in_the_end(owners, clock, a_pod("Job", "backup-28391820", version="batch/v1"))
    assert found == Workload("Job", "backup-28391820")


def in_the_end(owners: Owners, clock: Clock, asked: Pod) -> Workload | None:
    """What is said once a few refusals have shown that they are meant."""
    for _ in range(2):
        if (found := owners.workload(asked)) is not None:
            return found
        clock.now += 4
    return owners.workload(asked)


def does_not_tell(server: KubeServer, why: str, path: str) -> None:
    if why == "forbidden":
        server.faults.forbidden = {"replicasets", "jobs"}
    elif why == "another of the name":
        holds(server, path, uid="newer", owner=owned("Deployment", "wrong", "v"))


def test_a_missing_rule_is_said_once_and_asked_for_seldom(
    server: KubeServer, owners: Owners, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.forbidden = {"replicasets", "jobs"}
    for number in range(20):
        clock.now += 4 if number < 4 else 0
        owners.workload(a_pod("ReplicaSet", f"web{number}-5d4", f"u{number}", **HASH))
        owners.workload(a_pod("Job", f"job-{number}", f"j{number}", version="batch/v1"))
    assert len(server.calls) == 6
    rules = [
        '- {apiGroups: ["apps"], resources: ["replicasets"], verbs: ["get"]}',
        '- {apiGroups: ["batch"], resources: ["jobs"], verbs: ["get"]}',
    ]
    clock.now += 301
    owners.workload(a_pod("ReplicaSet", "another-5d4", "another", **HASH))
    assert len(server.calls) == 7
    assert [caplog.text.count(rule) for rule in rules] == [1, 1]
    clock.now += 301
    server.faults.forbidden.clear()
    holds(server, f"{REPLICA_SETS}/web0-5d4", "u0", owned("Deployment", "really", "v"))
    assert owners.workload(a_pod("ReplicaSet", "web0-5d4", "u0", **HASH)) == Workload("Deployment", "really")


def test_a_server_that_has_not_read_its_roles_yet_is_not_taken_at_its_word(
    server: KubeServer, owners: Owners, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    holds(server, f"{REPLICA_SETS}/lone-5d4")
    server.faults.answers = [(403, {}, b"")] * 2
    lone = a_pod("ReplicaSet", "lone-5d4", **HASH)
    assert owners.workload(lone) is None and owners.workload(lone) is None
    assert len(server.calls) == 1
    clock.now += 4
    assert owners.workload(lone) is None
    clock.now += 4
    assert owners.workload(lone) == Workload("ReplicaSet", "lone-5d4") and not caplog.text


def test_what_is_at_hand_takes_no_request(server: KubeServer, owners: Owners) -> None:
    holds(server, f"{REPLICA_SETS}/web-1", owner=owned("Deployment", "web", "d"))
    one = a_pod("ReplicaSet", "web-1")
    assert owners.at_hand(one) is None
    assert owners.at_hand(a_pod("DaemonSet", "agent")) == Workload("DaemonSet", "agent")
    assert server.calls == []
    assert owners.workload(one) == Workload("Deployment", "web")
    asked = list(server.calls)
    assert owners.at_hand(one) == Workload("Deployment", "web")
    assert server.calls == asked


def test_a_server_that_is_away_is_not_asked_for_each_owner(
    server: KubeServer, owners: Owners, clock: Clock
) -> None:
    server.faults.answers = [(503, {}, b"")]
    for number in range(20):
        assert owners.workload(a_pod("ReplicaSet", f"web{number}-5d4", f"u{number}", **HASH)) is None
    assert len(server.calls) == 1
    clock.now += 11
    holds(server, f"{REPLICA_SETS}/web0-5d4", "u0", owned("Deployment", "web0", "v"))
    assert owners.workload(a_pod("ReplicaSet", "web0-5d4", "u0", **HASH)) == Workload("Deployment", "web0")


def test_who_comes_meanwhile_waits_for_the_same_answer(server: KubeServer, owners: Owners) -> None:
    holds(server, f"{REPLICA_SETS}/web", owner=owned("Deployment", "above", "v"))
    found: list[Workload | None] = []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait(PATIENCE)
        found.append(owners.workload(a_pod("ReplicaSet", "web")))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(PATIENCE)
    assert found == [Workload("Deployment", "above")] * 8 and len(server.calls) == 1


@pytest.mark.parametrize("name", ["../../../secrets/x", "a/b", "..", "a b", "x?y=1", "x%2Fy", "A" * 253])
def test_a_name_that_cannot_be_one_is_not_asked_for(server: KubeServer, owners: Owners, name: str) -> None:
    strange = Pod("u", "shop", "p", owner=OwnerReference("apps/v1", "ReplicaSet", name, "u"))
    assert owners.workload(strange) == Workload("ReplicaSet", name)
    strange = Pod("u", name, "p", owner=OwnerReference("apps/v1", "ReplicaSet", "web", "u"))
    assert owners.workload(strange) == Workload("ReplicaSet", "web")
    assert not server.calls


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"metadata":7}', b"[" * 50_000])
def test_garbage_is_no_owner(server: KubeServer, owners: Owners, body: bytes) -> None:
    server.faults.answers = [(200, {}, body)]
    found = owners.workload(a_pod("ReplicaSet", "web-5d4", **HASH))
    assert found in (None, Workload("Deployment", "web"))


def test_the_cache_is_bounded(server: KubeServer, owners: Owners, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.kube.owners.MOST_OWNERS", 3)
    assert MOST_OWNERS == 4096
    for number in (0, 1, 2, 3, 3, 0):
        owners.workload(a_pod("ReplicaSet", f"web-{number}", f"u{number}"))
    assert [call.path.rpartition("-")[2] for call in server.calls] == ["0", "1", "2", "3", "0"]
