"""What a tenant, or something in the API server's place, may send: it costs no other pod its name."""

from __future__ import annotations

import gzip
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.kube.access import Address
from sensor.kube.api_server import ApiServer, Limits
from sensor.kube.errors import Malformed, Unconfigured, Unreachable
from sensor.kube.in_cluster import InCluster
from sensor.kube.list_stream import ListStream
from sensor.kube.nested import MOST_LEVELS, decoded, document
from sensor.kube.owners import Owners
from sensor.kube.pod_store import PodStore
from sensor.kube.pods import pod
from sensor.kube.resource import PODS
from sensor.model.container import Workload
from sensor.model.pod import Pod
from tests.clock import HANGS, in_time, until
from tests.unit.kube_server import (
    HOST,
    TOKEN,
    Authority,
    KubeServer,
    kube_server,
    owned,
    pod_json,
    service_account,
)
from tests.unit.test_kube_pod_watch import following

LEVELS = 9_000  # of the 10,000 that an API server takes
DEEP = '{"f:a":' * LEVELS + "{}" + "}" * LEVELS
HOLE = "@deep@"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[KubeServer]:
    with kube_server(authority) as running:
        running.put(pod_json("first"))
        yield running


@pytest.fixture
def api(tmp_path: Path, server: KubeServer, authority: Authority) -> Iterator[ApiServer]:
    made = ApiServer(InCluster(service_account(tmp_path, server, authority), tmp_path), "test")
    yield made
    made.close()


def deep(found: dict[str, Any]) -> bytes:
    """The JSON of ``found``, with managed fields as nobody but an attacker writes them."""
    return json.dumps(found).replace(json.dumps(HOLE), DEEP).encode()


def deep_pod(name: str) -> dict[str, Any]:
    return pod_json(name, metadata__managedFields=[{"fieldsV1": HOLE}])


def read_from(data: bytes, size: int) -> Any:
    parts = iter([data[start : start + size] for start in range(0, len(data), size)])
    return lambda: next(parts, b"")


# -- deep nesting --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [997, 1 << 20])
def test_a_list_with_a_deep_pod_tells_all_pods(size: int) -> None:
    items = [pod_json("one"), deep_pod("deep"), pod_json("two")]
    data = deep({"metadata": {"resourceVersion": "7"}, "items": items})
    stream = ListStream(read_from(data, size), most=1 << 20)
    names = [known.name for item in stream if (known := pod(item)) is not None]
    assert names == ["one", "deep", "two"] and stream.resource_version == "7"


