"""The way to the API server: who we are, whom we trust, what is refused, and that no token is told."""

from __future__ import annotations

import base64
import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.config.kube import KubeSettings
from sensor.kube import in_cluster
from sensor.kube.api_server import ApiServer, Limits
from sensor.kube.connect import connect
from sensor.kube.errors import (
    Forbidden,
    Gone,
    KubeError,
    Malformed,
    NotFound,
    Unauthorized,
    Unconfigured,
    Unreachable,
    Untrusted,
)
from sensor.kube.in_cluster import InCluster
from sensor.kube.kubeconfig import Kubeconfig
from sensor.kube.proxy import proxy_for
from sensor.kube.resource import PODS, Resource
from tests.clock import PATIENCE, in_time
from tests.unit.kube_server import HOST, TOKEN, Authority, KubeServer, kube_server, pod_json, service_account

POD = "/api/v1/namespaces/shop/pods/web"
REPLICA_SETS = Resource("apps", "v1", "replicasets")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def server(authority: Authority) -> Iterator[KubeServer]:
    with kube_server(authority) as running:
        running.objects[POD] = {"metadata": {"name": "web"}}
        yield running


@pytest.fixture
def api(tmp_path: Path, server: KubeServer, authority: Authority) -> Iterator[ApiServer]:
    made = in_cluster_api(tmp_path, server, authority)
    yield made
    made.close()


def in_cluster_api(
    folder: Path, server: KubeServer, authority: Authority, get: float = PATIENCE, **environment: str
) -> ApiServer:
    found = service_account(folder, server, authority) | environment
    return ApiServer(InCluster(found, folder), "test", limits=Limits(connect=PATIENCE, get=get))


def failure(api: ApiServer, name: str = "web") -> KubeError:
    with pytest.raises(KubeError) as failed:
        api.get(PODS, "shop", name)
    assert TOKEN not in str(failed.value) and TOKEN not in repr(failed.value)
    return failed.value


def test_gets_an_object_over_one_connection(api: ApiServer, server: KubeServer) -> None:
    for _ in range(3):
        assert api.get(PODS, "shop", "web") == {"metadata": {"name": "web"}}
    assert len(server.connections) == 2  # one, and its TLS
    assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {TOKEN}"}
    assert api.counters.requests["get", "pods", "200"] == 3 and api.counters.bytes_received == 3 * 29


def test_a_kept_connection_that_was_closed_costs_nothing(api: ApiServer, server: KubeServer) -> None:
    api.get(PODS, "shop", "web")
    server.cut_all()
    assert api.get(PODS, "shop", "web")
    server.faults.hang_up = 1  # closed in the moment that it was used
    assert api.get(PODS, "shop", "web")
    server.faults.hang_up = 2
    assert failure(api).reason == "cut"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Malformed),
        (401, Unauthorized),
        (403, Forbidden),
        (404, NotFound),
        (410, Gone),
        (429, Unreachable),
        (500, Unreachable),
        (503, Unreachable),
        (204, Malformed),
    ],
)
def test_statuses(api: ApiServer, server: KubeServer, status: int, kind: type[KubeError]) -> None:
    said = json.dumps({"kind": "Status", "message": f"no\n\x1b[31m {TOKEN} Bearer {TOKEN}"}).encode()
    server.faults.answers = [(status, {"Retry-After": "7"}, b"" if status == 204 else said)]
    error = failure(api)
    assert type(error) is kind and str(error).isprintable()
    assert error.reason == (str(status) if status != 204 else "2xx")
    if isinstance(error, Unreachable):
        assert error.retry_after == 7
    assert api.get(PODS, "shop", "web")


