"""Files of Python packages, built as the installers build them, and who they are said to belong to."""

from __future__ import annotations

import gc
import io
import json
import os
import struct
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from sensor.model.package import Ecosystem, Evidence, PackageUse, Skipped, SkipReason
from sensor.node.resolve.interface import Resolver
from sensor.node.resolve.python import archive, folders, record
from sensor.node.resolve.python import site as site_index
from sensor.node.resolve.python.distribution import Distribution
from sensor.node.resolve.python.folders import SiteCache
from sensor.node.resolve.python.identity import pypi_package, read_package, snyk_version
from sensor.node.resolve.python.record import source_path
from sensor.node.resolve.python.resolver import PythonResolver
from sensor.node.resolve.python.site import Site
from sensor.node.rootfs import RootFilesystem, Unreadable

SITE = "/usr/lib/python3.11/site-packages"


class Container:
    """A root file system to install into, and a resolver to ask."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self.fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        self.root = RootFilesystem(self.fd)
        self.resolver = PythonResolver()

    def write(self, path: str, content: str | bytes = "") -> str:
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def install(self, name: str, version: str | None, *files: str, site: str = SITE) -> str:
        """As pip does: files, dist-info, RECORD with hashes. Returns the dist-info."""
        info = f"{name.replace('-', '_')}-{version or '0'}.dist-info"
        self.write(f"{site}/{info}/METADATA", metadata(name, version))
        record = [f"{file},sha256=x,1" for file in files] + [f"{info}/METADATA,,", f"{info}/RECORD,,"]
        self.write(f"{site}/{info}/RECORD", "\r\n".join(record) + "\r\n")
        for file in files:
            self.write(os.path.normpath(f"{site}/{file}"))
        return f"{site}/{info}"

    def egg_info(self, entry: str, name: str, version: str, *top_levels: str, site: str) -> str:
        """As setuptools does for Debian: no list of files."""
        self.write(f"{site}/{entry}/PKG-INFO", metadata(name, version))
        self.write(f"{site}/{entry}/top_level.txt", "\n".join(top_levels))
        return f"{site}/{entry}"

    def ask(self, path: str) -> set[str] | SkipReason:
        """The purls' ends that ``path`` proves, or why none."""
        found = self.resolver.resolve(self.root, path)
        if isinstance(found, Skipped):
            return found.reason
        assert found and all(use.path == path for use in found)
        return {use.package.purl.removeprefix("pkg:pypi/") for use in found}

    def age(self, folder: str = SITE, seconds: float = 3600) -> None:
        """Make a folder look as if it came with the image."""
        when = time.time() - seconds
        os.utime(self.folder / folder.lstrip("/"), (when, when))


def metadata(name: str, version: str | None) -> str:
    head = f"Metadata-Version: 2.1\nName: {name}\n"
    return head + (f"Version: {version}\n" if version is not None else "") + "\nName: of the README\n"


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    container = Container(tmp_path / "root")
    yield container
    os.close(container.fd)


NONE = SkipReason.NOT_A_PACKAGE


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


# Identities


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


# Ownership by lists of files


def test_record(container: Container) -> None:
    container.install("Flask", "3.0.0", "flask/__init__.py", "flask/json/tag.py", "../../../bin/flask")
    container.install("six", "1.17", "six.py", "__pycache__/six.cpython-311.pyc")
    assert container.ask(f"{SITE}/flask/__pycache__/__init__.cpython-311.pyc") == {"flask@3.0.0"}
    assert container.ask(f"{SITE}/flask/json/tag.py") == {"flask@3.0.0"}
    assert container.ask(f"{SITE}/flask/not/listed.pyc") == {"flask@3.0.0"}
    assert container.ask(f"{SITE}/six.py") == {"six@1.17"}
    assert container.ask(f"{SITE}/__pycache__/six.cpython-311.opt-1.pyc") == {"six@1.17"}
    assert container.ask(f"{SITE}/sitecustomize.py") is NONE
    assert container.ask(f"{SITE}/flaskish/x.py") is NONE
    (use,) = _uses(container, f"{SITE}/six.py")
    assert use.evidence is Evidence.OPENED


def _uses(container: Container, path: str) -> tuple[PackageUse, ...]:
    found = container.resolver.resolve(container.root, path)
    assert not isinstance(found, Skipped)
    return found


