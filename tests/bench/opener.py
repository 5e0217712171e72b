"""Runs in the container: opens files in turn at a steady rate. opener.py RATE SECONDS FILE…

Prints a line when the first pass over the files is done, and at the end how many it opened in how many
seconds. It never catches up faster than it was asked to go: a late machine shows in the printed rate.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

STEP_SECONDS = 0.01


def open_at(rate: float, seconds: float, paths: list[str]) -> tuple[int, float]:
    """Open ``paths`` again and again; return how many opens there were, and the seconds they took."""
    files = itertools.cycle(paths)
    start = time.monotonic()
    opened = 0
    while (elapsed := time.monotonic() - start) < seconds:
        due = min(int(elapsed * rate) - opened, int(rate * STEP_SECONDS) * 2)
        for path in itertools.islice(files, max(due, 0)):
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        opened += max(due, 0)
        time.sleep(STEP_SECONDS)
    return opened, elapsed


def main() -> None:
    rate, seconds, paths = float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    for path in paths:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    print("opened each once", flush=True)
    opened, elapsed = open_at(rate, seconds, paths)
    print(opened, elapsed, flush=True)


if __name__ == "__main__":
    main()
