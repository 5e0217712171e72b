"""Containers that lie, and bounds that hold."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sensor.model.package import SkipReason
from sensor.node.resolve.python import distribution, record
from sensor.node.resolve.python import site as site_index
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.rootfs import Unreadable
from tests.clock import at_little_cost
from tests.unit.python_container import NONE, SITE, Container, opened, uses


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    with opened(tmp_path / "root") as container:
        yield container


def test_site_packages_is_a_link_to_etc(container: Container, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    outside = Container(tmp_path / "etc" / "host")
    outside.install("secret", "1", "secret/__init__.py", site="/")
    os.close(outside.fd)
    (container.folder / "usr/lib/python3.11").mkdir(parents=True)
    (container.folder / SITE[1:]).symlink_to(outside.folder)
    assert container.ask(f"{SITE}/secret/__init__.py") is SkipReason.VANISHED


def test_metadata_that_cannot_be_read_is_named_by_its_folder(container: Container) -> None:
    makes: dict[str, Callable[[Path], object]] = {
        "fifo": os.mkfifo,
        "folder": os.mkdir,
        "gone": Path.exists,
        "empty": Path.touch,
    }
    for name, make in makes.items():
        container.resolver = PythonResolver()
        info = container.folder / container.install(f"{name}-x", "1.2rc1", f"{name}/__init__.py")[1:]
        (info / "METADATA").unlink()
        make(info / "METADATA")
        (use,) = uses(container, f"{SITE}/{name}/__init__.py")
        assert use.package.purl == f"pkg:pypi/{name}-x@1.2rc1"
        assert (use.package.snyk.name, use.package.snyk.version) == (f"{name}_x", "1.2.0")


def test_neither_metadata_nor_a_folder_that_names_it(container: Container) -> None:
    container.write(f"{SITE}/-1.dist-info/RECORD", "x/__init__.py,,")
    container.write(f"{SITE}/-1.dist-info/METADATA", "nothing")
    assert container.ask(container.write(f"{SITE}/x/__init__.py")) is SkipReason.MALFORMED


def test_io_error_is_not_named_by_the_folder(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    """It passes: the next look may tell the name as written."""
    container.install("six", "1", "six.py")

    def fail(*_: object) -> None:
        raise Unreadable(SkipReason.IO_ERROR)

    with monkeypatch.context() as broken:
        broken.setattr(distribution, "read_package", fail)
        assert container.ask(f"{SITE}/six.py") is SkipReason.IO_ERROR
    assert container.ask(f"{SITE}/six.py") == {"six@1"}


def test_lists_too_large_to_read(container: Container) -> None:
    info = container.install("big", "1", "big/__init__.py", "other_name/__init__.py")
    container.install("six", "1", "six.py")
    os.truncate(container.folder / info[1:] / "RECORD", record.RECORD_BYTES + 1)
    container.write(f"{info}/top_level.txt", "big")
    assert container.ask(f"{SITE}/six.py") == {"six@1"}
    assert container.ask(f"{SITE}/big/__init__.py") == {"big@1"}  # by top_level.txt
    assert container.ask(f"{SITE}/other_name/__init__.py") is SkipReason.TOO_LARGE  # perhaps: so counted
    assert container.ask("/usr/lib/python3.11/os.py") is NONE


def test_sparse_list_of_one_endless_line(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record, "RECORD_BYTES", 1 << 30)  # so that to read it all would take long
    info = container.install("big", "1")
    os.truncate(container.folder / info[1:] / "RECORD", record.RECORD_BYTES)
    with at_little_cost():
        assert container.ask(f"{SITE}/x/__init__.py") is SkipReason.MALFORMED


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("LINES", SkipReason.TOO_MANY_ENTRIES),
        ("FOLDERS", SkipReason.TOO_MANY_ENTRIES),
        ("FILES", SkipReason.TOO_MANY_ENTRIES),
        ("DISTRIBUTIONS", SkipReason.TOO_MANY_ENTRIES),
        ("ENTRIES", SkipReason.TOO_MANY_ENTRIES),
        ("BUILD_SECONDS", SkipReason.TOO_SLOW),
    ],
)
def test_bounds_of_a_site_directory(
    container: Container, monkeypatch: pytest.MonkeyPatch, limit: str, reason: SkipReason
) -> None:
    for name in ("a", "b", "c"):
        files = (f"{name}/{number}/x.py" for number in range(10))
        container.install(name, "1", f"{name}.py", f"shared/{name}.py", *files)
    monkeypatch.setattr(site_index, limit, 2 if limit != "BUILD_SECONDS" else -1)
    assert container.ask(f"{SITE}/a/1/x.py") is reason


def test_path_cut_by_the_kernel(container: Container) -> None:
    assert container.ask("…/site-packages/six.py") is SkipReason.PATH_TRUNCATED


def test_deep_path(container: Container) -> None:
    container.install("six", "1", "six.py")
    assert container.ask("/" + "d/" * 1500 + "x.py") is SkipReason.VANISHED
    assert container.ask(f"{SITE}/" + "d/" * 1500 + "x.py") is NONE
