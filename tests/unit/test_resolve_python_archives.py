"""Distributions and modules inside archives that Python imports from."""

from __future__ import annotations

import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensor.model.package import Evidence, SkipReason
from sensor.node.resolve.archive import Archive
from sensor.node.resolve.python import archive, contents
from sensor.node.resolve.python.resolver import PythonResolver
from tests.unit.python_container import NONE, SITE, Container, graded, metadata, opened, zipped


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    with opened(tmp_path / "root") as container:
        yield container


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_egg_and_wheel_on_the_path_may_be_unused(container: Container, method: int) -> None:
    egg = container.write(
        f"{SITE}/foo-1.0-py3.11.egg",
        zipped(("EGG-INFO/PKG-INFO", metadata("foo", "1.0")), ("foo/__init__.py", ""), method=method),
    )
    wheel = container.write(
        "/app/six-1-py3-none-any.whl",
        zipped(("six-1.dist-info/METADATA", metadata("six", "1")), ("six.py", ""), method=method),
    )
    assert graded(container, egg) == {"foo@1.0": Evidence.BUNDLED}
    assert graded(container, wheel) == {"six@1": Evidence.BUNDLED}
    assert graded(container, wheel) == {"six@1": Evidence.BUNDLED}
    assert (container.resolver.archives.hits, container.resolver.archives.misses) == (1, 2)
    assert graded(container, f"{egg}/foo/__init__.py") == {"foo@1.0": Evidence.OPENED}
    assert graded(container, f"{wheel}/six.pyc") == {"six@1": Evidence.OPENED}


def record(*files: str) -> str:
    return "".join(f"{file},sha256=x,1\r\n" for file in files)


def test_modules_inside_an_archive(container: Container) -> None:
    container.write(
        "/app/tool.pyz",
        zipped(
            ("flask-3.dist-info/METADATA", metadata("Flask", "3")),
            ("flask-3.dist-info/RECORD", record("flask/__init__.py", "../bin/flask", "shared/flask.py")),
            ("six-1.dist-info/METADATA", metadata("six", "1")),
            ("six-1.dist-info/RECORD", record("six.py", '"shared/s,x.py"', "shared/six.py")),
            ("old.egg-info/PKG-INFO", metadata("old", "2")),
            ("old.egg-info/top_level.txt", "ancient\n_ancient\n"),
            ("named-4.egg-info", metadata("Named", "4")),
            ("flask/_vendor/x-1.dist-info/METADATA", metadata("x", "1")),
            ("flask/_vendor/x.py", ""),
            ("flask/app.py", ""),
            ("named/deep/x.py", ""),
            ("main.py", ""),
        ),
    )
    for inner, expected in {
        "flask/app.py": {"flask@3"},
        "flask/_vendor/x.py": {"flask@3"},
        "six.pyc": {"six@1"},
        "shared/flask.py": {"flask@3"},
        "shared/six.py": {"six@1"},
        "ancient/x.py": {"old@2"},
        "_ancient.py": {"old@2"},
        "named/deep/x.py": {"named@4"},
        "main.py": NONE,
        "shared/other.py": NONE,
        "nowhere/x.py": NONE,
    }.items():
        assert container.ask(f"/app/tool.pyz/{inner}") == expected, inner
    assert (container.resolver.contents.misses, container.resolver.contents.hits) == (1, 10)


