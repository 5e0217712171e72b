"""The zip reader: whatever the zip module writes, and what nobody should."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable

import pytest

from sensor.model.package import SkipReason
from sensor.node.resolve import archive as module
from sensor.node.resolve.archive import Archive, BadArchive, Budget, Member, NotZip
from sensor.node.resolve.inflate import Inflated, Slice

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]
NOISE = random.Random(7).randbytes(300_000)


def packed(
    *members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, prefix: bytes = b"", comment: bytes = b""
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(name, content)
        file.comment = comment
    return prefix + buffer.getvalue()


def budget(**changes: object) -> Budget:
    limits: dict[str, object] = {"entries": 1000, "directory": 1 << 20, "seconds": 30.0, "expanded": 64 << 20}
    return Budget(**{**limits, **changes})  # type: ignore[arg-type]


def opened(content: bytes, **changes: object) -> Archive:
    return Archive(io.BytesIO(content), budget(**changes))


def contents(archive: Archive, limit: int = 1 << 20) -> dict[str, bytes]:
    return {member.name.decode(errors="replace"): archive.head(member, limit) for member in archive.members()}


def only(archive: Archive) -> Member:
    (member,) = archive.members()
    return member


def reason(act: Callable[[], object]) -> SkipReason:
    with pytest.raises(BadArchive) as caught:
        act()
    return caught.value.reason


@pytest.mark.parametrize("method", METHODS)
def test_members_and_their_content(method: int) -> None:
    archive = opened(packed(("a", b"1"), ("b/", b""), ("b/c", NOISE), ("ü", b"2"), method=method))
    assert contents(archive) == {"a": b"1", "b/": b"", "b/c": NOISE, "ü": b"2"}
    assert archive.head([*archive.members()][2], 1000) == NOISE[:1000]


@pytest.mark.parametrize("prefix", [b"#!/bin/sh\nexec java -jar $0\n", NOISE, b"PK\x03\x04"])
def test_something_in_front(prefix: bytes) -> None:
    """As zipimport and java -jar take it: offsets count from where the archive begins."""
    assert contents(opened(packed(("a", b"1"), ("b", NOISE), prefix=prefix))) == {"a": b"1", "b": NOISE}


def test_prefix_that_the_offsets_include() -> None:
    """`zip -A` corrects them."""
    buffer = io.BytesIO(b"#!/bin/sh\n")
    buffer.seek(0, io.SEEK_END)
    with zipfile.ZipFile(buffer, "a") as file:
        file.writestr("a", b"1")
    assert contents(opened(buffer.getvalue())) == {"a": b"1"}


def test_comments_that_look_like_an_end_record() -> None:
    fake = b"PK\x05\x06" + bytes(18)
    assert contents(opened(packed(("a", b"1"), comment=b"x" * 65_000))) == {"a": b"1"}
    assert contents(opened(packed(("a", b"1"), comment=b"--" + fake + b"--"))) == {"a": b"1"}
    assert contents(opened(packed(("a", b"1")) + b"\0" * 100)) == {"a": b"1"}  # padded, as some mirrors do


def test_streamed_entries_have_no_sizes_in_front() -> None:
    """Every jar that the JDK's jar tool writes: sizes stand in the directory and behind the content."""

    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, offset: int, whence: int = 0, /) -> int:
            raise OSError("a pipe")

    buffer = Unseekable()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a", b"1" * 5000)
    assert contents(opened(buffer.getvalue())) == {"a": b"1" * 5000}


def test_zip64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    members = [(f"{number}", NOISE[: 50 + number]) for number in range(5)]
    whole = packed(*members)
    assert b"PK\x06\x06" in whole and b"PK\x06\x07" in whole
    assert contents(opened(whole)) == dict(members)
    assert contents(opened(b"prefix" + whole)) == dict(members)


def test_zip64_sizes_in_the_extra_field() -> None:
    """What an archive of more than 4 GiB has, in one of 100 bytes."""
    whole = packed(("a", b"12345"), method=zipfile.ZIP_STORED)
    start, end = whole.index(b"PK\1\2"), whole.index(b"PK\5\6")
    header = bytearray(whole[start:end])
    extra = struct.pack("<2H3Q", 1, 24, 5, 5, 0)
    header[20:28] = b"\xff" * 8
    header[42:46] = b"\xff" * 4
    header[30:32] = struct.pack("<H", len(extra))
    tail = bytearray(whole[end:])
    tail[12:16] = struct.pack("<L", len(header) + len(extra))
    assert contents(opened(whole[:start] + header + extra + tail)) == {"a": b"12345"}


