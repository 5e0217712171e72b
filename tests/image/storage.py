"""The image that ``scripts/image`` builds, and containers of it, by a real podman and runc.

Its storage is apart from the machine's: a test never sees what else is there.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sensor import __version__

PROJECT = Path(__file__).parents[2]
NODE_CAPABILITIES = ("BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH", "SYS_NICE")
"""Of ``node``: what README.md names, nothing else."""

# Nothing can be written but what the runtime always mounts. The limits are below the machine's own: runc
# may not raise them everywhere.
_STRICT = ("--read-only", "--read-only-tmpfs=false", "--security-opt=no-new-privileges")
_LIMITS = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=512:512")
_SECONDS = 120


@dataclass(frozen=True)
class Image:
    """``root`` is its file system, mounted while the tests run; nothing may be written there."""

    name: str
    storage: tuple[str, ...]
    root: Path

    def podman(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = ["podman", *self.storage, "--cgroup-manager=cgroupfs", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        assert not check or done.returncode == 0, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def run(
        self, *arguments: str, options: Sequence[str] = (), check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """``runtime-sensor`` with ``arguments`` until it ends, without a network, with a read-only root."""
        return self.podman(
            *("run", "--rm", "--network=none", *_STRICT, *_LIMITS, *options, self.name, *arguments),
            check=check,
        )

    @contextlib.contextmanager
    def running(self, *arguments: str, options: Sequence[str] = ()) -> Iterator[str]:
        """The same in the background, in the machine's network: its container's id."""
        strict = (*_STRICT, *_LIMITS, "--network=host", *options)
        container = self.podman("run", "--detach", *strict, self.name, *arguments).stdout.strip()
        try:
            yield container
        finally:
            self.podman("rm", "--force", "--time=0", container)

    def configuration(self) -> dict[str, Any]:
        """What the image says of itself, as podman shows it."""
        shown: list[dict[str, Any]] = json.loads(self.podman("image", "inspect", self.name).stdout)
        return shown[0]


def archive_of(architecture: str) -> Path:
    """The OCI archive that scripts/image has written."""
    return PROJECT / f"build/image/runtime-sensor-{__version__}-{architecture}.tar"


def node_options(*capabilities: str) -> list[str]:
    """Of podman, for a container that may watch its node.

    Podman 4.3's profile for seccomp takes bpf(2) from whoever has no CAP_SYS_ADMIN, so here it has to go.
    """
    added = [f"--cap-add={name}" for name in capabilities]
    return ["--user=0", "--pid=host", "--security-opt=seccomp=unconfined", "--cap-drop=all", *added]


@contextlib.contextmanager
def built() -> Iterator[Image]:
    """The image, which is built first where sources have changed (minutes)."""
    done = subprocess.run([PROJECT / "scripts/image"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"scripts/image: {done.stdout}{done.stderr}"
    cache = os.environ.get("RUNTIME_SENSOR_CACHE") or str(
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "runtime-sensor")
    )
    storage = (f"--root={cache}/image/storage", f"--runroot={cache}/image/run")
    name = f"localhost/runtime-sensor:{__version__}"
    container = _buildah(storage, "from", name)
    try:
        yield Image(name, storage, Path(_buildah(storage, "mount", container)))
    finally:
        _buildah(storage, "rm", container)


def _buildah(storage: Sequence[str], *arguments: str) -> str:
    done = subprocess.run(["buildah", *storage, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that a container's user 65532 may write."""
    folder = tempfile.TemporaryDirectory(prefix="runtime-sensor-image-")
    os.chown(folder.name, 65532, 65532)
    return folder
