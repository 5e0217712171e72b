"""bpf/events.h and its ctypes mirror say the same: sizes, offsets, limits, numbers."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path

import pytest

from sensor.model.events import EventFlag, EventKind
from sensor.node.capture import layout

HEADER = Path(__file__).parents[2] / "bpf" / "events.h"

STRUCTS = {"seen_key": layout.SeenKey, "loss_key": layout.LossKey, "event": layout.Event}
LIMITS = (
    "COMM_SIZE",
    "NAME_SIZE",
    "NAMES_SIZE",
    "PATH_COMPONENTS",
    "CGROUP_COMPONENTS",
    "SEEN_ENTRIES",
    "LOSS_ENTRIES",
    "IGNORED_ENTRIES",
)


def printed_by_c(expressions: list[str], folder: Path) -> dict[str, int]:
    """Compile a program that prints each expression; what a C compiler says is the truth."""
    lines = "\n".join(f'printf("%s=%lu\\n", "{text}", (unsigned long)({text}));' for text in expressions)
    source = folder / "layout.c"
    source.write_text(
        "#define RUNTIME_SENSOR_USER_SPACE\n#include <stdio.h>\n#include <stddef.h>\n"
        f'#include "{HEADER}"\nint main(void) {{ {lines} return 0; }}\n'
    )
    program = folder / "layout"
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", program, source], check=True)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {name: int(value) for name, value in (line.split("=") for line in output.splitlines())}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    text = HEADER.read_text()
    names = re.findall(r"\b(?:COUNT|TIMED|EVENT)_[A-Z_]+\b|\bCOUNTERS\b", text)
    expressions = [*dict.fromkeys(names), *LIMITS]
    for name, struct in STRUCTS.items():
        expressions.append(f"sizeof(struct {name})")
        expressions += [f"offsetof(struct {name}, {field[0]})" for field in struct._fields_]
        expressions += [f"sizeof(((struct {name} *)0)->{field[0]})" for field in struct._fields_]
    return printed_by_c(expressions, tmp_path_factory.mktemp("layout"))


@pytest.mark.parametrize("name", STRUCTS)
def test_structs_agree(name: str, compiled: dict[str, int]) -> None:
    struct = STRUCTS[name]
    assert ctypes.sizeof(struct) == compiled[f"sizeof(struct {name})"]
    for field, kind, *_ in struct._fields_:
        assert getattr(struct, field).offset == compiled[f"offsetof(struct {name}, {field})"], field
        assert ctypes.sizeof(kind) == compiled[f"sizeof(((struct {name} *)0)->{field})"], field


@pytest.mark.parametrize("name", STRUCTS)
def test_no_member_is_missing(name: str) -> None:
    body = re.search(rf"struct {name} {{(.*?)}};", HEADER.read_text(), re.DOTALL)
    assert body is not None
    declared = re.findall(r"(\w+)(?:\[\w+\])?;", body[1])
    assert declared == [field[0] for field in STRUCTS[name]._fields_]


@pytest.mark.parametrize("name", LIMITS)
def test_limits_agree(name: str, compiled: dict[str, int]) -> None:
    assert getattr(layout, name) == compiled[name]


def test_counters_agree(compiled: dict[str, int]) -> None:
    mirrored = {f"COUNT_{counter.name}": int(counter) for counter in layout.Counter}
    mirrored |= {f"TIMED_{timing.name}": int(timing) for timing in layout.Timing}
    told = {name: value for name, value in compiled.items() if name.startswith(("COUNT_", "TIMED_"))}
    assert mirrored == told
    assert len(mirrored) == compiled["COUNTERS"]


def test_kinds_and_flags_agree(compiled: dict[str, int]) -> None:
    mirrored = {f"EVENT_{kind.name}": int(kind) for kind in EventKind}
    mirrored |= {f"EVENT_{flag.name}": int(flag) for flag in EventFlag}
    assert mirrored == {name: value for name, value in compiled.items() if name.startswith("EVENT_")}


def record(names: bytes, *, cgroups: int, paths: int, flags: int = 0, kind: int = 1) -> bytes:
    event = layout.Event(
        pid=7,
        kind=kind,
        flags=flags,
        names_size=len(names),
        cgroup_count=cgroups,
        path_count=paths,
        comm=b"py",
    )
    event.key.file_inode = 11
    return bytes(event) + names


def test_a_record_is_decoded_root_first() -> None:
    event = layout.decode(record(b"python3.11\0id\0pod\0f.py\0b\0a\0", cgroups=2, paths=3))
    assert (event.executable_name, event.cgroup_path, event.path) == ("python3.11", "/pod/id", "/a/b/f.py")
    assert (event.pid, event.comm, event.kind) == (7, "py", EventKind.OPEN)
    assert layout.SeenKey.from_buffer_copy(event.seen_key).file_inode == 11


def test_what_was_cut_says_so() -> None:
    flags = EventFlag.PATH_TRUNCATED | EventFlag.CGROUP_TRUNCATED
    event = layout.decode(record(b"x\0leaf\0f\0", cgroups=1, paths=1, flags=flags))
    assert (event.cgroup_path, event.path) == ("…/leaf", "…/f")


def test_names_that_are_no_text_survive() -> None:
    event = layout.decode(record(b"x\0\xff\0\xc3\x28.py\0", cgroups=1, paths=1))
    assert event.path.encode("utf-8", "surrogateescape") == b"/\xc3\x28.py"


@pytest.mark.parametrize(
    "broken",
    [b"", b"short", record(b"x\0a\0", cgroups=3, paths=9), record(b"x\0", cgroups=0, paths=0, kind=99)],
    ids=["empty", "short", "names missing", "unknown kind"],
)
def test_a_record_of_another_layout_is_refused(broken: bytes) -> None:
    with pytest.raises(layout.MalformedRecord):
        layout.decode(broken)


def test_a_batch_is_split_into_its_records() -> None:
    records = [record(b"x\0" + b"n" * size + b"\0", cgroups=0, paths=1) for size in (1, 200, 3)]
    assert list(layout.split(b"".join(records))) == records
    assert list(layout.split(b"")) == []


def test_a_record_that_is_not_as_long_as_it_says_is_not_whole() -> None:
    whole = record(b"x\0a\0", cgroups=0, paths=1)
    assert layout.is_whole(whole)
    assert not any(map(layout.is_whole, (b"", whole[:10], whole[:-1], whole + b"\0")))


def test_what_is_peeked_is_what_is_decoded() -> None:
    event = layout.Event(kind=EventKind.EXEC, mount_namespace_id=2**40 + 7, names_size=4, path_count=1)
    raw = bytes(event) + b"x\0a\0"
    assert layout.peek_kind(raw) == layout.decode(raw).kind
    assert layout.peek_mount_namespace_id(raw) == layout.decode(raw).mount_namespace_id
