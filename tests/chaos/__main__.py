"""``python -m tests.chaos``: exit 0 when the truth arrived, 1 when not, 2 when it was not tried."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.processes import ProcessError
from tests.chaos.report import as_json, last_line, lines
from tests.chaos.run import run
from tests.chaos.workload import WorkloadError
from tests.ground import Ground, GroundError
from tests.ground.ground import PROJECT, STATE
from tests.ground.interrupt import Interrupted, interrupt_on_signals

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """A line of progress on standard error, with the seconds since the start."""
    print(f"chaos: {time.monotonic() - _BEGUN:5.1f} s  {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    interrupt_on_signals(say)
    options = _options(arguments)
    try:
        with Ground(options.state, say=say) as ground:
            outcome = run(ground, options.folder, options.rounds, options.seed, say)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except (GroundError, ProcessError, WorkloadError) as error:
        print(f"chaos: failed: {error}", file=sys.stderr)
        return 2
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(as_json(outcome), indent=2) + "\n")
    print("\n".join(lines(outcome)))
    print(last_line(outcome), flush=True)
    return 1 if outcome.differences else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=300, help="default: %(default)s")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="of who is killed when (default: the time)"
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="FOLDER", help="of the ground (default: build/ground)"
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=PROJECT / "build" / "chaos",
        help="for logs, the outbox and the receiver's database; emptied first (default: build/chaos)",
    )
    parser.add_argument("--json", type=Path, default=PROJECT / "build" / "chaos.json", metavar="FILE")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
