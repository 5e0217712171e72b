"""What tests may ask of the clock, on a machine that stalls.

A shared machine may hold any process up for seconds, between any two lines; so no test asserts that something
took little time. A bound on time tells what is right from what is wrong, and that takes far longer: who is
waited for in vain hangs for ``HANGS``, and who keeps to a time-out has given up before it is ``LATE``. What
has to come is waited for, for up to ``PATIENCE``. What computing costs is counted in CPU time, with a bound
longer than a stall, which a kernel that is not told of it takes for computing.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

LATE = 10.0
"""Seconds by which whoever keeps to a time-out of a second or two has given up."""
PATIENCE = 30.0
"""Seconds for what takes milliseconds and has to come."""
HANGS = 60.0
"""Seconds for which one hangs who is not to be waited for; tests let them go when they are done."""


@contextlib.contextmanager
def in_time(seconds: float = LATE) -> Iterator[None]:
    """Fails where what is done within takes longer: where it is wrong, it takes at least twice as long."""
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took < seconds, f"it took {took:.2f} s, expected less than {seconds:g}"


@contextlib.contextmanager
def at_little_cost(seconds: float = 3.0) -> Iterator[None]:
    """Fails where this process computes for longer meanwhile, all of its threads together."""
    begun = time.process_time()
    yield
    cost = time.process_time() - begun
    assert cost < seconds, f"it cost {cost:.2f} s of CPU, expected less than {seconds:g}"


def until(condition: Callable[[], object], what: str = "it", pause: float = 0.005) -> None:
    """Wait for ``condition`` to hold."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"{what} did not come to pass within {PATIENCE:g} s"
        time.sleep(pause)
