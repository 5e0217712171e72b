"""State directories that cannot be used, and outboxes that are not what was written."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sensor.delivery.outbox import Outbox, OutboxError
from tests.delivery.certificates import Authority
from tests.delivery.conftest import Sensor
from tests.delivery.disks import IS_ROOT, live_through_a_full_disk, protectable, small_disk
from tests.delivery.world import Container, Holder, containers
from tests.receiver_process import Receiver

ROOT = Path(__file__).parents[2]
MEMORY = ("cannot keep states in", "states are kept in memory, until the sensor ends")


if IS_ROOT:  # everybody else has the next test

    def test_full_disk(sensor: Sensor, receiver: Receiver, transport: str, tmp_path: Path) -> None:
        with small_disk(tmp_path / "disk") as disk:
            world = sensor(receiver, transport, state_dir=disk.folder)
            live_through_a_full_disk(world, disk, "is full", "free some space on its file system")
            world.end()


def test_largest_file_size(receiver: Receiver, authority: Authority, holder: Holder, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(holder.token)
    given = {
        "data_dir": str(receiver.data_dir),
        "tokens": str(receiver.tokens),
        "grpc_port": receiver.grpc_port,
        "http_port": receiver.http_port,
        "certificate": str(receiver.data_dir / "certificate.pem"),
        "key": str(receiver.data_dir / "key.pem"),
        "authority": str(authority.bundle),
        "folder": str(tmp_path),
        "cause": "disk I/O error",
        "cure": "free some space",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.delivery.small_files"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


def test_read_only_state_directory(
    sensor: Sensor, receiver: Receiver, transport: str, tmp_path: Path
) -> None:
    with protectable(tmp_path / "disk") as disk:
        world = sensor(receiver, transport, state_dir=disk.folder)
        world.write(*containers("a", "b"))  # not delivered yet
        world.end()
        disk.let("ro")

        world.restart()
        world.said(*MEMORY, str(disk.folder), "--state-dir")
        assert not world.is_durable() and world.outbox.counts().fallbacks == 1
        assert len(list(world.outbox.remembered())) == 2
        world.write(*containers("c"))
        world.start()
        world.arrived()

        world.time.passed += 61
        world.write(Container("a", ended=True))
        world.said("states are still in memory only", "--state-dir")
        disk.let("rw")
        world.time.passed += 61
        world.write(*containers("d"))
        world.said("states are kept in", "again", level=20)
        assert world.is_durable()
        world.arrived()
        world.end()


def test_state_directory_that_is_a_file(
    sensor: Sensor, receiver: Receiver, transport: str, tmp_path: Path
) -> None:
    place = tmp_path / "place"
    place.write_text("not a directory")
    world = sensor(receiver, transport, state_dir=place)
    world.said(*MEMORY, "make it a directory", "--state-dir")
    world.write(*containers("a", "b"))
    world.start()
    world.arrived()

    place.unlink()
    world.time.passed += 61
    world.write(Container("a", ended=True), Container("c"))
    world.said("states are kept in", "again", level=20)
    assert world.is_durable()
    world.arrived()


def test_two_sensors_in_one_state_directory(sensor: Sensor, receiver: Receiver, transport: str) -> None:
    world = sensor(receiver, transport)
    world.write(*containers("a"))
    with pytest.raises(OutboxError) as failure:
        Outbox(world.plan.state_dir)
    for words in ("--state-dir", "in use by another sensor", f"pid {os.getpid()}", "name another directory"):
        assert words in str(failure.value)

    world.write(*containers("b"))
    world.start()
    world.arrived()
    assert world.is_durable()


Damage = Callable[[Path], object]


def truncated_to(share: float) -> Damage:
    def cut(path: Path) -> None:
        os.truncate(path, int(path.stat().st_size * share))

    return cut


def garbled(start: float, length: float) -> Damage:
    def overwrite(path: Path) -> None:
        content = bytearray(path.read_bytes())
        at, size = int(len(content) * start), max(1, int(len(content) * length))
        content[at : at + size] = random.Random(7).randbytes(len(content[at : at + size]))
        path.write_bytes(content)

    return overwrite


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Damage] = {
    "empty": truncated_to(0.0),
    "a few bytes": lambda path: os.truncate(path, 50),
    "truncated to a tenth": truncated_to(0.1),
    "truncated to the half": truncated_to(0.5),
    "last page cut": lambda path: os.truncate(path, path.stat().st_size - 100),
    "garbled head": garbled(0.0, 0.001),
    "garbled middle": garbled(0.3, 0.4),
    "garbled wholly": garbled(0.0, 1.0),
    "something else": lambda path: path.write_bytes(b"not a database\n" * 5000),
    "a directory": a_directory,
}


@pytest.mark.parametrize(
    ("transport", "damage"), [*(("grpc", one) for one in DAMAGES), ("https", "truncated to the half")]
)
def test_damaged_outbox(sensor: Sensor, receiver: Receiver, transport: str, damage: str) -> None:
    world = sensor(receiver, transport)
    world.write(*containers("a", "b"), *many_small(40))
    world.start()
    world.arrived()
    world.end()
    sender = world.tries[0].batch.sender_id
    assert world.plan.state_dir is not None
    DAMAGES[damage](world.plan.state_dir / "outbox.db")

    world.restart()
    remembered = list(world.outbox.remembered())  # finds what SQLite does not
    line = world.said("found the outbox damaged", "set aside as", "rebuilt from a scan", level=40)
    aside = re.search(r"set aside as (\S+)", line)
    assert aside and Path(aside[1]).exists()
    assert world.is_durable() and world.outbox.counts().damaged == 1
    assert len(remembered) < len(world.states)

    ended = Container("b", ended=True)  # while the sensor was away
    world.states["b"] = ended
    still_run = [one for one in world.states.values() if not one.ended]
    world.write(*still_run, Container("c"))
    world.uploader.snapshot_now()
    world.start()
    world.until(lambda: world.counts.snapshots == 1, "what runs to be told")
    world.arrived()
    assert world.tries[0].batch.sender_id != sender


def many_small(count: int) -> tuple[Container, ...]:
    return tuple(Container(f"small-{number}", (f"package-{number}",)) for number in range(count))
