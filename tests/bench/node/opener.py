"""Runs in a container: opens package files in turn. opener.py RATE COUNT FILE…

It ends after COUNT opens, or with COUNT 0 at SIGTERM.

Prints how many it opened in how many seconds. The first open comes within one interval of the start, so that
many that start at once do not open at once.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time


def main() -> None:
    rate, count, paths = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    opened, start = 0, time.monotonic()
    try:
        following = start + random.random() / rate
        for path in itertools.islice(itertools.cycle(paths), count or None):
            time.sleep(max(0.0, following - time.monotonic()))
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            opened += 1
            following += 1 / rate
    finally:
        print(opened, time.monotonic() - start, flush=True)


if __name__ == "__main__":
    main()
