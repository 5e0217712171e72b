"""A small API server over real TLS: pods to list and watch, owners to get, and faults."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme

HOST = "127.0.0.1"
TOKEN = "s3cret.token-of-a-test"
NODE = "node-1"


class Authority:
    def __init__(self) -> None:
        self.ca = trustme.CA()
        self.pem = self.ca.cert_pem.bytes().decode()

    def context(self, *names: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert(*(names or (HOST, "localhost", "::1"))).configure_cert(context)
        return context


@dataclass
class Call:
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def is_watch(self) -> bool:
        return self.query.get("watch") == "true"


@dataclass
class Faults:
    """Each is taken away once it has struck, unless it says otherwise."""

    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    """Given in place of what was asked, one for each request."""
    forbidden: set[str] = field(default_factory=set)
    """Plural names of resources; stays."""
    cut: int | None = None
    """Bytes of the next watch event after which the connection is cut."""
    lines: list[bytes] = field(default_factory=list)
    """Sent in a watch before anything else."""
    drip: float = 0.0
    """Seconds between the bytes of a body; stays."""
    hang_up: int = 0
    """So many requests are read and the connection is closed."""
    expire_pages: int = 0
    """So many continue tokens are answered with 410."""


class KubeServer(http.server.ThreadingHTTPServer):
    """``version`` is the last resourceVersion; ``oldest`` the first that a watch can begin at."""

    daemon_threads = True

    def __init__(self, authority: Authority, host: str = HOST, port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.allow_reuse_address = True
        self.faults = Faults()
        self.tokens = {TOKEN}
        self.calls: list[Call] = []
        self.pods: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, dict[str, Any]] = {}
        """Path -> object, for GET."""
        self.version = 100
        self.oldest = 0
        self.log: list[tuple[int, str, dict[str, Any]]] = []
        self.changed = threading.Condition()
        self.closing = False
        self.connections: set[socket.socket] = set()
        self._context = authority.context()
        super().__init__((host, port), _Handler)
        self.host, self.port = host, int(self.server_address[1])
        self.url = f"https://{f'[{host}]' if ':' in host else host}:{self.port}"

    def put(self, pod: dict[str, Any]) -> None:
        with self.changed:
            kind = "MODIFIED" if pod["metadata"]["uid"] in self.pods else "ADDED"
            self.pods[pod["metadata"]["uid"]] = pod
            self._record(kind, pod)

    def delete(self, uid: str) -> None:
        with self.changed:
            self._record("DELETED", self.pods.pop(uid))

    def bookmark(self) -> None:
        with self.changed:
            self._record("BOOKMARK", {"kind": "Pod", "metadata": {}})

    def expire(self) -> None:
        """What etcd's compaction does: nothing before now can be watched."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.log.clear()
            self.changed.notify_all()

    def cut_all(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def watches(self) -> list[Call]:
        return [call for call in self.calls if call.is_watch]

    def lists(self) -> list[Call]:
        return [call for call in self.calls if call.path == "/api/v1/pods" and not call.is_watch]

    def _record(self, kind: str, pod: dict[str, Any]) -> None:
        self.version += 1
        pod["metadata"]["resourceVersion"] = str(self.version)
        self.log.append((self.version, kind, json.loads(json.dumps(pod))))
        self.changed.notify_all()

    def require_certificates(self, authority: Authority) -> None:
        self._context.load_verify_locations(cadata=authority.pem)
        self._context.verify_mode = ssl.CERT_REQUIRED

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, as the handshake has to be."""
        self.connections.add(request)
        try:
            with self._context.wrap_socket(request, server_side=True) as secured:
                self.connections.add(secured)
                try:
                    super().finish_request(secured, client_address)
                finally:
                    self.connections.discard(secured)
        finally:
            self.connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what many tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: KubeServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.call = Call(parts.path, query, {name.lower(): value for name, value in self.headers.items()})
        self.server.calls.append(self.call)
        faults = self.server.faults
        if faults.hang_up:
            faults.hang_up -= 1
            self.close_connection = True
        elif faults.answers:
            status, headers, body = faults.answers.pop(0)
            self._send(status, body, headers)
        elif self.call.headers.get("authorization") not in {f"Bearer {one}" for one in self.server.tokens}:
            self._status(401, "Unauthorized")
        elif any(f"/{plural}" in parts.path for plural in faults.forbidden):
            self._status(403, f'User "system:serviceaccount:a:b" cannot do that to {parts.path}')
        elif parts.path != "/api/v1/pods":
            self._get(parts.path)
        elif self.call.is_watch:
            self._watch(query)
        else:
            self._list(query)

    def _get(self, path: str) -> None:
        found = self.server.objects.get(path)
        if found is None:
            self._status(404, f"{path} not found")
        else:
            self._send(200, json.dumps(found).encode())

    def _list(self, query: dict[str, str]) -> None:
        with self.server.changed:
            version, items = self.server.version, [self.server.pods[uid] for uid in sorted(self.server.pods)]
            metadata = {"resourceVersion": str(version)}
            start = int(query.get("continue", "0"))
            if start and self.server.faults.expire_pages:
                self.server.faults.expire_pages -= 1
                return self._status(410, "The provided continue parameter is too old", "Expired")
            limit = int(query.get("limit", "0"))
            if limit and start + limit < len(items):
                metadata["continue"] = str(start + limit)
            page = items[start : start + limit if limit else None]
            body = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": page})
        return self._send(200, body.encode())

    def _watch(self, query: dict[str, str]) -> None:
        seen = int(query["resourceVersion"])
        faults = self.server.faults
        self.send_response_only(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while faults.lines:
            self._chunk(faults.lines.pop(0) + b"\n")
        if seen < self.server.oldest:
            status = {
                "kind": "Status",
                "code": 410,
                "reason": "Expired",
                "message": "too old resource version",
            }
            self._chunk(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
            self.wfile.write(b"0\r\n\r\n")
            return
        while True:
            with self.server.changed:
                while not (news := self._news(seen)) and not self.server.closing:
                    self.server.changed.wait(60)
                if self.server.closing:
                    break
            for version, kind, pod in news:
                seen = version
                line = json.dumps({"type": kind, "object": pod}).encode() + b"\n"
                if faults.cut is not None:
                    self._chunk(line[: faults.cut])
                    faults.cut = None
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self._chunk(line)
        self.wfile.write(b"0\r\n\r\n")

    def _news(self, seen: int) -> list[tuple[int, str, dict[str, Any]]]:
        return [one for one in self.server.log if one[0] > seen]

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

    def _status(self, code: int, message: str, reason: str = "") -> None:
        status = {"kind": "Status", "code": code, "message": message, "reason": reason}
        self._send(code, json.dumps(status).encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        packed = "gzip" in self.call.headers.get("accept-encoding", "") and len(body) > 1024
        if packed:
            body = gzip.compress(body)
            self.send_header("Content-Encoding", "gzip")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not self.server.faults.drip:
            self.wfile.write(body)
            return
        for byte in body:
            self.wfile.write(bytes((byte,)))
            if threading.Event().wait(self.server.faults.drip) or self.server.closing:
                return

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def kube_server(
    authority: Authority, host: str = HOST, port: int = 0, *, like: KubeServer | None = None
) -> Iterator[KubeServer]:
    """``like``: with the pods and versions of one that was there before: a restart."""
    server = KubeServer(authority, host, port)
    if like is not None:
        server.pods, server.version, server.oldest, server.log = (
            like.pods,
            like.version,
            like.oldest,
            like.log,
        )
        server.objects = like.objects
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        with server.changed:
            server.closing = True
            server.changed.notify_all()
        server.shutdown()
        thread.join()
        server.cut_all()
        server.server_close()


def service_account(
    folder: Path, server: KubeServer, authority: Authority, token: str = TOKEN
) -> dict[str, str]:
    """Write what the kubelet mounts, and return the environment of a pod."""
    (folder / "token").write_text(token)
    (folder / "ca.crt").write_text(authority.pem)
    return {"KUBERNETES_SERVICE_HOST": server.host, "KUBERNETES_SERVICE_PORT": str(server.port)}


def pod_json(name: str, uid: str | None = None, **changes: Any) -> dict[str, Any]:
    """A pod with one running container."""
    uid = uid or f"uid-{name}"
    document: dict[str, Any] = {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "labels": {"app": "orders"},
            "managedFields": [{"manager": "kubelet", "fieldsV1": {"f:status": {}}}],
        },
        "spec": {"nodeName": NODE, "containers": [{"name": "app", "image": "acme/orders:1"}]},
        "status": {
            "phase": "Running",
            "containerStatuses": [
                {
                    "name": "app",
                    "containerID": f"containerd://{uid}",
                    "imageID": f"docker.io/acme/orders@sha256:{'a' * 64}",
                    "state": {"running": {"startedAt": "2026-01-31T12:00:00Z"}},
                }
            ],
        },
    }
    for path, value in changes.items():
        *folders, last = path.split("__")
        place = document
        for one in folders:
            place = place.setdefault(one, {})
        place[last] = value
    return document


def owned(
    kind: str, name: str, uid: str, *, version: str = "apps/v1", controller: bool = True
) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": controller}