def test_several_folders_of_sys_path_in_one_archive(container: Container) -> None:
    pex = zipped(
        (".deps/six-1-py3-none-any.whl/six-1.dist-info/METADATA", metadata("six", "1")),
        (".deps/six-1-py3-none-any.whl/six-1.dist-info/RECORD", record("six.py")),
        (".deps/flask-3-py3-none-any.whl/flask-3.dist-info/METADATA", metadata("Flask", "3")),
        (".deps/flask-3-py3-none-any.whl/flask/x.py", ""),
        ("libs/foo-2-py3.11.egg/EGG-INFO/PKG-INFO", metadata("foo", "2")),
        ("libs/site.py", ""),
        prefix=b"#!/usr/bin/env python3\n",
    )
    for path in ("/app/tool.pex", "/usr/local/bin/tool"):
        container.write(path, pex)
        assert container.ask(f"{path}/.deps/six-1-py3-none-any.whl/six.py") == {"six@1"}
        assert container.ask(f"{path}/.deps/flask-3-py3-none-any.whl/flask/x.py") == {"flask@3"}
        assert container.ask(f"{path}/libs/foo-2-py3.11.egg/foo.py") == {"foo@2"}
        assert container.ask(f"{path}/libs/site.py") is NONE
        assert container.ask(f"{path}/__main__.py") is NONE


def test_module_in_the_zip_of_a_package_belongs_to_it(container: Container) -> None:
    container.install("data", "1", "data/__init__.py")
    container.write(f"{SITE}/data/lib.zip", zipped(("x.py", "")))
    assert container.ask(f"{SITE}/data/lib.zip/x.py") == {"data@1"}
    container.write("/usr/lib/python311.zip", zipped(("os.py", "")))
    assert container.ask("/usr/lib/python311.zip/os.pyc") is NONE


def test_folder_named_like_an_archive(container: Container) -> None:
    """As pex unpacks: /root/.pex/installed_wheels/<hash>/<wheel>/, each with its own metadata."""
    site = "/root/.pex/installed_wheels/0/abc/six-1-py3-none-any.whl"
    container.install("six", "1", "six.py", site=site)
    assert container.ask(f"{site}/six.py") == {"six@1"}


