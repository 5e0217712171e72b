"""What is in the image, and what is not."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from scripts.image_build import libraries, packages
from scripts.image_build.sbom import PLACE
from scripts.image_build.unpack import STATUS
from sensor import __version__
from tests.image.storage import PROJECT, Image

pytestmark = pytest.mark.containers

_TOOLS = re.compile(
    r"(ba|da|z|k|c|tc)?sh|busybox|perl[\d.]*|env|ls|cat|ld|as|(c|g)?cc|[cg]\+\+|gcc(-[\d.]+)?|clang[-+\d.]*|tcc|make"
    r"|pip[\d.]*|apt(-get)?|dpkg|curl|wget|tar|su|sudo|mount"
)


@pytest.fixture(scope="module")
def files(image: Image) -> list[Path]:
    return sorted(image.root.rglob("*"))


@pytest.fixture(scope="module")
def sbom(image: Image) -> dict[str, str]:
    """Versions by package URL without its version."""
    document = json.loads((image.root / PLACE).read_text())
    return {unquote(item["purl"].partition("@")[0]): item["version"] for item in document["components"]}


def test_labels(image: Image) -> None:
    labels = image.configuration()["Labels"]
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "runtime-sensor"
    assert labels[f"{prefix}version"] == __version__
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", labels[f"{prefix}revision"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels[f"{prefix}created"])
    assert "Apache-2.0" in labels[f"{prefix}licenses"]
    assert labels[f"{prefix}description"]
    shown = subprocess.run(
        [PROJECT / "scripts/image", "--labels"], capture_output=True, text=True, check=True
    )
    told = dict(line.split("=", 1) for line in shown.stdout.splitlines())
    del told[f"{prefix}revision"], told[f"{prefix}created"]  # a commit since then changes them
    assert told.items() <= labels.items()
    optional = {f"{prefix}{name}" for name in ("source", "url", "documentation", "vendor")}
    assert labels.keys() & optional == told.keys(), "of an earlier build"


def test_starts_without_a_shell_as_nobody_in_particular(image: Image) -> None:
    config = image.configuration()["Config"]
    assert config["Entrypoint"] == ["runtime-sensor"]
    assert config["User"] == "65532:65532"


def test_no_shell_compiler_or_package_tool(files: list[Path]) -> None:
    found = [path for path in files if _TOOLS.fullmatch(path.name) and not path.is_dir()]
    assert found == []
    here = {path.name for path in Path("/usr/bin").iterdir() if _TOOLS.fullmatch(path.name)}
    assert here >= {"sh", "bash", "perl", "gcc", "dpkg"}, "the rule would not find them"
    assert [path for path in files if path.name in ("pip", "ensurepip", "setuptools")] == []


def test_the_only_programs_are_python_and_the_sensor(files: list[Path], image: Image) -> None:
    started = [path for path in files if path.parent.name in ("bin", "sbin") and not path.is_dir()]
    names = {str(path.relative_to(image.root)) for path in started}
    assert names == {"usr/bin/python3", "usr/bin/python3.11", "usr/local/bin/runtime-sensor"}


def test_nothing_gives_rights_or_can_be_changed_by_others(files: list[Path]) -> None:
    for path in files:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
        assert not mode & stat.S_IWOTH or mode & stat.S_ISVTX, path


def test_nobody_in_particular_has_a_home_of_its_own(image: Image) -> None:
    found = (image.root / "home/nonroot").stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (65532, 0o700)


def test_every_link_leads_somewhere(files: list[Path], image: Image) -> None:
    for path in (path for path in files if path.is_symlink()):
        target = path.readlink()
        there = image.root / str(target).lstrip("/") if target.is_absolute() else path.parent / target
        assert there.exists(), f"{path} -> {target}"


def test_libraries_are_whole(image: Image) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    assert libraries.check([image.root], machine[os.uname().machine]) > 50


def test_every_module_has_byte_code(files: list[Path]) -> None:
    """A read-only root takes none later, and each start would compile again."""
    lacking = [path for path in files if path.suffix == ".py" and not _byte_code(path).is_file()]
    assert lacking == []


def test_byte_code_is_never_held_against_times(files: list[Path]) -> None:
    for path in (path for path in files if path.suffix == ".pyc"):
        flags = int.from_bytes(path.read_bytes()[4:8], "little")
        assert flags == 0b01, f"{path}: PEP 552 wants a hash that is not checked"


def test_everything_is_of_the_time_of_the_sources(files: list[Path], image: Image) -> None:
    made = {int(path.lstat().st_mtime) for path in files}
    assert len(made) == 1, made


def test_authorities_are_trusted_where_openssl_looks(image: Image) -> None:
    link = image.root / "usr/lib/ssl/cert.pem"
    bundle = image.root / str(link.readlink()).lstrip("/")
    assert bundle.read_text().count("BEGIN CERTIFICATE") > 100


def test_bill_of_materials_is_valid(image: Image) -> None:
    text = (image.root / PLACE).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_bill_of_materials_names_what_it_is_made_of(sbom: dict[str, str]) -> None:
    assert sbom["pkg:deb/debian/libbpfcc"].startswith("0.26")
    assert sbom["pkg:deb/debian/python3-bpfcc"].startswith("0.26")
    assert sbom["pkg:deb/debian/libllvm14"].startswith("1:14.")
    assert sbom["pkg:pypi/runtime-sensor"] == __version__


def test_bill_of_materials_is_whole(sbom: dict[str, str], files: list[Path]) -> None:
    locked = packages.locked("amd64")
    assert {name for name in sbom if "/debian/" in name} == {f"pkg:deb/debian/{name}" for name in locked}
    wanted = dict(_requirements())
    assert {name.rpartition("/")[2]: version for name, version in sbom.items() if ":pypi/" in name} == {
        **wanted,
        "runtime-sensor": __version__,
    }


def test_scanners_find_the_packages(image: Image) -> None:
    """Each has its record, and its licence."""
    for name, package in packages.locked("amd64").items():
        record = (image.root / STATUS / name).read_text()
        assert f"\nVersion: {package.version}\n" in record
        assert (image.root / "usr/share/doc" / name / "copyright").exists(), name


def _requirements() -> Iterator[tuple[str, str]]:
    for line in (PROJECT / "requirements.lock").read_text().splitlines():
        if found := re.match(r"([a-z0-9-]+)==(\S+)", line):
            yield found[1], found[2]


def _byte_code(path: Path) -> Path:
    return path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc"
