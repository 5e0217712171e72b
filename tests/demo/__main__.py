"""Entry of `make demo [DEMO=--stay]`: clean-up whatever ends it, and errors without tracebacks."""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

from tests.demo.demo import demo, say
from tests.ground import GroundError, SensorError

_ENDED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """A signal asked us to end; like KeyboardInterrupt nobody on the way may swallow it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _interrupt(number: int, _: FrameType | None) -> None:
    for each in _ENDED_BY:  # a second Ctrl-C must not end the clean-up half-way
        signal.signal(each, signal.SIG_IGN)
    say(f"{signal.Signals(number).name}: cleaning up")
    raise Interrupted(number)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="Two real containers, and what they load.")
    parser.add_argument("--stay", action="store_true", help="keep them, and the page, until Ctrl-C")
    options = parser.parse_args()
    for number in _ENDED_BY:
        signal.signal(number, _interrupt)
    try:
        return demo(options.stay)
    except Interrupted as interrupted:
        return 0 if options.stay and interrupted.number == signal.SIGINT else 128 + interrupted.number
    except (GroundError, SensorError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1


sys.exit(main())