def test_bounds_inside_an_archive(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    members = (
        ("a-1.dist-info/METADATA", metadata("a", "1")),
        ("a-1.dist-info/RECORD", record(*(f"a{number}.py" for number in range(30)))),
    )
    for limit in ("KEPT", "FOLDERS", "LISTED"):
        monkeypatch.setattr(contents, limit, 10)
        container.resolver = PythonResolver()
        container.write("/a.pyz", zipped(*members))
        assert container.ask("/a.pyz/a1.py") is SkipReason.ARCHIVE_BOUNDS, limit
        monkeypatch.undo()
    container.resolver = PythonResolver()
    assert container.ask("/a.pyz/a1.py") == {"a@1"}


def test_metadata_that_is_none_is_named_by_its_folder(container: Container) -> None:
    wheel = zipped(("six-1.16.dist-info/METADATA", "no headers"), ("six.py", ""))
    egg = zipped(("EGG-INFO/PKG-INFO", ""), ("foo.py", ""))
    assert container.ask(container.write("/app/some.whl", wheel)) == {"six@1.16"}
    assert container.ask("/app/some.whl/six.py") == {"six@1.16"}
    assert container.ask(container.write("/app/foo_x-1.0-py3.11.egg", egg)) == {"foo-x@1.0"}
    assert container.ask(container.write("/app/foo.zip", egg)) is SkipReason.MALFORMED


def test_what_a_zipped_application_holds_is_bundled(container: Container) -> None:
    members = (
        ("six-1.dist-info/METADATA", metadata("six", "1")),
        (".deps/flask-3-py3-none-any.whl/flask-3.dist-info/METADATA", metadata("Flask", "3")),
        ("site-packages/old.egg-info/PKG-INFO", metadata("old", "2")),
        ("flask/_vendor/x-1.dist-info/METADATA", metadata("x", "1")),
        (".bootstrap/pex/y-1.dist-info/METADATA", metadata("y", "1")),
        ("README/METADATA", metadata("z", "1")),
    )
    expected = dict.fromkeys(("six@1", "flask@3", "old@2"), Evidence.BUNDLED)
    for path, prefix in (("/app.pex", b"#!/usr/bin/env python3\n"), ("/app.pyz", b""), ("/lambda.zip", b"")):
        container.write(path, zipped(*members, prefix=prefix))
        assert graded(container, path) == expected, path


def test_zip_inside_a_package_proves_the_package(container: Container) -> None:
    container.install("data", "1", "data/__init__.py")
    container.write(f"{SITE}/data/lib.zip", zipped(("x.py", "")))
    container.write("/usr/lib/python311.zip", zipped(("os.py", "")))
    container.write("/usr/lib/no.zip", "no archive at all")
    assert container.ask(f"{SITE}/data/lib.zip") == {"data@1"}
    assert container.ask("/usr/lib/python311.zip") is NONE
    assert container.ask("/usr/lib/no.zip") is NONE


def test_wheel_that_pip_unpacks_is_not_loaded(container: Container) -> None:
    content = zipped(("six-1.dist-info/METADATA", metadata("six", "1")))
    assert container.ask(container.write("/tmp/pip-unpack-x1/six-1-py3-none-any.whl", content)) is NONE


def test_archive_bounds(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    many = container.write("/many.zip", zipped(*((f"{number}", "") for number in range(30))))
    bomb = container.write("/bomb-1.whl", zipped(("b-1.dist-info/METADATA", "x" * (50 << 20))))
    monkeypatch.setattr(archive, "ENTRIES", 29)
    assert container.ask(many) is SkipReason.ARCHIVE_BOUNDS
    assert container.ask(bomb) == {"b@1"}  # 1 MiB of it was expanded: no name in there
    monkeypatch.setattr(archive, "ENTRIES", 30)
    monkeypatch.setattr(archive, "SECONDS", -1)
    slow = container.write("/slow.whl", zipped(("b-1.dist-info/METADATA", metadata("b", "1"))))
    assert container.ask(slow) is SkipReason.TOO_SLOW
    monkeypatch.undo()
    time.sleep(0.2)
    assert container.ask(slow) == {"b@1"}  # being slow is not remembered against the file for long


def test_archive_that_takes_long_is_not_read_for_each_of_its_modules(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "SECONDS", 0.05)
    head = Archive.head
    begun: list[object] = []

    def slow(*arguments: Any) -> bytes:
        begun.append(arguments)
        time.sleep(0.1)
        return head(*arguments)

    monkeypatch.setattr(Archive, "head", slow)
    members = [(f"a{number}-1.dist-info/METADATA", metadata(f"a{number}", "1")) for number in range(5)]
    container.write("/slow.pyz", zipped(*members))
    for number in range(100):
        assert container.ask(f"/slow.pyz/a{number}.py") is SkipReason.TOO_SLOW
    assert len(begun) <= 5  # not 100


def test_directory_that_claims_less_than_it_has(
    container: Container, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "ENTRIES", 199)
    content = bytearray(zipped(*((f"{number}", "") for number in range(200))))
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<2H", content, end + 8, 1, 1)
    assert container.ask(container.write("/liar.zip", bytes(content))) is SkipReason.ARCHIVE_BOUNDS


def test_every_broken_archive_is_a_skip(container: Container) -> None:
    """Each byte of a small wheel damaged in turn, and each length cut: never anything but a value."""
    whole = zipped(("six-1.dist-info/METADATA", metadata("six", "1")), method=zipfile.ZIP_STORED)
    whole_deflated = zipped(("six-1.dist-info/METADATA", metadata("six", "1") * 9))
    answers: set[object] = set()
    for content in (whole, whole_deflated):
        for position in range(len(content)):
            damaged = content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
            for number, broken in enumerate((damaged, content[:position])):
                path = container.write(f"/{number}.whl", broken)
                container.resolver = PythonResolver()
                for asked in (path, f"{path}/six.py"):
                    answer = container.ask(asked)
                    answers.add(answer if isinstance(answer, SkipReason) else "packages")
    assert answers == {NONE, SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS, "packages"}
