"""Load from outside the container: wrk and redis-benchmark, and what they print."""

from __future__ import annotations

import csv
import re
import subprocess
from dataclasses import dataclass

from tests.bench.process import BenchError

CONNECTIONS = 32
REDIS_CLIENTS = 50
REDIS_BYTES = 64
REDIS_TESTS = ("set", "get")
CALIBRATION_REQUESTS = 20_000
GRACE_SECONDS = 60.0

_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_P99 = re.compile(r"^\s+99%\s+([\d.]+)(us|ms|s|m)$", re.MULTILINE)
_TROUBLE = re.compile(r"^\s*(?:Non-2xx|Socket errors).*$", re.MULTILINE)
_REQUESTS = re.compile(r"^\s+(\d+) requests in ", re.MULTILINE)
_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True, slots=True)
class Answered:
    """What a load generator got: requests in all, requests a second, and the 99th percentile in ms."""

    requests: int
    rate: float
    p99_ms: float


def wrk(processors: str, threads: int, url: str, seconds: float) -> Answered:
    """Load ``url`` as fast as it answers; raises BenchError when anything but success was answered."""
    command = ["wrk", f"-t{threads}", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", url]
    return parse_wrk(_output(processors, command, seconds))


def redis_benchmark(processors: str, threads: int, port: int, seconds: float) -> Answered:
    """SET and GET of :data:`REDIS_BYTES` by :data:`REDIS_CLIENTS` clients, without pipelining.

    redis-benchmark counts requests, not seconds: a short run before tells how many fill ``seconds``.
    """
    pace = parse_redis(_redis(processors, threads, port, CALIBRATION_REQUESTS, seconds))
    each = max(CALIBRATION_REQUESTS, int(pace.rate * seconds / len(REDIS_TESTS)))
    return parse_redis(_redis(processors, threads, port, each, seconds), each)


def _redis(processors: str, threads: int, port: int, requests: int, seconds: float) -> str:
    command = ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-t", ",".join(REDIS_TESTS), "--csv"]
    command += ["-c", str(REDIS_CLIENTS), "-d", str(REDIS_BYTES), "-n", str(requests)]
    return _output(processors, [*command, "--threads", str(threads)], seconds)


def _output(processors: str, command: list[str], seconds: float) -> str:
    done = subprocess.run(
        ["taskset", "--cpu-list", processors, *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds * 5 + GRACE_SECONDS,
    )
    if done.returncode != 0:
        raise BenchError(
            f"{command[0]} failed with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}"
        )
    return done.stdout


def parse_wrk(text: str) -> Answered:
    """Raises BenchError when figures are missing or requests failed."""
    rate, p99, requests, trouble = (each.search(text) for each in (_RATE, _P99, _REQUESTS, _TROUBLE))
    if trouble:
        raise BenchError(f"wrk met errors: {trouble[0].strip()}")
    if not (rate and p99 and requests):
        raise BenchError(f"wrk printed no figures: {text[-2000:]!r}")
    return Answered(int(requests[1]), float(rate[1]), float(p99[1]) * _MILLISECONDS[p99[2]])


def parse_redis(text: str, each: int = CALIBRATION_REQUESTS) -> Answered:
    """From the CSV of redis-benchmark 7, ``each`` requests of every test: all tests one after the other, the
    p99 of the slowest. Raises BenchError when the columns are others."""
    rows = list(csv.DictReader(text.splitlines()))
    try:
        rates = [float(row["rps"]) for row in rows]
        p99 = max(float(row["p99_latency_ms"]) for row in rows)
        rate = len(rates) / sum(1 / each_rate for each_rate in rates)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise BenchError(f"redis-benchmark printed no figures: {text[-2000:]!r}") from error
    return Answered(each * len(rates), rate, p99)
