"""What each hook costs redis and nginx, in throughput by the guest's own clock.

Meant for a guest in which each instruction lasts 1 ns (see ``cost``): one processor that is always busy, so
throughput is work done per instruction, and no neighbour on the machine can disturb it.
"""

from __future__ import annotations

import csv
import os
import re
import socket
import statistics
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sensor.node.capture.capture import CaptureSettings
from sensor.node.capture.hooks import HOOKS
from sensor.node.capture.layout import Counter
from tests.kernels.inside.check_run import Tell
from tests.kernels.inside.observer import PATIENCE, Observer
from tests.kernels.protocol import Order

ROUNDS = 2
LEAST = 0.99
"""Of the throughput without the sensor, for the hooks on opens."""

_APART = ("unshare", "--mount", "--propagation", "private")
_REDIS_PORT, _NGINX_PORT = 6379, 8080
_REDIS_CALLS, _NGINX_CALLS = "5000", "1500"
# With several, how many are served at a wake-up is chance, worth 1 % of the throughput.
_ONE_CONNECTION = ("-c", "1")
_NGINX = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error;
events {{ worker_connections 64; }}
http {{
	access_log off;
	server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


def _redis() -> float:
    """Requests a second, SET and GET alike."""
    told = _run("redis-benchmark", "-n", _REDIS_CALLS, *_ONE_CONNECTION, "-t", "set,get", "--csv")
    rates = [float(row[1]) for row in csv.reader(told.splitlines()) if row and row[0] in ("SET", "GET")]
    assert len(rates) == 2, told
    return statistics.harmonic_mean(rates)


def _nginx() -> float:
    """Requests a second for a page of 1 KiB, which nginx opens for each of them."""
    told = _run("ab", "-q", "-n", _NGINX_CALLS, *_ONE_CONNECTION, f"http://127.0.0.1:{_NGINX_PORT}/page.html")
    found = re.search(r"^Requests per second: +([\d.]+)", told, re.MULTILINE)
    assert found and re.search(r"^Failed requests: +0$", told, re.MULTILINE), told
    return float(found[1])


APPLICATIONS: dict[str, Callable[[], float]] = {"redis": _redis, "nginx": _nginx}


def expected(order: Order) -> list[tuple[str, str]]:
    """Every (hook, check) of which there must be a line."""
    return [(hook, name) for hook in order.hooks for name in APPLICATIONS]


def run(order: Order, tell: Tell) -> None:
    """With and without each hook in turn."""
    with tempfile.TemporaryDirectory() as folder, _servers(Path(folder)):
        for name, rate in _measured().items():  # fills the caches, too
            tell("figure", hook="", name=f"{name} bare", value=round(rate))
        for hook in (hook for hook in HOOKS if hook.name in order.hooks):
            pairs: dict[str, list[float]] = {name: [] for name in APPLICATIONS}
            problem = ""
            try:
                for _ in range(ROUNDS):
                    bare, hooked = _measured(), _hooked(hook.name)
                    for name in APPLICATIONS:
                        pairs[name].append(hooked[name] / bare[name])
                        tell("figure", hook="", name=f"{name} bare", value=round(bare[name]))
            except Exception:  # noqa: BLE001 - a measurement that fails is a result
                problem = traceback.format_exc()[-1500:]
            for name, ratios in pairs.items():
                _verdict(hook.name, name, ratios, problem, tell)


def _verdict(hook: str, name: str, ratios: Sequence[float], problem: str, tell: Tell) -> None:
    if problem:
        tell("check", hook=hook, check=name, ok=False, detail=problem)
        return
    ratio = statistics.median(ratios)
    tell("figure", hook=hook, name=name, value=round(ratio, 4))
    detail = f"throughput {ratio:.4f} of that without ({min(ratios):.4f} to {max(ratios):.4f})"
    # The raw tracepoint's price is known; it is told, and no bar.
    tell("check", hook=hook, check=name, ok=hook == "raw" or ratio >= LEAST, detail=detail)


def _measured() -> dict[str, float]:
    return {name: measure() for name, measure in APPLICATIONS.items()}


def _hooked(hook: str) -> dict[str, float]:
    """The same under a hook, which must have met nginx's opens."""
    observer = Observer(CaptureSettings(open_hook=hook))
    try:
        before = observer.counter(Counter.NOT_WANTED)
        result = _measured()
        met = observer.counter(Counter.NOT_WANTED) - before
    finally:
        observer.close()
    assert met >= int(_NGINX_CALLS), f"only {met} opens were met"
    return result


@contextmanager
def _servers(folder: Path) -> Iterator[None]:
    (folder / "page.html").write_bytes(b"x" * 1024)
    (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=_NGINX_PORT))
    for name in ("/var/log/nginx", "/var/lib/nginx"):
        os.makedirs(name, exist_ok=True)
    running = [
        _start("redis-server", "--save", "", "--dir", str(folder)),
        _start("nginx", "-c", str(folder / "nginx.conf")),
    ]
    try:
        for port in (_REDIS_PORT, _NGINX_PORT):
            _wait(port)
        yield
    finally:
        for process in running:
            process.kill()
            process.wait()


def _start(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen((*_APART, *command), stdout=subprocess.DEVNULL)


def _run(*command: str) -> str:
    done = subprocess.run((*_APART, *command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}"
    return done.stdout


def _wait(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < end, f"nothing listens on port {port}"
            time.sleep(0.1)
