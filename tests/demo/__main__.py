"""Entry of `make demo [DEMO=--stay]`: clean-up whatever ends it, and errors without tracebacks."""

from __future__ import annotations

import argparse
import signal
import sys

from tests.demo.demo import demo, say
from tests.ground import GroundError, SensorError
from tests.ground.interrupt import Interrupted, interrupt_on_signals


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="Two real containers, and what they load.")
    parser.add_argument("--stay", action="store_true", help="keep them, and the page, until Ctrl-C")
    options = parser.parse_args()
    interrupt_on_signals(say)
    try:
        return demo(options.stay)
    except Interrupted as interrupted:
        return 0 if options.stay and interrupted.number == signal.SIGINT else 128 + interrupted.number
    except (GroundError, SensorError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1


sys.exit(main())
