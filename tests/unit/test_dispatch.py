"""Whose file it is decides who is asked, and every outcome is counted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.model.events import EventFlag, EventKind
from sensor.model.package import Ecosystem, Skipped, SkipReason
from sensor.node.resolve.dispatch import Dispatcher
from sensor.node.rootfs import RootFilesystem
from tests.unit.events import Hosting, Scripted, event
from tests.unit.reports import use

PYPI, NPM = Ecosystem.PYPI, Ecosystem.NPM
SKIP = {reason: Skipped(reason, "why") for reason in SkipReason}


@pytest.fixture
def root(tmp_path: Path) -> Iterator[RootFilesystem]:
    (tmp_path / "a.py").touch()
    descriptor = os.open(tmp_path, os.O_PATH)
    yield RootFilesystem(descriptor)
    os.close(descriptor)


def reason(result: object) -> SkipReason:
    assert isinstance(result, Skipped)
    return result.reason


def counted(dispatcher: Dispatcher) -> dict[SkipReason, int]:
    return {reason: count for reason, count in dispatcher.skipped.items() if count}


def test_the_resolver_of_the_openers_ecosystem_is_asked(root: RootFilesystem) -> None:
    python, node = Scripted(PYPI), Scripted(NPM)
    dispatcher = Dispatcher([python, node], Hosting(PYPI))
    assert dispatcher.resolve(event("/a.py"), root) == (use("/a.py"),)
    assert (python.asked, node.asked) == (["/a.py"], [])
    assert dispatcher.resolved == {PYPI: 1, NPM: 0}
    assert counted(dispatcher) == {}


def test_every_ecosystem_that_the_opener_hosts_has_its_say(root: RootFilesystem) -> None:
    python, node = Scripted(PYPI), Scripted(NPM)
    node.answer = lambda _root, _path: (use("left-pad"), use("right-pad"))
    dispatcher = Dispatcher([python, node], Hosting(PYPI, NPM))
    assert dispatcher.resolve(event("/a.py"), root) == (use("/a.py"), use("left-pad"), use("right-pad"))
    assert dispatcher.resolved == {PYPI: 1, NPM: 2}
    node.answer = lambda _root, _path: SKIP[SkipReason.NOT_A_PACKAGE]
    assert dispatcher.resolve(event("/b.py"), root) == (use("/b.py"),)


def test_a_foreign_opener_proves_nothing(root: RootFilesystem) -> None:
    python = Scripted()
    dispatcher = Dispatcher([python], Hosting())
    result = dispatcher.resolve(event("/a.py", executable_name="tar"), root)
    assert result == Skipped(SkipReason.FOREIGN_OPENER, "tar")
    assert python.asked == []
    assert counted(dispatcher) == {SkipReason.FOREIGN_OPENER: 1}


def test_an_unclaimed_file_is_no_package_whoever_opened_it(root: RootFilesystem) -> None:
    dispatcher = Dispatcher([Scripted()], Hosting())
    assert reason(dispatcher.resolve(event("/lib/libc.so.6"), root)) is SkipReason.NOT_A_PACKAGE
    assert counted(dispatcher) == {SkipReason.NOT_A_PACKAGE: 1}


def test_an_exec_is_learnt_from_and_proves_nothing(root: RootFilesystem) -> None:
    python, openers = Scripted(), Hosting(PYPI)
    dispatcher = Dispatcher([python], openers)
    executed = event("/app.py", kind=EventKind.EXEC)
    assert reason(dispatcher.resolve(executed, root)) is SkipReason.NOT_A_PACKAGE
    assert openers.observed == [executed]
    assert python.asked == []


def test_a_program_is_resolved_by_those_for_programs(root: RootFilesystem) -> None:
    python, go = Scripted(), Scripted(Ecosystem.GOLANG)
    dispatcher = Dispatcher([python, go], Hosting(), [go])
    assert dispatcher.resolve(event("/server", kind=EventKind.EXEC), root) == (use("/server"),)
    assert (python.asked, go.asked) == ([], ["/server"])
    assert dispatcher.resolved == {PYPI: 0, Ecosystem.GOLANG: 1}
    dispatcher.sweep()
    assert (python.sweeps, go.sweeps) == (1, 1)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (EventFlag.DELETED, SkipReason.ASK_PROCESS),
        (EventFlag.DETACHED, SkipReason.ASK_PROCESS),
        (EventFlag.PATH_TRUNCATED, SkipReason.PATH_TRUNCATED),
        (EventFlag.PATH_TRUNCATED | EventFlag.DELETED, SkipReason.PATH_TRUNCATED),
    ],
)
def test_a_program_without_a_readable_file(root: RootFilesystem, flags: EventFlag, told: SkipReason) -> None:
    go = Scripted(Ecosystem.GOLANG)
    executed = event("/server", kind=EventKind.EXEC, flags=flags)
    assert reason(Dispatcher([], Hosting(), [go]).resolve(executed, root)) is told
    assert go.asked == []
    assert reason(Dispatcher([], Hosting()).resolve(executed, root)) is SkipReason.NOT_A_PACKAGE


def test_an_opener_that_does_not_matter_is_not_looked_at(
    root: RootFilesystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, openers = Scripted(Ecosystem.GOLANG, ".so"), Hosting()
    go.opener_matters = False
    monkeypatch.setattr(openers, "ecosystems", lambda *_: pytest.fail("looked at"))
    dispatcher = Dispatcher([Scripted(), go], openers)
    assert dispatcher.resolve(event("/plugin.so", executable_name="tar"), root) == (use("/plugin.so"),)
    cut = event("…/plugin.so", flags=EventFlag.PATH_TRUNCATED)
    assert reason(dispatcher.resolve(cut, root)) is SkipReason.NOT_A_PACKAGE


@pytest.mark.parametrize("matters", [True, False])
def test_a_library_that_was_unpacked_mapped_and_unlinked_is_no_loss(
    root: RootFilesystem, matters: bool
) -> None:
    go = Scripted(Ecosystem.GOLANG, ".so")
    go.opener_matters = matters
    go.answer = lambda _root, _path: SKIP[SkipReason.VANISHED]
    told = reason(Dispatcher([go], Hosting(Ecosystem.GOLANG)).resolve(event("/tmp/libnetty.so"), root))
    assert told is (SkipReason.VANISHED if matters else SkipReason.NOT_A_PACKAGE)


def test_one_claimant_that_matters_has_the_opener_looked_at(root: RootFilesystem) -> None:
    python, go = Scripted(PYPI, ".so"), Scripted(Ecosystem.GOLANG, ".so")
    go.opener_matters = False
    Dispatcher([python, go], Hosting()).resolve(event("/a.so"), root)
    assert (python.asked, go.asked) == ([], ["/a.so"])
    Dispatcher([python, go], Hosting(PYPI)).resolve(event("/a.so"), root)
    assert (python.asked, go.asked) == (["/a.so"], ["/a.so", "/a.so"])


def test_an_open_question_counts_more_than_nothing_and_less_than_a_loss(root: RootFilesystem) -> None:
    answers = [SkipReason.NOT_A_PACKAGE, SkipReason.ASK_PROCESS, SkipReason.VANISHED]
    resolvers = [Scripted() for _ in answers]
    for resolver, answer in zip(resolvers, answers, strict=True):
        resolver.answer = lambda _root, _path, answer=answer: SKIP[answer]  # type: ignore[misc]
    for count in (1, 2, 3):
        for order in (resolvers[:count], resolvers[:count][::-1]):
            dispatcher = Dispatcher(order, Hosting(PYPI))
            assert reason(dispatcher.resolve(event("/a.py"), root)) is answers[count - 1]


def test_nobodys_file_that_was_removed_may_have_been_somebodys(root: RootFilesystem, tmp_path: Path) -> None:
    python = Scripted()
    python.answer = lambda _root, _path: SKIP[SkipReason.NOT_A_PACKAGE]
    dispatcher = Dispatcher([python], Hosting(PYPI))
    assert reason(dispatcher.resolve(event("/a.py"), root)) is SkipReason.NOT_A_PACKAGE
    (tmp_path / "a.py").unlink()
    assert reason(dispatcher.resolve(event("/a.py"), root)) is SkipReason.VANISHED
    opened_after = event("/a.py", flags=EventFlag.DELETED)
    assert reason(dispatcher.resolve(opened_after, root)) is SkipReason.NOT_A_PACKAGE


def test_a_cut_path_is_a_loss_only_where_a_package_may_be_missing(root: RootFilesystem) -> None:
    python = Scripted()
    cut = event("…/a.py", flags=EventFlag.PATH_TRUNCATED | EventFlag.FOLDER)
    assert reason(Dispatcher([python], Hosting(PYPI)).resolve(cut, root)) is SkipReason.PATH_TRUNCATED
    assert reason(Dispatcher([python], Hosting()).resolve(cut, root)) is SkipReason.FOREIGN_OPENER
    assert python.asked == []


@pytest.mark.parametrize("turned", [False, True])
def test_of_two_skips_the_one_that_loses_facts_counts(root: RootFilesystem, turned: bool) -> None:
    python, node = Scripted(PYPI), Scripted(NPM)
    python.answer = lambda _root, _path: SKIP[SkipReason.VANISHED]
    node.answer = lambda _root, _path: SKIP[SkipReason.NOT_A_PACKAGE]
    order = [node, python] if turned else [python, node]
    dispatcher = Dispatcher(order, Hosting(PYPI, NPM))
    assert dispatcher.resolve(event("/a.py"), root) == SKIP[SkipReason.VANISHED]
    assert counted(dispatcher) == {SkipReason.VANISHED: 1}


def test_a_defect_in_a_resolver_is_counted_and_a_loss(root: RootFilesystem) -> None:
    python = Scripted()

    def defect(_root: RootFilesystem, _path: str) -> Skipped:
        raise RecursionError

    python.answer = defect
    dispatcher = Dispatcher([python], Hosting(PYPI))
    result = dispatcher.resolve(event("/a.py"), root)
    assert result == Skipped(SkipReason.MALFORMED, "/a.py")
    assert dispatcher.failures == 1
    assert counted(dispatcher) == {SkipReason.MALFORMED: 1}
    python.answer = lambda _root, path: (use(path),)
    assert dispatcher.resolve(event("/a.py"), root) == (use("/a.py"),)


def test_a_sweep_reaches_every_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    swept: list[bool] = []
    python, node, openers = Scripted(PYPI), Scripted(NPM), Hosting()
    monkeypatch.setattr(openers, "sweep", lambda: swept.append(True))
    Dispatcher([python, node], openers).sweep()
    assert (python.sweeps, node.sweeps, swept) == (1, 1, [True])


def test_an_exec_may_prove_what_programs_hold() -> None:
    executed = event("/server", kind=EventKind.EXEC)
    assert Dispatcher([], Hosting(), [Scripted(Ecosystem.GOLANG)]).may_prove(executed)


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"executable_name": "tar"}, False),
        ({"executable_name": "node"}, False),
        ({"kind": EventKind.EXEC}, False),
        ({"path": "/lib/libc.so.6"}, False),
    ],
)
def test_names_tell_whether_an_event_could_prove_a_package(changes: dict[str, Any], may: bool) -> None:
    dispatcher = Dispatcher([Scripted()], Hosting())
    assert dispatcher.may_prove(event(**({"path": "/a.py"} | changes))) is may
