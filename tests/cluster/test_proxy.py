"""Each fault of the proxy is seen by a client as that fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import urllib3

from tests.clock import PATIENCE, in_time, until
from tests.cluster import objects
from tests.cluster.api_server import ApiServer
from tests.cluster.client import ApiError, Client, Json
from tests.cluster.proxy import FaultProxy, half_an_event

pytestmark = pytest.mark.cluster

PODS = "/api/v1/pods"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer() as made:
        yield made


@pytest.fixture
def proxy(server: ApiServer) -> Iterator[FaultProxy]:
    with server.proxy() as made:
        yield made


@pytest.fixture
def client(server: ApiServer, proxy: FaultProxy) -> Iterator[Client]:
    token = server.accounts.make("default", "behind", RULES).read_text()
    with server.client(token, url=proxy.url) as made:
        yield made


class _Watch(threading.Thread):
    """Follows a watch until it ends."""

    def __init__(self, client: Client) -> None:
        super().__init__()
        self.events: list[Json] = []
        self.error: Exception | None = None
        version = client.get(PODS, limit=1)["metadata"]["resourceVersion"]
        self._events = client.watch(PODS, resourceVersion=version, timeoutSeconds=20)

    def run(self) -> None:
        try:
            for event in self._events:
                self.events.append(event)
        except Exception as error:  # noqa: BLE001 - what it is, the test asks
            self.error = error


def _watch(server: ApiServer, client: Client) -> _Watch:
    """A watch that has told of one pod."""
    watch = _Watch(client)
    watch.start()
    _pod(server)
    _until_seen(watch, 1)
    return watch


def _pod(server: ApiServer) -> None:
    server.admin.create({**objects.pod("any"), "metadata": {"generateName": "p-", "namespace": "default"}})


def _until_seen(watch: _Watch, count: int) -> None:
    until(lambda: len(watch.events) >= count or not watch.is_alive())
    assert len(watch.events) >= count, (watch.events, watch.error)


def test_relays_and_counts(proxy: FaultProxy, client: Client) -> None:
    for _ in range(3):
        assert client.get(PODS, limit=1)["kind"] == "PodList"
    assert (proxy.traffic.requests, proxy.traffic.connections) == (3, 1)
    assert proxy.traffic.bytes_up > 3 * 300 and proxy.traffic.bytes_down > 3 * 100


def test_latency_delays_each_answer_but_not_one_after_the_other(
    server: ApiServer, proxy: FaultProxy, client: Client
) -> None:
    client.get(PODS, limit=1)
    proxy.latency = 3.0
    begun = time.monotonic()
    with in_time(2 * proxy.latency):
        client.get(PODS, limit=1)
    assert time.monotonic() - begun >= proxy.latency
    watch = _watch(server, client)
    begun = time.monotonic()
    with in_time():  # not a minute
        for _ in range(20):
            _pod(server)
        _until_seen(watch, 21)
    assert time.monotonic() - begun >= proxy.latency
    proxy.cut()
    watch.join()


def test_refused_connections(proxy: FaultProxy, client: Client) -> None:
    client.get(PODS, limit=1)
    proxy.refuse()
    client.get(PODS, limit=1)
    proxy.cut()
    with pytest.raises(urllib3.exceptions.HTTPError):
        client.get(PODS, limit=1)
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        client.get(PODS, limit=1)
    proxy.accept()
    assert client.get(PODS, limit=1)["kind"] == "PodList"


def test_a_cut_ends_a_watch_with_an_error(server: ApiServer, proxy: FaultProxy, client: Client) -> None:
    watch = _watch(server, client)
    proxy.cut()
    watch.join(PATIENCE)
    assert isinstance(watch.error, urllib3.exceptions.ProtocolError)
    assert proxy.connections == 0


def test_a_watch_is_cut_in_the_middle_of_an_object(
    server: ApiServer, proxy: FaultProxy, client: Client
) -> None:
    watch = _watch(server, client)
    done = proxy.cut_in_object()
    assert not done.is_set()
    _pod(server)
    assert done.wait(PATIENCE)
    watch.join(PATIENCE)
    assert isinstance(watch.error, urllib3.exceptions.ProtocolError) and len(watch.events) == 1


def test_a_watch_that_ends_by_http_within_an_object(
    server: ApiServer, proxy: FaultProxy, client: Client
) -> None:
    watch = _watch(server, client)
    done = proxy.cut_in_object(clean=True)
    _pod(server)
    assert done.wait(PATIENCE)
    watch.join(PATIENCE)
    assert watch.error is None and len(watch.events) == 1


def test_a_stalled_watch_is_silent_and_goes_on_later(
    server: ApiServer, proxy: FaultProxy, client: Client
) -> None:
    watch = _watch(server, client)
    proxy.stall()
    _pod(server)
    time.sleep(0.3)
    assert len(watch.events) == 1 and watch.is_alive()
    proxy.resume()
    _until_seen(watch, 2)
    proxy.cut()
    watch.join()


def test_answers_in_place_of_the_server(proxy: FaultProxy, client: Client) -> None:
    proxy.answer(429, times=2)
    for _ in range(2):
        with pytest.raises(ApiError) as refused:
            client.get(PODS, limit=1)
        assert refused.value.status == 429
    assert client.get(PODS, limit=1)["kind"] == "PodList"


def test_server_gone_behind_the_proxy(server: ApiServer, proxy: FaultProxy, client: Client) -> None:
    watch = _watch(server, client)
    server.stop(kill=True)
    watch.join(PATIENCE)
    assert not watch.is_alive()
    with pytest.raises(urllib3.exceptions.ProtocolError):
        client.get(PODS, limit=1)
    server.start()
    assert client.get(PODS, limit=1)["kind"] == "PodList"


def test_half_an_event() -> None:
    event = b'a\r\n{"a":"bc"}\r\n'
    assert half_an_event(event, clean=False) == b'a\r\n{"a":'
    assert half_an_event(event, clean=True) == b'5\r\n{"a":\r\n0\r\n\r\n'
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    assert half_an_event(head + event, clean=False) == head + b'a\r\n{"a":'
    assert half_an_event(head, clean=False) is None
    assert half_an_event(b"rest of one\r\n", clean=True) is None