def test_the_missing_rule_is_named(api: ApiServer, server: KubeServer) -> None:
    server.faults.forbidden = {"replicasets"}
    with pytest.raises(Forbidden) as refused:
        api.get(REPLICA_SETS, "shop", "web")
    assert '- {apiGroups: ["apps"], resources: ["replicasets"], verbs: ["get"]}' in str(refused.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(api: ApiServer, server: KubeServer, status: int) -> None:
    server.faults.answers = [(status, {"Location": f"{server.url}{POD}"}, b"")]
    error = failure(api)
    assert isinstance(error, Malformed) and "redirect" in str(error) and len(server.calls) == 1


def test_a_large_object_is_refused(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    server.objects[POD] = {"metadata": {"x": "y" * 100_000}}
    environment = service_account(tmp_path, server, authority)
    api = ApiServer(InCluster(environment, tmp_path), "test", limits=Limits(get_bytes=10_000))
    assert isinstance(failure(api), Malformed)  # 100 KB that came as 200 bytes of gzip
    api.close()


def test_no_gzip(api: ApiServer, server: KubeServer) -> None:
    server.faults.answers = [(200, {"Content-Encoding": "gzip"}, b"{}")]
    assert isinstance(failure(api), Malformed)


def test_a_server_that_drips_is_left_in_time(
    tmp_path: Path, server: KubeServer, authority: Authority
) -> None:
    server.objects[POD] = {"metadata": {"name": "w" * 150}}
    server.faults.drip = 0.2
    api = in_cluster_api(tmp_path, server, authority, get=1.0)
    with in_time():
        assert failure(api).reason == "timed_out"
    api.close()


def test_nobody_there(api: ApiServer, server: KubeServer) -> None:
    server.shutdown()
    server.server_close()
    assert failure(api).reason == "refused"


def test_another_s_certificate(tmp_path: Path, server: KubeServer, authority: Authority) -> None:
    api = in_cluster_api(tmp_path, server, Authority())
    error = failure(api)
    assert isinstance(error, Untrusted) and "ca.crt" in str(error) and not server.calls
    (tmp_path / "ca.crt").write_text(authority.pem)  # rotated: taken up without a restart
    assert api.get(PODS, "shop", "web")
    api.close()


def test_not_tls(tmp_path: Path, authority: Authority) -> None:
    with socket.create_server((HOST, 0)) as listening:
        environment = {"KUBERNETES_SERVICE_HOST": HOST}
        environment["KUBERNETES_SERVICE_PORT"] = str(listening.getsockname()[1])
        (tmp_path / "token").write_text(TOKEN)
        (tmp_path / "ca.crt").write_text(authority.pem)
        limits = Limits(connect=PATIENCE, get=PATIENCE)
        api = ApiServer(InCluster(environment, tmp_path), "test", limits=limits)

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        assert failure(api).reason == "tls"
        thread.join()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_a_host_of_ipv6(tmp_path: Path, authority: Authority) -> None:
    with kube_server(authority, "::1") as server:
        server.objects[POD] = {"metadata": {}}
        api = in_cluster_api(tmp_path, server, authority)
        assert api.get(PODS, "shop", "web") == {"metadata": {}}
        assert server.calls[0].headers["host"] == f"[::1]:{server.port}"
        api.close()


def test_a_list_is_compressed(api: ApiServer, server: KubeServer) -> None:
    for number in range(300):
        server.put(pod_json(f"pod-{number}"))
    with api.listing(PODS, {}) as items:
        assert len(list(items)) == 300
    assert items.resource_version == str(server.version) and not items.next_page
    assert 1000 < api.counters.bytes_received < 20_000


# -- in a cluster --------------------------------------------------------------------------------------------


def test_the_token_is_read_again(
    tmp_path: Path, server: KubeServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = InCluster(service_account(tmp_path, server, authority), tmp_path)
    assert source.current().authorization == f"Bearer {TOKEN}"
    (tmp_path / "new").write_text("second\n")
    (tmp_path / "new").rename(tmp_path / "token")
    assert source.current().authorization == "Bearer second"

    def unseen(text: str) -> None:
        before = (tmp_path / "token").stat()
        (tmp_path / "token").write_text(text)
        os.utime(tmp_path / "token", ns=(before.st_atime_ns, before.st_mtime_ns))

    unseen("third.\n")
    assert source.current().authorization == "Bearer second"
    assert source.current(refused=True).authorization == "Bearer third."
    unseen("fourth\n")
    monkeypatch.setattr(in_cluster, "_LOOK_AGAIN", 0.0)
    assert source.current().authorization == "Bearer fourth"
    (tmp_path / "token").unlink()
    assert source.current().authorization == "Bearer fourth"
    (tmp_path / "token").write_text("\n")
    with pytest.raises(Unconfigured, match="holds no token"):
        source.current()


@pytest.mark.parametrize("missing", ["token", "ca.crt"])
def test_without_a_service_account(
    tmp_path: Path, server: KubeServer, authority: Authority, missing: str
) -> None:
    environment = service_account(tmp_path, server, authority)
    (tmp_path / missing).unlink()
    with pytest.raises(Unconfigured, match="automountServiceAccountToken"):
        InCluster(environment, tmp_path)


@pytest.mark.parametrize(("host", "port"), [("", "443"), (HOST, ""), (HOST, "tcp://x"), (HOST, "70000")])
def test_outside_of_a_cluster(tmp_path: Path, host: str, port: str) -> None:
    with pytest.raises(Unconfigured, match="--kubeconfig"):
        InCluster({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}, tmp_path)


@pytest.mark.parametrize(
    ("host", "excluded", "proxied"),
    [
        ("10.0.0.1", "", True),
        ("10.0.0.1", "10.0.0.0/8", False),
        ("10.0.0.1", "10.0.0.1:443", False),
        ("10.0.0.1", "10.0.0.1:80", True),
        ("10.0.0.1", "11.0.0.0/8, example.org", True),
        ("10.0.0.1", "no/block", True),
        ("10.0.0.1", "*", False),
        ("fd00::1", "fd00::/8", False),
        ("fd00::1", "fd00::1", False),
        ("kube.example.org", "example.org", False),
        ("kube.example.org", ".example.org", False),
        ("kube.example.org", "*.example.org", False),
        ("example.org", ".example.org", True),
        ("badexample.org", "example.org", True),
        ("127.0.0.1", "", False),
        ("localhost", "", False),
    ],
)
def test_proxies_by_the_rules_of_client_go(host: str, excluded: str, *, proxied: bool) -> None:
    environment = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": excluded, "HTTP_PROXY": "http://wrong"}
    assert proxy_for(host, 443, environment) == ("http://proxy:3128" if proxied else None)
    assert proxy_for(host, 443, {}) is None


def test_no_token_in_any_repr_or_log(
    api: ApiServer,
    server: KubeServer,
    tmp_path: Path,
    authority: Authority,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    source = InCluster(service_account(tmp_path, server, authority), tmp_path)
    access = source.current()
    for one in (api, source, access, access.address):
        assert TOKEN not in repr(one)
    api.get(PODS, "shop", "web")
    assert TOKEN not in caplog.text


# -- by kubeconfig -------------------------------------------------------------------------------------------


def kubeconfig(folder: Path, server: KubeServer, authority: Authority, **user: Any) -> Path:
    cluster = {
        "server": server.url,
        "certificate-authority-data": base64.b64encode(authority.pem.encode()).decode(),
    }
    path = folder / "config"
    document = {
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {"token": TOKEN}}],
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("one", "two")],
        "current-context": "one",
    }
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("context", [None, "two"])
def test_by_kubeconfig(tmp_path: Path, server: KubeServer, authority: Authority, context: str | None) -> None:
    path = kubeconfig(tmp_path, server, authority)
    before = path.read_bytes()
    api = connect(KubeSettings(path, context), "node-1")
    assert api.get(PODS, "shop", "web")
    assert server.calls[0].headers["user-agent"].endswith(" (node-1)")
    assert TOKEN not in repr(api) and path.read_bytes() == before
    api.close()


def test_a_plug_in_gives_the_token_and_is_run_again_after_a_refusal(
    tmp_path: Path, server: KubeServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensor.kube.kubeconfig._AGAIN_AFTER", 0.0)
    version = "client.authentication.k8s.io/v1"
    answer = {"apiVersion": version, "kind": "ExecCredential", "status": {"token": TOKEN}}
    (tmp_path / "answer").write_text(json.dumps(answer))
    plug_in = {"apiVersion": version, "command": "cat", "args": [str(tmp_path / "answer")]}
    api = connect(KubeSettings(kubeconfig(tmp_path, server, authority, exec=plug_in)))
    assert api.get(PODS, "shop", "web")
    server.tokens = {"renewed"}
    (tmp_path / "answer").write_text(json.dumps(answer | {"status": {"token": "renewed"}}))
    assert api.get(PODS, "shop", "web")
    api.close()


@pytest.mark.parametrize("text", ["", "{}", ": {", "7", f"users: [{{name: u, user: {{token: {TOKEN}\n"])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(Unconfigured, match="kubectl --kubeconfig") as refused:
        Kubeconfig(path, None)
    assert TOKEN not in str(refused.value)


def test_a_token_goes_over_plain_http_on_this_machine_only(
    tmp_path: Path, server: KubeServer, authority: Authority
) -> None:
    path = kubeconfig(tmp_path, server, authority)
    path.write_text(path.read_text().replace(server.url, "http://example.org"))
    with pytest.raises(Unconfigured, match="plain HTTP"):
        Kubeconfig(path, None)


def test_a_client_certificate(tmp_path: Path, authority: Authority) -> None:
    with kube_server(authority) as server:
        server.tokens = {"no"}
        server.objects[POD] = {"metadata": {}}
        leaf = authority.ca.issue_cert("somebody@example.org")
        pair = {
            "client-certificate-data": base64.b64encode(leaf.cert_chain_pems[0].bytes()).decode(),
            "client-key-data": base64.b64encode(leaf.private_key_pem.bytes()).decode(),
        }
        server.require_certificates(authority)
        api = connect(KubeSettings(kubeconfig(tmp_path, server, authority, **pair)))
        error = failure(api)  # no token, so 401, and a handshake that was fine
        assert isinstance(error, Unauthorized) and "authorization" not in server.calls[0].headers
        api.close()
        without = connect(KubeSettings(kubeconfig(tmp_path, server, authority)))
        assert isinstance(failure(without), (Untrusted, Unreachable))
        without.close()


def test_a_node_does_not_load_the_library() -> None:
    program = (
        "import sys, sensor.kube.connect, sensor.kube.pod_watch, sensor.kube.owners; "
        "print([name for name in ('kubernetes', 'yaml', 'requests', 'pydantic') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_tls_is_of_today(authority: Authority) -> None:
    from sensor.kube.access import Address

    context = Address("https://x", authority.pem).context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2 and context.check_hostname
    with pytest.raises(Unconfigured, match="expected PEM"):
        Address("https://x", "no certificate").context()