def test_only_one_compiled_file_is_listed(container: Container) -> None:
    container.install("six", "1", "__pycache__/six.cpython-311.pyc")
    assert container.ask(f"{SITE}/six.py") == {"six@1"}


def test_standard_library_and_system_libraries_are_no_packages(container: Container) -> None:
    container.install("six", "1", "six.py")
    for path in ("/usr/lib/python3.11/json/__init__.py", "/usr/lib/libc.so.6", "/usr/lib/python311.zip"):
        container.write(path)
        assert container.ask(path) is NONE


def test_interpreter_described_as_a_distribution(container: Container) -> None:
    container.install("Python", "2.7", "wsgiref/__init__.py")
    assert container.ask(f"{SITE}/wsgiref/__init__.py") is NONE


def test_quoted_and_odd_record_lines(container: Container) -> None:
    info = container.install("odd", "1")
    lines = [
        '"odd/a,b.py",sha256=x,1',
        "./odd2/x.py,,",
        '"odd3/""q"".py",,',
        "odd4/../odd5/x.py",
        ",,",
        "",
        '"',
    ]
    lines.append(f"{SITE}/odd6/x.py,,")
    container.write(f"{info}/RECORD", "\n".join(lines))
    for path in ("odd/a,b.py", "odd2/x.py", 'odd3/"q".py', "odd5/x.py", "odd6/x.py"):
        assert container.ask(f"{SITE}/{path}") == {"odd@1"}, path
    assert container.ask(f"{SITE}/odd4/x.py") is NONE


def test_names_that_are_not_utf8(container: Container) -> None:
    info = container.install("latin", "1")
    container.write(f"{info}/RECORD", b"caf\xe9/x.py,,\n")
    assert container.ask(os.fsdecode(f"{SITE}/".encode() + b"caf\xe9/x.py")) == {"latin@1"}
    assert container.ask(f"{SITE}/nul\0/x.py") is SkipReason.MALFORMED


def test_installed_files_txt(container: Container) -> None:
    info = container.egg_info("PyYAML-5.4-py3.11.egg-info", "PyYAML", "5.4", "wrong", site=SITE)
    files = (
        "../yaml/__init__.py\n../_yaml.cpython-311-x86_64-linux-gnu.so\n../__pycache__/y.cpython-311.pyc\n"
    )
    container.write(f"{info}/installed-files.txt", files + "PKG-INFO\n../../../../bin/y\n")
    for path in ("yaml/loader.py", "_yaml.cpython-311-x86_64-linux-gnu.so", "y.py"):
        assert container.ask(f"{SITE}/{path}") == {"pyyaml@5.4"}, path
    assert container.ask(f"{SITE}/wrong/x.py") is NONE


def test_namespace_packages_are_told_apart_file_by_file(container: Container) -> None:
    container.install("google-cloud-storage", "3", "google/cloud/storage/__init__.py")
    container.install("google-api-core", "2", "google/api_core/__init__.py", "google/cloud/extended.py")
    container.install("protobuf", "5", "google/protobuf/message.py", "google/_upb/_message.abi3.so")
    container.install("backports.tarfile", "1", "backports/__init__.py", "backports/tarfile/__init__.py")
    container.install("backports.zoneinfo", "2", "backports/zoneinfo/__init__.py")
    assert container.ask(f"{SITE}/google/cloud/storage/blob.py") == {"google-cloud-storage@3"}
    assert container.ask(f"{SITE}/google/cloud/__pycache__/extended.cpython-311.pyc") == {"google-api-core@2"}
    assert container.ask(f"{SITE}/google/_upb/_message.abi3.so") == {"protobuf@5"}
    assert container.ask(f"{SITE}/google/cloud/__init__.py") is NONE
    assert container.ask(f"{SITE}/google/unknown/x.py") is NONE
    assert container.ask(f"{SITE}/backports/__init__.py") == {"backports-tarfile@1"}


def test_file_that_several_list(container: Container) -> None:
    container.install("opencv-python", "4", "cv2/__init__.py", "cv2/gui.py")
    container.install("opencv-python-headless", "5", "cv2/__init__.py")
    assert container.ask(f"{SITE}/cv2/__init__.py") == {"opencv-python@4", "opencv-python-headless@5"}
    assert container.ask(f"{SITE}/cv2/gui.py") == {"opencv-python@4"}


