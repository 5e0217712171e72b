"""One HTTP request with a bound on its time and on its answer, through urllib3."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from sensor.snyk.deadline import dial, left
from sensor.snyk.http_errors import Answer
from sensor.snyk.upstream import Upstream

MAX_ANSWER_BYTES = 64 << 10
# Servers close idle connections after a minute or so; a request that meets the end of one is lost.
_IDLE_SECONDS = 20.0


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return dial(self._dns_host, self.port or 80)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return dial(self._dns_host, self.port or 443)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Exchange:
    """Keeps one connection. Used by one thread at a time."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._manager: urllib3.PoolManager | None = None
        self._trust_version = 0
        self._used_at = 0.0

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Use within :func:`sensor.snyk.deadline.within`. Raises :class:`urllib3.exceptions.HTTPError` or
        :class:`OSError`; redirects are answers like any other."""
        target = self._upstream.target
        response = self._fresh().urlopen(
            "POST",
            f"{'https' if target.tls else 'http'}://{target.address}{path}",
            body=body,
            headers=dict(headers),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=left(),
        )
        try:
            content, whole = _content(response)
        except BaseException:
            response.close()
            raise
        if whole:
            response.release_conn()
        else:
            response.close()
        self._used_at = time.monotonic()
        return Answer(
            response.status, {k.lower(): v for k, v in response.headers.items()}, content, time.time()
        )

    def close(self) -> None:
        if self._manager is not None:
            self._manager.clear()
            self._manager = None

    def _fresh(self) -> urllib3.PoolManager:
        """The pool, without connections that were made with other authorities or were idle for long."""
        version = self._upstream.trust.version
        if self._manager is None or version != self._trust_version:
            self.close()
            self._manager, self._trust_version = self._make(), version
        elif time.monotonic() - self._used_at > _IDLE_SECONDS:
            self._manager.clear()
        return self._manager

    def _make(self) -> urllib3.PoolManager:
        target = self._upstream.target
        options: dict[str, Any] = {"num_pools": 1, "maxsize": 1}
        if target.tls:
            options["ssl_context"] = self._upstream.trust.context()
        if target.proxy:
            asked = {"Proxy-Authorization": target.proxy.authorization} if target.proxy.authorization else {}
            manager: urllib3.PoolManager = urllib3.ProxyManager(
                f"http://{target.proxy.address}", proxy_headers=asked, **options
            )
        else:
            manager = urllib3.PoolManager(**options)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return manager


def _content(response: urllib3.BaseHTTPResponse) -> tuple[bytes, bool]:
    """The beginning of the body, and whether that is all of it."""
    content = b""
    while len(content) <= MAX_ANSWER_BYTES:
        more = response.read(MAX_ANSWER_BYTES + 1 - len(content), decode_content=False)
        if not more:
            return content, True
        content += more
    return content[:MAX_ANSWER_BYTES], False
