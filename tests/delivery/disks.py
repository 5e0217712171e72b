"""Disks that do not let the sensor: full, and read-only.

Root gets a small file system of its own for it. Everybody else gets the nearest thing: a bound on the size of
files, which counts for the whole process and so is for a child (:mod:`tests.delivery.small_files`), and a
directory without the permission to write.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.delivery.world import Container, World, containers

IS_ROOT = os.geteuid() == 0


class Fillable(Protocol):
    def fill(self) -> None: ...
    def free(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A file system in memory of 4 MiB, mounted at ``folder``."""

    folder: Path

    def fill(self) -> None:
        with (self.folder / "filler").open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096):
                    pass
            except OSError:
                return

    def free(self) -> None:
        (self.folder / "filler").unlink()

    def let(self, what: str) -> None:
        """``ro`` or ``rw``."""
        _run("mount", "-o", f"remount,{what}", str(self.folder))


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "size=4m", "runtime-sensor-test", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "--lazy", str(folder))  # where a test failed, the outbox is still open


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory that only its mode keeps from being written to: not for root, whom no mode keeps."""

    folder: Path

    def let(self, what: str) -> None:
        self.folder.chmod(0o500 if what == "ro" else 0o700)
        for path in self.folder.iterdir():
            path.chmod(0o400 if what == "ro" else 0o600)


@contextmanager
def protectable(folder: Path) -> Iterator[SmallDisk | Folder]:
    if IS_ROOT:
        with small_disk(folder) as disk:
            yield disk
        return
    folder.mkdir()
    one = Folder(folder)
    try:
        yield one
    finally:
        one.let("rw")


def many(count: int) -> tuple[Container, ...]:
    """More than a disk that was filled has room for."""
    return tuple(
        Container(f"many-{number}", tuple(f"package-{number}-{one}" for one in range(30)))
        for number in range(count)
    )


def live_through_a_full_disk(world: World, disk: Fillable, cause: str, cure: str) -> None:
    """Fill it under a sensor that delivers, and free it again; nothing is lost meanwhile."""
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()
    assert world.is_durable()

    disk.fill()
    world.write(*many(60))
    line = world.said(cause, cure, str(world.plan.state_dir), "states are kept in memory", level=40)
    assert not world.is_durable() and world.outbox.counts().fallbacks == 1
    world.arrived()

    world.fault({"cut": "before"})
    world.write(Container("a", ended=True), Container("b", ("requests", "yaml")))
    world.time.passed += 61  # still full
    world.write(Container("c"))
    assert not world.is_durable()
    world.said("states are still in memory only", cure)

    disk.free()
    world.time.passed += 61
    world.write(Container("d"))
    world.said("states are kept in", "again", level=20)
    assert world.is_durable() and world.outbox.counts().damaged == 0
    assert sum(one == line for one in world.lines()) == 1

    world.end()  # all that waits is on the disk again
    world.restart()
    assert {one.report.container.id for one in world.outbox.remembered()} == {
        one.id for one in world.states.values() if not one.ended
    }
    world.heal()
    world.start()
    world.arrived()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
