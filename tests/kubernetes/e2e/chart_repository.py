"""The chart in a repository that helm can be told of, as people get it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.kubernetes.e2e.helm import Helm

NAME = "runtime-sensor"


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the base class's name)
        """Says nothing."""


@contextmanager
def added(helm: Helm, chart: Path, folder: Path) -> Iterator[None]:
    """``helm repo add runtime-sensor`` of a repository with ``chart`` alone, in ``folder`` while it lasts."""
    folder.mkdir()
    helm("package", str(chart), "--destination", str(folder))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder)))
    address = f"http://127.0.0.1:{server.server_port}"
    helm("repo", "index", str(folder), "--url", address)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        helm("repo", "add", NAME, address)
        yield
    finally:
        server.shutdown()
        server.server_close()
