"""Processes killed in the middle of a write, and files that hold something else than was written."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sensor.delivery.outbox import Outbox, OutboxError, Routed
from sensor.model.container import ContainerIdentity
from sensor.model.report import ContainerReport
from tests.unit.reports import DAY, report, use

MIB = 1 << 20
KEYS = 8


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    """A directory whose file system need not wait for a disk, if there is one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else tmp_path) as name:
        yield Path(name)


def state(key: int, version: str, packages: int = 20) -> ContainerReport:
    identity = ContainerIdentity(f"{key:064x}", "containerd")
    return report(*(use(f"p{index}", version) for index in range(packages)), container=identity)


def routed(one: ContainerReport) -> Routed:
    return Routed("g", one.container.id, one)


def versions(outbox: Outbox) -> dict[str, set[str | None]]:
    return {
        one.key: {loaded.use.package.version for loaded in one.report.packages}
        for one in outbox.pending("g", 1000, 100 * MIB)
    }


def fill(directory: Path, count: int = 60) -> dict[str, ContainerReport]:
    with closing(Outbox(directory)) as outbox:
        states = [state(key, f"1.{key % 7}", packages=key % 30) for key in range(count)]
        for number, one in enumerate(states):
            end = replace(one, deployed=False, ended_at=DAY)
            outbox.write([routed(one if number % 5 else end)], {"position": "5"})
        return {one.key: one.report for one in outbox.pending("g", 1000, 100 * MIB)}


def write_for_ever(directory: Path, begin: int) -> None:
    """In the child: all keys get the same version in one write, again and again."""
    outbox = Outbox(directory)
    for number in range(begin, 1 << 30):
        outbox.write([routed(state(key, str(number))) for key in range(KEYS)], {"number": str(number)})
        if number % 3 == 0:
            taken = outbox.pending("g", 3, MIB)
            outbox.acknowledge("g", [(one.key, one.generation) for one in taken])


def killed_while_writing(directory: Path, begin: int, seconds: float) -> None:
    child = os.fork()
    if not child:
        try:
            write_for_ever(directory, begin)
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


def test_whatever_moment_it_is_killed_at_a_write_is_whole_or_not_there(quick: Path) -> None:
    chance = random.Random(50)
    generation, number, sender = 0, 0, ""
    for _ in range(50):
        killed_while_writing(quick, number + 1, chance.uniform(0.005, 0.08))
        with closing(Outbox(quick)) as outbox:
            assert outbox.counts().damaged == 0
            assert outbox.sender_id == sender or not sender
            sender = outbox.sender_id
            before, number = number, int(outbox.mark("number") or 0)
            assert number >= before
            found = {version for every in versions(outbox).values() for version in every}
            assert found <= {str(number)}
            assert len(outbox.running("g")) == (KEYS if number else 0)
            if number > before:
                assert max(each.generation for each in outbox.pending("g", 100, MIB)) > generation
            outbox.write([routed(state(KEYS + 1, str(number), packages=0))])
            newest = max(each.generation for each in outbox.pending("g", 100, MIB))
            assert newest > generation
            generation = newest
            outbox.write([routed(replace(state(KEYS + 1, ""), deployed=False, ended_at=DAY))])
            ends = [each for each in outbox.pending("g", 100, MIB) if not each.report.deployed]
            outbox.acknowledge("g", [(each.key, each.generation) for each in ends])
    assert number > 50  # it did get somewhere


def damaged_files(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if "damaged" in path.name)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty file"),
        (b"no database" * 1000, "file is not a database"),
        (b"SQLite format 3\0", "file is not a database"),
        (b"SQLite format 3\0\x10\0\1\1" + bytes(8172), "no outbox"),
        (os.urandom(8192), "file is not a database"),
    ],
)
def test_a_file_that_is_no_outbox_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes, found: str
) -> None:
    (tmp_path / "outbox.db").write_bytes(content)
    with closing(Outbox(tmp_path)) as outbox:
        assert outbox.durable
        assert outbox.counts().damaged == 1
        outbox.write([routed(state(1, "1"))])
        assert len(versions(outbox)) == 1
    (name,) = damaged_files(tmp_path)
    assert (tmp_path / name).read_bytes() == content
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert found in record.message
    assert str(tmp_path / name) in record.message
    assert "states are rebuilt from a scan of the running containers" in record.message


def test_a_folder_in_its_place_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").mkdir()
    with closing(Outbox(tmp_path)) as outbox:
        assert outbox.durable
    assert len(damaged_files(tmp_path)) == 1


@pytest.mark.parametrize("what", ["PRAGMA user_version = 2", "PRAGMA application_id = 7", "DROP TABLE fact"])
def test_a_file_of_another_version_is_set_aside(tmp_path: Path, what: str) -> None:
    fill(tmp_path)
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as database:
        database.execute(what)
        database.commit()
    with closing(Outbox(tmp_path)) as outbox:
        assert list(outbox.remembered()) == []
        outbox.write([routed(state(1, "1"))])
        assert len(versions(outbox)) == 1
    assert damaged_files(tmp_path)


