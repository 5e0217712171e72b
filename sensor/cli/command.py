"""The command itself: which program, and how it ends."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from sensor import __version__
from sensor.cli.doctor import add_doctor
from sensor.cli.node import add_node
from sensor.cli.receiver import add_receiver
from sensor.config.texts import SettingsError

_DESCRIPTION = "Reports which language packages containers really load, seen by eBPF."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, see :data:`sensor.cli.options.EXIT_CODES`; 130 after
    Ctrl-C at the start."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 is no failure
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except SettingsError as error:
        print(f"runtime-sensor {options.program}: {error}", file=sys.stderr)  # noqa: T201 - a message for people
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end; let that reach nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtime-sensor",
        description=_DESCRIPTION,
        epilog="`runtime-sensor PROGRAM --help` tells more.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"runtime-sensor {__version__}")
    programs = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    add_node(programs)
    add_receiver(programs)
    add_doctor(programs)
    return parser
