"""Hostile container files: each a skip with its reason, never a crash, a hang or a way out."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor.model.package import SkipReason
from sensor.node.rootfs import Entry, RootFilesystem, Unreadable


@pytest.fixture
def root(tmp_path: Path) -> Iterator[RootFilesystem]:
    """A container's root at tmp_path/root; beside it stands what must never be read."""
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "secret").write_text("of the host")
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    yield RootFilesystem(fd)
    os.close(fd)


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    return tmp_path / "root"


def reason(call: Callable[[], object]) -> SkipReason:
    with pytest.raises(Unreadable) as caught:
        call()
    assert caught.value.skipped().reason is caught.value.reason
    return caught.value.reason


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_reads_lists_and_stats_what_is_there(root: RootFilesystem, inside: Path) -> None:
    (inside / "app").mkdir()
    (inside / "app" / "file").write_bytes(b"content")
    (inside / "app" / "link").symlink_to("file")
    (inside / "app" / "folder").mkdir()
    assert root.read("/app/file") == b"content"
    assert root.read("/app/link") == b"content"
    with root.open("/app/file") as file:
        file.seek(3)
        assert file.read() == b"tent"
    assert set(root.list("/app")) == {
        Entry("file", is_directory=False, is_regular=True, is_symlink=False),
        Entry("link", is_directory=False, is_regular=False, is_symlink=True),
        Entry("folder", is_directory=True, is_regular=False, is_symlink=False),
    }
    found, truth = root.stat("/app/file"), (inside / "app" / "file").stat()
    assert (found.inode, found.device, found.size) == (truth.st_ino, truth.st_dev, 7)
    assert found.identity == (truth.st_ino, 7, truth.st_mtime_ns, truth.st_ctime_ns, truth.st_dev)
    assert found.is_regular and not found.is_directory
    assert root.stat("/app").is_directory


def test_what_the_image_brought_goes_without_its_device(inside: Path) -> None:
    inside.mkdir()
    (inside / "of-the-image").touch()
    while (inside / "of-the-image").stat().st_ctime_ns >= inside.stat().st_ctime_ns:
        (inside / "made").mkdir()  # as the root is, when a container is made
        (inside / "made").rmdir()
    descriptor = os.open(inside, os.O_PATH)
    try:
        root = RootFilesystem(descriptor)
        (inside / "of-the-container").touch()
        assert root.stat("/of-the-image").identity[4] == 0
        assert root.stat("/of-the-container").identity[4] == inside.stat().st_dev
    finally:
        os.close(descriptor)


def test_empty_file_and_exact_limit(root: RootFilesystem, inside: Path) -> None:
    (inside / "empty").touch()
    (inside / "four").write_bytes(b"1234")
    assert root.read("/empty", limit=0) == b""
    assert root.read("/four", limit=4) == b"1234"
    assert reason(lambda: root.read("/four", limit=3)) is SkipReason.TOO_LARGE


def test_absolute_symlink_stays_inside(root: RootFilesystem, inside: Path, tmp_path: Path) -> None:
    (inside / "etc").symlink_to("/etc")  # to itself, inside the root: a loop, not the host's /etc
    assert reason(lambda: root.list("/etc")) is SkipReason.ESCAPES_ROOT
    (inside / "site-packages").symlink_to("/usr")
    assert reason(lambda: root.list("/site-packages")) is SkipReason.VANISHED
    (inside / "secret").symlink_to(tmp_path / "secret")
    assert reason(lambda: root.read("/secret")) is SkipReason.VANISHED
    (inside / "target").write_text("of the container")
    (inside / "absolute").symlink_to("/target")
    assert root.read("/absolute") == b"of the container"


@pytest.mark.parametrize(
    "path", ["/../secret", "../secret", "/a/../../secret", "/../../../../../../etc/passwd", "/up/secret"]
)
def test_parent_chains_stay_inside(root: RootFilesystem, inside: Path, path: str) -> None:
    (inside / "a").mkdir()
    (inside / "up").symlink_to("../../..")
    assert reason(lambda: root.read(path)) is SkipReason.VANISHED


def test_parent_chain_ends_at_the_root(root: RootFilesystem, inside: Path) -> None:
    (inside / "secret").write_text("of the container")
    assert root.read("/../../secret") == b"of the container"


