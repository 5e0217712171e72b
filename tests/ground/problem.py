"""What can go wrong on the ground, and how a command's failure is told."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence


class GroundError(Exception):
    """The ground could not be made; the message says what was found and what to do."""


def run(command: Sequence[str], *, timeout: float = 60, env: Mapping[str, str] | None = None) -> str:
    """Runs ``command`` to its end and returns its standard output.

    It is kept out of the terminal's process group, so that Ctrl-C reaches only us and the clean-up is
    ours. Raises GroundError with the last lines of its output.
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=env,
            start_new_session=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise GroundError(f"found no {command[0]}; install it first: `make setup` does") from error
    except subprocess.TimeoutExpired as error:
        raise GroundError(f"{' '.join(command)}: still running after {timeout:.0f} s") from error
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise GroundError(f"{' '.join(command)}: exit status {done.returncode}\n{last}")
    return done.stdout