def test_a_deep_pod_in_a_watch(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    found = deep_pod("deep")
    found["metadata"]["resourceVersion"] = "102"
    server.faults.lines = [deep({"type": "ADDED", "object": found})]
    with following(tmp_path, server, authority) as side:
        until(lambda: side.names == ["deep", "first"])
        server.put(pod_json("second"))
        until(lambda: side.names == ["deep", "first", "second"])
        assert len(server.watches()) == 1 and not side.pace.failures


def test_a_deep_owner_pauses_no_other(api: ApiServer, server: KubeServer) -> None:
    above = owned("Deployment", "web", "v")
    metadata = {"uid": "u", "ownerReferences": [above], "managedFields": [HOLE]}
    server.faults.answers = [(200, {}, deep({"metadata": metadata}))]
    mine = pod(pod_json("a-pod", metadata__ownerReferences=[owned("ReplicaSet", "web-1", "u")]))
    assert mine is not None and Owners(api).workload(mine) == Workload("Deployment", "web")


@pytest.mark.parametrize("place", ["namespace", "name", "kind"])
def test_another_s_owner_s_uid_changes_nothing_for_others(
    api: ApiServer, server: KubeServer, place: str
) -> None:
    kind, namespace, name = "ReplicaSet", "shop", "web-5d4"
    path = f"/apis/apps/v1/namespaces/{namespace}/replicasets/{name}"
    above = owned("Deployment", "web", "v")
    server.objects[path] = {"metadata": {"uid": "u", "ownerReferences": [above]}}
    mine = owned(kind, name, "u")
    own = pod(pod_json("own", metadata__ownerReferences=[mine]))
    theirs = (
        mine
        | {
            "namespace": {"name": "bank-5d4"},
            "name": {"name": "bank-5d4"},
            "kind": {"kind": "Job", "apiVersion": "batch/v1"},
        }[place]
    )
    evil = pod(
        pod_json(
            "evil",
            metadata__ownerReferences=[theirs],
            metadata__namespace="evil" if place == "namespace" else namespace,
            metadata__labels={"pod-template-hash": "5d4"},
        )
    )
    assert own is not None and evil is not None
    owners = Owners(api)
    assert owners.workload(evil) is not None
    assert owners.workload(own) == Workload("Deployment", "web")
    assert owners.guessed == 1


@pytest.mark.parametrize(
    "text",
    ["{}", '{"a":"]}\\""}', '[["[\\\\"]]', "[" * 62 + "1" + "]" * 62, '{"a":[1,{"b":"\\u007d"}]}'],
)
def test_what_is_shallow_is_whole(text: str) -> None:
    around = f'[{text},"{{",{"[" * 2000}"[]{{"{"]" * 2000}]'
    found, end = decoded(around + " ,")
    assert isinstance(found, list) and found[:2] == [json.loads(text), "{"] and end == len(around)
    levels = 1
    while found[-1] is not None and levels < 100:
        found, levels = found[-1], levels + 1
    assert levels == MOST_LEVELS - 1


def test_cut_anywhere_it_is_cut() -> None:
    text = f'{{"a":{"[" * 1100}"[]{{]]\\"","]"{"]" * 1100},"b":"}}"}}'
    for end in (*range(0, 1100, 50), *range(1100, 1125), *range(2200, len(text))):
        with pytest.raises(ValueError, match=r"cut|Expecting|Unterminated|Invalid"):
            decoded(text[:end])
    assert document(text.encode()) == {"a": decoded(text)[0]["a"], "b": "}"}  # type: ignore[index]


# -- answers -------------------------------------------------------------------------------------------------


def test_what_is_behind_a_gzip_is_not_gathered(api: ApiServer, server: KubeServer) -> None:
    packed = gzip.compress(b'{"metadata":{}}')
    server.faults.drip = 1e-6  # each byte by itself
    server.faults.answers = [(200, {"Content-Encoding": "gzip"}, packed + b"x" * 900)]
    with pytest.raises(Malformed, match="more behind its end"):
        api.get(PODS, "shop", "web")
    assert api.counters.bytes_received < len(packed) + 500


def test_of_a_list_s_fields_one_is_kept() -> None:
    fields = ",".join(f'"f{number}":"{number:0100}"' for number in range(1000))
    stream = ListStream(
        read_from(f'{{{fields},"metadata":{{"resourceVersion":"7"}}}}'.encode(), 99), most=1 << 20
    )
    assert list(stream) == [] and stream.resource_version == "7"
    held = [value for value in vars(stream).values() if isinstance(value, dict)]
    assert held == [{"resourceVersion": "7"}]


@pytest.mark.parametrize("version", [r"\ud800", "7" * 5000, r"\n"])
def test_a_version_that_none_can_be(version: str) -> None:
    data = f'{{"metadata":{{"resourceVersion":"{version}"}}}}'.encode()
    with pytest.raises(Malformed, match=r"no metadata\.resourceVersion"):
        list(ListStream(read_from(data, 99), most=1 << 20))


def test_a_version_of_the_watch_that_none_can_be(
    tmp_path: Path, server: KubeServer, authority: Authority
) -> None:
    server.faults.lines = [b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"\\ud800"}}}']
    with following(tmp_path, server, authority):
        until(server.watches)
        server.cut_all()
        until(lambda: len(server.watches()) == 2)
        assert server.watches()[1].query["resourceVersion"] == "101"


