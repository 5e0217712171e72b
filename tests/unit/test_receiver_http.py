"""The receiver's HTTP interface: who is let in, the https form, the connector's, the reconciler's."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import os
import socket
import sqlite3
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sensor.receiver import auth
from sensor.receiver.access import Rate
from sensor.receiver.auth import PERMISSIONS, Holder
from sensor.receiver.heads import Heads
from sensor.receiver.lru import Lru
from tests.clock import in_time
from tests.receiver_process import Receiver

UPSTREAM = "/v2/kubernetes-upstream/api/v1"
RESULTS = f"{UPSTREAM}/runtime-results?version=2023-02-10"
TOKENS = {
    "tokens": [
        {"token": "all", "permissions": list(PERMISSIONS)},
        {"token": "viewer", "permissions": ["view"]},
        {"token": "reader", "permissions": ["org.project.read"]},
        {"token": "shop", "permissions": ["Publish Kubernetes Resources"], "groups": ["shop"]},
    ]
}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    tokens = tmp_path_factory.mktemp("tokens") / "tokens.json"
    tokens.write_text(json.dumps(TOKENS))
    with Receiver(tokens=tokens, arguments=["--requests-per-minute", "1000000"]) as running:
        yield running


def _json(
    receiver: Receiver, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    status, answer = receiver.call(method, path, content, headers)
    return status, json.loads(answer) if answer else None


# Who is let in


def test_without_a_token_there_is_nothing_but_the_page(receiver: Receiver) -> None:
    unknown = {"Authorization": "token wrong"}
    for method, path in (
        ("POST", RESULTS),
        ("GET", "/rest/self?version=2024-04-22"),
        ("GET", "/rest/orgs/o/projects?version=2024-05-31"),
        ("POST", "/hidden/orgs/o/kubernetes_resources?version=2023-02-20~experimental"),
        ("GET", "/control/faults"),
        ("PUT", "/api/sboms?image=a"),
        ("POST", "/api/sboms?image=a"),
    ):
        status, answer = _json(receiver, method, path, None if method == "GET" else {}, unknown)
        assert (path, status) == (path, 401)
        [error] = answer["errors"]
        assert error["status"] == "401" and error["title"] and error["detail"] and error["id"]
    assert receiver.call("GET", "/healthz", headers=unknown)[0] == 200
    assert receiver.call("GET", "/api/containers", headers=unknown)[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("POST", RESULTS, "Publish Kubernetes Resources"),
        ("GET", "/rest/orgs/o/container_images?version=2023-11-02", "org.container_image.read"),
        ("GET", "/rest/orgs/o/targets?version=2024-02-21", "org.project.read"),
        ("DELETE", "/rest/orgs/o/projects/p?version=2024-05-31", "org.project.delete"),
        ("PUT", "/control/faults", "control"),
    ],
)
def test_the_missing_permission_is_named(receiver: Receiver, method: str, path: str, permission: str) -> None:
    status, answer = _json(receiver, method, path, {}, {"Authorization": "token viewer"})
    assert (status, answer["errors"][0]["meta"]) == (403, {"permission": permission})


def test_a_password_is_as_good_as_a_token(receiver: Receiver) -> None:
    for value, status in (("anybody:all", 200), ("anybody:wrong", 401), ("all", 401)):
        headers = {"Authorization": "Basic " + base64.b64encode(value.encode()).decode()}
        assert receiver.call("GET", "/rest/self?version=2024-04-22", headers=headers)[0] == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:1", 200),
        ("127.0.0.1", 200),
        ("[::1]:9", 200),
        ("evil.example:80", 421),
        ("", 421),
        ("[", 421),
        ("[::1", 421),
    ],
)
def test_names_that_others_pointed_at_loopback_are_refused(
    receiver: Receiver, host: str, status: int
) -> None:
    assert receiver.call("GET", "/api/containers", headers={"Host": host})[0] == status


def test_a_page_of_another_site_changes_nothing(receiver: Receiver) -> None:
    for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 200)):
        assert receiver.call("PUT", "/control/faults", b"[]", {"Sec-Fetch-Site": site})[0] == status
    for origin, status in (("http://evil.example", 403), ("null", 403), (receiver.url, 200)):
        assert receiver.call("PUT", "/control/faults", b"[]", {"Origin": origin})[0] == status


@pytest.mark.parametrize(
    ("mode", "site", "status"),
    [
        ("navigate", "cross-site", 200),  # a link
        ("no-cors", "cross-site", 403),  # an image or script of another page
        ("cors", "same-site", 403),
        ("cors", "same-origin", 200),
    ],
)
def test_a_page_of_another_site_may_lead_here_and_no_more(
    receiver: Receiver, mode: str, site: str, status: int
) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
    assert receiver.call("GET", "/api/containers", headers=headers)[0] == status


def test_a_slash_in_a_name_gives_no_other_permission(receiver: Receiver) -> None:
    assert receiver.call("PUT", "/control/rest/a%2Fb/project/p", b"{}")[0] == 204
    path, reader = "/rest/orgs/a%2Fb/projects/p?version=2024-05-31", {"Authorization": "token reader"}
    assert receiver.call("DELETE", path, headers=reader)[0] == 403
    assert receiver.call("DELETE", path)[0] == 204


def test_a_browser_is_told_by_a_page(receiver: Receiver) -> None:
    connection = receiver.connection()
    with contextlib.closing(connection):
        connection.request("GET", "/nothing<b>", headers={"Accept": "text/html,*/*"})
        answer = connection.getresponse()
        text = answer.read().decode()
        assert (answer.status, answer.headers.get_content_type()) == (404, "text/html")
        assert "Not Found" in text and "<b>" not in text
        connection.request("POST", "/api/sboms", b"x", {"Accept": "text/html"})
        answer = connection.getresponse()
        assert answer.status == 401 and answer.read()
        assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")  # or it would not ask


def test_long_links_of_the_page_are_taken(receiver: Receiver) -> None:
    name = "%3C" * 4096
    assert receiver.call("GET", f"/package?purl=pkg:npm/{name}")[0] == 404
    assert receiver.call("GET", f"/?q={name}")[0] == 200


def test_who_leaves_in_the_middle_is_no_defect(receiver: Receiver) -> None:
    head = (
        f"POST {RESULTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token all\r\n"
        "Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", receiver.http_port)) as leaving:
        leaving.sendall(head.encode())
        assert leaving.recv(100).startswith(b"HTTP/1.1 100 ")  # it waits for the body
    assert receiver.call("GET", "/healthz")[0] == 200
    assert "Traceback" not in receiver.log()


class _Connection:
    closed = False

    def force_close(self) -> None:
        self.closed = True


def test_a_connection_that_asks_nothing_is_ended() -> None:
    now = [0.0]
    heads, asks, silent, later = Heads(10.0, lambda: now[0]), _Connection(), _Connection(), _Connection()
    assert heads.sweep([asks, silent]) == 0
    heads.came(asks)
    now[0] = 9.0
    assert heads.sweep([asks, silent, later]) == 0
    now[0] = 11.0
    assert heads.sweep([asks, silent, later]) == 1
    assert (asks.closed, silent.closed, later.closed) == (False, True, False)


def test_what_is_not_there_is_told_in_the_same_form(receiver: Receiver) -> None:
    for method, path, status in (("GET", "/rest/nothing", 404), ("PATCH", "/control/faults", 405)):
        found, answer = _json(receiver, method, path)
        assert (found, answer["errors"][0]["status"]) == (status, str(status))


# Bodies


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"[]", {}, 400),
        (b"{", {}, 400),
        (b"\xff\xfe{}", {}, 400),
        (b'{"a": "\\ud800"}', {}, 400),
        (b'{"a": "\xed\xa0\x80"}', {}, 400),
        ('{"a": "\\ud800"}'.encode("utf-16"), {}, 400),
        (b'{"a": NaN}', {}, 400),
        (b"[" * 100_000, {}, 400),
        (b'{"a":[' + b"[]," * 1_000_001 + b"1]}", {}, 413),
        (b'{"a": ' + b"9" * 10_000 + b"}", {}, 400),
        (b"{}", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}")[:-4], {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(bytes(20 << 20)), {"Content-Encoding": "gzip"}, 413),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (bytes((16 << 20) + 1), {}, 413),
    ],
)
def test_bodies_that_are_refused(
    receiver: Receiver, body: bytes, headers: dict[str, str], status: int
) -> None:
    found, answer = receiver.call("POST", RESULTS, body, headers)
    assert (found, json.loads(answer)["errors"][0]["status"]) == (status, str(status))


# The https form


def _results(*data: dict[str, Any], cluster: str, locator: str = "group") -> dict[str, Any]:
    return {
        "identity": {"type": "sysdig"},
        "target": {"agentId": "agent", "userLocator": locator, "cluster": cluster},
        "facts": [{"type": "loadedPackages", "data": list(data)}],
    }


def _image(*names: str, image: str = "acme/shop@sha256:1", container: str = "app") -> dict[str, Any]:
    packages = [{"purl": f"pkg:pypi/{name}@1", "name": name, "version": "1", "type": "pip"} for name in names]
    keys = {"namespace": "shop", "workloadKind": "Deployment", "workloadName": "orders"}
    return {**keys, "container": container, "imageID": image, "packages": packages}


def _workload(cluster: str, *containers: tuple[str, str]) -> dict[str, Any]:
    locator = {"namespace": "shop", "type": "Deployment", "name": "orders", "cluster": cluster}
    spec = {"containers": [{"name": name, "image": image} for name, image in containers]}
    return {
        "workloadLocator": {**locator, "userLocator": "group"},
        "agentId": "agent",
        "workloadMetadata": {"podSpec": spec},
    }


def _of(receiver: Receiver, cluster: str) -> list[dict[str, Any]]:
    return [row for row in receiver.containers() if row["cluster"] == cluster]


def _names(row: dict[str, Any]) -> set[str]:
    return {package["name"] for package in row["packages"]}


def test_loaded_packages_of_several_nodes_add_up(receiver: Receiver) -> None:
    for names in (("a", "b"), ("c", "b"), ("a", "b")):
        assert (
            receiver.call("POST", RESULTS, json.dumps(_results(_image(*names), cluster="add")).encode())[0]
            == 200
        )
    [row] = _of(receiver, "add")
    assert row["key"] == "https/shop/Deployment/orders/app/acme/shop@sha256:1"
    assert (row["source"], row["coverage"], row["ended_at"]) == ("https", "", None)
    assert (row["image_name"], row["image_digest"]) == ("acme/shop", "sha256:1")
    assert _names(row) == {"a", "b", "c"}
    times = dict(
        zip(
            (one["name"] for one in sorted(row["packages"], key=lambda one: one["package"])),
            struct.iter_unpack("<2q", row["package_times"]),
            strict=True,
        )
    )
    assert times["a"][0] < times["a"][1] and times["a"][0] < times["c"][0] == times["c"][1] <= times["a"][1]
    assert {package["evidence"] for package in row["packages"]} == {""}


def test_a_workload_is_deployed_before_and_after_its_packages_are_known(receiver: Receiver) -> None:
    body = _workload("deployed", ("app", "acme/shop:1"), ("side", "car"))
    assert _json(receiver, "POST", f"{UPSTREAM}/workload", body)[0] == 200
    assert {(row["container_name"], row["image_name"]) for row in _of(receiver, "deployed")} == {
        ("app", "acme/shop:1"),
        ("side", "car"),
    }
    _json(receiver, "POST", RESULTS, _results(_image("a"), cluster="deployed"))
    _json(receiver, "POST", f"{UPSTREAM}/workload", body)
    rows = _of(receiver, "deployed")
    assert {(row["container_name"], row["image_name"]) for row in rows} == {
        ("app", "acme/shop"),
        ("side", "car"),
    }
    assert [_names(row) for row in rows if row["container_name"] == "app"] == [{"a"}]


def test_a_workload_that_is_deleted_has_ended_until_it_comes_again(receiver: Receiver) -> None:
    body = _workload("deleted", ("app", "acme/shop:1"))
    _json(receiver, "POST", f"{UPSTREAM}/workload", body)
    query = "userLocator=group&cluster=deleted&namespace=shop&type=Deployment&name=orders&agentId=agent"
    assert receiver.call("DELETE", f"{UPSTREAM}/workload?{query}")[0] == 200
    assert [row["ended_at"] is None for row in _of(receiver, "deleted")] == [False]
    _json(receiver, "POST", f"{UPSTREAM}/workload", body)
    assert [row["ended_at"] is None for row in _of(receiver, "deleted")] == [True]
    assert receiver.call("DELETE", f"{UPSTREAM}/workload?cluster=deleted")[0] == 400


@pytest.mark.parametrize(
    "change",
    [
        {"facts": None},
        {"target": []},
        {"facts": [{"type": "loadedPackages"}]},
        {"facts": [{"type": "loadedPackages", "data": [1]}]},
        {"facts": [{"type": "loadedPackages", "data": [{**_image("a"), "namespace": 7}]}]},
        {"facts": [{"type": "loadedPackages", "data": [{**_image("a"), "packages": [{"purl": "x"}]}]}]},
    ],
)
def test_forms_that_are_wrong(receiver: Receiver, change: dict[str, Any]) -> None:
    status, answer = _json(receiver, "POST", RESULTS, {**_results(_image("a"), cluster="wrong"), **change})
    assert status == 400 and "expected" in answer["errors"][0]["detail"]
    assert not _of(receiver, "wrong")


def test_a_token_publishes_for_its_groups_only(receiver: Receiver) -> None:
    for locator, status in (("shop", 200), ("group", 403)):
        body = _results(_image("a"), cluster="groups", locator=locator)
        assert _json(receiver, "POST", RESULTS, body, {"Authorization": "token shop"})[0] == status


# The connector's


def _resources(*resources: dict[str, Any], cluster: str = "prod") -> dict[str, Any]:
    attributes = {"cluster_name": cluster, "resources": list(resources)}
    return {"data": {"type": "kubernetesresource", "attributes": attributes}}


def _resource(name: str, scanned_at: str, **more: Any) -> dict[str, Any]:
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
    }
    return {"manifest_blob": manifest, "preferred_version": "v1", "scanned_at": scanned_at, **more}


def test_the_connector_s_resources(receiver: Receiver) -> None:
    path = "/hidden/orgs/org/kubernetes_resources?version=2023-02-20~experimental"
    early, late = "2026-01-01T10:00:00.123456789Z", "2026-01-01T12:00:00+01:00"
    assert _json(receiver, "POST", path, _resources(_resource("a", late), _resource("b", late)))[0] == 201
    assert _json(receiver, "POST", path, _resources(_resource("a", early, deleted_at=early)))[0] == 201
    assert (
        _json(receiver, "POST", path, _resources(_resource("b", "2026-01-02T00:00:00Z", deleted_at=late)))[0]
        == 201
    )
    rows = receiver.rows("SELECT name, api_version, manifest IS NULL, deleted_at FROM resource ORDER BY name")
    assert [tuple(row) for row in rows] == [("a", "apps/v1", 0, None), ("b", "apps/v1", 1, late)]
    for wrong in (_resources(_resource("c", "yesterday")), _resources({"scanned_at": early}), {"data": 1}):
        assert _json(receiver, "POST", path, wrong)[0] == 400


def test_self_is_the_same_for_the_same_token(receiver: Receiver) -> None:
    first = _json(receiver, "GET", "/rest/self?version=2024-04-22")
    assert first[0] == 200 and first == _json(receiver, "GET", "/rest/self?version=2024-04-22")
    assert _json(receiver, "GET", "/rest/self")[0] == 400


# The reconciler's


def _put(receiver: Receiver, org: str, kind: str, name: str, **body: Any) -> None:
    assert receiver.call("PUT", f"/control/rest/{org}/{kind}/{name}", json.dumps(body).encode())[0] == 204


def _ids(receiver: Receiver, path: str) -> list[str]:
    status, answer = _json(receiver, "GET", path)
    assert status == 200, answer
    return [one["id"] for one in answer["data"]]


def test_pages_are_walked_by_their_links(receiver: Receiver) -> None:
    for number in range(25):
        _put(receiver, "pages", "project", f"p{number:02}", attributes={"name": f"n{number}"})
    path: str | None = "/rest/orgs/pages/projects?version=2024-05-31&limit=10"
    found: list[list[str]] = []
    while path:
        status, answer = _json(receiver, "GET", path)
        assert status == 200 and answer["jsonapi"] == {"version": "1.0"}
        found.append([one["id"] for one in answer["data"]])
        path = answer["links"].get("next")
    assert [len(page) for page in found] == [10, 10, 5]
    assert [one for page in found for one in page] == [f"p{number:02}" for number in range(25)]


@pytest.mark.parametrize(
    "query",
    [
        "limit=10",
        "version=now",
        "version=2024-05-31&limit=15",
        "version=2024-05-31&limit=110",
        "version=2024-05-31&limit=0",
        "version=2024-05-31&limit=x",
        "version=2024-05-31&starting_after=v1.bm8",
        "version=2024-05-31&starting_after=v2.eyJpZCI6ICJhIn0=",
    ],
)
def test_questions_that_are_wrong(receiver: Receiver, query: str) -> None:
    status, answer = _json(receiver, "GET", f"/rest/orgs/o/projects?{query}")
    assert status == 400 and "expected" in answer["errors"][0]["detail"]


def test_images_by_id_and_name(receiver: Receiver) -> None:
    for number in range(3):
        names = [f"acme/{number}:1"]
        _put(
            receiver,
            "images",
            "container_image",
            f"sha256:{number}",
            attributes={"names": names, "platform": "linux/amd64"},
        )
    path = "/rest/orgs/images/container_images?version=2023-11-02"
    assert _ids(receiver, path) == ["sha256:0", "sha256:1", "sha256:2"]
    assert _ids(receiver, f"{path}&image_ids=sha256%3A0,sha256%3A2") == ["sha256:0", "sha256:2"]
    assert _ids(receiver, f"{path}&names=acme%2F1:1") == ["sha256:1"]
    assert _json(receiver, "GET", f"{path}&names=a,b")[0] == 400
    assert _json(receiver, "GET", f"{path}&image_ids={','.join('i' * 101)}")[0] == 400


def test_a_target_goes_with_its_projects(receiver: Receiver) -> None:
    def of(target: str) -> dict[str, Any]:
        return {"target": {"data": {"type": "target", "id": target}}}

    tags = [{"key": "cluster", "value": "prod"}, {"key": "managed-by", "value": "us"}]
    _put(receiver, "targets", "target", "t1", attributes={"display_name": "one"})
    _put(receiver, "targets", "target", "t2", attributes={"display_name": "two"})
    _put(
        receiver, "targets", "project", "p1", attributes={"name": "n1", "tags": tags}, relationships=of("t1")
    )
    _put(receiver, "targets", "project", "p2", attributes={"name": "n2"}, relationships=of("t1"))
    orgs, targets, projects = (
        "/rest/orgs/targets",
        "targets?version=2024-02-21",
        "projects?version=2024-05-31",
    )
    assert _ids(receiver, f"{orgs}/{targets}") == ["t1"]
    assert _ids(receiver, f"{orgs}/{targets}&exclude_empty=false") == ["t1", "t2"]
    assert _ids(receiver, f"{orgs}/{projects}&tags=cluster:prod,managed-by:us") == ["p1"]
    assert _ids(receiver, f"{orgs}/{projects}&tags=cluster:test") == []
    assert _ids(receiver, f"{orgs}/{projects}&target_id=t1&names=n2") == ["p2"]
    delete = f"{orgs}/projects/p2?version=2024-05-31"
    assert [receiver.call("DELETE", delete)[0] for _ in range(2)] == [204, 404]
    assert receiver.call("DELETE", f"{orgs}/targets/t1?version=2024-02-21")[0] == 204
    assert _ids(receiver, f"{orgs}/{projects}") == []


def test_too_many_requests_a_minute_are_refused_until_it_is_quiet() -> None:
    now, holder = [0.0], Holder(b"1", frozenset())
    rate = Rate(3, clock=lambda: now[0])
    assert [rate.allows(holder) for _ in range(5)] == [True] * 3 + [False] * 2
    assert rate.allows(Holder(b"2", frozenset()))
    for _ in range(3):
        now[0] += 59
        assert not rate.allows(holder)
    now[0] += 60
    assert [rate.allows(holder) for _ in range(4)] == [True] * 3 + [False]


def test_the_rate_is_of_the_rest_interface_alone() -> None:
    with Receiver(arguments=["--requests-per-minute", "2"]) as receiver:
        path = "/rest/self?version=2024-04-22"
        assert [receiver.call("GET", path)[0] for _ in range(3)] == [200, 200, 429]
        assert receiver.call("GET", "/control/faults")[0] == 200
        connection = receiver.connection()
        try:
            connection.request("GET", path, headers={"Authorization": f"token {receiver.token}"})
            assert connection.getresponse().headers["Retry-After"] == "60"
        finally:
            connection.close()


# Faults


def _fault(receiver: Receiver, fault: dict[str, Any], **more: Any) -> None:
    receiver.faults([{"match": {"path": RESULTS.partition("?")[0]}, "times": 1, "fault": fault, **more}])


@pytest.mark.parametrize("status", [200, 204, 429, 503, 599])
def test_a_status_that_was_asked_for(receiver: Receiver, status: int) -> None:
    cluster = f"status-{status}"
    _fault(receiver, {"status": status, "headers": {"X-Why": "test"}}, retry_info_s=7)
    connection = receiver.connection()
    try:
        body = json.dumps(_results(_image("a"), cluster=cluster))
        connection.request("POST", RESULTS, body, {"Authorization": "token all"})
        answer = connection.getresponse()
        assert (answer.status, answer.headers["X-Why"], answer.headers["Retry-After"]) == (
            status,
            "test",
            "7",
        )
    finally:
        connection.close()
    assert not _of(receiver, cluster)


@pytest.mark.parametrize(("cut", "stored"), [("before", False), ("after", True), ("half", True)])
def test_a_connection_that_is_cut(receiver: Receiver, cut: str, stored: bool) -> None:
    _fault(receiver, {"cut": cut})
    body = json.dumps(_results(_image("a"), cluster=f"cut-{cut}")).encode()
    with pytest.raises((ConnectionResetError, http.client.HTTPException)):
        receiver.call("POST", RESULTS, body)
    assert bool(_of(receiver, f"cut-{cut}")) is stored


def test_half_of_an_answer_is_seen_before_the_reset(receiver: Receiver) -> None:
    _fault(receiver, {"cut": "half"})
    connection = receiver.connection()
    connection.connect()
    sock = connection.sock
    try:
        body = json.dumps(_results(cluster="half")).encode()
        head = f"POST {RESULTS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: token all\r\n"
        sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        seen = sock.recv(4096)
        with pytest.raises(ConnectionResetError):
            sock.recv(4096)
        assert seen.startswith(b"HTTP/1.1 200") and b"\r\n\r\n{}" not in seen
    finally:
        connection.close()


def test_an_answer_that_drips_comes_whole_but_late(receiver: Receiver) -> None:
    _fault(receiver, {"drip_bytes_per_s": 200})
    start = time.monotonic()
    with in_time():
        assert receiver.call("POST", RESULTS, json.dumps(_results(cluster="drip")).encode()) == (200, b"{}")
    assert time.monotonic() - start > 0.2


def test_the_least_recently_used_goes_first() -> None:
    lru: Lru[str, int] = Lru(10, weight=5)
    for key, weight in (("a", 2), ("b", 2)):
        lru.put(key, 1, weight)
    assert lru.get("a") == 1
    lru.put("c", 1, 2)
    assert (lru.get("a"), lru.get("b"), lru.get("c"), len(lru)) == (1, None, 1, 2)


@pytest.mark.parametrize("deleted", [{"a": 1}, 5, True, "yesterday"])
def test_a_resource_with_an_odd_end_is_refused(receiver: Receiver, deleted: Any) -> None:
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    one = {"manifest_blob": manifest, "scanned_at": "2024-01-01T00:00:00Z", "deleted_at": deleted}
    body = {"data": {"attributes": {"cluster_name": "c", "resources": [one]}}}
    path = "/hidden/orgs/odd/kubernetes_resources?version=2023-02-20~experimental"
    assert _json(receiver, "POST", path, body)[0] == 400


def test_a_package_that_cannot_be_stored_is_refused_and_not_left_out(receiver: Receiver) -> None:
    image = _image("left-pad")
    image["packages"].append({"purl": "pkg:/", "name": "b", "version": "1", "type": "npm"})
    assert _json(receiver, "POST", RESULTS, _results(image, cluster="odd"))[0] == 400
    assert not [row for row in receiver.containers() if row["cluster"] == "odd"]


def test_a_cursor_that_no_database_takes(receiver: Receiver) -> None:
    cursor = base64.urlsafe_b64encode(json.dumps({"id": "\ud800"}).encode()).decode()
    path = f"/rest/orgs/o/projects?version=2024-05-31&starting_after=v1.{cursor}"
    assert receiver.call("GET", path)[0] == 400


def test_targets_without_projects_are_told_in_time(receiver: Receiver) -> None:
    with contextlib.closing(sqlite3.connect(receiver.database, timeout=10)) as connection, connection:
        project = json.dumps({"relationships": {"target": {"data": {"id": "t2"}}}})
        rows = [("many", "target", f"t{number}", json.dumps({"id": f"t{number}"})) for number in range(8000)]
        rows += [("many", "project", f"p{number}", project) for number in range(16000)]
        connection.executemany("INSERT INTO rest_object VALUES (?, ?, ?, ?)", rows)
    with in_time():  # each target was compared with each project once: minutes, for so many
        status, answer = _json(receiver, "GET", "/rest/orgs/many/targets?version=2024-02-21")
    assert (status, [one["id"] for one in answer["data"]]) == (200, ["t2"])


def test_a_token_is_made_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            auth.own_token(tmp_path)
    assert not (tmp_path / "token").exists()
    path = auth.own_token(tmp_path)
    assert (path.stat().st_mode & 0o777, len(path.read_text())) == (0o600, 44)
    content = path.read_text()
    assert auth.own_token(tmp_path) == path and path.read_text() == content
