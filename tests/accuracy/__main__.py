"""``python -m tests.accuracy``: exit 0 when all bars are met, 1 when not, 2 when it could not measure."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.accuracy import document, names
from tests.accuracy.catalogue import LANGUAGES, Catalogue, catalogue, chosen
from tests.accuracy.environment import environment
from tests.accuracy.explanations import EXPLANATIONS
from tests.accuracy.report import as_json, last_line, table
from tests.accuracy.run import Patience, Result, run
from tests.accuracy.verdict import BAR, outdated, problems
from tests.ground import Ground, GroundError, SensorError
from tests.ground.ground import PROJECT, STATE
from tests.ground.interrupt import Interrupted, interrupt_on_signals

JSON = PROJECT / "build" / "accuracy.json"
ACCURACY = PROJECT / "docs" / "accuracy.md"
NAMES = PROJECT / "docs" / "package-names.md"

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """A line of progress on standard error, with the seconds since the start."""
    print(f"accuracy: {time.monotonic() - _BEGUN:5.1f} s  {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    interrupt_on_signals(say)
    options = _options(arguments)
    found = catalogue(options.language or LANGUAGES)
    try:
        wanted = chosen(found.applications, options.application)
        with Ground(options.state, say=say) as ground:
            patience = Patience(calm=options.calm)
            result = run(ground, wanted, options.parallel, say, patience)
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except (GroundError, SensorError, ValueError) as error:
        print(f"accuracy: failed: {error}", file=sys.stderr)
        return 2
    whole = not (options.language or options.application or found.problems)
    whole = whole and not any(outcome.failure for outcome in result.outcomes)
    _write(result, options.json, documents=whole or options.write)
    return _tell(result, found, options.bar)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__)
    parser.add_argument(
        "--language", action="append", choices=LANGUAGES, default=[], help="these only (repeatable)"
    )
    parser.add_argument(
        "--application", action="append", default=[], metavar="NAME", help="these only (repeatable)"
    )
    parser.add_argument(
        "--parallel",
        type=_count,
        default=min(4, os.cpu_count() or 1),
        metavar="N",
        help="applications at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--bar", type=float, default=BAR, help="per cent of precision and recall (%(default)s)"
    )
    parser.add_argument(
        "--state", type=Path, default=STATE, metavar="FOLDER", help="of the ground (default: build/ground)"
    )
    parser.add_argument(
        "--calm",
        type=float,
        default=Patience().calm,
        metavar="SECONDS",
        help="how long a right report must stay right (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, default=JSON, metavar="FILE", help="where the figures go")
    parser.add_argument(
        "--write", action="store_true", help="the documents too, though not all applications were run"
    )
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected at least 1")
    return number


def _write(result: Result, path: Path, documents: bool) -> None:
    facts = environment()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(as_json(result, EXPLANATIONS, facts), indent=2) + "\n")
    if documents:
        ACCURACY.write_text(document.document(result, EXPLANATIONS, facts))
        NAMES.write_text(names.document(result.outcomes))


def _tell(result: Result, found: Catalogue, bar: float) -> int:
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print("\n".join(table(result, EXPLANATIONS, bar, colour)))
    for stale in outdated(result.outcomes, EXPLANATIONS):
        print(f"beware: tests/accuracy/explanations.py explains what is right by now: {stale}")
    print(f"\n{last_line(result.outcomes)}", flush=True)
    wrong = [*found.problems, *problems(result.outcomes, result.sensor, EXPLANATIONS, bar)]
    for problem in wrong:
        print(f"accuracy: failed: {problem}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
