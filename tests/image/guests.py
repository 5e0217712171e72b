"""The image's root file system under other kernels, in the guests of ``tests.kernels``."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.cluster.build import cache_folder
from tests.image.inside.expected import Order
from tests.kernels import protocol, qemu
from tests.kernels.archive import Archive, machine_mirror
from tests.kernels.initramfs import Payload
from tests.kernels.matrix import HOOKS, KERNELS, hooks_of
from tests.kernels.problem import KernelsError
from tests.kernels.unpack import busybox, kernel_tree, pack

# As in a container: everything of the image is read-only, and of what is mounted, only what runtimes mount.
_INIT = """$b mount -t ext4 -o ro /dev/vda /new || echo "the root file system cannot be mounted"
for name in proc sys dev; do $b mount --move /$name /new/$name; done
$b mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
$b mount -t tmpfs run /new/run
$b mkdir -p /new/dev/shm /new/run/project
$b mount -t tmpfs -o noexec,nosuid,nodev,size=64m shm /new/dev/shm
$b cp -a /project/. /new/run/project/
exec $b switch_root /new /usr/bin/python3 -I -B /run/project/start
"""
_START = """import sys
sys.path.append("/run/project")
from tests.image.inside.run import main
main(open("/run/project/arguments").read())
"""
_SECONDS = {"amd64": 900.0, "arm64": 2400.0}
_ATTEMPTS = 2
"""A guest that tells less than it must is tried once more: emulators crash at times, programs do not."""


@dataclass(frozen=True)
class Spec:
    """One guest."""

    kernel: str
    architecture: str
    order: Order

    def __str__(self) -> str:
        return f"{self.kernel} {self.architecture}"


@dataclass
class Told:
    """What a guest told: (hook, check) -> the line of it."""

    spec: Spec
    release: str = ""
    checks: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    ended: qemu.Ended | None = None

    def hear(self, line: str) -> str:
        """Take one line; returns what it tells, for people."""
        values = protocol.parsed(line)
        match values.get("kind"):
            case "booted":
                self.release = values["release"]
                return f"Linux {self.release}"
            case "check":
                self.checks[values["hook"], values["check"]] = values
                how = values["detail"] if values["ok"] else "FAILED"
                return f"{values['hook']} {values['check']} in {values['seconds']:.0f} s: {how}"
        return ""

    def missing(self) -> list[tuple[str, str]]:
        """What must be told and was not."""
        return [key for key in self.spec.order.results() if key not in self.checks]

    def failed(self) -> list[tuple[str, str]]:
        """What was not told to be good."""
        keys = self.spec.order.results()
        return [key for key in keys if not self.checks.get(key, {"ok": False})["ok"]]

    def problems(self) -> Iterator[str]:
        """Each check that failed, and what never came; with the console's last words."""
        for (hook, check), values in self.checks.items():
            if not values["ok"]:
                yield f"{self.spec}: {check} under {hook}: {values['detail']}"
        if missing := self.missing():
            why, console = (self.ended.why, self.ended.console) if self.ended else ("", ())
            lines = "".join(f"\n    {line}" for line in console)
            yield f"{self.spec}: told nothing of {missing}: {why or 'it ended early'}{lines}"


def specs(kernels: Iterable[str], architecture: str) -> list[Spec]:
    """A guest for each of ``kernels``, with every hook that it has."""
    found = []
    for kernel in kernels:
        hooks = hooks_of(kernel, architecture)
        absent = tuple(hook for hook in HOOKS if hook not in hooks)
        found.append(Spec(kernel, architecture, Order(hooks, absent)))
    return found


def run(
    spec: Spec,
    root: Path,
    heard: Callable[[str], None] = lambda _told: None,
    stop: threading.Event | None = None,
) -> Told:
    """Boot until it has told everything, twice at most; ``heard`` gets a line for people now and then.

    Raises KernelsError where it cannot be booted.
    """
    folder = cache_folder() / "kernels"
    qemu.require(spec.architecture)
    kernel = kernel_tree(_archive(KERNELS[spec.kernel], spec.architecture), folder)
    tools = busybox(_archive("bookworm", spec.architecture), folder)
    guest = qemu.Guest(
        *(spec.architecture, kernel, root, tools, spec.order.text()),
        seconds=_SECONDS[spec.architecture],
        payload=Payload(("tests/kernels", "tests/image"), _INIT, _START),
    )
    told = Told(spec)
    for _ in range(_ATTEMPTS):
        told = Told(spec)

        def hear(line: str, told: Told = told) -> None:
            if text := told.hear(line):
                heard(text)

        told.ended = qemu.run(guest, hear, stop)
        if not told.missing() or (stop and stop.is_set()):
            break
    return told


def root_image(archive: Path) -> Path:
    """The files of an OCI archive as an ext4 image, packed where it is missing. Raises KernelsError."""
    with tarfile.open(archive) as image:
        index = json.loads(_blob(image, "index.json"))
        [entry] = index["manifests"]
        layers = [layer["digest"] for layer in json.loads(_blob(image, _path(entry["digest"])))["layers"]]
        key = hashlib.sha256("".join(layers).encode()).hexdigest()[:12]  # labels may change, files do not
        home = cache_folder() / "kernels" / f"image-{archive.stem.rpartition('-')[2]}-{key}.ext4"
        if home.is_file():
            return home
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
            for layer in layers:
                _unpack(_blob(image, _path(layer)), Path(scratch, "root"))
            pack(Path(scratch, "root"), Path(scratch, "image"))
            for old in home.parent.glob(f"{home.name.rpartition('-')[0]}-*"):
                old.unlink()
            shutil.move(Path(scratch, "image"), home)
    return home


def _unpack(layer: bytes, root: Path) -> None:
    root.mkdir(exist_ok=True)
    command = ["tar", "-C", str(root), "-x", "--keep-directory-symlink", "--numeric-owner", "-p"]
    done = subprocess.run(command, input=gzip.decompress(layer), capture_output=True, check=False)
    if done.returncode:
        raise KernelsError(f"a layer cannot be unpacked: {done.stderr.decode(errors='replace')[-500:]}")


def _archive(suite: str, architecture: str) -> Archive:
    folder = cache_folder() / "kernels" / "apt" / f"{suite}-{architecture}"
    return Archive(suite, architecture, folder, machine_mirror())


def _path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _blob(image: tarfile.TarFile, name: str) -> bytes:
    file = image.extractfile(name)
    if file is None:
        raise KernelsError(f"found no {name}; expected an archive that scripts/image has written")
    return file.read()
