"""``python3 -m tests.kernels.inside ORDER``: does what it is ordered and tells it line by line."""

from __future__ import annotations

import glob
import platform
import sys
import time
from functools import partial
from typing import TextIO

from sensor.node.capture import handover
from tests.kernels import protocol
from tests.kernels.inside import applications, check_run, cost

LOADER_SECONDS = 240.0
"""An emulated processor takes 5 to 20 times as long to compile, or more on a busy machine."""


def main(arguments: list[str]) -> None:
    """Ends when everything is told."""
    (port,) = glob.glob("/dev/vport*p1")
    with open(port, "w", buffering=1, encoding="utf-8") as out:
        tell = partial(_tell, out)
        order = protocol.order(arguments[0])
        tell(
            "booted", release=platform.release(), version=platform.version(), python=platform.python_version()
        )
        handover.load = partial(handover.load, timeout=LOADER_SECONDS)
        runs = {
            protocol.CHECKS: check_run.run,
            protocol.COST: cost.run,
            protocol.APPLICATIONS: applications.run,
        }
        runs[order.what](order, tell)
        tell("done")


def _tell(out: TextIO, kind: str, **values: object) -> None:
    print(protocol.line(kind, uptime=round(time.clock_gettime(time.CLOCK_BOOTTIME), 1), **values), file=out)


if __name__ == "__main__":
    main(sys.argv[1:])
