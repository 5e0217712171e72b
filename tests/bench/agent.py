"""The sensor under test, and what its processes use."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench import metrics
from tests.bench.process import ROOT, BenchError, running, wait_until

READY_SECONDS = 60.0
COUNTER_SECONDS = 10.0
COMMAND = ROOT / ".venv" / "bin" / "runtime-sensor"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since each process began (resolution: one clock tick, 10 ms) and resident memory."""

    cpu_seconds: float
    rss_mib: float
    peak_rss_mib: float


class Agent:
    """A ready sensor."""

    def __init__(self, pid: int, port: int) -> None:
        self.pid = pid
        self._port = port

    def counters(self) -> dict[str, int]:
        """Outcome -> events of the kernel programs; raises BenchError when the endpoint does not answer."""
        counters = metrics.kernel_events(self.exposition())
        if not counters:
            raise BenchError(f"/metrics answered without {metrics.EVENTS}{{outcome=…}}")
        return counters

    def exposition(self) -> str:
        """All metrics as text; raises BenchError when the endpoint does not answer."""
        try:
            status, body = metrics.scrape(self._port, "/metrics")
        except (OSError, http.client.HTTPException) as error:
            raise BenchError(f"the sensor's /metrics does not answer: {error}") from error
        if status != http.HTTPStatus.OK:
            raise BenchError(f"/metrics answered {status}")
        return body

    def ready(self) -> bool:
        """What /readyz says: its own open came back through the real hook within the last seconds."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return metrics.scrape(self._port, "/readyz")[0] == http.HTTPStatus.OK
        return False

    def wait_for(self, least: Mapping[str, int], since: Mapping[str, int]) -> dict[str, int]:
        """Counters, once they grew by ``least`` since ``since``.

        Raises BenchError when they do not: the probe was then not filtered in the way that was to be timed.
        """
        latest: dict[str, int] = {}

        def grown() -> bool:
            latest.update(self.counters())
            return all(latest.get(name, 0) - since.get(name, 0) >= count for name, count in least.items())

        if not wait_until(grown, COUNTER_SECONDS):
            growth = {name: count - since.get(name, 0) for name, count in latest.items()}
            raise BenchError(f"the kernel programs counted {growth}; expected at least {dict(least)}")
        return latest

    def usage(self) -> Usage:
        """Of the agent with all its threads and living children; ended children count as CPU time."""
        return usage(self.pid)


@contextlib.contextmanager
def agent(output: Path, log: Path, *options: str) -> Iterator[Agent]:
    """Start the sensor, with further ``options``, and wait for /readyz; raises BenchError with its last words
    when it does not come."""
    if not COMMAND.exists():
        raise BenchError(f"{COMMAND} not found; expected the installed command: make setup")
    port = free_port()
    command = [str(COMMAND), "node", "--output", "jsonl", "--metrics-address", f"127.0.0.1:{port}", *options]
    with output.open("wb") as lines, log.open("wb") as errors, running(command, lines, errors) as process:
        _wait_until_ready(process, port, log)
        yield Agent(process.pid, port)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise BenchError(f"the sensor ended with {process.returncode}; it said: {_last_words(log)}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            return metrics.scrape(port, "/readyz")[0] == http.HTTPStatus.OK
        return False

    if not wait_until(ready, READY_SECONDS):
        raise BenchError(f"the sensor is not ready after {READY_SECONDS:.0f} s; it said: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace").strip()[-2000:] or "nothing"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def usage(pid: int) -> Usage:
    """Add up a process and its living descendants from /proc (proc(5): stat, status)."""
    processes = [pid, *_descendants(pid)]
    memory = [_memory(each) for each in processes]
    return Usage(
        cpu_seconds=sum(_cpu_seconds(each) for each in processes),
        rss_mib=sum(resident for resident, _ in memory),
        peak_rss_mib=sum(peak for _, peak in memory),
    )


def _descendants(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(FileNotFoundError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(child) for child in (task / "children").read_text().split()]
    return children + [each for child in children for each in _descendants(child)]


def _cpu_seconds(pid: int) -> float:
    """utime, stime, cutime and cstime of all threads; 0 for a process that has just gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> tuple[float, float]:
    """Resident MiB now and at its highest; zeroes for a process that has just gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0, 0.0
    values = {name: text for name, _, text in (line.partition(":") for line in lines)}
    return _mib(values.get("VmRSS", "0 kB")), _mib(values.get("VmHWM", "0 kB"))


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
