"""Proxies: the rules, and a real one that both transports go through."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sensor.config.texts import Address, SettingsError
from sensor.delivery.destination import Temporary
from sensor.snyk.connect import connect
from sensor.snyk.proxy import Proxy, proxy_for
from sensor.snyk.token import Token
from tests.clock import PATIENCE
from tests.unit.snyk_servers import (
    HOST,
    TOKEN,
    Authority,
    GrpcServer,
    HttpServer,
    ProxyServer,
    batch,
    free_port,
    grpc_server,
    http_server,
    proxy_server,
    settings,
)

PROXY = "http://proxy.test:3128"
USER = "http://me:p%40ss:w%2Fd@"
AUTHORIZATION = "Basic bWU6cEBzczp3L2Q="  # me:p@ss:w/d
NAMES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize(
    ("environment", "tls", "host"),
    [
        ({}, True, None),
        ({"HTTPS_PROXY": PROXY}, True, "proxy.test"),
        ({"https_proxy": PROXY}, True, "proxy.test"),
        ({"https_proxy": "http://lower", "HTTPS_PROXY": PROXY}, True, "lower"),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, True, None),
        ({"ALL_PROXY": PROXY}, True, "proxy.test"),
        ({"ALL_PROXY": PROXY}, False, "proxy.test"),
        ({"HTTP_PROXY": PROXY}, True, None),
        ({"HTTP_PROXY": PROXY}, False, "proxy.test"),
        ({"HTTPS_PROXY": PROXY}, False, None),
        ({"HTTPS_PROXY": "proxy.test:3128"}, True, "proxy.test"),
        ({"HTTPS_PROXY": "http://[2001:db8::1]:3128/"}, True, "2001:db8::1"),
    ],
)
def test_which_variable_counts(environment: dict[str, str], tls: bool, host: str | None) -> None:
    proxy = proxy_for("api.snyk.io", 443, tls=tls, environment=environment)
    assert (proxy.host if proxy else None) == host


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "direct"),
    [
        ("*", "api.snyk.io", 443, True),
        ("api.snyk.io", "api.snyk.io", 443, True),
        ("API.SNYK.IO", "api.snyk.io.", 443, True),
        ("snyk.io", "api.snyk.io", 443, True),
        (".snyk.io", "api.snyk.io", 443, True),
        ("*.snyk.io", "api.snyk.io", 443, True),
        ("nyk.io", "api.snyk.io", 443, False),
        ("api.snyk.io.evil.test", "api.snyk.io", 443, False),
        ("localhost, snyk.io:443", "api.snyk.io", 443, True),
        ("localhost snyk.io", "api.snyk.io", 443, True),
        ("snyk.io:8443", "api.snyk.io", 443, False),
        ("10.0.0.0/8", "10.9.8.7", 443, True),
        ("10.0.0.0/8", "11.9.8.7", 443, False),
        ("10.9.8.7:443", "10.9.8.7", 443, True),
        ("10.9.8.7:444", "10.9.8.7", 443, False),
        ("9.8.7", "10.9.8.7", 443, False),
        ("2001:db8::/32", "2001:db8::1", 443, True),
        ("[2001:db8::1]:443", "2001:db8::1", 443, True),
        ("[2001:db8::1]:444", "2001:db8::1", 443, False),
        ("10.0.0.0/99, , .", "10.9.8.7", 443, False),
        ("", "api.snyk.io", 443, False),
    ],
)
def test_no_proxy(no_proxy: str, host: str, port: int, direct: bool) -> None:
    environment = {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}
    assert (proxy_for(host, port, tls=True, environment=environment) is None) is direct


@pytest.mark.parametrize(
    "found",
    [
        "socks5://me:hidden@proxy:1080",
        "https://me:hidden@proxy:443",
        "http://me:hidden@:1",
        "http://me:hidden@a:x",
        "http://me:hidden@proxy/path",
        "http://me:hidden@pro xy",
        "http://me:hidden@[::1",
    ],
)
def test_what_is_no_proxy_is_named_by_its_variable_only(found: str) -> None:
    with pytest.raises(SettingsError, match=r"^all_proxy: found .* expected http://HOST:PORT") as refused:
        proxy_for("api.snyk.io", 443, tls=True, environment={"all_proxy": found})
    assert "hidden" not in str(refused.value)


def test_the_password_is_not_shown() -> None:
    proxy = proxy_for("api.snyk.io", 443, tls=True, environment={"HTTPS_PROXY": f"{USER}proxy.test"})
    assert proxy == Proxy("proxy.test", 80, "me:p@ss:w/d")
    assert proxy.authorization == AUTHORIZATION
    assert "ss" not in repr(proxy) + proxy.address


@contextmanager
def server_of(transport: str, authority: Authority) -> Iterator[GrpcServer | HttpServer]:
    if transport == "grpc":
        with grpc_server(GrpcServer(), authority.certificate()) as server:
            yield server
    else:
        with http_server(authority.certificate()) as other:
            yield other


@pytest.mark.parametrize("transport", ["grpc", "https"])
def test_delivery_goes_through_the_proxy_which_resolves_the_name(
    transport: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        server_of(transport, authority) as server,
        proxy_server(ProxyServer(server.port, AUTHORIZATION)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"{USER}{HOST}:{proxy.port}")
        upstream = settings(
            0, address=Address("upstream.test", 443), transport=transport, ca_bundle=authority.bundle
        )
        destination = connect(upstream, "group", Token(TOKEN))
        destination.send(batch(), PATIENCE)
        destination.close()
    assert [line.split()[:2] for line in proxy.asked] == [["CONNECT", "upstream.test:443"]]
    assert server.calls


@pytest.mark.parametrize("transport", ["grpc", "https"])
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_goes_direct(
    transport: str, variable: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server_of(transport, authority) as server, proxy_server(ProxyServer(server.port)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{HOST}:{proxy.port}")
        monkeypatch.setenv(variable, "127.0.0.0/8")
        destination = connect(
            settings(server.port, transport=transport, ca_bundle=authority.bundle), "group", Token(TOKEN)
        )
        destination.send(batch(), PATIENCE)
        destination.close()
    assert proxy.asked == [] and server.calls


def test_grpc_follows_our_rules_and_not_its_own(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a variable of its own, which would make the two transports take different ways."""
    with server_of("grpc", authority) as server, proxy_server(ProxyServer(server.port)) as proxy:
        monkeypatch.setenv("https_proxy", f"http://{HOST}:{proxy.port}")
        monkeypatch.setenv("no_grpc_proxy", "upstream.test")
        upstream = settings(0, address=Address("upstream.test", 443), ca_bundle=authority.bundle)
        destination = connect(upstream, "group", Token(TOKEN))
        destination.send(batch(), PATIENCE)
        destination.close()
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("transport", ["grpc", "https"])
def test_plaintext_goes_through_http_proxy(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        grpc_server(GrpcServer()) if transport == "grpc" else http_server() as server,
        proxy_server(ProxyServer(server.port)) as proxy,
    ):
        monkeypatch.setenv("HTTP_PROXY", f"http://{HOST}:{proxy.port}")
        upstream = settings(0, address=Address("upstream.test", 80), transport=transport, plaintext=True)
        destination = connect(upstream, "group", Token(TOKEN))
        destination.send(batch(), PATIENCE)
        destination.close()
    assert proxy.asked and server.calls


