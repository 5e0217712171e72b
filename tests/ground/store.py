"""Where image layers are kept: a file system of its own, in one file.

overlayfs refuses a lower layer that lies inside another one ("overlapping lowerdir path"), and the
machine's root is the lowest layer of every image here; so the layers cannot be plain folders of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.ground.mounts import mounts_below, unmount
from tests.ground.problem import GroundError, run

SIZE = 32 << 30
"""Bytes; sparse, so it takes what is written."""
KEPT = 14 * 86_400.0
"""Seconds after its last use for which a layer is kept."""
_INODES = 2_000_000
_SYSTEM = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "usr", "var"}
_EMPTY = {"root", "run", "tmp", "var/tmp"}


class Store:
    """Layers by key, built once; ``mount`` before use, ``unmount`` after."""

    def __init__(self, state: Path, project: Path) -> None:
        self._file = state / "layers.ext4"
        self._project = project
        self.folder = state / "layers"
        self._lock = threading.Lock()
        self._building: dict[str, threading.Lock] = {}

    def mount(self) -> None:
        """Makes the file system if there is none, or none that can be mounted. Raises GroundError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            self._format()
        try:
            self._attach()
        except GroundError:  # a crash in the middle of a write; it only holds what can be built again
            self._format()
            self._attach()
        for layer in self.folder.iterdir():
            if layer.suffix == ".partial" or layer.stat().st_mtime < time.time() - KEPT:
                shutil.rmtree(layer)

    def unmount(self) -> None:
        for target in mounts_below(self.folder):
            unmount(target)

    def layer(self, key: str, build: Callable[[Path], None]) -> Path:
        """The folder of layer ``key``; ``build`` fills it when it is not there yet.

        Threads may build different layers at a time; of one layer the first builds, the others wait.
        """
        folder = self.folder / key
        with self._lock:
            building = self._building.setdefault(key, threading.Lock())
        with building:
            if folder.exists():
                os.utime(folder)
                return folder
            partial = self.folder / f"{key}.partial"
            partial.mkdir()
            build(partial)
            partial.rename(folder)
        return folder

    def has(self, key: str) -> bool:
        return (self.folder / key).exists()

    def machine(self) -> list[Path]:
        """The layers that make the machine's root a base image: it without what is private to it."""
        return [self.layer("base", self._hide), Path("/")]

    def _hide(self, layer: Path) -> None:
        private = {entry.name for entry in Path("/").iterdir() if entry.is_dir()} - _SYSTEM
        for name in private | _EMPTY | {str(self._project.relative_to("/"))}:
            folder = layer / name
            folder.mkdir(parents=True, exist_ok=True)
            # Opaque: nothing of the layers below shows (kernel, Documentation/filesystems/overlayfs.rst).
            os.setxattr(folder, "trusted.overlay.opaque", b"y")
        for writable in ("tmp", "var/tmp"):
            (layer / writable).chmod(0o1777)

    def _format(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file.unlink()
        with self._file.open("wb") as image:
            image.truncate(SIZE)
        run(["mkfs.ext4", "-q", "-F", "-O", "^has_journal", "-N", str(_INODES), str(self._file)])

    def _attach(self) -> None:
        # mount(8) takes the loop device that still holds the file, if a former run's is not released yet.
        run(["mount", "-o", "loop,noatime", str(self._file), str(self.folder)])
