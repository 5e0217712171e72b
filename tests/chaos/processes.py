"""The sensor and the receiver: started, killed, started again, on the same ports and folders."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from tests.chaos.truth import Watch
from tests.ground.sensor import COMMAND, get
from tests.receiver_process import free_ports

TOKEN = "chaos-b7c9e2"
_PERIOD = 0.03


class ProcessError(Exception):
    """A program did not come up, or ended by itself; the message ends with its last log lines."""


class Program:
    """One of the two. Start it from a thread that lives as long as it: the kernel ends it with that."""

    def __init__(self, name: str, options: list[str], folder: Path, health: str) -> None:
        self.name = name
        self._command = [
            *("setpriv", "--pdeathsig", "KILL", "--"),
            *(str(COMMAND), name, *options),
        ]
        self._log = folder / f"{name}.log"
        self._health = health
        self._process: subprocess.Popen[bytes] | None = None
        self.kills = 0
        self._lock = threading.Lock()
        self._watches: list[Watch] = []
        self._ready: float | None = None

    @property
    def up(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                env={**os.environ, "SNYK_TOKEN": TOKEN},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with self._lock:
            self._process = process

    def kill(self) -> None:
        """SIGKILL. Raises ProcessError if it had ended before."""
        with self._lock:
            process, self._process = self._process, None
            moment = time.monotonic()
            if self._ready is not None:
                self._watches.append(Watch(self._ready, moment))
                self._ready = None
        if process is None:
            return
        ended = process.poll()
        process.kill()
        process.wait()
        self.kills += 1
        if ended is not None:
            raise self._error(f"the {self.name} ended by itself with status {ended}")

    def look(self) -> None:
        """Take note of its being ready, or having ended by itself."""
        with self._lock:
            process, ready = self._process, self._ready
        if process is None or ready is not None:
            return
        with contextlib.suppress(OSError):
            get(self._health, timeout=1)
            with self._lock:
                if self._process is process:  # not killed while it answered
                    self._ready = time.monotonic()

    def watches(self) -> list[Watch]:
        """The times in which it was ready, the last one until now."""
        with self._lock:
            now = [] if self._ready is None else [Watch(self._ready, time.monotonic())]
            return [*self._watches, *now]

    def wait_ready(self, timeout: float = 60) -> None:
        """Raises ProcessError."""
        deadline = time.monotonic() + timeout
        while self._ready is None:
            if self._process is None or self._process.poll() is not None:
                raise self._error(f"the {self.name} ended before it was ready")
            if time.monotonic() > deadline:
                raise self._error(f"the {self.name} is not ready after {timeout:.0f} s")
            time.sleep(_PERIOD)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _error(self, message: str) -> ProcessError:
        last = "\n".join(f"  {line}" for line in self.log().splitlines()[-15:])
        return ProcessError(f"{message}; its log ({self._log}) ends:\n{last}")


class Pair:
    """``with Pair(folder) as pair``: both are up and ready; killed at the end."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        grpc, http, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
        tokens = folder / "tokens.json"
        tokens.write_text(json.dumps({"tokens": [{"token": TOKEN, "permissions": ["AppRisk edit"]}]}))
        tokens.chmod(0o600)
        self.receiver = Program(
            "receiver",
            [
                *("--data-dir", str(self.data), "--tokens", str(tokens)),
                *("--grpc-address", grpc, "--http-address", http),
            ],
            folder,
            f"{http}/healthz",
        )
        self.agent = Program(
            "node",
            [
                *(
                    "--upstream",
                    grpc,
                    "--plaintext",
                    "--state-dir",
                    str(folder / "state"),
                    "--output",
                    "none",
                ),
                *("--cluster-name", "chaos", "--node-name", "chaos-1", "--metrics-address", metrics),
                # Many small batches and snapshots: something is always in the middle of being sent.
                *("--debounce", "0.3", "--batch-interval", "0.2", "--batch-containers", "3"),
                *("--requests-per-minute", "6000", "--snapshot-interval", "10"),
            ],
            folder,
            f"{metrics}/readyz",
        )
        self._stop = threading.Event()
        self._looker = threading.Thread(target=self._look, name="readiness", daemon=True)

    @property
    def programs(self) -> tuple[Program, Program]:
        return self.agent, self.receiver

    def start(self) -> None:
        """Raises ProcessError."""
        self._looker.start()
        for program in (self.receiver, self.agent):
            program.start()
            program.wait_ready()

    def close(self) -> None:
        self._stop.set()
        self._looker.join(5)
        for program in self.programs:
            with contextlib.suppress(ProcessError):
                program.kill()

    def _look(self) -> None:
        while not self._stop.wait(_PERIOD):
            for program in self.programs:
                program.look()
