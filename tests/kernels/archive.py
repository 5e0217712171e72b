"""Debian's packages of any suite and architecture, by apt in a folder of its own.

apt checks the signature of the index with Debian's keyring and each package against the index, and finds what
a package depends on. It neither reads nor changes what the machine itself has installed.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.problem import KernelsError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
INDEX_SECONDS = 24 * 3600
"""An index younger than this is not fetched again."""
_COMMAND_SECONDS = 600


def machine_mirror() -> str:
    """Where this machine gets Debian from, by its apt configuration. Raises KernelsError."""
    try:
        done = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise KernelsError("found no apt-get; expected a Debian or Ubuntu machine") from error
    for line in done.stdout.splitlines():
        label, _, address = line.partition("|")
        if label == "Debian":
            return address
    raise KernelsError("apt knows no mirror of Debian; run `apt-get update`, or name one with --mirror")


@dataclass(frozen=True)
class Archive:
    """One suite (``bookworm``) for one architecture (``amd64``), kept in ``folder``."""

    suite: str
    architecture: str
    folder: Path
    mirror: str

    def update(self) -> None:
        """Fetch the index unless it is fresh. Without a network an old one will do."""
        stamp = self.folder / "updated"
        with self.alone():
            if stamp.is_file() and time.time() - stamp.stat().st_mtime < INDEX_SECONDS:
                return
            self._configure()
            try:
                self._apt("apt-get", "-qq", "update")
            except KernelsError:
                if not stamp.is_file():
                    raise
            stamp.touch()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One thread of one process at a time downloads and unpacks; not to be nested."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def closure(self, packages: Sequence[str]) -> list[str]:
        """File names of ``packages`` and all they depend on, recommendations left out."""
        return _file_names(self._apt("apt-get", "-qq", "-y", "--print-uris", "install", *packages))

    def fetch_closure(self, packages: Sequence[str]) -> list[Path]:
        """Download what :meth:`closure` lists."""
        names = self.closure(packages)
        self._apt("apt-get", "-qq", "-y", "--download-only", "install", *packages)
        return [self.folder / "archives" / name for name in names]

    def kernel(self) -> list[str]:
        """The packages that hold the image and the modules of the suite's kernel for virtual machines."""
        told = self._apt(
            *("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts"),
            *("--no-breaks", "--no-replaces", "--no-enhances", f"linux-image-cloud-{self.architecture}"),
        )
        # One package in the older suites, two of them in the newest.
        found = re.findall(r"^(linux-(?:image|binary|modules)-\d\S*)$", told, re.MULTILINE)
        if not found:
            raise KernelsError(f"{self.suite} {self.architecture}: found no kernel below linux-image-cloud")
        return sorted(set(found))

    def files(self, packages: Sequence[str]) -> list[str]:
        """File names of ``packages`` alone."""
        return _file_names(self._apt("apt-get", "-qq", "--print-uris", "download", *packages))

    def fetch(self, packages: Sequence[str]) -> list[Path]:
        """Download ``packages`` alone."""
        names = self.files(packages)
        self._apt("apt-get", "-qq", "download", *packages)
        return [self.folder / "archives" / name for name in names]

    def clean(self) -> None:
        """Remove the packages; the index stays."""
        for path in (self.folder / "archives").glob("*.deb"):
            path.unlink()

    def _configure(self) -> None:
        if not KEYRING.is_file():
            raise KernelsError(f"found no {KEYRING}: apt-get install debian-archive-keyring")
        for name in ("lists/partial", "archives/partial", "etc"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "status").touch()
        source = f"deb [arch={self.architecture} signed-by={KEYRING}] {self.mirror} {self.suite} main\n"
        (self.folder / "etc" / "sources.list").write_text(source)
        # How the machine reaches the network, but none of its hooks.
        transport = subprocess.run(
            ["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True
        ).stdout
        (self.folder / "apt.conf").write_text(transport + _CONFIGURATION.format(self=self))

    def _apt(self, *command: str) -> str:
        try:
            done = subprocess.run(
                command,
                cwd=self.folder / "archives",
                env={**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"},
                capture_output=True,
                text=True,
                check=False,
                timeout=_COMMAND_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise KernelsError(f"{self}: {' '.join(command)} took over {_COMMAND_SECONDS} s") from error
        if done.returncode:
            last = "\n  ".join(done.stderr.strip().splitlines()[-6:])
            raise KernelsError(f"{self}: {' '.join(command)} failed:\n  {last}")
        return done.stdout

    def __str__(self) -> str:
        return f"Debian {self.suite} {self.architecture}"


_CONFIGURATION = """
Dir::State "{self.folder}";
Dir::State::lists "{self.folder}/lists";
Dir::State::status "{self.folder}/status";
Dir::Cache "{self.folder}";
Dir::Cache::archives "{self.folder}/archives";
Dir::Etc "{self.folder}/etc";
Dir::Etc::sourcelist "{self.folder}/etc/sources.list";
Dir::Etc::sourceparts "/nonexistent";
Dir::Etc::parts "/nonexistent";
Dir::Etc::main "/nonexistent";
Dir::Etc::preferences "/nonexistent";
Dir::Etc::preferencesparts "/nonexistent";
APT::Architecture "{self.architecture}";
APT::Architectures "";
APT::Architectures:: "{self.architecture}";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
APT::Keep-Downloaded-Packages "true";
Binary::apt-get::APT::Keep-Downloaded-Packages "true";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
"""


def _file_names(listed: str) -> list[str]:
    """Of ``apt-get --print-uris``, whose lines are ``'address' file size hash``."""
    return sorted(re.findall(r"^'[^']+' (\S+\.deb) \d+", listed, re.MULTILINE))
