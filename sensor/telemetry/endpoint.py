"""HTTP for /metrics, /healthz and /readyz.

Open to whoever reaches the address, so every connection is bounded: eight at a time, ten seconds
each, GET and HEAD only, nothing of the request but its path and ``Accept`` is looked at.
"""

from __future__ import annotations

import json
import logging
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from sensor.telemetry.exposition import Exposition
from sensor.telemetry.health import Health
from sensor.telemetry.metrics import Telemetry

log = logging.getLogger(__name__)

_CONNECTIONS = 8
_SECONDS = 10.0


class Endpoint(socketserver.ThreadingTCPServer):
    """Listens once made; serves while :meth:`serve_forever` runs. Raises ``OSError``."""

    allow_reuse_address = True  # a restart must not wait for old connections to time out
    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, telemetry: Telemetry, health: Health) -> None:
        self.exposition = Exposition(telemetry)
        self.health = health
        self._open: dict[socket.socket, float] = {}
        self._open_lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            full = len(self._open) >= _CONNECTIONS
            if not full:
                self._open[request] = time.monotonic()
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called twice a second: a socket's own time-out starts anew with each byte that drips in."""
        with self._open_lock:
            late = [request for request, since in self._open.items() if time.monotonic() - since > _SECONDS]
            for request in late:
                _shut(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("a client of the metrics address failed: %r", sys.exception())


def _shut(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError:
        log.debug("a late client of the metrics address was gone already")


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    timeout = _SECONDS
    server_version = "runtime-sensor"
    sys_version = ""

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/metrics":
                self._answer(HTTPStatus.OK, *self.server.exposition.render(self.headers.get("Accept", "")))
            case "/readyz":
                readiness = self.server.health.ready()
                self._state("ready", readiness.ready, readiness.reasons)
            case "/healthz":
                silence = self.server.health.silence()
                alive = self.server.health.alive()
                self._state("alive", alive, () if alive else (f"the main loop is stuck for {silence:.0f} s",))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"try /metrics, /healthz or /readyz\n")

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        log.debug(format, *args)

    def _state(self, what: str, good: bool, reasons: tuple[str, ...]) -> None:
        body = json.dumps({what: good, "reasons": reasons}) + "\n"
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", body.encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
