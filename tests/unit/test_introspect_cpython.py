"""What a real CPython process tells of the modules it loaded, from inside archives and beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipapp
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sensor.model.container import ContainerIdentity
from sensor.model.package import Evidence
from sensor.node.introspect.cpython import UNREADABLE, CpythonProbe
from sensor.node.introspect.interface import Finding, Probe, Subject
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.rootfs import RootFilesystem
from tests.unit.python_container import metadata

# Without the site module: what this machine has installed for all loads nothing of its own.
_PYTHON = (sys.executable, "-S")
_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_WAIT = "import sys; print('ready', flush=True); sys.stdin.readline()"
_LATER = f"{_WAIT}; import later; print('ready', flush=True); sys.stdin.readline()"


@pytest.fixture
def root() -> Iterator[RootFilesystem]:
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY)
    yield RootFilesystem(descriptor)
    os.close(descriptor)


@contextmanager
def running(*arguments: str, cwd: Path | None = None, program: str = "") -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it is ready, and waits for a line on its standard input."""
    with subprocess.Popen(
        [*([program] if program else _PYTHON), *arguments],
        cwd=cwd,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "ready\n"


def subject(pid: int, name: str = "python3.11") -> Subject:
    started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return Subject(pid, int(started) * _TICK, name, 0, 0, ContainerIdentity("c", "runc"))


def purls(finding: Finding | None) -> set[str]:
    assert finding is not None
    assert all(use.evidence is Evidence.OPENED for use in finding.uses)
    return {use.package.purl.removeprefix("pkg:pypi/") for use in finding.uses}


def content(folder: Path, main: str) -> Path:
    """An application's folder: two modules with metadata, of which ``main`` may import one."""
    for name in ("used", "unused", "later"):
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(metadata(name, "1.0"))
        (info / "RECORD").write_text(f"{name}.py,,\n")
        (folder / f"{name}.py").write_text("")
    (folder / "__main__.py").write_text(main)
    return folder


def test_is_a_probe() -> None:
    probe: Probe = CpythonProbe()
    assert probe.name == "cpython"
    probe.sweep()


@pytest.mark.parametrize("suffix", [".pyz", ""])
def test_of_a_zipped_application_only_what_is_imported(
    tmp_path: Path, root: RootFilesystem, suffix: str
) -> None:
    archive = tmp_path / f"tool{suffix}"
    zipapp.create_archive(content(tmp_path / "content", f"import used; {_LATER}"), archive)
    probe = CpythonProbe()
    with running(str(archive)) as process:
        asked = subject(process.pid)
        before = probe.stamp(asked, root)
        finding = probe.look(asked, root, (str(archive),))
        assert purls(finding) == {"used@1.0"}
        assert finding is not None
        assert finding.problem == ""
        assert finding.uses[0].path == f"{archive}/used.py"
        assert before is not None
        assert before == probe.stamp(asked, root)

        go_on(process)
        assert before != probe.stamp(asked, root)
        assert purls(probe.look(asked, root, (str(archive),))) == {"used@1.0", "later@1.0"}


def test_relative_entry_of_the_path(tmp_path: Path, root: RootFilesystem) -> None:
    archive = tmp_path / "libs" / "tool.zip"
    archive.parent.mkdir()
    zipapp.create_archive(content(tmp_path / "content", ""), archive)
    code = f"import sys; sys.path.insert(0, './libs/tool.zip'); import used; {_WAIT}"
    with running("-c", code, cwd=tmp_path) as process:
        probe = CpythonProbe()
        assert purls(probe.look(subject(process.pid), root, ("/libs/other.zip", str(archive)))) == {
            "used@1.0"
        }
        assert purls(probe.look(subject(process.pid), root, ())) == set()


def test_modules_beside_archives(tmp_path: Path, root: RootFilesystem) -> None:
    folder = content(tmp_path / "content", "")
    with running("-c", f"import sys; sys.path.insert(0, {str(folder)!r}); import used; {_WAIT}") as process:
        assert purls(CpythonProbe().look(subject(process.pid), root, ())) == {"used@1.0"}


def test_archive_that_cannot_be_read_any_more(tmp_path: Path, root: RootFilesystem) -> None:
    archive = tmp_path / "tool.pyz"
    zipapp.create_archive(content(tmp_path / "content", f"import used; {_WAIT}"), archive)
    with running(str(archive)) as process:
        archive.unlink()
        finding = CpythonProbe().look(subject(process.pid), root, (str(archive),))
        assert finding == Finding((), UNREADABLE)


def test_too_slow_is_said(tmp_path: Path, root: RootFilesystem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensor.node.introspect.cpython.SECONDS", -1)
    with running("-c", _WAIT) as process:
        assert CpythonProbe().look(subject(process.pid), root, ()) == Finding((), UNREADABLE)


def test_no_python(root: RootFilesystem) -> None:
    with running("-c", "echo ready; read x", program="/bin/sh") as process:
        assert CpythonProbe().look(subject(process.pid, "sh"), root, ()) is None
        assert CpythonProbe().stamp(subject(process.pid, "sh"), root) is None


def test_process_that_is_gone(root: RootFilesystem) -> None:
    with running("-c", _WAIT) as process:
        asked = subject(process.pid)
    probe = CpythonProbe()
    assert probe.stamp(asked, root) is None
    assert probe.look(asked, root, ()) == Finding((), UNREADABLE), "it was a Python"
    other = Subject(asked.pid, asked.start_boottime, "java", 0, 0, asked.container)
    assert probe.look(other, root, ("/app/x.jar",)) is None
    assert probe.look(other, root, ("/app/x.pyz",)) == Finding((), UNREADABLE)


def test_pid_that_is_anothers_now(root: RootFilesystem) -> None:
    with running("-c", _WAIT) as process:
        asked = subject(process.pid)
        older = Subject(asked.pid, asked.start_boottime - 10**9, "python3", 0, 0, asked.container)
        assert CpythonProbe().stamp(older, root) is None
        assert CpythonProbe().look(older, root, ()) == Finding((), UNREADABLE)


def test_resolver_is_shared_with_nobody() -> None:
    """A probe is called by a thread of its own, and resolvers are for one thread."""
    assert CpythonProbe()._resolver is not CpythonProbe()._resolver
    assert isinstance(CpythonProbe()._resolver, PythonResolver)
