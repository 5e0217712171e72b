"""Ends of TLS that write down what a sensor sends, and take it all."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.server
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from sensor.snyk.proto.v1.reports_pb2 import ReportRequest, ReportResponse
from tests.receiver_process import free_ports

SERVICE = "runtimesensor.reports.v1.RuntimeReports"


def shows(token: str, found: bytes) -> bool:
    """Whether ``found`` holds the token, as it is or in base 64."""
    encoded = base64.b64encode(token.encode()).rstrip(b"=")
    return token.encode() in found or encoded in found


@dataclass(frozen=True, slots=True)
class Certificates:
    authority: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Request:
    """As it arrived. ``body`` is decompressed."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(slots=True)
class Recorded:
    """``wanted`` is in the body of the request that is waited for."""

    token: str
    wanted: bytes
    requests: list[Request] = field(default_factory=list)

    def arrived(self) -> bool:
        return any(self.wanted in request.body for request in self.requests)

    def check(self) -> None:
        """The token is in the authorisation header of every request, and nowhere else."""
        assert self.requests
        for request in self.requests:
            headers = {name.lower(): value for name, value in request.headers}
            assert headers.pop("authorization") == f"token {self.token}"
            assert len(headers) == len(request.headers) - 1, "each header once"
            rest = [request.path, *headers, *headers.values()]
            assert not any(shows(self.token, text.encode()) for text in rest), (
                "the token is in another header"
            )
            assert not shows(self.token, request.body), "the token is in the body"
        names = sorted({name.lower() for request in self.requests for name, _ in request.headers})
        print(f"{len(self.requests)} requests with the headers {', '.join(names)}")


@contextlib.contextmanager
def recording_grpc(recorded: Recorded, certificates: Certificates) -> Iterator[str]:
    """A server of our service that writes down what it gets, and takes it all."""

    def report(body: bytes, context: Any) -> bytes:
        headers = tuple((name, _text(value)) for name, value in context.invocation_metadata())
        recorded.requests.append(Request("Report", headers, body))
        accepted = len(ReportRequest.FromString(body).containers)
        return ReportResponse(accepted=accepted, received_at_ms=round(time.time() * 1000)).SerializeToString()

    methods = {"Report": grpc.unary_unary_rpc_method_handler(report)}
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))
    pair = (certificates.key.read_bytes(), certificates.certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


@contextlib.contextmanager
def recording_https(recorded: Recorded, certificates: Certificates) -> Iterator[str]:
    """The same for the public upstream's form."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            recorded.requests.append(Request(self.path, tuple(self.headers.items()), body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

    (port,) = free_ports(1)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