def test_symlink_loop(root: RootFilesystem, inside: Path) -> None:
    (inside / "one").symlink_to("two")
    (inside / "two").symlink_to("one")
    assert reason(lambda: root.stat("/one")) is SkipReason.ESCAPES_ROOT


def test_fifo_socket_and_folder_are_not_opened(
    root: RootFilesystem, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(inside / "fifo")
    (inside / "folder").mkdir()
    monkeypatch.chdir(inside)  # the address of a socket may have 107 bytes only
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for name in ("/fifo", "/folder", "/socket"):
            assert reason(lambda name=name: root.read(name)) is SkipReason.NOT_REGULAR  # type: ignore[misc]
            assert reason(lambda name=name: root.open(name)) is SkipReason.NOT_REGULAR  # type: ignore[misc]
    assert not root.stat("/fifo").is_regular
    assert reason(lambda: root.list("/fifo")) is SkipReason.NOT_REGULAR


def test_devices_and_pseudo_files_of_a_mount_inside() -> None:
    """The machine's own root stands for a container with /dev and /proc mounted into it."""
    fd = os.open("/", os.O_PATH)
    try:
        root = RootFilesystem(fd)
        assert reason(lambda: root.read("/dev/zero")) is SkipReason.NOT_REGULAR
        assert root.stat("/proc/version").is_regular
        assert reason(lambda: root.read("/proc/version")) is SkipReason.NOT_REGULAR
        assert reason(lambda: root.open("/proc/kmsg")) is SkipReason.NOT_REGULAR
        assert reason(lambda: root.list(f"/proc/{os.getpid()}/root/etc")) is SkipReason.ESCAPES_ROOT
        assert reason(lambda: root.stat(f"/proc/self/fd/{fd}")) is SkipReason.ESCAPES_ROOT
    finally:
        os.close(fd)


def test_magic_link_through_a_symlink(root: RootFilesystem, inside: Path) -> None:
    fd = os.open("/", os.O_PATH)
    try:
        (inside / "link").symlink_to("/proc/self/root/etc/passwd")
        assert reason(lambda: root.read("/link")) is SkipReason.VANISHED  # no /proc in this root
        link = inside / "in-host-root"
        link.symlink_to("/proc/self/root")
        assert reason(lambda: RootFilesystem(fd).stat(str(link))) is SkipReason.ESCAPES_ROOT
    finally:
        os.close(fd)


def test_sparse_file_of_ten_gigabytes(root: RootFilesystem, inside: Path) -> None:
    with (inside / "sparse").open("wb") as file:
        file.truncate(10 * 1024**3)
    assert reason(lambda: root.read("/sparse")) is SkipReason.TOO_LARGE
    with root.open("/sparse") as opened:  # archives are read in parts: open has no bound of size
        assert opened.seek(0, os.SEEK_END) == 10 * 1024**3


def test_file_that_grows_while_read(
    root: RootFilesystem, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = inside / "grown"
    grown.write_bytes(b"1")
    _before_first_read(monkeypatch, lambda: grown.write_bytes(b"1" * 100))
    assert reason(lambda: root.read("/grown", limit=10)) is SkipReason.TOO_LARGE


def test_file_that_shrinks_while_read(
    root: RootFilesystem, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrunk = inside / "shrunk"
    shrunk.write_bytes(b"1" * 100)
    _before_first_read(monkeypatch, lambda: os.truncate(shrunk, 3))
    assert reason(lambda: root.read("/shrunk")) is SkipReason.VANISHED


def test_file_unlinked_while_read_is_still_whole(
    root: RootFilesystem, inside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = inside / "gone"
    gone.write_bytes(b"whole")
    _before_first_read(monkeypatch, gone.unlink)
    assert root.read("/gone") == b"whole"
    assert reason(lambda: root.read("/gone")) is SkipReason.VANISHED


def _before_first_read(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Run ``act`` between the size check and the first read(2): the window of the race."""
    read = os.read
    pending = [act]

    def racing(fd: int, count: int) -> bytes:
        if pending:
            pending.pop()()
        return read(fd, count)

    monkeypatch.setattr(os, "read", racing)


def test_names_swapped_all_the_time(root: RootFilesystem, inside: Path, tmp_path: Path) -> None:
    """A container that swaps a folder for a link to the host's: the host's content never shows."""
    (inside / "real").mkdir()
    (inside / "real" / "secret").write_text("of the container")
    swapped, spare, stop = inside / "swapped", inside / "spare", threading.Event()
    swapped.symlink_to("real")

    def swap() -> None:
        target = [str(tmp_path), "real"]
        while not stop.is_set():
            target.reverse()
            spare.symlink_to(target[0])
            spare.rename(swapped)

    thread = threading.Thread(target=swap)
    thread.start()
    seen: set[object] = set()
    try:
        for _ in range(2000):
            try:
                seen.add(root.read("/swapped/../swapped/secret"))
            except Unreadable as error:
                seen.add(error.reason)
    finally:
        stop.set()
        thread.join()
    assert b"of the container" in seen
    assert seen <= {b"of the container", SkipReason.VANISHED, SkipReason.TOO_SLOW, SkipReason.ESCAPES_ROOT}


def test_huge_folder(root: RootFilesystem, inside: Path) -> None:
    for number in range(101):
        (inside / f"{number}").touch()
    assert len(root.list("/", limit=101)) == 101
    assert reason(lambda: root.list("/", limit=100)) is SkipReason.TOO_MANY_ENTRIES


def test_time_bound(inside: Path) -> None:
    inside.mkdir()
    (inside / "file").write_text("content")
    fd = os.open(inside, os.O_PATH)
    try:
        late = RootFilesystem(fd, time_limit=-1)
        assert reason(lambda: late.read("/file")) is SkipReason.TOO_SLOW
        assert reason(lambda: late.list("/")) is SkipReason.TOO_SLOW
    finally:
        os.close(fd)


def test_permission(root: RootFilesystem, inside: Path) -> None:
    """In a child that has dropped root, where there is one: root may read everything."""
    (inside / "closed").write_text("content")
    (inside / "closed").chmod(0)
    (inside / "folder").mkdir(mode=0)
    if os.geteuid() != 0:
        assert reason(lambda: root.read("/closed")) is SkipReason.PERMISSION
        assert reason(lambda: root.stat("/folder/file")) is SkipReason.PERMISSION
        return
    child = os.fork()
    if child == 0:
        os.setgid(65534)
        os.setuid(65534)
        reasons = []
        calls = ((root.read, "/closed"), (root.stat, "/folder/file"), (root.list, "/folder"))
        for call, path in calls:
            try:
                call(path)
            except Unreadable as error:
                reasons.append(error.reason)
        os._exit(0 if reasons == [SkipReason.PERMISSION] * 3 else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("path", ["/a\0b", "/\ud800", "/" + "x" * 300, "/" + "x/" * 3000])
def test_names_that_are_none(root: RootFilesystem, path: str) -> None:
    for call in (root.stat, root.read, root.list, root.open):
        assert reason(lambda call=call: call(path)) is SkipReason.MALFORMED  # type: ignore[misc]


def test_name_that_is_not_utf8(root: RootFilesystem, inside: Path) -> None:
    (inside / os.fsdecode(b"caf\xe9")).write_bytes(b"content")
    (entry,) = root.list("/")
    assert root.read("/" + entry.name) == b"content"
    with pytest.raises(Unreadable) as caught:
        root.read("/" + entry.name + "\n\x1b[2J")
    assert caught.value.detail.isprintable() and caught.value.detail.isascii()


def test_closed_root_is_a_skip(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_PATH)
    os.close(fd)
    assert reason(lambda: RootFilesystem(fd).stat("/")) is SkipReason.IO_ERROR


def test_no_descriptor_is_left(root: RootFilesystem, inside: Path) -> None:
    (inside / "file").write_text("content")
    os.mkfifo(inside / "fifo")
    before = descriptors()
    for path in ("/file", "/fifo", "/none", "/", "/file/below"):
        for call in (root.stat, root.read, root.list):
            try:
                call(path)
            except Unreadable:
                continue
    root.open("/file").close()
    reason(lambda: root.open("/fifo"))
    assert descriptors() == before
