"""Shared objects that were opened: graded once a process has them mapped."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.package import Evidence, PackageUse
from sensor.node import natives as natives_module
from sensor.node.natives import Natives
from tests.unit.events import event
from tests.unit.reports import WEB, use


class Maps:
    def __init__(self) -> None:
        self.files: dict[int, list[str]] = {}
        self.asked: list[int] = []

    def __call__(self, pid: int) -> Iterable[str]:
        self.asked.append(pid)
        return self.files.get(pid, [])


@pytest.fixture
def maps() -> Maps:
    return Maps()


@pytest.fixture
def natives(maps: Maps) -> Natives:
    return Natives(maps)


def settled(natives: Natives) -> list[tuple[ContainerIdentity, PackageUse]]:
    found: list[tuple[ContainerIdentity, PackageUse]] = []
    natives.settle(lambda container, graded: found.append((container, graded)))
    return found


def note(natives: Natives, path: str, pid: int = 1, start: int = 1) -> None:
    natives.note(event(path, pid=pid, start_boottime=start), WEB, (use(path=path),))


@pytest.mark.parametrize(
    "name", ["a.so", "a.cpython-311-x86_64-linux-gnu.so", "liba.so.1.2", "a.NODE", "a.dll"]
)
def test_a_mapped_native_gets_the_stronger_grade(natives: Natives, maps: Maps, name: str) -> None:
    maps.files[1] = ["/lib/other.so", f"/p/{name}"]
    note(natives, f"/p/{name}")
    assert settled(natives) == [(WEB, use(path=f"/p/{name}", evidence=Evidence.MAPPED))]
    assert settled(natives) == []  # once


@pytest.mark.parametrize("name", ["a.py", "a.so.py", "a.sob", "node", "a.json"])
def test_other_files_are_not_looked_for(natives: Natives, maps: Maps, name: str) -> None:
    maps.files[1] = [f"/p/{name}"]
    note(natives, f"/p/{name}")
    assert settled(natives) == []
    assert maps.asked == []


def test_opened_and_not_mapped_keeps_its_grade(natives: Natives, maps: Maps) -> None:
    maps.files[1] = ["/p/b.so"]
    note(natives, "/p/a.so")
    assert settled(natives) == []


def test_a_process_is_looked_at_once_for_all_its_files(natives: Natives, maps: Maps) -> None:
    maps.files[1] = maps.files[2] = ["/p/a.so", "/p/b.so"]
    for path in ("/p/a.so", "/p/b.so"):
        note(natives, path)
    note(natives, "/p/a.so", pid=2)
    assert len(settled(natives)) == 3
    assert maps.asked == [1, 2]


def test_files_of_one_process_are_bounded_and_counted(
    natives: Natives, maps: Maps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(natives_module, "MAX_FILES", 3)
    uses = tuple(use(name, path="/p/a.so") for name in "abcd")
    natives.note(event("/p/a.so", pid=1), WEB, uses[:2])
    natives.note(event("/p/a.so", pid=1), WEB, uses)
    assert natives.dropped == 3
    maps.files[1] = ["/p/a.so"]
    assert len(settled(natives)) == 3


def test_processes_are_bounded_and_counted(
    natives: Natives, maps: Maps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(natives_module, "MAX_PROCESSES", 2)
    maps.files = {pid: ["/p/a.so", "/p/b.so"] for pid in range(4)}
    for pid in range(4):
        note(natives, "/p/a.so", pid)
    assert natives.dropped == 2
    note(natives, "/p/b.so", 1)  # of a process that has its place
    assert len(settled(natives)) == 3
    assert natives.dropped == 2
    note(natives, "/p/a.so", 3)  # there is room again
    assert len(settled(natives)) == 1
