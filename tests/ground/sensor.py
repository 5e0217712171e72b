"""The sensor as a process of its own, observed as its users observe it: its lines, metrics and health."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.clock import PATIENCE
from tests.ground.ground import PROJECT, STATE

COMMAND = PROJECT / ".venv" / "bin" / "runtime-sensor"
EVENTS = "runtime_sensor_kernel_events_total"
SUBMITTED = ("submitted", "exec_submitted")
LOST = ("ring_full", "fault")

Report = dict[str, Any]
# What is asked for is on this machine: a proxy of the environment has no part in it.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ([^ ]+)$")


class SensorError(Exception):
    """The sensor did not do what was waited for; the message ends with its last log lines."""


def free_port() -> int:
    """A port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(address: str, timeout: float = PATIENCE) -> str:
    """The body of ``http://address``. Raises OSError."""
    with _DIRECT.open(f"http://{address}", timeout=timeout) as response:
        body: bytes = response.read()
        return body.decode()


def purls(report: Report | None) -> set[str]:
    """The packages of a container's state, as purls."""
    return {package["purl"] for package in report["packages"]} if report else set()


class Sensor:
    """``with Sensor() as sensor``: started and ready; ended at the end.

    Every line of its standard output is kept in ``lines``, the newest state of each container in
    ``latest``. ``stdout`` (a file descriptor) takes the output instead, and nothing is kept.
    """

    def __init__(self, *options: str, debounce: float = 0.3, log: Path | None = None) -> None:
        self.metrics_address = f"127.0.0.1:{free_port()}"
        self.lines: list[Report] = []
        self.latest: dict[str, Report] = {}
        self._command = [
            # A run that is killed must not leave a sensor behind.
            *("setpriv", "--pdeathsig", "TERM", "--"),
            *(str(COMMAND), "node", "--output", "jsonl", "--debounce", str(debounce)),
            *("--metrics-address", self.metrics_address, *options),
        ]
        self._log = log or STATE / "sensor.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._news = threading.Condition()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SensorError("the sensor was not started")
        return self._process

    def start(self, stdout: int = subprocess.PIPE) -> Self:
        """Returns at once; see ``wait_ready``."""
        if not COMMAND.exists():
            raise SensorError(f"found no {COMMAND.relative_to(PROJECT)}; run `make setup` first")
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=PROJECT,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
                start_new_session=True,
            )
        if self._process.stdout is not None:
            self._reader = threading.Thread(target=self._read, name="sensor output", daemon=True)
            self._reader.start()
        return self

    def wait_ready(self, timeout: float = 45) -> None:
        """Waits for /readyz. Raises SensorError when the sensor ends first or does not get there."""
        deadline = time.monotonic() + timeout
        lacking = "it does not answer"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise self._error(
                    f"the sensor ended with status {self.process.returncode} before it was ready"
                )
            try:
                get(f"{self.metrics_address}/readyz")
            except urllib.error.HTTPError as error:
                with error:
                    lacking = error.read().decode().strip()
            except OSError as error:
                lacking = str(error)
            else:
                return
            time.sleep(0.05)
        raise self._error(f"the sensor is not ready after {timeout:.0f} s: {lacking}")

    def wait_for(
        self, container: str, accepted: Callable[[Report], bool], timeout: float = PATIENCE, what: str = ""
    ) -> Report:
        """The first state of ``container`` (its id) that is ``accepted``, from the newest one on."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                report = self.latest.get(container)
                if report is not None and accepted(report):
                    return report
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    break
                self._news.wait(min(left, 0.5))
        seen = "never reported"
        if report:
            reasons = " ".join(report["coverage_reasons"])
            seen = f"{len(report['packages'])} packages, {report['coverage']} {reasons}".rstrip()
        raise self._error(f"container {container[:12]}: {what or 'the state'} did not come ({seen})")

    def wait_for_packages(self, container: str, wanted: set[str], timeout: float = PATIENCE) -> Report:
        """A state whose packages are exactly ``wanted`` (purls); the error names the difference."""
        try:
            return self.wait_for(container, lambda report: purls(report) == wanted, timeout)
        except SensorError as error:
            got = purls(self.latest.get(container))
            missing, extra = sorted(wanted - got), sorted(got - wanted)
            raise SensorError(f"missing {missing}, extra {extra}\n{error}") from None

    def settle(self, seconds: float = 1.5, timeout: float = 60) -> None:
        """Returns after ``seconds`` without a new line: what was to be reported has been."""
        deadline = time.monotonic() + timeout
        with self._news:
            while self._news.wait(seconds):
                if time.monotonic() > deadline:
                    raise self._error(f"the output did not come to rest within {timeout:.0f} s")

    def metrics(self) -> dict[tuple[str, str], float]:
        """Samples of /metrics: (name, labels as written) -> value."""
        samples = {}
        for line in get(f"{self.metrics_address}/metrics").splitlines():
            if match := _SAMPLE.match(line):
                samples[match[1], match[2] or ""] = float(match[3])
        return samples

    def events(self, outcomes: Sequence[str] = SUBMITTED) -> int:
        """Kernel events with one of the ``outcomes`` since the start."""
        samples = self.metrics()
        return int(sum(samples.get((EVENTS, f'outcome="{outcome}"'), 0) for outcome in outcomes))

    def lost(self) -> int:
        return self.events(LOST)

    def resident_kib(self) -> int:
        """Resident memory of the agent."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    def descriptors(self) -> int:
        """Open file descriptors of the agent."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = PATIENCE) -> int:
        """Ends the sensor and returns its exit status."""
        self.process.send_signal(number)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._error(f"the sensor still runs {timeout:.0f} s after {number.name}") from None

    def close(self) -> None:
        """Ends the sensor whatever state it is in."""
        if self._process is None:
            return
        with contextlib.suppress(SensorError):
            self.stop()
        self._process.kill()
        self._process.wait()
        if self._reader is not None:
            self._reader.join(PATIENCE)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            report = json.loads(line)
            with self._news:
                self.lines.append(report)
                if report["type"] == "container":
                    self.latest[report["container"]["id"]] = report
                self._news.notify_all()

    def _error(self, message: str) -> SensorError:
        last = "\n".join(f"  {line}" for line in self.log().splitlines()[-12:])
        return SensorError(f"{message}; its log ({self._log}) ends:\n{last}")
