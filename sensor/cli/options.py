"""What the programs' options have in common.

All are texts: sensor.config checks them, wherever they come from, and says what it expected.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

from sensor.config.node import LOG_FORMATS, LOG_LEVELS

# A string: the class takes no parameter at run time.
Programs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

EXIT_CODES = """\
exit codes:
  0    ended as asked: by a signal, by --duration, or because the reader of the output left
  1    could not start, could not go on, or not all has arrived; standard error says why and what to do
  2    wrong options
"""


def program(
    programs: Programs, name: str, help_line: str, description: str, epilog: str
) -> argparse.ArgumentParser:
    return programs.add_parser(
        name,
        help=help_line,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add(group: argparse._ArgumentGroup, option: str, metavar: str, text: str) -> None:
    group.add_argument(option, metavar=metavar, help=text)


def add_log(group: argparse._ArgumentGroup) -> None:
    add(group, "--log-level", "|".join(LOG_LEVELS), "least level that is logged (default: info)")
    add(group, "--log-format", "|".join(LOG_FORMATS), "form of the log (default: text)")
