"""The programs of Debian's binutils for the image's architecture, which need not be this machine's."""

from __future__ import annotations

import subprocess

from scripts.image_build.packages import TRIPLETS
from scripts.image_build.problem import ImageError


def run(architecture: str, program: str, *arguments: str) -> str:
    """Run ``program`` (nm, as, ld, strip) and return what it says. Raises ImageError where it fails."""
    name = f"{TRIPLETS[architecture]}-{program}"
    try:
        done = subprocess.run([name, *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ImageError(f"found no {name}, expected it of Debian's binutils for {architecture}") from error
    if done.returncode:
        raise ImageError(f"{name}: {done.stderr.strip()[-600:]}")
    return done.stdout
