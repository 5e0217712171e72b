"""What a Python distribution is called, and which files are asked about."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.model.package import Ecosystem, SkipReason
from sensor.node.resolve.interface import Resolver
from sensor.node.resolve.python.debian import modules_listed
from sensor.node.resolve.python.editable import path_entries
from sensor.node.resolve.python.identity import named_by_folder, pypi_package, read_package, snyk_version
from sensor.node.resolve.python.paths import prefixed_sources
from sensor.node.resolve.python.record import source_path
from sensor.node.rootfs import Unreadable
from tests.unit.python_container import Container, opened


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    with opened(tmp_path / "root") as container:
        yield container


def test_is_a_resolver(container: Container) -> None:
    resolver: Resolver = container.resolver
    assert resolver.ecosystem is Ecosystem.PYPI


@pytest.mark.parametrize(
    ("path", "claimed"),
    [
        ("/a/x.py", True),
        ("/a/x.PYC", True),
        ("/a/x.cpython-311-x86_64-linux-gnu.so", True),
        ("/a/libgfortran-040039e1.so.5.0.0", True),
        ("/a/x.egg", True),
        ("/a/x.whl", True),
        ("/a/x.Zip", True),
        ("/a/x.pex", True),
        ("/a/x.pyz", True),
        ("/a.so.1/METADATA", False),
        ("/a/RECORD", False),
        ("/a/py", False),
        ("/a/x.pyi", False),
        ("/a/x.js", False),
        ("/a/x.json", False),
    ],
)
def test_claims(container: Container, path: str, claimed: bool) -> None:
    assert container.resolver.claims(path) is claimed


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.10", "3.10.0"),
        ("4.6.2.post1", "4.6.2"),
        ("2.1.0+cpu", "2.1.0"),
        ("1.0rc1", "1.0.0"),
        ("1!2.0", "1.0.0"),
        ("v1.2", "1.2.0"),
        ("2023.7.22", "2023.7.22"),
        ("2021.05.30", None),
        ("0.0.0", "0.0.0"),
        ("1.2.9007199254740991", "1.2.9007199254740991"),
        ("1.2.9007199254740992", None),
        ("11111111111111111.2.3", "2.3.0"),
        ("1.22222222222222222.3", "1.0.0"),
        ("unknown", None),
        ("١.٢", None),
    ],
)
def test_snyk_version_is_semver_coerce(version: str, expected: str | None) -> None:
    """Expected values are what node-semver 7.8.5 printed."""
    assert snyk_version(version) == expected


def test_both_identities() -> None:
    package = pypi_package("Zope.Interface_x", "1!2.0+cpu~1")
    assert package.name == "Zope.Interface_x"
    assert package.purl == "pkg:pypi/zope-interface-x@1%212.0%2Bcpu~1"
    assert (package.snyk.type, package.snyk.name, package.snyk.version) == (
        "pip",
        "zope.interface_x",
        "1.0.0",
    )
    unversioned = pypi_package("a", None)
    assert (unversioned.purl, unversioned.version, unversioned.snyk.version) == ("pkg:pypi/a", None, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name: a\nVersion: 1\n\nName: b\nVersion: 2\n", ("a", "1")),
        ("\ufeffname:a\r\nVERSION:  1 \r\n\r\n", ("a", "1")),
        ("junk\nName: a\nName: b\nVersion: 1\nVersion: 2\n", ("a", "1")),
        ("Name: a\n\nVersion: 1\n", ("a", None)),
        ("Name: a\nVersion: of the moon\n", ("a", None)),
        ("Name: a\nVersion:\n", ("a", None)),
        ("Name: Python\nVersion: 3.11\n", None),
    ],
)
def test_headers(text: str, expected: tuple[str, str | None] | None) -> None:
    package = read_package(io.BytesIO(text.encode()), "METADATA")
    assert (None if package is None else (package.name, package.version)) == expected


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\nName: a\n", b"Name: ../x\n", b"Name: \xff\xfe\n", b"\0" * 4096, b"Name: " + b"a" * (2 << 20)],
)
def test_headers_without_a_name(content: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        read_package(io.BytesIO(content), "METADATA")
    assert caught.value.reason is SkipReason.MALFORMED


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("a/__pycache__/x.cpython-311.pyc", "a/x.py"),
        ("__pycache__/x.cpython-311.opt-2.pyc", "x.py"),
        ("a/__pycache__/x.y.pypy39.pyc", "a/x.y.py"),
        ("a/x.pyc", "a/x.py"),
        ("a/x.py", "a/x.py"),
        ("a/x.cpython-311.so", "a/x.cpython-311.so"),
    ],
)
def test_source_of_compiled_files(path: str, source: str) -> None:
    assert source_path(path) == source


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("six-1.16.0.dist-info", "six@1.16.0"),
        ("Foo_Bar-2!1.0+cpu.dist-info", "foo-bar@2%211.0%2Bcpu"),
        ("foo-1.0-py3.11.egg-info", "foo@1.0"),
        ("foo-1.0-py3.11-linux-x86_64.egg", "foo@1.0"),
        ("foo.egg-info", "foo"),
        ("foo-.dist-info", None),
        ("-1.dist-info", None),
        ("Python-2.7.egg-info", None),
        ("foo-1.0.data", None),
        ("foo bar-1.0.dist-info", None),
    ],
)
def test_name_of_the_metadata_folder(entry: str, expected: str | None) -> None:
    package = named_by_folder(entry)
    assert (package and package.purl.removeprefix("pkg:pypi/")) == expected


@pytest.mark.parametrize(
    ("path", "sources"),
    [
        ("/cache/app/x/y.cpython-311.pyc", ["/app/x/y.py", "/x/y.py", "/y.py"]),
        ("/c/y.cpython-313t.opt-1.pyc", ["/y.py"]),
        ("/c/__pycache__/y.cpython-311.pyc", []),
        ("/c/y.pyc", []),
        ("/c/y.py", []),
    ],
)
def test_sources_of_byte_code_below_a_prefix(path: str, sources: list[str]) -> None:
    assert list(prefixed_sources(path)) == sources


def test_entries_of_pth_files() -> None:
    text = b"# no\nimport os; os.x\n/srv/a/\n\n../x\n/x/lib/python3/site-packages\n /srv/b\r\n/\n"
    text += b"/srv/\xff\n/\0\n"
    assert list(path_entries(text, "/s")) == ["/srv/a", "/srv/b", "/srv/\udcff"]


def test_modules_that_dpkg_lists() -> None:
    site = "/usr/lib/python3/dist-packages"
    text = (
        f"/.\n{site}\n{site}/PyGObject-3.egg-info\n{site}/gi\n{site}/gi/__init__.py\n{site}/pygtkcompat\n"
        f"{site}/_x.cpython-311-x86_64-linux-gnu.so\n/usr/share/doc/x\n"
    ).encode()
    expected = {"PyGObject-3.egg-info": ("_x", "gi", "pygtkcompat")}
    assert modules_listed(text, site, {"PyGObject-3.egg-info", "other.egg-info"}) == expected
    assert modules_listed(text, site, {"other.egg-info"}) == {}
    assert modules_listed(text, "/elsewhere", {"PyGObject-3.egg-info"}) == {}
    both = text + f"{site}/other.egg-info\n".encode()
    assert modules_listed(both, site, {"PyGObject-3.egg-info", "other.egg-info"}) == {}
