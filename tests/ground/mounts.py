"""Mounting, unmounting, and what is mounted where (proc(5), mountinfo)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.ground.problem import run

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    target: Path
    kind: str


def mounts() -> list[Mount]:
    """Every mount of this process' namespace, oldest first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        target = _OCTAL.sub(lambda match: chr(int(match[1], 8)), left.split(" ")[4])
        found.append(Mount(Path(target), right.split(" ")[0]))
    return found


def mounts_below(folder: Path) -> list[Path]:
    """Mount points at or below ``folder``, newest first: the order to unmount in."""
    return [mount.target for mount in reversed(mounts()) if mount.target.is_relative_to(folder)]


def overlay(lower: list[Path], upper: Path, work: Path, target: Path) -> None:
    """Mounts ``lower`` (topmost first) and the writable ``upper`` on ``target``."""
    layers = ":".join(str(layer) for layer in lower)
    options = f"lowerdir={layers},upperdir={upper},workdir={work}"
    run(["mount", "-t", "overlay", "ground", "-o", options, str(target)])


def unmount(target: Path) -> None:
    """Lazily, so that an open file below delays nothing but the release itself."""
    run(["umount", "--lazy", str(target)])
