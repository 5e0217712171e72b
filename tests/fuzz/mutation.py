"""A plain mutation loop, where atheris is not to be had: it has wheels for amd64 only.

It knows nothing of coverage. It writes the same lines as libFuzzer, so that one reader serves both.
"""

from __future__ import annotations

import hashlib
import random
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from tests.fuzz.watch import TooMuchMemory, TooSlow, peak_mib

CRASHED, TIMED_OUT = 77, 70
"""Exit codes, libFuzzer's own (FuzzerOptions.h)."""
_WALL_SECONDS = 2.0  # CPU time is watched closely; this ends an input that waits for something
_TELLING = tuple(
    bytes.fromhex(each)
    for each in ("00", "ff", "7f", "ffffffff", "00000080", "504b0304", "7f454c46", "2e2e2f")
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The loop ends with whichever comes first; ``longest`` is in bytes."""

    seconds: float
    inputs: int
    longest: int


class Stuck(BaseException):
    """An input takes too long by the wall clock; no ``except Exception`` of a target may swallow it."""


def run_one(run: Callable[[bytes], object], data: bytes) -> str | None:
    """The traceback of what ``data`` does to ``run``, ``None`` when it just returns."""
    signal.signal(signal.SIGALRM, _stuck)
    signal.setitimer(signal.ITIMER_REAL, _WALL_SECONDS)
    try:
        run(data)
    except BaseException:  # noqa: BLE001 - whatever comes out of a parser is its defect
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def loop(run: Callable[[bytes], object], seeds: Sequence[bytes], bounds: Bounds, artifacts: str) -> int:
    """Feed ``run`` with the seeds, then with mutations of them; return the exit code.

    The input that fails is written to ``artifacts`` (a prefix of paths).
    """
    chance = random.Random()
    begun, done = time.monotonic(), 0
    code = 0
    pool = [b"", *seeds]
    while done < bounds.inputs and time.monotonic() - begun < bounds.seconds:
        data = pool[done] if done < len(pool) else mutated(chance.choice(pool), chance, bounds.longest)
        done += 1
        if problem := run_one(run, data):
            code = _told(problem, data, artifacts)
            break
    seconds = max(time.monotonic() - begun, 1e-3)
    print(f"#{done}\tDONE   cov: 0 ft: 0 corp: {len(pool)}/{sum(map(len, pool))}b")
    print(f"stat::number_of_executed_units: {done}")
    print(f"stat::average_exec_per_sec:     {int(done / seconds)}")
    print(f"stat::peak_rss_mb:              {int(peak_mib())}", flush=True)
    return code


def mutated(data: bytes, chance: random.Random, longest: int) -> bytes:
    """One to six small changes: a bit, a byte, a telling value, a part gone, doubled or moved."""
    content = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(content))
        end = min(len(content), at + chance.choice((1, 2, 4, 16, 64)))
        match chance.randint(0, 5):
            case 0 if at < len(content):
                content[at] ^= 1 << chance.randint(0, 7)
            case 1 if at < len(content):
                content[at] = chance.randint(0, 255)
            case 2:
                content[at:end] = chance.choice(_TELLING)
            case 3:
                del content[at:end]
            case 4:
                content[at:at] = content[at:end]
            case _:
                part, place = content[at:end], chance.randint(0, len(content))
                content[place : place + len(part)] = part
    return bytes(content[:longest])


def _told(problem: str, data: bytes, artifacts: str) -> int:
    hung = Stuck.__name__ in problem or TooSlow.__name__ in problem
    kind = "timeout" if hung else "oom" if TooMuchMemory.__name__ in problem else "crash"
    file = Path(f"{artifacts}{kind}-{hashlib.sha1(data, usedforsecurity=False).hexdigest()}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    print(f"{problem}\nTest unit written to {file}", flush=True)
    return TIMED_OUT if hung else CRASHED


def _stuck(_number: int, _frame: FrameType | None) -> None:
    raise Stuck(f"still running after {_WALL_SECONDS:g} s")