def test_three_damaged_files_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "outbox.db").write_bytes(b"%d" % number)
        (tmp_path / "outbox.db-wal").write_bytes(b"wal")
        Outbox(tmp_path).close()
    kept = [name for name in damaged_files(tmp_path) if not name.endswith("-wal")]
    assert sorted((tmp_path / name).read_bytes() for name in kept) == [b"2", b"3", b"4"]
    assert len(damaged_files(tmp_path)) == 6


def test_a_wal_without_its_file_is_not_played_into_a_new_one(tmp_path: Path) -> None:
    killed_while_writing(tmp_path, 1, 0.1)
    assert (tmp_path / "outbox.db-wal").stat().st_size
    (tmp_path / "outbox.db").unlink()
    with closing(Outbox(tmp_path)) as outbox:
        assert list(outbox.remembered()) == []
        assert outbox.counts().damaged == 0


def check_nothing_wrong(directory: Path, truth: dict[str, ContainerReport]) -> bool:
    """Whatever is read must be what was written; returns whether the damage was found."""
    with closing(Outbox(directory)) as outbox:
        for remembered in outbox.remembered():
            assert remembered.report == truth[remembered.report.container.id]
        found = outbox.pending("g", 1000, 100 * MIB)
        for one in found:
            assert one.report == truth[one.key]
        assert outbox.mark("position") in ("5", None)
        whole = len(found) == len(truth)
        counts = outbox.counts()
        assert outbox.durable
        if not whole:
            assert counts.damaged > 0 and counts.states == 0
        outbox.write([routed(state(1, "9"))])
        assert {"9"} in versions(outbox).values()
        return counts.damaged > 0


def test_a_file_cut_anywhere_is_found(quick: Path) -> None:
    truth = fill(quick / "whole")
    data = (quick / "whole/outbox.db").read_bytes()
    chance = random.Random(20)
    for number in range(20):
        directory = quick / str(number)
        directory.mkdir()
        (directory / "outbox.db").write_bytes(data[: chance.randrange(len(data))])
        assert check_nothing_wrong(directory, truth)


def test_flipped_bits_are_found_or_change_nothing(quick: Path) -> None:
    truth = fill(quick / "whole", count=20)
    data = (quick / "whole/outbox.db").read_bytes()
    written = [place for place in range(len(data)) if data[place]]
    chance = random.Random(200)
    found = 0
    for number in range(200):
        flipped = bytearray(data)
        flipped[chance.choice(written)] ^= 1 << chance.randrange(8)
        directory = quick / str(number)
        directory.mkdir()
        (directory / "outbox.db").write_bytes(flipped)
        found += check_nothing_wrong(directory, truth)
    assert found > 100


def test_every_byte_of_a_row_is_looked_at(quick: Path) -> None:
    truth = fill(quick / "whole", count=1)
    data = (quick / "whole/outbox.db").read_bytes()
    places = [place for place in range(len(data)) if data[place]]
    chance = random.Random(1)
    for number, place in enumerate(chance.sample(places, 150)):
        directory = quick / str(number)
        directory.mkdir()
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        (directory / "outbox.db").write_bytes(flipped)
        check_nothing_wrong(directory, truth)


def test_damage_met_while_it_runs_is_set_aside_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Outbox(tmp_path)) as outbox:
        outbox.write([routed(state(key, "1")) for key in range(3)], {"position": "5"})
        sender = outbox.sender_id
        outbox._storage.connection.execute("UPDATE state SET observed_at = observed_at + 1")
        assert outbox.pending("g", 10, MIB) == ()
        assert outbox.take_lost()
        assert not outbox.take_lost()
        assert outbox.durable
        assert outbox.sender_id != sender
        assert outbox.mark("position") is None
        outbox.write([routed(state(1, "2"))])
        assert list(versions(outbox).values()) == [{"2"}]
        assert outbox.counts().damaged == 1
    assert "another checksum" in caplog.text
    assert len(damaged_files(tmp_path)) >= 1


def test_a_write_that_meets_damage_is_not_lost(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as outbox:
        outbox.write([routed(state(1, "1"))])
        outbox._storage.connection.execute("DELETE FROM fact")
        outbox._storage.connection.execute("UPDATE state SET checksum = 1")
        outbox.write([routed(state(1, "2")), routed(state(2, "2"))])
        assert list(versions(outbox).values()) == [{"2"}, {"2"}]


def test_damage_in_memory_starts_anew() -> None:
    with closing(Outbox(None)) as outbox:
        outbox.write([routed(state(1, "1"))])
        outbox._storage.connection.execute("UPDATE state SET checksum = 1")
        assert outbox.pending("g", 10, MIB) == ()
        assert outbox.take_lost()


def test_a_second_sensor_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path)) as outbox:
        with pytest.raises(OutboxError, match=rf"in use by another sensor \(pid {os.getpid()}\), expected"):
            Outbox(tmp_path)
        outbox.write([routed(state(1, "1"))])
    Outbox(tmp_path).close()


def test_a_sensor_that_was_killed_leaves_no_lock(tmp_path: Path) -> None:
    killed_while_writing(tmp_path, 1, 0.05)
    Outbox(tmp_path).close()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    with closing(Outbox(tmp_path / "a/b")) as outbox:
        outbox.write([routed(state(1, "1"))])
        for path in (tmp_path / "a/b").iterdir():
            assert path.stat().st_mode & 0o777 == 0o600, path
        assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
