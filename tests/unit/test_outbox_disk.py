"""Disks that are full, read-only, or not there: the states stay, in memory if need be, and go back."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sensor.delivery import outbox_schema
from sensor.delivery.outbox import Outbox, OutboxError, Routed
from sensor.delivery.outbox_errors import unusable
from sensor.delivery.outbox_packing import Damaged
from sensor.model.container import ContainerIdentity
from sensor.model.report import ContainerReport
from tests.unit.reports import report, use

MIB = 1 << 20


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def state(key: int, packages: int = 3) -> ContainerReport:
    identity = ContainerIdentity(f"{key:064x}", "containerd")
    uses = (use(os.urandom(20).hex()) for _ in range(packages))
    return report(*uses, container=identity)


def write(outbox: Outbox, key: int, packages: int = 3) -> None:
    one = state(key, packages)
    outbox.write([Routed("g", one.container.id, one)])


def keys(outbox: Outbox) -> list[int]:
    return sorted(int(one.key, 16) for one in outbox.pending("g", 10_000, 1000 * MIB))


def is_durable(outbox: Outbox) -> bool:
    return outbox.durable


@pytest.fixture
def small_files() -> Iterator[int]:
    """Files of this process may grow to 256 KiB: what SQLite meets is like a full disk (EFBIG for ENOSPC)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 << 10, hard))
    yield 256 << 10
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def limit(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def grow_limit() -> None:
    limit(1 << 30)


def test_a_disk_that_gets_full_leaves_the_states_in_memory_and_gets_them_back(
    tmp_path: Path, small_files: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    with closing(Outbox(tmp_path, monotonic=clock)) as outbox:
        sender, written = outbox.sender_id, 0
        while is_durable(outbox):
            write(outbox, written, packages=50)
            written += 1
            assert written < 1000
        (record,) = caplog.records
        assert record.levelname == "ERROR"
        assert f"cannot keep states in {tmp_path}: " in record.message
        assert "free some space" in record.message
        assert "the disk is tried every 60 s" in record.message
        assert keys(outbox) == list(range(written))  # the write that met it is not lost either
        assert (outbox.sender_id, outbox.counts().fallbacks) == (sender, 1)
        assert not outbox.take_lost()
        newest = max(one.generation for one in outbox.pending("g", 1000, 100 * MIB))
        clock.now = 61  # still full
        limit(64 << 10)
        write(outbox, written, packages=200)
        assert not is_durable(outbox)
        assert "still in memory only" in caplog.text
        grow_limit()
        write(outbox, written + 1)
        assert not is_durable(outbox)  # not tried at every write
        clock.now = 122
        write(outbox, written + 2)
        assert is_durable(outbox)
        assert max(one.generation for one in outbox.pending("g", 1000, 100 * MIB)) > newest
    with closing(Outbox(tmp_path)) as outbox:
        assert (keys(outbox), outbox.sender_id) == (list(range(written + 3)), sender)
        assert outbox.counts().damaged == 0


def test_a_disk_that_is_full_at_the_start(
    tmp_path: Path, small_files: int, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    limit(4096)
    with closing(Outbox(tmp_path, monotonic=clock)) as outbox:
        assert not is_durable(outbox)
        assert "cannot keep states in" in caplog.text
        write(outbox, 1)
        assert [path.name for path in tmp_path.iterdir()] == ["outbox.lock"]  # no half of a file
        grow_limit()
        clock.now = 61
        write(outbox, 2)
        assert is_durable(outbox)
    with closing(Outbox(tmp_path)) as outbox:
        assert keys(outbox) == [1, 2]


def test_what_a_killed_sensor_left_in_the_wal_is_read_from_a_full_disk(
    tmp_path: Path, small_files: int
) -> None:
    clock, killed = Clock(), tmp_path / "killed"
    with closing(Outbox(tmp_path / "state")) as outbox:
        for key in range(5):
            write(outbox, key)
        sent = max(one.generation for one in outbox.pending("g", 100, MIB))
        shutil.copytree(tmp_path / "state", killed)  # what SIGKILL leaves
    assert (killed / "outbox.db-wal").stat().st_size
    limit(4096)
    with closing(Outbox(killed, monotonic=clock, clock=lambda: 0.0)) as outbox:
        assert not is_durable(outbox)
        assert keys(outbox) == [0, 1, 2, 3, 4]
        write(outbox, 5)  # under a number that nothing was sent with: else it counts as an older state
        assert max(one.generation for one in outbox.pending("g", 100, MIB)) > sent + 100
        grow_limit()
        clock.now = 61
        assert keys(outbox) == [0, 1, 2, 3, 4, 5]
        assert is_durable(outbox)
    with closing(Outbox(killed)) as outbox:
        assert keys(outbox) == [0, 1, 2, 3, 4, 5]


def test_what_is_in_memory_is_saved_at_the_end_if_the_disk_lets_us(tmp_path: Path, small_files: int) -> None:
    limit(4096)
    outbox = Outbox(tmp_path)
    write(outbox, 1)
    grow_limit()
    outbox.close()
    with closing(Outbox(tmp_path)) as outbox:
        assert keys(outbox) == [1]


def test_a_disk_that_gives_back_something_else_keeps_the_states_in_memory(
    tmp_path: Path, small_files: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def is_not_whole(_connection: object) -> None:
        raise Damaged("wrong # of entries in index state_key")

    clock = Clock()
    limit(4096)
    with closing(Outbox(tmp_path, monotonic=clock)) as outbox:
        write(outbox, 1)
        grow_limit()
        clock.now = 61
        with monkeypatch.context() as broken:
            broken.setattr(outbox_schema, "verify", is_not_whole)
            assert keys(outbox) == [1]
        assert not is_durable(outbox)
        assert "still in memory only: wrong #" in caplog.text
        clock.now = 122
        assert keys(outbox) == [1]
        assert is_durable(outbox)


def test_a_file_in_place_of_the_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    (tmp_path / "state").write_text("")
    with closing(Outbox(tmp_path / "state", monotonic=clock)) as outbox:
        assert not is_durable(outbox)
        assert "File exists; make it a directory that the sensor may write to" in caplog.text
        write(outbox, 1)
        (tmp_path / "state").unlink()
        clock.now = 61
        assert keys(outbox) == [1]
        assert is_durable(outbox)


def test_a_read_only_directory_is_read_and_not_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For root nothing is read-only but a mount."""
    if os.geteuid() == 0:
        found = subprocess.run(
            [
                *("unshare", "-m", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
                f"{__file__}::test_on_a_mount_that_is_read_only",
            ],
            env={**os.environ, "OUTBOX_ON_READ_ONLY": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, found.stdout
        assert "1 passed" in found.stdout
        return
    with closing(Outbox(tmp_path)) as outbox:
        write(outbox, 1)
    tmp_path.chmod(0o500)
    (tmp_path / "outbox.db").chmod(0o400)
    try:
        check_read_only(tmp_path, caplog)
    finally:
        tmp_path.chmod(0o700)


def test_on_a_mount_that_is_read_only(caplog: pytest.LogCaptureFixture) -> None:
    directory = os.environ.get("OUTBOX_ON_READ_ONLY")
    if directory is None:
        return  # run by the test above, in a mount namespace of its own
    with closing(Outbox(Path(directory))) as outbox:
        write(outbox, 1)
    for options in (["--bind"], ["-o", "remount,bind,ro"]):
        subprocess.run(["mount", *options, directory, directory], check=True)
    check_read_only(Path(directory), caplog)


def check_read_only(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Outbox(directory)) as outbox:
        assert not is_durable(outbox)
        assert keys(outbox) == [1]  # what an earlier run left is not forgotten
        write(outbox, 2)
        assert keys(outbox) == [1, 2]
    assert "--state-dir" in caplog.text


def test_a_directory_that_goes_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    directory = tmp_path / "state"
    with closing(Outbox(directory, monotonic=clock)) as outbox:
        for key in range(50):
            write(outbox, key)
        shutil.rmtree(directory)
        for key in range(50, 150):
            write(outbox, key, packages=50)
        assert keys(outbox) == list(range(150))


def test_a_file_that_could_not_be_read_at_the_start_is_kept(tmp_path: Path) -> None:
    clock = Clock()
    with closing(Outbox(tmp_path)) as outbox:
        write(outbox, 1)
    content = (tmp_path / "outbox.db").read_bytes()
    (tmp_path / "outbox.lock").unlink()
    (tmp_path / "outbox.lock").mkdir()
    (tmp_path / "outbox.db").rename(tmp_path / "elsewhere")
    with closing(Outbox(tmp_path, monotonic=clock)) as outbox:
        assert not is_durable(outbox)
        write(outbox, 2)
        (tmp_path / "elsewhere").rename(tmp_path / "outbox.db")
        (tmp_path / "outbox.lock").rmdir()
        clock.now = 61
        assert keys(outbox) == [2]
        assert is_durable(outbox)
    (kept,) = tmp_path.glob("outbox.db.damaged-*")
    assert kept.read_bytes() == content


def test_an_outbox_asked_to_be_in_memory_never_touches_a_disk() -> None:
    with closing(Outbox(None)) as outbox:
        write(outbox, 1)
        assert (outbox.durable, outbox.counts().fallbacks) == (False, 0)


@pytest.mark.parametrize(
    ("number", "cure"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "make it writable"),
        (errno.EACCES, "let the sensor write to it"),
        (errno.EIO, "--state-dir"),
    ],
)
def test_each_cause_has_its_cure(number: int, cure: str) -> None:
    text = str(unusable(Path("/s"), OSError(number, os.strerror(number))))
    assert text.startswith(f"cannot keep states in /s: {os.strerror(number)}; ")
    assert cure in text


def test_a_sensor_that_took_the_directory_meanwhile_keeps_it(tmp_path: Path) -> None:
    clock = Clock()
    (tmp_path / "state").write_text("")
    with closing(Outbox(tmp_path / "state", monotonic=clock)) as outbox:
        write(outbox, 1)
        (tmp_path / "state").unlink()
        with closing(Outbox(tmp_path / "state")) as other:
            clock.now = 61
            assert keys(outbox) == [1]
            assert not is_durable(outbox)
            assert keys(other) == []
            with pytest.raises(OutboxError):
                Outbox(tmp_path / "state")