def test_directory_larger_than_a_chunk() -> None:
    names = [f"{number:05}/{'x' * 90}" for number in range(5000)]
    archive = opened(packed(*((name, b"") for name in names)), entries=5000)
    assert [member.name.decode() for member in archive.members()] == names


# Archives in archives


@pytest.mark.parametrize("outer", METHODS)
@pytest.mark.parametrize("inner", METHODS)
@pytest.mark.parametrize("buffered", [0, module.BUFFERED_BYTES])
def test_nested(outer: int, inner: int, buffered: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BUFFERED_BYTES", buffered)
    members = {"first": b"1", "noise": NOISE, "last": b"2" * 100_000}
    jar = packed(*members.items(), method=inner, prefix=b"#!")
    archive = opened(packed(("x", b""), ("lib/a.jar", jar), ("y", b""), method=outer, prefix=b"###"))
    nested = archive.nested([*archive.members()][1])
    assert contents(nested) == members
    assert contents(nested) == members  # also after what is in between was read
    assert len(contents(archive)) == 3


@pytest.mark.parametrize("inner", METHODS)
def test_large_deflated_archive_is_read_in_bounded_memory(inner: int) -> None:
    rest = random.Random(3).randbytes(1 << 20)
    jar = packed(*((f"{number}", rest) for number in range(40)), ("pom", b"found"), method=inner)
    archive = opened(packed(("a.war", jar)), expanded=1 << 30)
    del jar
    tracemalloc.start()
    nested = archive.nested(only(archive))
    last = [*nested.members()][-1]
    assert nested.head(last, 100) == b"found"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 << 20


def test_inflated_reads_anywhere() -> None:
    text = bytes(random.Random(1).choices(b"abcdefgh", k=3_000_000))
    stream = zlib.compressobj(wbits=-15)
    deflated = stream.compress(text) + stream.flush()
    expanded: list[int] = []
    file = Inflated(Slice(io.BytesIO(b"..." + deflated), 3, len(deflated)), len(text), expanded.append)
    assert sum(expanded) == len(text)
    order = random.Random(2)
    for _ in range(60):
        start, size = order.randrange(len(text) + 10), order.randrange(200_000)
        assert file.seek(start) == start
        assert file.read(size) == text[start : start + size]
    assert file.seek(-5, io.SEEK_END) == len(text) - 5
    assert (file.read(3), file.read(30), file.read(30)) == (text[-5:-2], text[-2:], b"")


@pytest.mark.parametrize("claimed", [999, 1001, 10_000])
def test_deflated_archive_of_another_size_than_claimed(claimed: int) -> None:
    stream = zlib.compressobj(wbits=-15)
    deflated = stream.compress(b"x" * 1000) + stream.flush()
    with pytest.raises(ValueError, match="a deflated member"):
        Inflated(Slice(io.BytesIO(deflated), 0, len(deflated)), claimed, lambda size: None)


# Bounds


def test_entries() -> None:
    whole = packed(*((f"{number}", b"") for number in range(30)))
    assert len(contents(opened(whole, entries=30))) == 30
    assert reason(lambda: contents(opened(whole, entries=29))) is SkipReason.ARCHIVE_BOUNDS
    nested = packed(("a.jar", whole), ("b.jar", whole))

    def walk(entries: int) -> None:
        archive = opened(nested, entries=entries)
        for member in [*archive.members()]:
            assert len(contents(archive.nested(member))) == 30

    walk(62)
    assert reason(lambda: walk(61)) is SkipReason.ARCHIVE_BOUNDS


def test_directory_bytes() -> None:
    whole = packed(("a" * 1000, b""))
    assert len(contents(opened(whole, directory=1046))) == 1
    assert reason(lambda: opened(whole, directory=1045)) is SkipReason.ARCHIVE_BOUNDS


def test_time() -> None:
    assert reason(lambda: contents(opened(packed(("a", b"")), seconds=-1.0))) is SkipReason.TOO_SLOW


def test_content_is_cut() -> None:
    archive = opened(packed(("bomb", bytes(100 << 20))), expanded=1 << 20)
    assert archive.head(only(archive), 1 << 20) == bytes(1 << 20)
    assert reason(lambda: archive.head(only(archive), 1)) is SkipReason.ARCHIVE_BOUNDS


def test_bomb_as_a_nested_archive() -> None:
    archive = opened(packed(("bomb.jar", bytes(100 << 20))))
    assert reason(lambda: archive.nested(only(archive))) is SkipReason.ARCHIVE_BOUNDS


def test_nested_archives_expand_within_one_budget() -> None:
    """Like 42.zip: each level is many copies of the next."""
    level = packed(*((f"{number}", NOISE) for number in range(4)))
    for _ in range(3):
        level = packed(*((f"{number}.jar", level) for number in range(4)))

    def walk(archive: Archive) -> None:
        for member in [*archive.members()]:
            if member.name.endswith(b".jar"):
                walk(archive.nested(member))

    assert reason(lambda: walk(opened(level, expanded=20 << 20))) is SkipReason.ARCHIVE_BOUNDS


def test_depth() -> None:
    level = packed(("a", b""))
    for _ in range(6):
        level = packed(("x.jar", level))

    def descend(archive: Archive) -> None:
        descend(archive.nested(only(archive)))

    assert reason(lambda: descend(opened(level))) is SkipReason.ARCHIVE_BOUNDS
    archive = opened(level)
    for _ in range(module.DEPTH):
        archive = archive.nested(only(archive))
    assert only(archive).name == b"x.jar"


def test_archive_that_contains_itself() -> None:
    """A quine: its member is stored, and the directory says that the member begins where the file does."""
    name = b"r.jar"
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 0, 0, 0, 0, len(name), 0) + name
    size = len(local) + 46 + len(name) + 22
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, size, size, len(name), 0, 0, 0, 0, 0, 0
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 46 + len(name), len(local), 0)
    whole = local + entry + name + end
    assert len(whole) == size
    archive = opened(whole)
    assert reason(lambda: archive.nested(only(archive))) is SkipReason.MALFORMED  # it reaches beyond the end