def test_vendored_copies_belong_to_their_host(container: Container) -> None:
    host = ("setuptools/__init__.py", "setuptools/_vendor/packaging/__init__.py")
    for site in (SITE, "/app/deps"):
        container.install("setuptools", "80", *host, site=site)
        container.install("packaging", "24", "packaging/__init__.py", site=f"{site}/setuptools/_vendor")
        assert container.ask(f"{site}/setuptools/_vendor/packaging/__init__.py") == {"setuptools@80"}


def test_leftovers_of_an_older_version(container: Container) -> None:
    old = container.install("six", "1.9", "six.py", site="/app/deps")
    new = container.install("six", "1.10", "six.py", site="/app/deps")
    os.utime(container.folder / old[1:] / "RECORD", (1, 1))
    assert container.ask("/app/deps/six.py") == {"six@1.10"}
    os.utime(container.folder / new[1:] / "RECORD", (0, 0))
    container.resolver = PythonResolver()
    assert container.ask("/app/deps/six.py") == {"six@1.9"}
    container.write("/app/deps/~ix-1.dist-info/RECORD", "x/__init__.py,,")  # pip's own rubbish
    container.resolver = PythonResolver()
    assert container.ask(container.write("/app/deps/x/__init__.py")) is NONE


# Ownership by names


def test_top_level_txt(container: Container) -> None:
    site = "/usr/lib/python3/dist-packages"
    container.egg_info("PyYAML-6.0.egg-info", "PyYAML", "6.0", "_yaml", "yaml", site=site)
    container.egg_info("cffi.egg-info", "cffi", "1.15", "cffi", "_cffi_backend", site=site)
    assert container.ask(f"{site}/yaml/__pycache__/__init__.cpython-311.pyc") == {"pyyaml@6.0"}
    assert container.ask(f"{site}/_cffi_backend.cpython-311-x86_64-linux-gnu.so") == {"cffi@1.15"}
    assert container.ask(f"{site}/cffi/__init__.py") == {"cffi@1.15"}
    assert container.ask(f"{site}/apt/__init__.py") is NONE


def test_egg_info_file_and_dist_info_without_any_list(container: Container) -> None:
    site = "/usr/lib/python3/dist-packages"
    container.write(f"{site}/bcc-0.26.0.egg-info", metadata("bcc", "0.26.0"))
    container.write(f"{site}/zope.event-4.egg-info", metadata("zope.event", "4"))
    container.write(
        f"{site}/typing_extensions-4.4.0.dist-info/METADATA", metadata("typing-extensions", "4.4.0")
    )
    for file in ("bcc/__init__.py", "typing_extensions.py", "zope/event/__init__.py", "other/__init__.py"):
        container.write(f"{site}/{file}")
    assert container.ask(f"{site}/bcc/__init__.py") == {"bcc@0.26.0"}
    assert container.ask(f"{site}/__pycache__/typing_extensions.cpython-311.pyc") == {
        "typing-extensions@4.4.0"
    }
    assert container.ask(f"{site}/zope/event/__init__.py") == {"zope-event@4"}
    assert container.ask(f"{site}/other/__init__.py") is NONE


def test_namespaces_without_lists(container: Container) -> None:
    site = "/usr/lib/python3/dist-packages"
    container.egg_info("lazr.uri-1.egg-info", "lazr.uri", "1", "lazr", site=site)
    container.egg_info("lazr.restfulclient-2.egg-info", "lazr.restfulclient", "2", "lazr", site=site)
    container.egg_info("protobuf-4.egg-info", "protobuf", "4", "google", site=site)
    container.install("google-auth", "3", "google/auth/__init__.py", site=site)
    for folder in ("lazr/uri", "lazr/restfulclient", "google/protobuf"):
        container.write(f"{site}/{folder}/__init__.py")
    assert container.ask(f"{site}/lazr/uri/_uri.py") == {"lazr-uri@1"}
    assert container.ask(f"{site}/lazr/restfulclient/x.py") == {"lazr-restfulclient@2"}
    assert container.ask(f"{site}/google/protobuf/message.py") == {"protobuf@4"}
    assert container.ask(f"{site}/google/auth/x.py") == {"google-auth@3"}


def test_stale_egg_info_beside_a_dist_info(container: Container) -> None:
    container.egg_info("cryptography.egg-info", "cryptography", "3", "cryptography", site=SITE)
    container.install("cryptography", "38", "cryptography/__init__.py")
    assert container.ask(f"{SITE}/cryptography/fernet.py") == {"cryptography@38"}


