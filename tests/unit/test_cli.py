"""The command as people call it, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sensor import __version__


def command(*arguments: str, user: int | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sensor.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        user=user,
        cwd=Path(__file__).parents[2],
    )


def test_version() -> None:
    done = command("--version")
    assert (done.returncode, done.stdout) == (0, f"runtime-sensor {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--help"], ["node", "doctor"]),
        (
            ["node", "--help"],
            ["--output", "--duration", "--include-host", "--debounce", "--metrics-address", "exit codes"],
        ),
        (["doctor", "--help"], ["--json", "exit codes"]),
    ],
)
def test_help_names_every_option_and_exit_code(arguments: list[str], expected: list[str]) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    for text in expected:
        assert text in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "PROGRAM"),
        (["nod"], "invalid choice"),
        (["node", "--dur", "3"], "unrecognized arguments"),
        (["node", "--ring-size", "3"], "runtime-sensor node: --ring-size: found '3', expected MiB"),
        (["node", "--metrics-address", "x"], "expected HOST:PORT"),
    ],
)
def test_wrong_options_exit_2_with_a_message(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_doctor_without_privileges_names_what_is_missing_and_the_cure() -> None:
    nobody = 65534 if os.geteuid() == 0 else None
    done = command("doctor", "--json", user=nobody)
    document = json.loads(done.stdout)
    found = {finding["what"]: finding for finding in document["findings"]}
    assert done.returncode == 1
    assert document["able"] is False
    for name in ("CAP_BPF", "CAP_PERFMON", "CAP_SYS_PTRACE"):
        assert found[name]["status"] == "fail"
        assert name.removeprefix("CAP_") in found[name]["cure"]
    assert found["hook"]["status"] == "fail"
    assert found["hook"]["cure"]
    assert "Traceback" not in done.stdout + done.stderr


def test_doctor_whose_reader_leaves_ends_without_a_traceback() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "sensor.cli", "doctor"],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
            cwd=Path(__file__).parents[2],
        )
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.kernel
def test_doctor_finds_that_the_sensor_can_run_here() -> None:
    done = command("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "doctor: the sensor can run here"
    assert any(line.startswith("ok    hook: ") and "came back" in line for line in lines)
    assert all(line.startswith(("ok    ", "warn  ")) for line in lines[:-1])
