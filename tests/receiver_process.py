"""A real receiver in a process of its own, for tests."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.clock import HANGS, PATIENCE

_STARTS_WITHIN = HANGS
_ENDS_WITHIN = PATIENCE


class Receiver:
    """``with Receiver() as receiver: …`` listens on free ports of 127.0.0.1 and knows one token that may
    do all (:attr:`token_file`), unless ``tokens`` names a file of the form that ``--tokens`` takes.

    ``data_dir`` is a temporary directory where none is given. ``certificate`` and ``key`` are PEM files;
    ``authority`` the one to trust then. ``arguments`` are further options of ``runtime-sensor receiver``.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        certificate: Path | None = None,
        key: Path | None = None,
        authority: Path | None = None,
        tokens: Path | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="receiver-") if data_dir is None else None
        self.data_dir = Path(self._temporary.name) if self._temporary else Path(str(data_dir))
        self.token_file = self.data_dir / "token"
        self.tokens = tokens
        self.grpc_port, self.http_port = free_ports(2)
        self._tls = (certificate, key) if certificate and key else None
        self._authority = authority
        self._arguments = arguments
        self._environment = environment
        self.process: subprocess.Popen[str] | None = None
        self.log_file = self.data_dir / "receiver.log"

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def http_address(self) -> str:
        return f"127.0.0.1:{self.http_port}"

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.http_address}"

    @property
    def database(self) -> Path:
        return self.data_dir / "receiver.db"

    @property
    def token(self) -> str:
        """The first that is known."""
        if self.tokens is not None:
            return str(json.loads(self.tokens.read_text())["tokens"][0]["token"])
        return self.token_file.read_text().strip()

    def __enter__(self) -> Receiver:
        try:
            self.start()
        except BaseException:
            self._clean()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._clean()

    def start(self) -> None:
        """Return once it answers. Raises ``RuntimeError`` with its log where it does not."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sensor.cli", "receiver", "--data-dir", str(self.data_dir)]
        command += ["--grpc-address", self.grpc_address, "--http-address", self.http_address]
        if self._tls is not None:
            command += ["--tls-certificate", str(self._tls[0]), "--tls-key", str(self._tls[1])]
        if self.tokens is not None:
            command += ["--tokens", str(self.tokens)]
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                [*command, *self._arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                env=None if self._environment is None else dict(self._environment),
            )
        self._await_health()

    def stop(self, within: float = _ENDS_WITHIN) -> int | None:
        """End it by SIGTERM and return its exit code."""
        return self._end(signal.SIGTERM, within)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self._end(signal.SIGKILL, _ENDS_WITHIN)

    def restart(self) -> None:
        """Start it again, on the same data and the same ports; ends it first where it runs."""
        self.stop()
        self.start()

    def faults(self, rules: Sequence[Mapping[str, Any]]) -> None:
        """Replace the faults; an empty list ends them."""
        status, body = self.call("PUT", "/control/faults", json.dumps(list(rules)).encode())
        if status != 200:
            raise RuntimeError(f"faults: found {status} {body!r}, expected 200")

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Ask its HTTP address, with the token, and return status and body."""
        connection = self.connection()
        with contextlib.closing(connection):
            connection.request(
                method, path, body, {"Authorization": f"token {self.token}", **(headers or {})}
            )
            answer = connection.getresponse()
            return answer.status, answer.read()

    def connection(self, timeout: float = PATIENCE) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=timeout)
        context = ssl.create_default_context(cafile=str(self._authority or self._tls[0]))
        return http.client.HTTPSConnection("127.0.0.1", self.http_port, timeout=timeout, context=context)

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """What its database answers, read beside it; works while it does not run, too."""
        connection = sqlite3.connect(self.database, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.row_factory = sqlite3.Row
            return connection.execute(query, parameters).fetchall()

    def containers(self) -> list[dict[str, Any]]:
        """Each row of ``container``, with ``packages``: rows of package and member, sorted by purl."""
        members = self.rows("SELECT * FROM member JOIN package ON package.id = member.package ORDER BY purl")
        of_set: dict[int, list[dict[str, Any]]] = {}
        for member in members:
            of_set.setdefault(member["package_set"], []).append(dict(member))
        found = self.rows("SELECT * FROM container ORDER BY group_id, cluster, key")
        return [{**dict(row), "packages": of_set.get(row["package_set"], [])} for row in found]

    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    def _await_health(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + _STARTS_WITHIN
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = self.connection(timeout=1.0)
                with contextlib.closing(connection):
                    connection.request("GET", "/healthz")
                    if connection.getresponse().read() and self.process.poll() is None:
                        return
            time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the receiver did not start: {self.log()[-2000:]}")

    def _end(self, number: int, within: float) -> int | None:
        if self.process is None:
            return None
        self.process.send_signal(number)
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.process = None

    def _clean(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens now. Below those that the kernel gives to callers: one of
    these would be taken, by a caller of the receiver itself at times, while the receiver is down."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(16_000, 32_000)
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port not in found:
                found.append(port)
    return found