def test_conda_only(container: Container) -> None:
    prefix = "/opt/conda"
    site = f"{prefix}/lib/python3.11/site-packages"
    container.install("numpy", "2.1", "numpy/__init__.py", site=site)
    for name, files in {
        "menuinst-2.0-py311h06a4308_0": ["menuinst/__init__.py"],
        "numpy-base-9.9-py311_0": ["numpy/__init__.py"],
        "python-3.11-h955ad1f_0_cpython": ["README.py"],
        "broken-1-py_0": None,
    }.items():
        head, version, _ = name.rsplit("-", 2)
        paths = files and [f"lib/python3.11/site-packages/{file}" for file in files]
        record = {"name": head, "version": version, "files": paths}
        container.write(f"{prefix}/conda-meta/{name}.json", json.dumps(record))
    assert container.ask(f"{site}/menuinst/api.py") == {"menuinst@2.0"}
    assert container.ask(f"{site}/numpy/core.py") == {"numpy@2.1"}
    assert container.ask(f"{site}/README.py") is NONE


# Where packages stand


def test_target_folder(container: Container) -> None:
    container.install("six", "1", "six.py", site="/app/deps")
    container.install("flask", "3", "flask/app.py", site="/app/deps")
    for path in ("/app/main.py", "/app/deps/main.py"):
        container.write(path)
        assert container.ask(path) is NONE
    assert container.ask("/app/deps/six.py") == {"six@1"}
    assert container.ask("/app/deps/flask/app.py") == {"flask@3"}


def test_packages_in_the_root_folder(container: Container) -> None:
    container.install("six", "1", "six.py", site="")
    container.write("/var/task.py")
    assert container.ask("/six.py") == {"six@1"}
    assert container.ask("/var/task.py") is NONE


def test_venv_has_its_own_copy(container: Container) -> None:
    container.install("six", "1", "six.py")
    venv = "/app/venv/lib/python3.11/site-packages"
    container.install("six", "2", "six.py", site=venv)
    container.egg_info("app.egg-info", "app", "0", "venv", "app", site="/app")
    assert container.ask(f"{venv}/six.py") == {"six@2"}
    assert container.ask(f"{SITE}/six.py") == {"six@1"}


def test_lib_and_lib64(container: Container) -> None:
    pure, platform = "/usr/lib/python3.9/site-packages", "/usr/lib64/python3.9/site-packages"
    container.install(
        "mixed", "1", "_mixed.so", "../../../lib/python3.9/site-packages/mixed/a.py", site=platform
    )
    container.install("other", "1", "other/a.py", site=pure)
    assert container.ask(f"{platform}/_mixed.so") == {"mixed@1"}
    assert container.ask(f"{pure}/mixed/__pycache__/a.cpython-39.pyc") == {"mixed@1"}
    assert container.ask(f"{pure}/unknown/a.py") is NONE


def test_egg_folder(container: Container) -> None:
    egg = f"{SITE}/foo-1.0-py3.11.egg"
    container.write(f"{egg}/EGG-INFO/PKG-INFO", metadata("foo", "1.0"))
    container.install("six", "1", "six.py")
    assert container.ask(f"{egg}/foo/deep/__pycache__/x.cpython-311.pyc") == {"foo@1.0"}
    assert container.ask(f"{egg}/foo.py") == {"foo@1.0"}


def test_develop_install_beside_its_sources(container: Container) -> None:
    container.egg_info("my_thing.egg-info", "my.thing", "1.2", "mything", site="/srv/project/src")
    container.write("/srv/project/manage.py")
    assert container.ask("/srv/project/src/mything/views.py") == {"my-thing@1.2"}
    assert container.ask("/srv/project/manage.py") is NONE


