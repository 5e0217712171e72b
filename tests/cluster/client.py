"""A small client of the API server for tests: raw JSON in, raw JSON out."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import urllib3

Json = dict[str, Any]

_ANSWER_SECONDS = 30.0
_PLURALS = {"networkpolicy": "networkpolicies"}


class ApiError(Exception):
    """The API server said no; ``status`` is the HTTP status and ``reason`` the Status object's."""

    def __init__(self, method: str, path: str, status: int, body: Json) -> None:
        super().__init__(f"{method} {path}: HTTP {status}: {body.get('message', body)}")
        self.status = status
        self.reason = body.get("reason")


class Client:
    """Safe to share between threads. Paths are those of the API, ``/api/v1/namespaces/default/pods``."""

    def __init__(
        self, url: str, context: ssl.SSLContext, token: str | None = None, user_agent: str = "test-client"
    ) -> None:
        self._url = url
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._pool = urllib3.PoolManager(
            maxsize=16, ssl_context=context, timeout=urllib3.Timeout(_ANSWER_SECONDS), retries=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the idle connections."""
        self._pool.clear()

    def status_of(self, path: str) -> int:
        """The HTTP status of a GET, whatever it is."""
        return self._pool.request("GET", self._url + path, headers=self._headers).status

    def get(self, path: str, **query: str | int) -> Json:
        """Raises ApiError for any answer but 2xx, as all methods do."""
        return self._send("GET", _with(path, query))

    def create(self, manifest: Json) -> Json:
        """Creates the object where its ``kind`` and namespace say; its ``status`` is put there as well.

        The API server drops a status that comes with a new object.
        """
        made = self._send("POST", collection(manifest), manifest)
        if "status" in manifest and manifest["kind"] in ("Pod", "Node"):
            return self.set_status(made, manifest["status"])
        return made

    def create_all(self, manifests: Iterable[Json], at_once: int = 8) -> list[Json]:
        """Creates many, ``at_once`` at a time and so not in order; returns them in the given order."""
        with ThreadPoolExecutor(at_once) as pool:
            return list(pool.map(self.create, manifests))

    def set_status(self, thing: Json, status: Json) -> Json:
        """Replaces the fields of ``status`` that are given (a merge patch of the subresource)."""
        return self.patch(f"{path_of(thing)}/status", {"status": status})

    def patch(self, path: str, patch: Json, kind: str = "merge") -> Json:
        """``kind`` is ``merge`` (RFC 7386), ``strategic-merge`` or ``json``."""
        return self._send("PATCH", path, patch, f"application/{kind}-patch+json")

    def post(self, path: str, body: Json) -> Json:
        """For subresources that are called, not created."""
        return self._send("POST", path, body)

    def put(self, thing: Json) -> Json:
        """Replaces the object; 409 when its resourceVersion is not the present one."""
        return self._send("PUT", path_of(thing), thing)

    def delete(self, thing: Json, grace: int = 0) -> Json:
        """With ``grace`` 0 the object is gone at once; a pod on a node otherwise waits for a kubelet."""
        return self._send("DELETE", path_of(thing), {"gracePeriodSeconds": grace})

    def add_ephemeral(self, pod: Json, container: Json) -> Json:
        """Ephemeral containers come only later, by their own subresource."""
        patch = {"spec": {"ephemeralContainers": [container]}}
        return self.patch(f"{path_of(pod)}/ephemeralcontainers", patch, "strategic-merge")

    def watch(self, path: str, timeout: float = _ANSWER_SECONDS, **query: str | int) -> Iterator[Json]:
        """The events of a watch until the server ends it; ``timeout`` seconds between two of them."""
        target = _with(path, {"watch": "true", **query})
        response = self._pool.request(
            "GET",
            self._url + target,
            headers=self._headers,
            preload_content=False,
            timeout=urllib3.Timeout(timeout),
        )
        try:
            if response.status != 200:
                raise ApiError("GET", target, response.status, _json(response.read()))
            rest = b""
            for part in response.stream(65536):
                *lines, rest = (rest + part).split(b"\n")
                yield from map(json.loads, lines)
        finally:
            response.close()

    def _send(self, method: str, path: str, body: Json | None = None, form: str = "application/json") -> Json:
        answer = self._pool.request(
            method,
            self._url + path,
            headers={**self._headers, **({"Content-Type": form} if body is not None else {})},
            body=json.dumps(body) if body is not None else None,
        )
        content = _json(answer.data)
        if not 200 <= answer.status < 300:
            raise ApiError(method, path, answer.status, content)
        return content


def collection(thing: Json) -> str:
    """Where objects of this kind and namespace are listed and created."""
    version = thing["apiVersion"]
    kind = thing["kind"].lower()
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = thing["metadata"].get("namespace")
    return f"{base}{f'/namespaces/{namespace}' if namespace else ''}/{_PLURALS.get(kind, kind + 's')}"


def path_of(thing: Json) -> str:
    """Where this object is."""
    return f"{collection(thing)}/{thing['metadata']['name']}"


def _with(path: str, query: Mapping[str, str | int]) -> str:
    separator = "&" if "?" in path else "?"
    return f"{path}{separator}{urlencode(query)}" if query else path


def _json(data: bytes) -> Json:
    try:
        content = json.loads(data)
    except ValueError:
        return {"message": data[:300].decode(errors="replace")}
    return content if isinstance(content, dict) else {"message": content}