def test_overlapping_entries() -> None:
    """As in zbsm.zip: every entry of the directory is the same content."""
    whole = packed(("a.jar", packed(("x", NOISE), method=zipfile.ZIP_STORED)))
    start, end = whole.rindex(b"PK\1\2"), whole.rindex(b"PK\5\6")
    header, tail = whole[start:end], bytearray(whole[end:])
    struct.pack_into("<L", tail, 12, len(header) * 500)
    archive = opened(whole[:start] + header * 500 + bytes(tail))

    def walk() -> None:
        for member in archive.members():
            archive.nested(member)

    assert reason(walk) is SkipReason.ARCHIVE_BOUNDS


# Archives that are none, or damaged


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\5\6", b"x" * 200_000, packed(("a", b""))[:-30]])
def test_no_zip(content: bytes) -> None:
    with pytest.raises(NotZip):
        opened(content)


def test_encrypted_and_unknown_methods() -> None:
    for at, value in ((8, 1), (10, 99)):
        whole = bytearray(packed(("a", b"1")))
        whole[whole.index(b"PK\1\2") + at] = value
        archive = opened(bytes(whole))
        assert reason(lambda archive=archive: archive.head(only(archive), 9)) is SkipReason.MALFORMED  # type: ignore[misc]


def test_the_directory_is_believed_not_the_local_header() -> None:
    """As java.util.zip.ZipFile does; only the lengths of name and extra field are the local header's."""
    whole = bytearray(packed(("a", b"1"), method=zipfile.ZIP_STORED))
    whole[8:10] = b"\x63\0"
    whole[18:26] = b"\xff" * 8
    whole[30:31] = b"z"
    assert contents(opened(bytes(whole))) == {"a": b"1"}


def test_failing_disk() -> None:
    class Failing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    assert reason(lambda: Archive(Failing(b"x" * 100), budget())) is SkipReason.IO_ERROR


def test_every_broken_byte() -> None:
    jar = packed(("META-INF/x", b"1" * 50), ("y", b"2"))
    for whole in (
        packed(("a.jar", jar), ("b", b"1" * 80)),
        packed(("a.jar", jar), method=zipfile.ZIP_STORED),
    ):
        outcomes = set()
        for position in range(len(whole)):
            damaged = bytearray(whole)
            damaged[position] ^= 0xFF
            for content in (bytes(damaged), whole[:position]):
                try:
                    archive = opened(content)
                    for member in [*archive.members()]:
                        archive.head(member, 1000)
                        contents(archive.nested(member))
                    outcomes.add("read")
                except BadArchive as error:
                    outcomes.add(error.reason)
        assert SkipReason.MALFORMED in outcomes
        assert outcomes <= {"read", SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS}
