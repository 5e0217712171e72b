"""Wheels of the package index, pinned by checksum and kept in the user's cache."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.build import cache_folder
from tests.ground.problem import GroundError, run

_PIP = ("/usr/bin/python3", "-m", "pip", "--no-input", "--disable-pip-version-check", "download", "--no-deps")


@dataclass(frozen=True, slots=True)
class Wheel:
    """``tag`` as in the file's name: interpreter, ABI, platform. ``sha256`` of the file, in hexadecimal."""

    name: str
    version: str
    tag: str
    sha256: str

    @property
    def file(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}-{self.tag}.whl"

    def path(self) -> Path:
        """Of the file, fetched once. Raises GroundError, also when its checksum is not the pinned one."""
        path = wheels_folder() / self.sha256[:12] / self.file
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as folder:
                run([*_PIP, "--dest", folder, f"{self.name}=={self.version}"], timeout=600)
                self._check(Path(folder, self.file)).rename(path)
        return path

    def _check(self, fetched: Path) -> Path:
        if not fetched.is_file():
            found = ", ".join(each.name for each in fetched.parent.iterdir())
            raise GroundError(f"pip fetched {found}, expected {self.file}: is this machine of another kind?")
        found = hashlib.sha256(fetched.read_bytes()).hexdigest()
        if found != self.sha256:
            raise GroundError(
                f"{self.file}: found the SHA-256 {found}, expected {self.sha256}; "
                "ask whoever runs the package index what it serves"
            )
        return fetched


def wheels_folder() -> Path:
    """Each file is in a folder of its own below."""
    return cache_folder() / "wheels"
