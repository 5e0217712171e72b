"""Options of ``runtime-sensor doctor``."""

from __future__ import annotations

import argparse

from sensor.cli.options import Programs, program

_EPILOG = """\
A line for each thing checked: ok, warn (it works, with a limit) or FAIL (the sensor could not run),
what was found, and the cure.

exit codes:
  0    the sensor can run here
  1    it cannot
  2    wrong options
"""


def add_doctor(programs: Programs) -> None:
    doctor = program(
        programs,
        "doctor",
        "check whether the sensor can run on this node",
        "Checks whether the sensor can run here, by really trying, and says what is missing.",
        _EPILOG,
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as one JSON object")
    doctor.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from sensor.node import doctor  # noqa: PLC0415

    return doctor.run(json_output=options.json)
