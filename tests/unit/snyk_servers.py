"""Real servers for the clients of sensor.snyk: gRPC, HTTP, TLS, proxies, relays, and ones that misbehave."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import trustme
from google.protobuf import any_pb2
from google.rpc import status_pb2

from sensor.config.texts import Address
from sensor.config.upstream import UpstreamSettings
from sensor.delivery.destination import Batch, OutgoingState
from sensor.snyk.proto.v1 import reports_pb2 as wire
from sensor.snyk.proto.v1 import reports_pb2_grpc
from tests.unit.reports import DAY, report, use

HOST = "127.0.0.1"
TOKEN = "s3cret-8d7b2f4e-token-of-a-test"


def batch(
    *, states: int = 1, batch_id: str = "6b1e9f5c-6f0e-4df1-9d9c-d0b6d0c9a001", **changes: Any
) -> Batch:
    outgoing = tuple(
        OutgoingState(f"key-{number}", number + 1, report(use(f"package-{number}")))
        for number in range(states)
    )
    fields: dict[str, Any] = {
        "id": batch_id,
        "sender_id": "0b7c8f4e-1f7a-4f6e-9c53-1c1f6f0f2a11",
        "sent_at": DAY,
        "cluster": "east",
        "node": "node-1",
        "states": outgoing,
    }
    return Batch(**fields | changes)


def settings(port: int, **changes: Any) -> UpstreamSettings:
    fields: dict[str, Any] = {"address": Address(HOST, port), "token": TOKEN}
    return UpstreamSettings(**fields | changes)


class Authority:
    """A certificate authority, and certificates by it."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.bundle = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(str(self.bundle))

    def certificate(self, *names: str, **dates: Any) -> trustme.LeafCert:
        return self.ca.issue_cert(*(names or (HOST, "localhost", "upstream.test")), **dates)


def server_context(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


# -- gRPC ----------------------------------------------------------------------------------------------------


@dataclass
class GrpcCall:
    request: wire.ReportRequest
    metadata: dict[str, str]
    encoding: str | None


@dataclass
class GrpcServer(reports_pb2_grpc.RuntimeReportsServicer):
    """Answers with ``answer``, or calls ``act`` with the context to fail."""

    answer: wire.ReportResponse = field(default_factory=lambda: wire.ReportResponse(accepted=1))
    act: Callable[[grpc.ServicerContext], None] | None = None
    calls: list[GrpcCall] = field(default_factory=list)
    port: int = 0

    def Report(self, request: wire.ReportRequest, context: Any) -> wire.ReportResponse:
        metadata = {key: str(value) for key, value in context.invocation_metadata()}
        self.calls.append(GrpcCall(request, metadata, metadata.get("grpc-encoding")))
        if self.act:
            self.act(context)
        return self.answer


@contextlib.contextmanager
def grpc_server(
    server: GrpcServer, certificate: trustme.LeafCert | None = None, port: int = 0
) -> Iterator[GrpcServer]:
    with futures.ThreadPoolExecutor(4) as pool:
        running = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        reports_pb2_grpc.add_RuntimeReportsServicer_to_server(server, running)
        address = f"{HOST}:{port}"
        if certificate is None:
            server.port = running.add_insecure_port(address)
        else:
            chain = b"".join(one.bytes() for one in certificate.cert_chain_pems)
            pair = (certificate.private_key_pem.bytes(), chain)
            server.port = running.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        running.start()
        try:
            yield server
        finally:
            running.stop(0).wait()


def refuse(
    code: grpc.StatusCode, message: str = "no", *details: Any
) -> Callable[[grpc.ServicerContext], None]:
    """What makes a server answer ``code``, with messages of google.rpc as details."""

    def act(context: grpc.ServicerContext) -> None:
        status = status_pb2.Status(code=code.value[0], message=message)
        for one in details:
            packed = any_pb2.Any()
            packed.Pack(one)
            status.details.append(packed)
        if details:
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, message)

    return act


# -- HTTP ----------------------------------------------------------------------------------------------------


@dataclass
class HttpCall:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(gzip.decompress(self.body))


@dataclass
class Reply:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


class HttpServer(http.server.ThreadingHTTPServer):
    """Answers with the next of ``replies``, the last of them for ever."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None, replies: list[Reply] | None = None) -> None:
        self.replies = replies or [Reply()]
        self.calls: list[HttpCall] = []
        super().__init__((HOST, 0), _Handler)
        self.port = int(self.server_address[1])
        self.connections = 0
        self.context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, as the handshake has to be."""
        self.connections += 1
        if self.context is None:
            return super().finish_request(request, client_address)
        with self.context.wrap_socket(request, server_side=True) as secured:
            return super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what many tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.calls.append(HttpCall(self.path, headers, body))
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        self.send_response_only(reply.status)
        for name, value in {"Date": self.date_time_string(), **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def http_server(certificate: trustme.LeafCert | None = None, *replies: Reply) -> Iterator[HttpServer]:
    context = server_context(certificate) if certificate else None
    with HttpServer(context, list(replies)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


# -- Sockets -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tcp_server(handle: Callable[[socket.socket], None]) -> Iterator[int]:
    """Give the port of a server that calls ``handle`` with each connection, and closes it after."""
    with socket.create_server((HOST, 0)) as listening:
        open_now: set[socket.socket] = set()
        threads: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                handle(connection)
            open_now.discard(connection)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    open_now.add(connection)
                    threads.append(threading.Thread(target=serve, args=(connection,)))
                    threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield int(listening.getsockname()[1])
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            for connection in list(open_now):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def reset(connection: socket.socket) -> None:
    """Read something and answer with RST."""
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server((HOST, 0)) as listening:
        return int(listening.getsockname()[1])


def pump(source: socket.socket, sink: socket.socket, record: bytearray | None = None) -> None:
    """Copy until the end, and pass that on."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if record is not None:
                record += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def join(one: socket.socket, other: socket.socket, record: bytearray | None = None) -> None:
    back = threading.Thread(target=pump, args=(other, one, record))
    back.start()
    pump(one, other, record)
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
        other.shutdown(socket.SHUT_RDWR)
    back.join()


@contextlib.contextmanager
def recording_relay(port: int) -> Iterator[tuple[int, bytearray]]:
    """Give the port of a relay to ``port`` and everything that passed, in both directions."""
    record = bytearray()

    def handle(connection: socket.socket) -> None:
        with socket.create_connection((HOST, port)) as onward:
            join(connection, onward, record)

    with tcp_server(handle) as relay_port:
        yield relay_port, record


@dataclass
class ProxyServer:
    """A forward proxy. Every name leads to ``upstream_port`` here, so that only the proxy can know it."""

    upstream_port: int
    authorization: str | None = None
    status: int = 200
    asked: list[str] = field(default_factory=list)
    port: int = 0

    def handle(self, connection: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(1)
            if not more:
                return
            head += more
        lines = head.decode().split("\r\n")
        self.asked.append(lines[0])
        status = self.status
        if (
            self.authorization
            and f"proxy-authorization: {self.authorization}".lower() not in head.decode().lower()
        ):
            status = 407
        if status != 200:
            connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
            return
        with socket.create_connection((HOST, self.upstream_port)) as onward:
            if lines[0].startswith("CONNECT "):
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                onward.sendall(head)
            join(connection, onward)


@contextlib.contextmanager
def proxy_server(proxy: ProxyServer) -> Iterator[ProxyServer]:
    with tcp_server(proxy.handle) as proxy.port:
        yield proxy
