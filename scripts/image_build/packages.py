"""The Debian packages of the image: which, in which version, with which checksum."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.image_build.problem import ImageError

HERE = Path(__file__).parent
LIST, LOCK = HERE / "packages.toml", HERE / "packages.lock"
ARCHITECTURES = ("amd64", "arm64")
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_QUALIFIER = {"amd64": ":amd64", "arm64": ":arm64", "all": ""}  # as apt writes them
_HEAD = """\
# Written by `scripts/image --lock` from packages.toml: name, version, architecture, SHA-256 of the package.
"""


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A line of the lock; ``architecture`` is ``all`` where both share the file."""

    name: str
    version: str
    architecture: str
    sha256: str


def layers() -> dict[str, list[str]]:
    """Names of packages by layer, from packages.toml."""
    return dict(tomllib.loads(LIST.read_text())["layers"])


def left_out() -> dict[str, list[str]]:
    """Patterns of paths by the reason that they are left out for."""
    return dict(tomllib.loads(LIST.read_text())["left-out"])


def sourceless() -> list[str]:
    """Patterns of modules of which only byte code is kept."""
    return list(tomllib.loads(LIST.read_text())["sourceless"]["wheels"])


def stubs() -> dict[str, str]:
    """How the symbols begin that libLLVM takes, by the library that is replaced."""
    return dict(tomllib.loads(LIST.read_text())["stubs"])


def locked(architecture: str) -> dict[str, Package]:
    """The lock's packages of one architecture, by name. Raises ImageError where it does not fit the list."""
    found: dict[str, Package] = {}
    for line in LOCK.read_text().splitlines():
        if line and not line.startswith("#"):
            package = Package(*line.split())
            if package.architecture in (architecture, "all"):
                found[package.name] = package
    wanted = {name for names in layers().values() for name in names}
    if wrong := sorted(wanted ^ found.keys()):
        raise ImageError(
            f"packages.lock for {architecture} and packages.toml differ in {', '.join(wrong)}; "
            "expected the same packages in both: run scripts/image --lock"
        )
    return found


def fetch(packages: Iterable[Package], folder: Path) -> dict[str, Path]:
    """Each package's file, by name. apt checks the archive's signature, this the lock's checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {package.name: package for package in packages}
    names = [f"{p.name}{_QUALIFIER[p.architecture]}={p.version}" for p in wanted.values()]
    # As root: apt's own user cannot write here.
    command = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", *names]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(
            f"apt-get download: {' '.join(done.stderr.split())[-600:]}\n"
            "If a version was not found, the mirror has a newer one: use a mirror that keeps old ones, "
            "or pin the newest with scripts/image --lock"
        )
    files = {path.name.split("_")[0]: path for path in sorted(folder.glob("*.deb"))}
    for name, package in wanted.items():
        found = _sha256(files[name])
        if found != package.sha256:
            raise ImageError(
                f"{files[name].name}: found SHA-256 {found}, packages.lock has {package.sha256}; "
                "a mirror should never give this: try another one"
            )
    return files


def write_lock() -> None:
    """Pin the candidates of the configured mirror, for both architectures."""
    names = sorted({name for layer in layers().values() for name in layer})
    found = sorted({package for arch in ARCHITECTURES for package in _candidates(names, arch)})
    lines = [f"{p.name} {p.version} {p.architecture} {p.sha256}\n" for p in found]
    LOCK.write_text(_HEAD + "".join(lines))


def _candidates(names: Iterable[str], architecture: str) -> Iterator[Package]:
    command = ["apt-cache", "show", "--no-all-versions", *(f"{name}:{architecture}" for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ImageError(f"apt-cache show: {done.stderr.strip()}; expected every package of packages.toml")
    for stanza in done.stdout.strip().split("\n\n"):
        field = dict(re.findall(r"^(Package|Version|Architecture|SHA256): (\S+)$", stanza, re.MULTILINE))
        yield Package(field["Package"], field["Version"], field["Architecture"], field["SHA256"])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