def test_a_watch_that_never_begins_ends_in_time(tmp_path: Path, authority: Authority) -> None:
    done = threading.Event()
    with socket.create_server((HOST, 0)) as listening:
        (tmp_path / "token").write_text(TOKEN)
        (tmp_path / "ca.crt").write_text(authority.pem)
        environment = {
            "KUBERNETES_SERVICE_HOST": HOST,
            "KUBERNETES_SERVICE_PORT": str(listening.getsockname()[1]),
        }
        api = ApiServer(InCluster(environment, tmp_path), "test", limits=Limits(list=0.3, idle=HANGS))

        def accept() -> None:
            connection, _ = listening.accept()
            with authority.context().wrap_socket(connection, server_side=True) as secured:
                secured.recv(4096)
                done.wait(HANGS)

        thread = threading.Thread(target=accept)
        thread.start()
        with in_time(), pytest.raises(Unreachable, match="in time"), api.watching(PODS, {}, 300):
            pass
        done.set()
        thread.join()
        api.close()


@pytest.mark.parametrize("code", [400, 500])
def test_an_error_in_a_watch_is_answered_by_a_list(
    tmp_path: Path, server: KubeServer, authority: Authority, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    caplog.set_level(logging.DEBUG, "sensor")
    status = {"kind": "Status", "code": code, "message": f"cannot read that, {TOKEN}"}
    server.faults.lines = [json.dumps({"type": "ERROR", "object": status}).encode()]
    with following(tmp_path, server, authority) as side:
        until(lambda: len(server.watches()) == 2)
        assert len(server.lists()) == 2 and side.names == ["first"]
    assert "cannot read that" in caplog.text and TOKEN not in caplog.text


def test_a_line_that_is_no_event_is_answered_by_a_list(
    tmp_path: Path, server: KubeServer, authority: Authority
) -> None:
    server.faults.lines = [b"<html>"]
    with following(tmp_path, server, authority):
        until(lambda: len(server.watches()) == 2)
        assert len(server.lists()) == 2


def test_pages_without_end(
    tmp_path: Path, server: KubeServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.kube.pod_watch.MOST_PAGES", 3)
    page = b'{"metadata":{"resourceVersion":"1","continue":"1"},"items":[]}'
    server.faults.answers = [(200, {}, page)] * 4
    with following(tmp_path, server, authority, node=None) as side:
        until(lambda: side.names == ["first"])
        assert side.pace.failures == 1


# -- trust ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("authorities", ["", "\n"])
def test_empty_authorities_are_not_those_of_the_system(authorities: str) -> None:
    with pytest.raises(Unconfigured, match="expected PEM"):
        Address("https://10.0.0.1", authorities).context()


# -- pods ----------------------------------------------------------------------------------------------------


def mirror(name: str, static_uid: str, *, is_ended: bool = False) -> Pod:
    return Pod(f"uid-{name}", "evil", name, is_mirror=True, static_uid=static_uid, is_ended=is_ended)


def test_an_annotation_takes_no_other_pod_s_place() -> None:
    store = PodStore()
    store.put(Pod("victim", "shop", "web"))
    store.put(mirror("evil", "victim"))
    known = store.by_uid("victim")
    assert known is not None and known.pod.name == "web"
    store.remove("victim")
    store.remove("uid-evil")
    known = store.by_uid("victim")
    assert known is not None and known.pod.name == "web" and known.gone_at is not None


def test_static_uids_go_with_their_pods() -> None:
    store = PodStore(2)
    for number in range(10):
        store.put(mirror("one", f"static-{number}"))
    assert store.by_uid("static-9") is not None and store.by_uid("static-8") is None
    for number in range(10):
        store.put(mirror(f"job-{number}", f"job-{number}", is_ended=True))
        store.put(Pod(f"web-{number}", "shop", "web"))
        store.remove(f"web-{number}")
    assert len(store._uids) <= 2  # what is kept has no other witness
