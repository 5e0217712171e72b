"""What each hook adds to an open and to other system calls, in instructions.

Meant for a guest in which each instruction lasts 1 ns (QEMU's icount): its clock then counts them, and the
same work gives the same figure on any machine. Instructions are not time: ratios are what counts.
"""

from __future__ import annotations

import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping

from sensor.node.capture.capture import CaptureSettings
from sensor.node.capture.hooks import HOOKS
from sensor.node.capture.layout import Counter
from tests.kernels.inside.check_run import Tell
from tests.kernels.inside.observer import Actor, Observer, make
from tests.kernels.protocol import Order

COST = "cost"
CASES = ("open_other", "open_seen", "other_call")
"""open+close of a file that is no package, of a package file seen before, and getppid."""

OPENS, CALLS, BATCHES = 50, 500, 40
FREE = 3.0
"""Instructions that a hook on opens may seem to add to getppid: what the timer's interrupts leave."""


def expected(order: Order) -> list[tuple[str, str]]:
    """Every (hook, check) of which there must be a line."""
    return [(hook, COST) for hook in order.hooks]


def run(order: Order, tell: Tell) -> None:
    """Bare and hooked in turn, so that each hook is held against the bare runs around it."""
    workload = _Workload()
    before = workload.measure()
    for hook in (hook for hook in HOOKS if hook.name in order.hooks):
        try:
            hooked = workload.hooked(hook.name)
            after = workload.measure()
            added = {case: hooked[case] - (before[case] + after[case]) / 2 for case in CASES}
            for case in CASES:
                tell("figure", hook=hook.name, name=f"{COST} {case}", value=round(added[case], 1))
                tell("figure", hook="", name=f"{COST} {case}", value=round(after[case], 1))
            before = after
            ok, detail = True, _verdict(hook.name, added)
        except Exception:  # noqa: BLE001 - a measurement that fails is a result
            ok, detail = False, traceback.format_exc()[-1500:]
        tell("check", hook=hook.name, check=COST, ok=ok, detail=detail)
    workload.end()


def _verdict(hook: str, added: Mapping[str, float]) -> str:
    other = added["other_call"]
    told = ", ".join(f"{case} +{added[case]:.0f}" for case in CASES)
    assert added["open_other"] > 0, told
    assert added["open_seen"] > added["open_other"], told
    if hook == "raw":
        assert other > FREE, f"{told}: the raw tracepoint is known to cost every call"
    else:
        assert abs(other) <= FREE, f"{told}: expected nothing for other calls"
    return told


class _Workload:
    """A process in a mount namespace of its own that times itself."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(dir="/tmp")
        self._result = f"{folder}/result"
        self._actor = Actor(lambda: _batches(folder, self._result))

    def measure(self) -> dict[str, float]:
        """Case -> ns of one operation, the lower decile of the batches."""
        self._actor.begin()
        self._actor.finish()
        with open(self._result, encoding="ascii") as file:
            return {case: float(value) for case, value in zip(CASES, file.read().split(), strict=True)}

    def hooked(self, hook: str) -> dict[str, float]:
        """The same under a hook, which must have met each of these opens."""
        observer = Observer(CaptureSettings(open_hook=hook))
        try:
            before = observer.capture.counters()
            self.measure()  # makes what is to be seen seen
            observer.drain()
            result = self.measure()
            after = observer.capture.counters()
        finally:
            observer.close()
        for counter in (Counter.NOT_WANTED, Counter.SEEN):
            met = after[counter] - before[counter]
            assert met >= OPENS * BATCHES, f"only {met} opens were counted as {counter.name}"
        return result

    def end(self) -> None:
        """Wait for its end."""
        self._actor.end()


def _batches(folder: str, result: str) -> Iterator[None]:
    other, seen = f"{folder}/other.txt", f"{folder}/seen.py"
    make(other)
    make(seen)
    while True:
        times: dict[str, list[float]] = {case: [] for case in CASES}
        for _ in range(BATCHES):
            times["open_other"].append(_timed(_opening(other), OPENS))
            times["open_seen"].append(_timed(_opening(seen), OPENS))
            times["other_call"].append(_timed(os.getppid, CALLS))
        low = [sorted(times[case])[BATCHES // 10] for case in CASES]
        with open(result, "w", encoding="ascii") as file:
            file.write(" ".join(map(str, low)))
        yield


def _opening(path: str) -> Callable[[], object]:
    return lambda: os.close(os.open(path, os.O_RDONLY))


def _timed(operation: Callable[[], object], count: int) -> float:
    started = time.monotonic_ns()
    for _ in range(count):
        operation()
    return (time.monotonic_ns() - started) / count
