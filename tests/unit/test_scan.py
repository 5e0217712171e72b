"""What a running process has loaded, read from real processes of our own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sensor.model.events import EventFlag, EventKind, FileId, KernelEvent
from sensor.node.backfill import processes
from sensor.node.backfill.processes import Process, ProcessTable
from sensor.node.scan import ProcessScan, Scanned, process_event, scan
from tests.unit.reports import WEB

SLEEP = shutil.which("sleep") or "/bin/sleep"


@contextmanager
def running(*command: str) -> Iterator[Process]:
    """A child once it has begun, which it says with a line."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield of(child.pid)
        child.communicate()


def of(pid: int) -> Process:
    (found,) = [process for process in ProcessTable().processes_of(own_namespace()) if process.pid == pid]
    return found


def own_namespace() -> int:
    return os.stat("/proc/self/ns/mnt").st_ino


@contextmanager
def program(path: Path) -> Iterator[Process]:
    """A program that is no interpreter, under a name of ours: cat, which echoes one line and waits."""
    shutil.copy(shutil.which("cat") or "/bin/cat", path)
    with subprocess.Popen([str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        child.stdout.readline()
        yield of(child.pid)
        child.communicate()


def scanned(process: Process, table: ProcessTable | None = None) -> tuple[list[KernelEvent], bool]:
    events: list[KernelEvent] = []
    outcome = scan(ProcessScan(process, WEB, "started_before_sensor"), events.append, table)
    assert outcome is not Scanned.ASK_PROCESS
    return events, outcome is Scanned.WHOLE


def test_an_event_names_its_process() -> None:
    process = Process(12, 34, 56, "comm", 78, FileId(9, 10), "python3.11", "0::/x\n", "/x")
    event = process_event(process, "/a.py", 99, deleted=True)
    assert (event.pid, event.start_boottime, event.time, event.uid) == (12, 34, 99, 56)
    assert event.kind is EventKind.OPEN
    assert (event.comm, event.mount_namespace, event.cgroup_path) == ("comm", 78, "/x")
    assert (event.executable, event.executable_name) == (FileId(9, 10), "python3.11")
    assert (event.path, event.flags) == ("/a.py", EventFlag.DELETED)
    # Nothing that only the kernel knows: neither the namespace's number for good nor a key to forget.
    assert (event.mount_namespace_id, event.seen_key, event.file) == (0, b"", FileId(0, 0))


def test_a_python_process_tells_its_modules(tmp_path: Path) -> None:
    data = tmp_path / "open.dat"
    data.write_text("")
    script = f"import colorsys, _json; held = open({str(data)!r}); print(flush=True); input()"
    with running(sys.executable, "-I", "-c", script) as process:
        events, whole = scanned(process)
    assert whole
    paths = [event.path for event in events]
    assert any(path.endswith("/colorsys.py") for path in paths)
    assert any("libc.so" in path for path in paths)  # mapped
    assert str(data) in paths  # open
    assert {event.pid for event in events} == {process.pid}
    assert {event.path for event in events if event.kind is EventKind.EXEC} == {
        os.path.realpath(sys.executable)
    }


@pytest.mark.parametrize(
    ("name", "whole"),
    [
        ("server", True),
        ("node_exporter", True),
        ("bundle", True),
        ("node", False),
        ("nodejs", False),
        ("java", False),
        ("ruby3.1", False),
        ("pypy3.10", False),
        ("node-22", False),
    ],
)
def test_a_program_is_whole_unless_it_loads_packages_without_a_trace(
    tmp_path: Path, name: str, whole: bool
) -> None:
    with program(tmp_path / name) as process:
        events, found_whole = scanned(process)
    assert process.executable_name == name
    assert str(tmp_path / name) in [event.path for event in events]
    assert found_whole is whole


def test_a_hotspot_has_to_be_asked_itself(tmp_path: Path) -> None:
    (tmp_path / "Wait.java").write_text(
        "class Wait { public static void main(String[] a) throws Exception"
        ' { System.out.println(""); System.in.read(); } }'
    )
    with running("java", "-Xshare:auto", str(tmp_path / "Wait.java")) as process:
        events: list[KernelEvent] = []
        work = ProcessScan(process, WEB, "started_before_sensor")
        assert scan(work, events.append) is Scanned.ASK_PROCESS
    assert any(event.path.endswith("/lib/modules") for event in events)


def test_a_mapped_file_that_was_deleted_is_told_as_such(tmp_path: Path) -> None:
    with program(tmp_path / "server") as process:
        (tmp_path / "server").unlink()
        events, _ = scanned(process)
    executed, mapped = [event for event in events if event.path == str(tmp_path / "server")]
    assert (executed.kind, mapped.kind) == (EventKind.EXEC, EventKind.OPEN)
    assert EventFlag.DELETED in executed.flags and EventFlag.DELETED in mapped.flags


def test_a_process_that_has_gone_is_not_whole(tmp_path: Path) -> None:
    with program(tmp_path / "server") as process:
        pass
    assert scanned(process) == ([], False)


def test_the_next_process_with_the_pid_is_not_taken_for_it(tmp_path: Path) -> None:
    with program(tmp_path / "server") as process:
        former = replace(process, start_boottime=process.start_boottime - 10**9)
        assert scanned(former) == ([], False)


def test_a_reading_that_was_cut_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ProcessTable()
    with program(tmp_path / "server") as process:
        monkeypatch.setattr(processes, "MAPS_BYTES", 300)
        assert scanned(process, table)[1] is False
        monkeypatch.undo()
        assert scanned(process, table)[1] is True
        monkeypatch.setattr(processes, "OPEN_FILES", 1)
        assert scanned(process, table)[1] is False


def test_what_is_found_is_dated_when_it_was_found() -> None:
    """A scan may wait for its turn while the process loads on: nothing is first seen before it was loaded."""
    with running(sys.executable, "-c", "print(flush=True); input()") as process:
        work = ProcessScan(process, WEB, "test")
        time.sleep(0.05)
        begun, events = time.clock_gettime_ns(time.CLOCK_BOOTTIME), list[KernelEvent]()
        scan(work, events.append)
        ended = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    assert events
    assert all(begun <= event.time <= ended for event in events)
