"""Maven: builds a project of the yardstick and tells which file is which artifact."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.ground import GroundError
from tests.ground.ground import PROJECT
from tests.ground.problem import run

APPS = Path(__file__).parents[1] / "apps" / "java"
ARTIFACTS = "maven/artifacts.json"
"""Path in an image: digest of a jar, or of a library in a jar, -> purls of the artifacts that it is."""
OPTIONS = (
    *("mvn", "--batch-mode", "--quiet", "--no-transfer-progress"),
    *("-Dmaven.artifact.threads=16", "-DincludeScope=runtime", "-DoutputAbsoluteArtifactFilename=true"),
)
GOALS = ("package", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:list")
_BUILD = PROJECT / "build" / "accuracy"
_TIMEOUT = 900.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# maven-dependency-plugin, list: group:name:type[:classifier]:version:scope:file [(optional)] [-- module …]
_LISTED = re.compile(
    r"^ {3}(?P<group>[^:\s]+):(?P<name>[^:\s]+):(?P<kind>[^:\s]+):(?:(?P<classifier>[^:\s]+):)?"
    r"(?P<version>[^:\s]+):(?:compile|runtime|provided|system):(?P<file>/\S+)"
)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One line of Maven's own resolution. ``file`` stands in the local repository."""

    group: str
    name: str
    version: str
    kind: str
    classifier: str
    file: Path

    @property
    def purl(self) -> str:
        """Without the classifier: the package is the same one."""
        return purl(self.group, self.name, self.version)


@dataclass(frozen=True, slots=True)
class Project:
    """A project that was built; ``folder`` is a copy of its sources with Maven's ``target`` in it."""

    folder: Path
    artifacts: tuple[Artifact, ...]

    @property
    def target(self) -> Path:
        return self.folder / "target"

    @property
    def jars(self) -> list[Artifact]:
        return [artifact for artifact in self.artifacts if artifact.kind == "jar"]


def purl(group: str, name: str, version: str) -> str:
    """Package URL of a Maven artifact (package-url specification, type maven)."""
    return f"pkg:maven/{quote(group)}/{quote(name)}@{quote(version)}"


def sources(name: str) -> dict[str, Path]:
    """Files of the application ``name`` by their path in its folder."""
    folder = APPS / name
    return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def workshop() -> Iterator[Path]:
    """An empty folder to build in. One at a time on this machine: the local repository is shared."""
    _BUILD.mkdir(parents=True, exist_ok=True)
    with (_BUILD / "maven.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=_BUILD) as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def build(workshop: Path, name: str) -> Project:
    """Build the project ``name``, a folder below ``APPS``. Raises GroundError with what Maven said."""
    folder = workshop / name
    shutil.copytree(APPS / name, folder)
    listing = folder / "dependencies.txt"
    settings = (f"-Dmaven.repo.local={_BUILD / 'm2'}", f"-DoutputFile={listing}", f"--file={folder}")
    # Compiled quickly rather than well: it lives for seconds.
    environment = {**os.environ, "MAVEN_OPTS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
    run([*OPTIONS, *settings, *GOALS], timeout=_TIMEOUT, env=environment)
    return Project(folder, tuple(_listed(listing.read_text().splitlines())))


def copy(artifacts: Iterable[Artifact], folder: Path) -> None:
    """Put files of the local repository into ``folder`` under their own names."""
    folder.mkdir(parents=True, exist_ok=True)
    for artifact in artifacts:
        target = folder / artifact.file.name
        if target.exists():
            raise GroundError(f"two artifacts of the file name {target.name}")
        shutil.copyfile(artifact.file, target)


def write_artifacts(layer: Path, artifacts: Iterable[Artifact], own: Mapping[Path, str]) -> None:
    """Write ``ARTIFACTS``. ``own`` are archives that were built: their purl, empty for what is no package.

    Every file is known by its content, so that it does not matter where an image has it and under which name.
    """
    known: dict[str, set[str]] = {digest(path.read_bytes()): {purl} for path, purl in own.items()}
    for artifact in artifacts:
        if artifact.kind == "jar":
            known.setdefault(digest(artifact.file.read_bytes()), set()).add(artifact.purl)
            for library in libraries(artifact.file):
                known.setdefault(library, set()).add(artifact.purl)
    target = layer / ARTIFACTS
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({content: sorted(purls) for content, purls in known.items()}))


def libraries(jar: Path) -> Collection[str]:
    """Digests of the native libraries in a jar, which are extracted before they are mapped."""
    with zipfile.ZipFile(jar) as archive:
        return [digest(archive.read(name)) for name in archive.namelist() if name.endswith(".so")]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _listed(lines: Iterable[str]) -> Iterator[Artifact]:
    for line in lines:
        if match := _LISTED.match(_ANSI.sub("", line)):
            fields = match.groupdict(default="")
            yield Artifact(**{**fields, "file": Path(fields["file"])})  # type: ignore[arg-type]
