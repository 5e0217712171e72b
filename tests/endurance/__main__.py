"""``python -m tests.endurance``: exit 0 when nothing grew, 1 when something did, 2 when it was not shown."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.endurance.report import as_json, last_line, lines, not_shown, problems
from tests.endurance.run import run
from tests.ground import Ground, GroundError
from tests.ground.ground import PROJECT, STATE
from tests.ground.interrupt import Interrupted, interrupt_on_signals
from tests.ground.sensor import SensorError

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """A line of progress on standard error, with the seconds since the start."""
    print(f"endurance: {time.monotonic() - _BEGUN:6.1f} s  {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    interrupt_on_signals(say)
    options = _options(arguments)
    try:
        with Ground(options.state.resolve(), say=say) as ground:
            outcome = run(ground, options.folder.resolve(), options.minutes, options.rate, say)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except (GroundError, SensorError, RuntimeError, OSError) as error:
        print(f"endurance: failed: {error}", file=sys.stderr)
        return 2
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(as_json(outcome), indent=2) + "\n")
    print("\n".join(lines(outcome)))
    unshown, found = not_shown(outcome, options.rate), problems(outcome)
    for problem in (*unshown, *found):
        print(f"endurance: {problem}")
    print(last_line(outcome), flush=True)
    return 1 if found else 2 if unshown else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="of load; default: %(default)g")
    parser.add_argument("--rate", type=float, default=10.0, help="containers a second; default: %(default)g")
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="FOLDER", help="of the ground (default: build/ground)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=PROJECT / "build" / "endurance",
        help="for logs, the outbox and the receiver's database; emptied first (default: build/endurance)",
    )
    parser.add_argument("--json", type=Path, default=PROJECT / "build" / "endurance.json", metavar="FILE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
