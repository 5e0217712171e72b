"""What fills the layers, without building them: no root, no network."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from scripts.image_build import libraries, packages, slim, stubs, unpack
from scripts.image_build.packages import Package
from scripts.image_build.problem import ImageError
from scripts.image_build.sbom import document
from scripts.image_build.wheels import SITE, compile_all
from sensor import __version__
from tests.image.storage import PROJECT

_MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


@pytest.mark.parametrize("architecture", packages.ARCHITECTURES)
def test_lock_and_list_name_the_same(architecture: str) -> None:
    assert len(packages.locked(architecture)) > 20


def test_lock_has_the_same_sources_for_both_architectures() -> None:
    amd64, arm64 = (packages.locked(name) for name in packages.ARCHITECTURES)
    for name in amd64:
        versions = {_without_rebuild(found[name].version) for found in (amd64, arm64)}
        assert len(versions) == 1, f"{name}: {versions}"


def test_a_package_without_a_pin_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "layers", lambda: {"system": ["libbpfcc", "newcomer"]})
    with pytest.raises(ImageError, match=r"differ in .*newcomer.*scripts/image --lock"):
        packages.locked("amd64")


def test_a_changed_package_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "zlib1g_1_amd64.deb").write_bytes(b"changed")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", download)
    with pytest.raises(ImageError, match=r"packages\.lock has 00ff"):
        packages.fetch([Package("zlib1g", "1", "amd64", "00ff")], tmp_path)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A real one: a library, texts, a set-uid program, a link, and a folder of the unmerged /usr."""
    tree = tmp_path / "tree"
    for name in ("DEBIAN", "lib/x", "usr/bin", "usr/share/doc/thing", "usr/share/man/man1"):
        (tree / name).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: thing\nVersion: 1:2-3\nArchitecture: all\nMaintainer: a <a@b.example>\nDescription: x\n"
    )
    (tree / "lib/x/data").write_text("data")
    (tree / "lib/x/link").symlink_to("data")
    (tree / "usr/bin/program").write_text("")
    (tree / "usr/bin/program").chmod(0o4755)
    for name in (
        "usr/share/doc/thing/copyright",
        "usr/share/doc/thing/changelog",
        "usr/share/man/man1/thing.1",
    ):
        (tree / name).write_text("text")
    target = tmp_path / "thing.deb"
    command = ["dpkg-deb", "--root-owner-group", "--build", str(tree), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def test_unpacks_what_is_wanted(package: Path, tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    unpack.unpack(package, layer, ["usr/share/man/*"])
    found = {str(path.relative_to(layer)) for path in layer.rglob("*") if not path.is_dir()}
    assert found == {
        "usr/lib/x/data",
        "usr/lib/x/link",
        "usr/bin/program",
        "usr/share/doc/thing/copyright",
        "var/lib/dpkg/status.d/thing",
    }
    assert (layer / "usr/bin/program").stat().st_mode & 0o7777 == 0o755
    assert "\nStatus: install ok installed\n" in (layer / unpack.STATUS / "thing").read_text()


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    layer = tmp_path / "layer"
    layer.mkdir()
    shutil.copy("/usr/bin/python3", layer / "python3")
    with pytest.raises(ImageError, match=r"no package provides .*libc\.so\.6 \(for /python3\)"):
        libraries.check([layer], _MACHINE)


def test_a_library_of_another_machine_is_named(tmp_path: Path) -> None:
    shutil.copy("/usr/bin/python3", tmp_path / "python3")
    [other] = {"amd64", "arm64"} - {_MACHINE}
    with pytest.raises(ImageError, match="found ELF machine"):
        libraries.check([tmp_path], other)


def test_modules_without_sources_can_be_imported(tmp_path: Path) -> None:
    site = tmp_path / SITE
    (site / "thing-1.dist-info").mkdir(parents=True)
    (site / "thing.py").write_text('"""Text for people."""\nANSWER = 42\n')
    (site / "thing-1.dist-info/RECORD").write_text("thing.py,,\nthing-1.dist-info/RECORD,,\ngone.py,,\n")
    slim.without_sources(site, ["thing.py"])
    slim.write_records(site)
    code = "import thing; print(thing.ANSWER, thing.__doc__)"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", code],
        env={"PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "42 None\n"
    record = (site / "thing-1.dist-info/RECORD").read_text().splitlines()
    assert [line.split(",")[0] for line in record] == ["thing-1.dist-info/RECORD", "thing.pyc"]


def test_byte_code_is_the_same_wherever_it_is_made(tmp_path: Path) -> None:
    made: list[bytes] = []
    for name in ("one", "another"):
        site = tmp_path / name / SITE
        site.mkdir(parents=True)
        (site / "thing.py").write_text("import os\n")
        os.utime(site / "thing.py", (len(made), len(made)))
        compile_all(tmp_path / name)
        made.append(next(site.rglob("*.pyc")).read_bytes())
    assert made[0] == made[1]


def test_bill_of_materials_depends_on_what_is_there_alone(tmp_path: Path) -> None:
    status = tmp_path / unpack.STATUS
    status.mkdir(parents=True)
    (status / "libx").write_text(
        "Package: libx\nSource: x (1)\nVersion: 1:2+b1\nArchitecture: amd64\nDescription: a thing\n more\n"
    )
    metadata = tmp_path / SITE / "A_b-1.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Name: A_b\nVersion: 1\nLicense-Expression: MIT\n\ntext\n")
    locked = {"libx": Package("libx", "1:2+b1", "amd64", "0" * 64)}
    first, second = (document([tmp_path], locked, "1.0", "amd64", "2026-01-02T00:00:00Z") for _ in range(2))
    assert first == second
    assert document([tmp_path], locked, "1.1", "amd64", "2026-01-02T00:00:00Z") != first
    told = json.loads(first)
    assert told["metadata"]["timestamp"] == "2026-01-02T00:00:00Z"
    assert [component["purl"] for component in told["components"]] == [
        "pkg:deb/debian/libx@1%3A2%2Bb1?arch=amd64&distro=debian-12&upstream=x",
        "pkg:pypi/a-b@1",
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with what scripts/image reads before it builds."""
    for name in ("scripts/image", "sensor/__init__.py", ".dockerignore", "Dockerfile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, tmp_path / name)
    _git(tmp_path, "init", "--quiet")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.example", "commit", "--quiet", "--message=x")
    return tmp_path


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ("", None),
        ("git@git.example:team/sensor.git", None),
        ("/srv/git/sensor", None),
        ("https://git.example/team/sensor", "https://git.example/team/sensor"),
        ("https://somebody:s3cret@git.example/team/sensor", "https://git.example/team/sensor"),
        ("https://git.example/team/sensor?token=s3cret", None),
    ],
)
def test_labels_name_an_address_that_git_knows_and_no_secret(
    checkout: Path, origin: str, source: str | None
) -> None:
    if origin:
        _git(checkout, "remote", "add", "origin", origin)
    told = _labels(checkout)
    assert told.get("source") == told.get("url") == source
    assert set(told) - {"source", "url"} == {"created", "revision"}
    assert "s3cret" not in str(told)


def test_labels_that_are_given_come_first(checkout: Path) -> None:
    _git(checkout, "remote", "add", "origin", "https://git.example/mirror")
    given = {
        "source": "https://git.example/sensor",
        "vendor": "Some One",
        "documentation": "https://docs.example/",
    }
    told = _labels(checkout, *(f"--{name}={value}" for name, value in given.items()))
    assert {name: told[name] for name in given} == given
    assert told["url"] == given["source"]


def test_a_label_with_a_password_is_refused(checkout: Path) -> None:
    done = _image(checkout, "--labels", "--source", "https://a:s3cret@git.example/sensor")
    assert done.returncode == 1
    assert "neither user nor password" in done.stderr
    assert "s3cret" not in done.stderr + done.stdout


def test_a_plain_build_says_which_version_it_is() -> None:
    """``docker build`` without arguments takes it from the Dockerfile, and the architecture from the builder:
    a default of ours would count more than its own."""
    text = (PROJECT / "Dockerfile").read_text()
    assert re.findall(r"^ARG VERSION=(.*)$", text, re.MULTILINE) == [__version__, __version__]
    assert re.findall(r"^ARG (TARGETARCH|BUILDPLATFORM)(.*)$", text, re.MULTILINE) == [("TARGETARCH", "")]


def _labels(checkout: Path, *arguments: str) -> dict[str, str]:
    done = _image(checkout, "--labels", *arguments)
    assert done.returncode == 0, done.stderr
    lines = (line.split("=", 1) for line in done.stdout.splitlines())
    return {name.removeprefix("org.opencontainers.image."): value for name, value in lines}


def _image(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(checkout / "scripts/image"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def _without_rebuild(version: str) -> str:
    """Debian rebuilds an architecture by itself now and then: ``+b1``."""
    return version.partition("+b")[0]


def test_a_stub_has_what_is_taken_of_it(tmp_path: Path) -> None:
    """A program that is linked with the real zlib starts with the stub, and ends when it calls it."""
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(
        "const char *zlibVersion(void);\nint main(int c, char **v) { return c > 1 ? !zlibVersion() : 42; }\n"
    )
    subprocess.run(["gcc", "-o", program, source, "-l:libz.so.1"], check=True)
    assert stubs.make("libz.so.1", "zlib", program, _MACHINE, tmp_path / "scratch") == 1
    environment = {"LD_LIBRARY_PATH": str(tmp_path)}
    assert subprocess.run([program], env=environment, check=False).returncode == 42
    assert subprocess.run([program, "call"], env=environment, check=False).returncode == -signal.SIGILL
    with pytest.raises(ImageError, match="takes no Z3_"):
        stubs.make("libz3.so.4", "Z3_", program, _MACHINE, tmp_path / "scratch")
