"""The command ``runtime-sensor``: options in, exit code out."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from sensor import __version__
from sensor.config.node import LOG_FORMATS, LOG_LEVELS, OUTPUTS, node_settings
from sensor.config.texts import SettingsError

_DESCRIPTION = "Reports which language packages containers really load, seen by eBPF."
_EXIT_CODES = """\
exit codes:
  0    ended as asked: by a signal, by --duration, or because the reader of the output left
  1    could not start, or could not go on; standard error says why and what to do
  2    wrong options
"""
_NODE_EPILOG = f"""\
examples:
  runtime-sensor node                                     watch, as a table
  runtime-sensor node --output jsonl --duration 60        a minute, one JSON line per container state
  runtime-sensor node --output jsonl | jq -r '.packages[].purl'
  runtime-sensor node --metrics-address 127.0.0.1:9102    with /metrics, /healthz and /readyz

Standard output takes the report, standard error the log. Needs root or the capabilities that
`runtime-sensor doctor` lists.

{_EXIT_CODES}"""
_DOCTOR_EPILOG = """\
A line for each thing checked: ok, warn (it works, with a limit) or FAIL (the sensor could not run),
what was found, and the cure.

exit codes:
  0    the sensor can run here
  1    it cannot
  2    wrong options
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code (:data:`_EXIT_CODES`); 130 after Ctrl-C at the start."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 is no failure
    options = _parser().parse_args(arguments)
    try:
        return _doctor(options) if options.program == "doctor" else _node(options)
    except SettingsError as error:
        print(f"runtime-sensor {options.program}: {error}", file=sys.stderr)  # noqa: T201 - a message for people
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The interpreter flushes standard output once more at its end; let that reach nobody.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


# What follows imports late: `doctor` must run, and --help be quick, where parts of the node cannot load.


def _node(options: argparse.Namespace) -> int:
    settings = node_settings(vars(options))
    from sensor.node import main as node  # noqa: PLC0415
    from sensor.telemetry import logs  # noqa: PLC0415

    logs.set_up(settings.log_level, settings.log_format)
    return node.run(settings)


def _doctor(options: argparse.Namespace) -> int:
    from sensor.node import doctor  # noqa: PLC0415

    return doctor.run(json_output=options.json)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runtime-sensor",
        description=_DESCRIPTION,
        epilog="`runtime-sensor PROGRAM --help` tells more.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"runtime-sensor {__version__}")
    programs = parser.add_subparsers(dest="program", required=True, metavar="PROGRAM")
    _add_node(programs)
    _add_doctor(programs)
    return parser


def _add_node(programs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    node = programs.add_parser(
        "node",
        help="watch this node's containers and report what they load",
        description="Watches the containers of this machine and reports which packages each has loaded.",
        epilog=_NODE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    # Texts, all of them: sensor.config checks them, wherever they come from, and says what it expected.
    def add(group: argparse._ArgumentGroup, option: str, metavar: str, text: str) -> None:
        group.add_argument(option, metavar=metavar, help=text)

    report = node.add_argument_group("report")
    add(report, "--output", "|".join(OUTPUTS), "form of the report (default: table)")
    add(report, "--duration", "SECONDS", "end after this time (default: run until told to end)")
    add(
        report,
        "--debounce",
        "SECONDS",
        "how long changes of a container are gathered into one report (default: 2)",
    )
    add(report, "--cluster-name", "NAME", "the report's cluster (default: $CLUSTER_NAME, else null)")
    add(report, "--node-name", "NAME", "the report's node (default: $NODE_NAME, else the host name)")

    scope = node.add_argument_group("what is watched")
    scope.add_argument(
        "--include-host", action="store_true", help="also the node's own processes, as container `host`"
    )
    add(scope, "--host-root", "PATH", "where the node's root file system is seen (default: /)")
    add(scope, "--ring-size", "MIB", "ring buffer between kernel and sensor, a power of two (default: 8)")

    itself = node.add_argument_group("about the sensor itself")
    add(itself, "--log-level", "|".join(LOG_LEVELS), "least level that is logged (default: info)")
    add(itself, "--log-format", "|".join(LOG_FORMATS), "form of the log (default: text)")
    add(itself, "--metrics-address", "HOST:PORT", "serve metrics and health here (default: off)")


def _add_doctor(programs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = programs.add_parser(
        "doctor",
        help="check whether the sensor can run on this node",
        description="Checks whether the sensor can run here, by really trying, and says what is missing.",
        epilog=_DOCTOR_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    doctor.add_argument("--json", action="store_true", help="print the findings as one JSON object")


if __name__ == "__main__":
    sys.exit(main())
