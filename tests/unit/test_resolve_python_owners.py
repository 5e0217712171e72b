"""Who owns a file, by lists of files and by names of modules."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from sensor.model.package import Evidence, SkipReason
from sensor.node.resolve.python.resolver import PythonResolver
from tests.unit.python_container import NONE, SITE, Container, metadata, opened, uses


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    with opened(tmp_path / "root") as container:
        yield container


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
    (use,) = uses(container, f"{SITE}/six.py")
    assert use.evidence is Evidence.OPENED


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
