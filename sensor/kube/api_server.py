"""Requests to the API server: get, list and watch, as raw JSON with bounds on time and size."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, ProtocolError

from sensor.kube.access import Access, AccessSource, Address
from sensor.kube.body import Body
from sensor.kube.counters import KubeCounters
from sensor.kube.deadline import become_idle_after, within
from sensor.kube.errors import KubeError, Unauthorized
from sensor.kube.explain import Asked, answer_failed, connection_failed, quotable
from sensor.kube.list_stream import ListStream, malformed
from sensor.kube.nested import document
from sensor.kube.resource import Resource, Rule

JSON = "application/json"
METADATA_ONLY = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1,{JSON}"
"""An answer of a few hundred bytes for an object of many kilobytes (Kubernetes 1.15 and newer)."""
_MOST_ERROR = 16 << 10
# A connection that died without a word, because a load balancer or a node went, is found within half a minute
# although a watch may be silent for long.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. ``idle`` is without a byte."""

    connect: float = 5.0
    get: float = 5.0
    list: float = 60.0
    idle: float = 15.0
    get_bytes: int = 4 << 20
    list_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class _Request:
    verb: str
    resource: Resource
    path: str
    parameters: Mapping[str, str]
    accept: str = JSON
    encoding: str = "gzip"

    def what(self, url: str) -> str:
        return f"cannot {self.verb} {self.resource.plural} at the API server {url}"

    @property
    def rule(self) -> Rule:
        verbs = ("list", "watch") if self.resource.plural == "pods" else (self.verb,)
        return Rule(self.resource.group, self.resource.plural, verbs)