@pytest.mark.parametrize("transport", ["grpc", "https"])
@pytest.mark.parametrize(
    ("status", "reason", "says"),
    [
        (407, "proxy_authentication", "wants other credentials (407): put USER:PASSWORD@ before its host"),
        (403, "proxy_refused", "answered CONNECT upstream.test:443 with 403: let it pass this host"),
    ],
)
def test_a_proxy_that_refuses_is_named_with_the_cure(
    transport: str, status: int, reason: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_server(ProxyServer(0, status=status)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:hidden@{HOST}:{proxy.port}")
        upstream = settings(0, address=Address("upstream.test", 443), transport=transport)
        destination = connect(upstream, "group", Token(TOKEN))
        with pytest.raises(Temporary) as failed:
            destination.send(batch(), PATIENCE)
        destination.close()
    assert failed.value.reason == reason
    assert says in str(failed.value) and f"the proxy {HOST}:{proxy.port}" in str(failed.value)
    assert "hidden" not in str(failed.value)


@pytest.mark.parametrize("transport", ["grpc", "https"])
def test_a_proxy_that_is_not_there_is_named(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("HTTPS_PROXY", f"http://{HOST}:{port}")
    upstream = settings(0, address=Address("upstream.test", 443), transport=transport)
    destination = connect(upstream, "group", Token(TOKEN))
    with pytest.raises(Temporary, match=f"the proxy {HOST}:{port} refuses the connection"):
        destination.send(batch(), PATIENCE)
    destination.close()
