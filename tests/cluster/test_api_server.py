"""The API server that the other tests stand on does what they rely on, and its faults really happen."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from tests.clock import PATIENCE
from tests.cluster import build, objects, workloads
from tests.cluster.accounts import CACHE_SECONDS
from tests.cluster.api_server import ApiServer
from tests.cluster.client import ApiError, Client

pytestmark = pytest.mark.cluster

POD_RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]
PODS = "/api/v1/pods"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        yield made


@pytest.fixture
def agent(server: ApiServer) -> Iterator[Client]:
    token = server.accounts.make("monitoring", "agent", POD_RULES).read_text()
    with server.client(token, user_agent="agent/1") as client:
        yield client


def test_runs_the_pinned_version(server: ApiServer) -> None:
    assert server.admin.get("/version")["gitVersion"] == build.KUBE_APISERVER.version()


def test_a_pod_with_its_status_is_listed(server: ApiServer) -> None:
    ids = {name: objects.container_id(name) for name in ("main", "prepare", "mesh", "debug")}
    made = server.admin.create(
        objects.pod(
            "listed",
            init=[objects.container("prepare"), objects.sidecar("mesh")],
            labels={"team": "a"},
        )
    )
    made = server.admin.add_ephemeral(made, objects.container("debug", "busybox"))
    server.admin.set_status(made, objects.running(made, ids))
    (found,) = server.admin.get(PODS, fieldSelector="metadata.name=listed")["items"]
    assert found["spec"]["nodeName"] == "node-1" and found["metadata"]["labels"] == {"team": "a"}
    status = found["status"]
    assert [each["containerID"] for each in status["containerStatuses"]] == [ids["main"]]
    assert [each["containerID"] for each in status["initContainerStatuses"]] == [ids["prepare"], ids["mesh"]]
    assert status["ephemeralContainerStatuses"][0]["containerID"] == ids["debug"]
    assert status["ephemeralContainerStatuses"][0]["imageID"].startswith("busybox@sha256:")
    assert found["spec"]["initContainers"][1]["restartPolicy"] == "Always"


def test_owners_of_every_kind_are_taken(server: ApiServer) -> None:
    workloads.serve_custom_kinds(server.admin)
    direct = {}
    for kind in (*workloads.KINDS, *workloads.CUSTOM_KINDS):
        made = workloads.workload_pod(server.admin, kind, f"owned-{kind.lower()}")
        (owner,) = made["metadata"]["ownerReferences"]
        direct[kind] = owner["kind"]
    assert direct == {
        "Deployment": "ReplicaSet",
        "StatefulSet": "StatefulSet",
        "DaemonSet": "DaemonSet",
        "Job": "Job",
        "CronJob": "Job",
        "ReplicaSet": "ReplicaSet",
        "ReplicationController": "ReplicationController",
        "Rollout": "ReplicaSet",
        "DeploymentConfig": "ReplicationController",
    }


def test_many_pods_are_made_at_once(server: ApiServer, agent: Client) -> None:
    manifests = []
    for number in range(60):
        made = objects.pod(f"many-{number}", node="node-many")
        manifests.append(
            {**made, "status": objects.running(made, {"main": objects.container_id(str(number))})}
        )
    made_names = [each["metadata"]["name"] for each in server.admin.create_all(manifests)]
    assert made_names == [f"many-{number}" for number in range(60)]
    items, query = [], {"limit": "25", "fieldSelector": "spec.nodeName=node-many"}
    while True:
        page = agent.get(PODS, **query)
        items += page["items"]
        if not page["metadata"].get("continue"):
            break
        query["continue"] = page["metadata"]["continue"]
    assert {each["status"]["containerStatuses"][0]["containerID"] for each in items} == {
        objects.container_id(str(number)) for number in range(60)
    }


def test_a_mirror_pod_belongs_to_its_node(server: ApiServer) -> None:
    host = server.admin.create(objects.node("mirrored"))
    made = server.admin.create(objects.mirror_pod("etcd", host))
    assert made["metadata"]["name"] == "etcd-mirrored"
    assert made["metadata"]["ownerReferences"][0]["uid"] == host["metadata"]["uid"]
    assert made["metadata"]["annotations"]["kubernetes.io/config.source"] == "file"


def test_a_watch_tells_of_a_pod_from_its_start_to_its_end(server: ApiServer, agent: Client) -> None:
    version = agent.get(PODS, limit=1)["metadata"]["resourceVersion"]
    made = server.admin.create(objects.pod("watched", node="node-w"))
    server.admin.set_status(made, objects.running(made, {"main": objects.container_id("w")}))
    server.admin.delete(made)
    events = agent.watch(
        PODS, resourceVersion=version, timeoutSeconds=2, fieldSelector="spec.nodeName=node-w"
    )
    # Before a pod goes, the API server marks it with a time of deletion, even without any grace.
    assert [
        (
            event["type"],
            event["object"]["status"]["phase"],
            "deletionTimestamp" in event["object"]["metadata"],
        )
        for event in events
    ] == [
        ("ADDED", "Pending", False),
        ("MODIFIED", "Running", False),
        ("MODIFIED", "Running", True),
        ("DELETED", "Running", True),
    ]


def test_a_watch_without_a_version_begins_with_what_is_there(server: ApiServer, agent: Client) -> None:
    server.admin.create(objects.pod("present", node="node-p"))
    here = f"{PODS}?fieldSelector=spec.nodeName%3Dnode-p&allowWatchBookmarks=true&timeoutSeconds=1"
    for version in ("", "0"):
        events = list(agent.watch(here, resourceVersion=version))
        assert events and events[0]["object"]["metadata"]["name"] == "present"


def test_an_account_may_do_what_its_rules_say_and_no_more(server: ApiServer, agent: Client) -> None:
    assert agent.get(PODS)["kind"] == "PodList"
    with pytest.raises(ApiError) as refused:
        agent.get("/apis/apps/v1/replicasets")
    assert refused.value.status == 403
    server.accounts.allow(
        "monitoring", "agent", [{"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": ["list"]}]
    )
    _until(lambda: agent.status_of("/apis/apps/v1/replicasets") == 200)
    _until(lambda: agent.status_of(PODS) == 403)
    server.accounts.allow("monitoring", "agent", POD_RULES)
    _until(lambda: agent.status_of(PODS) == 200)


def test_requests_are_told_by_user_agent(server: ApiServer) -> None:
    token = server.accounts.make("monitoring", "counted", POD_RULES).read_text()
    with server.client(token, user_agent="counted/7") as client:
        version = client.get(PODS, limit=500)["metadata"]["resourceVersion"]
        list(client.watch(PODS, resourceVersion=version, timeoutSeconds=1))
    asked = server.requests("counted/")
    assert [(each.verb, each.resource, each.status) for each in asked] == [
        ("list", "pods", 200),
        ("watch", "pods", 200),
    ]
    assert asked[0].user == "system:serviceaccount:monitoring:counted" and asked[0].uri == f"{PODS}?limit=500"


def test_a_token_lies_as_in_a_pod(server: ApiServer) -> None:
    token = server.accounts.make("monitoring", "agent", POD_RULES)
    assert token.name == "token" and token.with_name("namespace").read_text() == "monitoring"
    assert token.with_name("ca.crt").read_bytes() == server.ca.read_bytes()


def test_an_expired_token_is_refused_and_a_renewed_one_is_not(server: ApiServer) -> None:
    path = server.accounts.make("monitoring", "expiring", POD_RULES)
    assert _status(server, path.read_text()) == 200
    assert _status(server, server.accounts.token("monitoring", "expiring", seconds=0)) == 401
    assert _status(server, server.accounts.token("monitoring", "expiring", seconds=30)) == 200
    assert _status(server, server.accounts.renew("monitoring", "expiring").read_text()) == 200


def test_a_token_in_use_expires(server: ApiServer) -> None:
    path = server.accounts.make("monitoring", "revoked", POD_RULES)
    with server.client(server.accounts.token("monitoring", "revoked", seconds=2)) as short:
        assert short.status_of(PODS) == 200
        with server.client(path.read_text()) as revoked:
            assert revoked.status_of(PODS) == 200
            server.accounts.revoke("monitoring", "revoked")
            _until(lambda: revoked.status_of(PODS) == 401, CACHE_SECONDS + PATIENCE)
        _until(lambda: short.status_of(PODS) == 401, CACHE_SECONDS + PATIENCE)
    assert _status(server, server.accounts.renew("monitoring", "revoked").read_text()) == 200


def test_a_kubeconfig_names_everything(server: ApiServer, tmp_path: Path) -> None:
    token = server.accounts.make("monitoring", "agent", POD_RULES)
    read = json.loads(server.kubeconfig(tmp_path / "config", token_file=token).read_text())
    assert read["clusters"][0]["cluster"] == {
        "server": server.url,
        "certificate-authority": str(server.ca),
    }
    assert read["users"][0]["user"] == {"tokenFile": str(token)}
    certificate = json.loads(server.kubeconfig(tmp_path / "admin").read_text())["users"][0]["user"]
    assert Path(certificate["client-certificate"]).is_file() and Path(certificate["client-key"]).is_file()


def test_a_restart_keeps_objects_port_and_versions(server: ApiServer, agent: Client) -> None:
    version = agent.get(PODS, limit=1)["metadata"]["resourceVersion"]
    server.stop()
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        agent.get(PODS)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    # The thread that started it is gone; the server is not.
    server.admin.create(objects.pod("after-restart"))
    events = list(agent.watch(PODS, resourceVersion=version, timeoutSeconds=1))
    assert [event["object"]["metadata"]["name"] for event in events] == ["after-restart"]


def test_compaction_alone_is_hidden_by_the_watch_cache(server: ApiServer, agent: Client) -> None:
    version = agent.get(PODS, limit=1)["metadata"]["resourceVersion"]
    server.admin.create(objects.pod("before-compaction"))
    assert server.compact() > int(version)
    events = list(agent.watch(PODS, resourceVersion=version, timeoutSeconds=1))
    assert [event["type"] for event in events] == ["ADDED"]


def test_expired_versions_are_answered_with_410(server: ApiServer, agent: Client) -> None:
    for number in range(2):
        server.admin.create(objects.pod(f"paged-{number}"))
    page = agent.get(PODS, limit=1)["metadata"]
    server.expire_watches()
    events = list(agent.watch(PODS, resourceVersion=page["resourceVersion"], timeoutSeconds=1))
    assert [(event["type"], event["object"]["code"]) for event in events] == [("ERROR", 410)]
    with pytest.raises(ApiError) as refused:
        agent.get(PODS, limit=1, **{"continue": page["continue"]})
    assert (refused.value.status, refused.value.reason) == (410, "Expired")


def _status(server: ApiServer, token: str) -> int:
    with server.client(token) as client:
        return client.status_of(PODS)


def _until(done: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)
