"""``python -m tests.fuzz``: exit 0 when nothing was found, 1 when something was, 2 for wrong options."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz import engine
from tests.fuzz.catalogue import Listed, catalogue, chosen
from tests.fuzz.report import last_line, problems, table
from tests.fuzz.run import FOLDER, Budget, repeat, run

SECONDS = 300.0

_BEGUN = time.monotonic()


def say(text: str) -> None:
    """A line of progress on standard error, with the seconds since the start."""
    print(f"fuzz: {time.monotonic() - _BEGUN:5.1f} s  {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    # SIGTERM as Ctrl-C: the children end with this process, whichever way it goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        listed = chosen(catalogue(), options.target)
        if options.input is not None:
            return _again(listed, options.input)
    except ValueError as error:
        print(f"fuzz: {error}", file=sys.stderr)
        return 2
    if not listed:
        print("fuzz: found no target in tests/fuzz/targets; expected at least one", file=sys.stderr)
        return 2
    return _run(listed, options)


def _run(listed: Sequence[Listed], options: argparse.Namespace) -> int:
    kind = engine.engine()
    if kind == "own":
        say("atheris is not installed (it has wheels for amd64 only): plain mutations, blind to coverage")
    timed = options.seconds if options.seconds is not None or options.inputs is not None else SECONDS
    budget = Budget(timed, options.inputs, len(listed), options.parallel)
    try:
        outcomes = run(listed, budget, options.parallel, say, options.folder, kind)
    except KeyboardInterrupt:
        print("fuzz: interrupted", file=sys.stderr)
        os._exit(130)  # the threads wait for children, which the kernel ends with us
    print("\n".join([*table(outcomes), *problems(outcomes)]))
    print(last_line(outcomes), flush=True)
    return 1 if any(outcome.problem for outcome in outcomes) else 0


def _again(listed: Sequence[Listed], file: Path) -> int:
    if len(listed) != 1:
        raise ValueError("--input goes with one --target")
    if not file.is_file():
        raise ValueError(f"--input: found no file {file}")
    ended = repeat(listed[0], file.resolve())
    print(ended.output.strip())
    print(f"fuzz: {listed[0].name}: status {ended.code}, peak {ended.peak_mib:.0f} MiB")
    return 1 if ended.code else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, help=f"for all targets together (default: {SECONDS:g}, none with --inputs)"
    )
    parser.add_argument("--inputs", type=int, help="in all, spread over the targets")
    parser.add_argument(
        "--target", action="append", default=[], metavar="NAME", help="these only (repeatable)"
    )
    parser.add_argument("--input", type=Path, metavar="FILE", help="run this input of one target and tell")
    parser.add_argument(
        "--parallel", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: processors"
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="of finds and failing inputs (default: build/fuzz)"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