class ApiServer:
    """Any number of threads; each request in flight has a connection, and those are kept."""

    def __init__(
        self,
        source: AccessSource,
        user_agent: str,
        *,
        limits: Limits | None = None,
        counters: KubeCounters | None = None,
    ) -> None:
        self.counters = counters or KubeCounters()
        self.user_agent = user_agent
        self._limits = limits or Limits()
        self._source = source
        self._lock = threading.Lock()
        self._pool: tuple[Address, urllib3.PoolManager] | None = None
        self._shown: str | None = None

    def __repr__(self) -> str:
        return f"ApiServer({self.user_agent!r})"

    def get(self, resource: Resource, namespace: str, name: str, *, accept: str = METADATA_ONLY) -> Any:
        """Return one object, as its metadata alone where ``accept`` is not changed. Raises
        :class:`KubeError`, within a few seconds."""
        request = _Request("get", resource, resource.path(namespace, name), {}, accept)
        with self._answer(request, self._limits.get, self._limits.get) as body:
            content = bytearray()
            while chunk := body.read():
                content += chunk
                if len(content) > self._limits.get_bytes:
                    raise malformed(f"it has more than {self._limits.get_bytes:,} bytes")
        try:
            return document(bytes(content))
        except ValueError:
            raise malformed("it is no JSON") from None

    @contextmanager
    def listing(self, resource: Resource, parameters: Mapping[str, str]) -> Iterator[ListStream]:
        """Give the objects of all namespaces, as they come. Raises :class:`KubeError`, so does iterating."""
        request = _Request("list", resource, resource.path(), parameters)
        with self._answer(request, self._limits.list, self._limits.idle) as body:
            yield ListStream(body.read, most=self._limits.list_bytes)
            if not body.is_whole:
                body.read()

    @contextmanager
    def watching(self, resource: Resource, parameters: Mapping[str, str], seconds: float) -> Iterator[Body]:
        """Give the body of a watch that the server was asked to end after ``seconds``.

        Compressed, a line would come when the compressor likes. Raises :class:`KubeError`.
        """
        asked = {**parameters, "watch": "true", "timeoutSeconds": str(int(seconds))}
        request = _Request("watch", resource, resource.path(), asked, encoding="identity")
        most = seconds + self._limits.idle
        with self._answer(request, most, self._limits.list) as body:
            become_idle_after(most)  # it has begun: nothing may change for long
            yield body

    def quotable(self, text: object) -> str:
        """Return what the server wrote for people to read: one line, short, without our token."""
        return quotable(text, self._shown)

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool[1].clear()
                self._pool = None

    @contextmanager
    def _answer(self, request: _Request, seconds: float, idle: float) -> Iterator[Body]:
        with within(seconds, idle):
            body = self._accepted(request)
            try:
                yield body
            except KubeError as error:
                self._count(request, error.reason)
                raise
            finally:
                body.close()

    def _accepted(self, request: _Request) -> Body:
        """Send it; once more if the token was refused and there is another by now."""
        try:
            access = self._source.current()
            try:
                return self._exchange(request, access)
            except Unauthorized:
                renewed = self._source.current(refused=True)
                if renewed == access:
                    raise
                return self._exchange(request, renewed)
        except KubeError as error:
            self._count(request, error.reason)
            raise

    def _exchange(self, request: _Request, access: Access) -> Body:
        url = access.address.url

        def failed(error: BaseException) -> KubeError:
            return connection_failed(error, url)

        try:
            response = self._send(request, access)
        except (HTTPError, OSError, ValueError) as error:  # ValueError: what no host name can be
            raise failed(error) from None
        body = Body(response, failed, self.counters.received)
        if response.status != 200:
            raise self._refused(request, access, response, body)
        self._count(request, "200")
        return body

    def _send(self, request: _Request, access: Access) -> urllib3.BaseHTTPResponse:
        headers = {
            "Accept": request.accept,
            "Accept-Encoding": request.encoding,
            "User-Agent": self.user_agent,
        }
        if access.authorization is not None:
            headers["Authorization"] = self._shown = access.authorization
        query = f"?{urlencode(request.parameters)}" if request.parameters else ""
        pool = self._fresh(access.address)
        url = f"{access.address.url}{request.path}{query}"
        try:
            return self._once(url, headers, pool)
        except ProtocolError:
            # The connection was kept, and closed by the other side in the moment that we used it.
            return self._once(url, headers, pool)

    def _once(
        self, url: str, headers: Mapping[str, str], pool: urllib3.PoolManager
    ) -> urllib3.BaseHTTPResponse:
        return pool.urlopen(
            "GET",
            url,
            headers=headers,
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=self._limits.connect, read=self._limits.idle),
        )

    def _refused(
        self, request: _Request, access: Access, response: urllib3.BaseHTTPResponse, body: Body
    ) -> KubeError:
        content = b""
        try:
            while len(content) < _MOST_ERROR and (chunk := body.read()):
                content += chunk
        except KubeError:
            pass  # the status says enough
        finally:
            body.close()
        asked = Asked(request.what(access.address.url), request.rule, access.authorization)
        return answer_failed(response.status, response.headers, content[:_MOST_ERROR], asked)

    def _fresh(self, address: Address) -> urllib3.PoolManager:
        """The pool, made anew where the server is another or is trusted by other authorities."""
        with self._lock:
            if self._pool is None or self._pool[0] != address:
                if self._pool is not None:
                    self._pool[1].clear()
                self._pool = address, _pool(address)
            return self._pool[1]

    def _count(self, request: _Request, result: str) -> None:
        self.counters.asked(request.verb, request.resource.plural, result)


def _pool(address: Address) -> urllib3.PoolManager:
    options: dict[str, Any] = {
        "num_pools": 1,
        "maxsize": 4,
        "socket_options": [*HTTPConnection.default_socket_options, *_KEEPALIVE],
    }
    if urlsplit(address.url).scheme == "https":
        options["ssl_context"] = address.context()
        if address.server_name is not None:
            options["server_hostname"] = options["assert_hostname"] = address.server_name
        if not address.verify:
            options["assert_hostname"] = False
            log.warning("the certificate of the API server %s is not verified, as told", address.url)
    if address.proxy is not None:
        return urllib3.ProxyManager(address.proxy, **options)
    return urllib3.PoolManager(**options)
