"""``runtime-sensor doctor``: can the sensor run here, and if not, what to do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import TextIO

from sensor import __version__
from sensor.node.preflight.checks import findings
from sensor.node.preflight.finding import Finding, Status

_COLOURS = {Status.OK: "\033[32m", Status.WARN: "\033[33m", Status.FAIL: "\033[31m"}


def run(json_output: bool = False, stream: TextIO | None = None) -> int:
    """Check, print, and return the exit code: 0 if the sensor can run here, else 1."""
    stream = stream or sys.stdout
    return _print_json(findings(), stream) if json_output else _print_lines(findings(), stream)


def _print_lines(found: Iterable[Finding], stream: TextIO) -> int:
    colour = stream.isatty() and _colours(os.environ)
    failed = 0
    for finding in found:
        failed += finding.status is Status.FAIL
        # Flushed line by line: the last check takes a second or two.
        stream.write(line(finding, colour) + "\n")
        stream.flush()
    stream.write(
        f"doctor: {f'{failed} failed: the sensor cannot run here' if failed else 'the sensor can run here'}\n"
    )
    return 1 if failed else 0


def _print_json(found: Iterable[Finding], stream: TextIO) -> int:
    all_found = list(found)
    able = all(finding.status is not Status.FAIL for finding in all_found)
    document = {
        "type": "doctor",
        "version": __version__,
        "kernel": os.uname().release,
        "machine": os.uname().machine,
        "able": able,
        "findings": [
            {"what": f.what, "status": f.status.lower(), "found": f.found, "cure": f.cure or None}
            for f in all_found
        ],
    }
    stream.write(json.dumps(document, indent=2) + "\n")
    return 0 if able else 1


def line(finding: Finding, colour: bool) -> str:
    """``FAIL  what: found — cure`` on one line."""
    status = finding.status.value.ljust(4)
    if colour:
        status = f"{_COLOURS[finding.status]}{status}\033[0m"
    text = f"{finding.what}: {finding.found}" + (f" — {finding.cure}" if finding.cure else "")
    return f"{status}  {' '.join(text.split())}"


def _colours(environment: Mapping[str, str]) -> bool:
    return not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