def test_editable_install_without_egg_info(container: Container) -> None:
    info = container.install("my-thing", "1.2", "_my_thing.pth")
    url = {"dir_info": {"editable": True}, "url": "file:///srv/my%20project/"}
    container.write(f"{info}/direct_url.json", json.dumps(url))
    container.install("six", "1", "six.py")
    container.install("vendored", "1", "vendored.py", site="/srv/my project/deps")
    container.ask(f"{SITE}/six.py")  # the site directory must have been seen in this container
    views = container.write("/srv/my project/src/mything/views.py")
    assert container.ask(views) == {"my-thing@1.2"}
    assert container.ask("/srv/my project/deps/vendored.py") == {"vendored@1"}
    assert container.ask(container.write("/srv/my project 2/x.py")) is NONE


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"url":"file:///x"}', '{"url":1,"dir_info":{"editable":true}}'),
        pytest.param("[" * 50_000, id="deep"),
    ],
)
def test_junk_in_direct_url(container: Container, text: str) -> None:
    info = container.install("six", "1", "six.py")
    container.write(f"{info}/direct_url.json", text)
    assert container.ask(f"{SITE}/six.py") == {"six@1"}
    assert container.ask(container.write("/x/y.py")) is NONE


# Archives


def _zip(*members: tuple[str, str], prefix: bytes = b"", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in members:
            archive.writestr(name, text)
    return prefix + buffer.getvalue()


def _graded(container: Container, path: str) -> dict[str, Evidence]:
    return {use.package.purl.removeprefix("pkg:pypi/"): use.evidence for use in _uses(container, path)}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_egg_and_wheel_are_opened(container: Container, method: int) -> None:
    egg = container.write(
        f"{SITE}/foo-1.0-py3.11.egg",
        _zip(("EGG-INFO/PKG-INFO", metadata("foo", "1.0")), ("foo/__init__.py", ""), method=method),
    )
    wheel = container.write(
        "/app/six-1-py3-none-any.whl",
        _zip(("six-1.dist-info/METADATA", metadata("six", "1")), ("six.py", ""), method=method),
    )
    assert _graded(container, egg) == {"foo@1.0": Evidence.OPENED}
    assert _graded(container, wheel) == {"six@1": Evidence.OPENED}
    assert _graded(container, wheel) == {"six@1": Evidence.OPENED}
    assert (container.resolver.archives.hits, container.resolver.archives.misses) == (1, 2)


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
        container.write(path, _zip(*members, prefix=prefix))
        assert _graded(container, path) == expected, path


def test_zip_inside_a_package_proves_the_package(container: Container) -> None:
    container.install("data", "1", "data/__init__.py")
    container.write(f"{SITE}/data/lib.zip", _zip(("x.py", "")))
    container.write("/usr/lib/python311.zip", _zip(("os.py", "")))
    container.write("/usr/lib/no.zip", "no archive at all")
    assert container.ask(f"{SITE}/data/lib.zip") == {"data@1"}
    assert container.ask("/usr/lib/python311.zip") is NONE
    assert container.ask("/usr/lib/no.zip") is NONE


def test_wheel_that_pip_unpacks_is_not_loaded(container: Container) -> None:
    content = _zip(("six-1.dist-info/METADATA", metadata("six", "1")))
    assert container.ask(container.write("/tmp/pip-unpack-x1/six-1-py3-none-any.whl", content)) is NONE


def test_archive_bounds(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    many = container.write("/many.zip", _zip(*((f"{number}", "") for number in range(30))))
    bomb = container.write("/bomb-1.whl", _zip(("b-1.dist-info/METADATA", "x" * (50 << 20))))
    monkeypatch.setattr(archive, "ENTRIES", 29)
    assert container.ask(many) is SkipReason.ARCHIVE_BOUNDS
    assert container.ask(bomb) is SkipReason.MALFORMED  # 1 MiB of it was expanded: no name in there
    monkeypatch.setattr(archive, "ENTRIES", 20_000)
    monkeypatch.setattr(archive, "SECONDS", -1)
    slow = container.write("/slow.whl", _zip(("b-1.dist-info/METADATA", metadata("b", "1"))))
    assert container.ask(slow) is SkipReason.TOO_SLOW
    monkeypatch.undo()
    assert container.ask(slow) == {"b@1"}  # being slow is not remembered against the file


def test_directory_that_claims_less_than_it_has(container: Container) -> None:
    content = bytearray(_zip(*((f"{number}", "") for number in range(20_001))))
    end = content.rfind(b"PK\x05\x06")
    struct.pack_into("<2H", content, end + 8, 1, 1)
    assert container.ask(container.write("/liar.zip", bytes(content))) is SkipReason.ARCHIVE_BOUNDS


def test_every_broken_archive_is_a_skip(container: Container) -> None:
    """Each byte of a small wheel damaged in turn, and each length cut: never anything but a value."""
    whole = _zip(("six-1.dist-info/METADATA", metadata("six", "1")), method=zipfile.ZIP_STORED)
    whole_deflated = _zip(("six-1.dist-info/METADATA", metadata("six", "1") * 9))
    answers: set[object] = set()
    for content in (whole, whole_deflated):
        for position in range(len(content)):
            damaged = content[:position] + bytes([content[position] ^ 0xFF]) + content[position + 1 :]
            for number, broken in enumerate((damaged, content[:position])):
                path = container.write(f"/{number}.whl", broken)
                container.resolver = PythonResolver()
                answer = container.ask(path)
                answers.add(answer if isinstance(answer, SkipReason) else "packages")
    assert answers == {NONE, SkipReason.MALFORMED, SkipReason.ARCHIVE_BOUNDS, "packages"}


# Hostile and changing containers


def test_site_packages_is_a_link_to_etc(container: Container, tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    outside = Container(tmp_path / "etc" / "host")
    outside.install("secret", "1", "secret/__init__.py", site="/")
    os.close(outside.fd)
    (container.folder / "usr/lib/python3.11").mkdir(parents=True)
    (container.folder / SITE[1:]).symlink_to(outside.folder)
    assert container.ask(f"{SITE}/secret/__init__.py") is SkipReason.VANISHED


def test_metadata_is_no_regular_file(container: Container) -> None:
    for name, make in {"fifo": os.mkfifo, "folder": os.mkdir}.items():
        container.resolver = PythonResolver()
        info = container.folder / container.install(name, "1", f"{name}/__init__.py")[1:]
        (info / "METADATA").unlink()
        make(info / "METADATA")
        assert container.ask(f"{SITE}/{name}/__init__.py") is SkipReason.NOT_REGULAR
    gone = container.folder / container.install("gone", "1", "gone/__init__.py")[1:]
    (gone / "METADATA").unlink()
    container.resolver = PythonResolver()
    assert container.ask(f"{SITE}/gone/__init__.py") is SkipReason.VANISHED


def test_lists_too_large_to_read(container: Container) -> None:
    info = container.install("big", "1", "big/__init__.py", "other_name/__init__.py")
    container.install("six", "1", "six.py")
    os.truncate(container.folder / info[1:] / "RECORD", record.RECORD_BYTES + 1)
    container.write(f"{info}/top_level.txt", "big")
    assert container.ask(f"{SITE}/six.py") == {"six@1"}
    assert container.ask(f"{SITE}/big/__init__.py") == {"big@1"}  # by top_level.txt
    assert container.ask(f"{SITE}/other_name/__init__.py") is SkipReason.TOO_LARGE  # perhaps: so counted
    assert container.ask("/usr/lib/python3.11/os.py") is NONE


def test_sparse_list_of_one_endless_line(container: Container) -> None:
    info = container.install("big", "1")
    os.truncate(container.folder / info[1:] / "RECORD", record.RECORD_BYTES)
    start = time.monotonic()
    assert container.ask(f"{SITE}/x/__init__.py") is SkipReason.MALFORMED
    assert time.monotonic() - start < 1


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


# Caches


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Time of the folder cache, moved by hand."""
    fake = SimpleNamespace(now=1000.0, time=time.time)
    fake.monotonic = lambda: fake.now
    monkeypatch.setattr(folders, "time", fake)
    return fake


def test_install_while_running_is_seen(container: Container, clock: SimpleNamespace) -> None:
    container.install("six", "1", "six.py")
    container.age()
    assert container.ask(f"{SITE}/flask/__init__.py") is NONE
    container.install("flask", "3", "flask/__init__.py")
    container.age(seconds=1800)
    assert container.ask(f"{SITE}/flask/__init__.py") is NONE  # believed for a second
    clock.now += folders.BELIEVED_SECONDS
    assert container.ask(f"{SITE}/flask/__init__.py") == {"flask@3"}


def test_list_written_after_the_folder_was_read(container: Container, clock: SimpleNamespace) -> None:
    """pip writes RECORD last, which does not change the site directory itself."""
    info = container.folder / container.install("flask", "3", "other/__init__.py")[1:]
    record = (info / "RECORD").read_bytes()
    (info / "RECORD").unlink()
    assert container.ask(f"{SITE}/other/__init__.py") is NONE
    (info / "RECORD").write_bytes(record)
    clock.now += folders.BELIEVED_SECONDS
    assert container.ask(f"{SITE}/other/__init__.py") is NONE
    clock.now += folders.REREAD_SECONDS
    assert container.ask(f"{SITE}/other/__init__.py") == {"flask@3"}


def test_containers_of_one_image_share_what_was_read(container: Container, clock: SimpleNamespace) -> None:
    container.install("six", "1", "six.py")
    container.age()
    sites = container.resolver.folders.sites
    for number in range(3):
        root = RootFilesystem(container.fd)
        assert not isinstance(container.resolver.resolve(root, f"{SITE}/six.py"), Skipped)
        assert (sites.misses, sites.hits) == (1, number)


def test_another_container_on_a_reused_descriptor(container: Container, tmp_path: Path) -> None:
    container.install("six", "1", "six.py")
    assert container.ask(f"{SITE}/six.py") == {"six@1"}
    other = Container(tmp_path / "other")
    other.install("six", "2", "six.py")
    os.dup2(other.fd, container.fd)
    container.root = RootFilesystem(container.fd)
    gc.collect()
    assert container.ask(f"{SITE}/six.py") == {"six@2"}
    os.close(other.fd)


def test_nothing_is_kept_of_a_container_that_is_gone(container: Container) -> None:
    container.install("six", "1", "six.py")
    container.ask(f"{SITE}/six.py")
    roots = container.resolver.folders._roots
    assert len(roots) == 1
    container.root = RootFilesystem(container.fd)
    gc.collect()
    assert len(roots) == 0


def test_folders_of_a_container_are_bounded(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "_FOLDERS_OF_ROOT", 4)
    for number in range(6):
        container.install("six", "1", "six.py", site=f"/apps/{number}")
        assert container.ask(f"/apps/{number}/six.py") == {"six@1"}
    assert container.resolver.folders.resets > 0
    assert all(len(state.folders) <= 4 for state in container.resolver.folders._roots.values())


def test_site_cache_is_bounded_in_number_and_weight() -> None:
    cache = SiteCache(size=3, weight=5)
    for number in range(4):
        cache.put((f"/{number}", (0, 0, 0, 0)), Site(f"/{number}"), float("inf"))
    assert (len(cache), cache.weight, cache.evictions) == (3, 3, 1)
    assert cache.get(("/0", (0, 0, 0, 0)), 0) is None
    one = Distribution("/h", "six-1.dist-info")
    heavy = Site("/h", outside=(("/1", one), ("/2", one), ("/3", one)))
    cache.put(("/h", (0, 0, 0, 0)), heavy, float("inf"))
    assert (len(cache), cache.weight, cache.evictions) == (2, 5, 3)
    cache.put(("/h", (0, 0, 0, 0)), heavy, 1.0)
    assert (len(cache), cache.weight) == (2, 5)
    assert cache.get(("/h", (0, 0, 0, 0)), 2.0) is None  # outlived
    assert (cache.hits, cache.misses) == (0, 2)


def test_memory_follows_packages_not_files(container: Container) -> None:
    container.install("huge", "1", "huge/__init__.py")
    lines = "".join(f"huge/p{number % 500}/m{number}.py,sha256=x,1\n" for number in range(100_000))
    container.write(f"{SITE}/huge-1.dist-info/RECORD", lines)
    assert container.ask(f"{SITE}/huge/p7/m7.py") == {"huge@1"}
    site = container.resolver.folders.get(container.root, SITE)
    assert site.weight < 10


def test_known_folder_costs_no_system_call(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    container.install("six", "1", "six.py", "pkg/a.py", "pkg/b.py")
    container.ask(f"{SITE}/six.py")
    monkeypatch.setattr(RootFilesystem, "_opened", lambda *_: pytest.fail("asked the disk"))
    assert container.ask(f"{SITE}/pkg/b.py") == {"six@1"}


def test_no_descriptor_is_left(container: Container) -> None:
    container.install("six", "1", "six.py")
    container.write("/bad.whl", b"PK\x05\x06")
    before = len(os.listdir("/proc/self/fd"))
    for path in (f"{SITE}/six.py", "/bad.whl", "/none.whl", "/none/x.py"):
        container.ask(path)
    assert len(os.listdir("/proc/self/fd")) == before
