"""What is printed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from tests.kernels import results
from tests.kernels.results import Told

_DETAIL_LINES = 14


class Progress:
    """A line at a time, from any thread, with the seconds since ``started``."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print it at once."""
        with self._lock:
            print(f"[{time.monotonic() - self._started:4.0f} s] {text}", flush=True)


def failures(told: Sequence[Told]) -> Iterator[str]:
    """Each failure once, with its last words; hooks and checks that failed alike share them."""
    alike: dict[tuple[str, str], list[str]] = {}
    for result in results.failures(told):
        alike.setdefault((str(result.spec), result.detail), []).append(f"{result.hook} {result.check}")
    for (spec, detail), names in alike.items():
        yield f"FAILED {spec}: {', '.join(names)}"
        for line in detail.strip().splitlines()[-_DETAIL_LINES:]:
            yield f"    {line}"
    for one in told:
        if one.missing():
            yield f"console of {one.spec}:"
            yield from (f"    {line}" for line in one.console)


def summary(told: Sequence[Told]) -> Iterator[str]:
    """A line for each guest: what the verifier went through, or what the hooks cost."""
    for one in told:
        figures = ", ".join(
            f"{hook} {name} {value}".strip() for (hook, name), value in sorted(one.figures.items())
        )
        yield f"{one.spec} (Linux {one.release or '?'}, bcc {one.bcc}): {figures or 'no figures'}"
