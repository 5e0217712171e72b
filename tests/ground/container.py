"""One container: runc over an overlay of its image's layers."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.clock import PATIENCE
from tests.ground import cgroups, mounts
from tests.ground.bundle import configuration
from tests.ground.problem import GroundError, run

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Pod:
    """The sandbox a container belongs to."""

    name: str
    namespace: str = "default"
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Specification:
    """What to run; ``lower`` are the overlay's layers, topmost first, ``upper`` is the writable one."""

    image_name: str
    lower: tuple[Path, ...]
    args: Sequence[str]
    name: str
    pod: Pod
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    upper: Path | None = None

    def annotations(self) -> dict[str, str]:
        """Keys of containerd's CRI plug-in (pkg/cri/annotations)."""
        return {
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.container-name": self.name,
            "io.kubernetes.cri.image-name": self.image_name,
            "io.kubernetes.cri.sandbox-name": self.pod.name,
            "io.kubernetes.cri.sandbox-namespace": self.pod.namespace,
            "io.kubernetes.cri.sandbox-uid": self.pod.uid,
        }


class Container:
    """Leaves nothing behind when used in ``with``, which also starts it."""

    def __init__(self, bundles: Path, writable: Path, specification: Specification) -> None:
        """``bundles`` and ``writable`` hold a folder per container id; see ``sweep``."""
        self.id = secrets.token_hex(32)
        self.specification = specification
        self.bundle = bundles / self.id
        self.root = self.bundle / "rootfs"
        self._writable = writable / self.id
        self._runc: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Returns when the container's own program runs. Raises GroundError if it never does."""
        self._prepare()
        with (self.bundle / "output").open("wb") as output:
            self._runc = subprocess.Popen(
                [
                    *("runc", "--log", str(self.bundle / "runc.log")),
                    *("run", "--bundle", str(self.bundle), "--pid-file", str(self.bundle / "pid"), self.id),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._await_pid()
        return self

    @property
    def pid(self) -> int:
        """Process id of the container's first process, seen from this machine."""
        return int((self.bundle / "pid").read_text())

    @property
    def running(self) -> bool:
        return self._runc is not None and self._runc.poll() is None

    def wait(self, timeout: float = 60) -> int:
        """The exit status of the container's first process."""
        if self._runc is None:
            raise GroundError(f"container {self.specification.name} was not started")
        try:
            return self._runc.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise GroundError(f"{self._told()} still runs after {timeout:.0f} s") from error

    def exec(self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 60) -> str:
        """Runs a further process in the container and returns its output. Raises GroundError."""
        settings = [part for name, value in (env or {}).items() for part in ("--env", f"{name}={value}")]
        return run(["runc", "exec", *settings, self.id, *args], timeout=timeout)

    def kill(self, signal_number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal to the first process; one that has ended already is no error."""
        with contextlib.suppress(GroundError):
            run(["runc", "kill", self.id, signal_number.name])

    def output(self) -> str:
        """What the container's processes wrote so far."""
        return (self.bundle / "output").read_text(errors="replace")

    def remove(self) -> None:
        """Ends the container if it runs, and takes away everything it was made of; may be called again."""
        if self.running:
            self.kill()
        if self._runc is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._runc.wait(PATIENCE)
        if self.bundle.exists():
            discard(self.bundle, self._writable)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def _prepare(self) -> None:
        wanted = self.specification
        self.root.mkdir(parents=True)
        upper = wanted.upper or self._writable / "upper"
        for folder in (upper, self._writable / "work"):
            folder.mkdir(parents=True, exist_ok=True)
        config = configuration(
            root=self.root,
            args=wanted.args,
            env={"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **wanted.env},
            cwd=wanted.cwd,
            hostname=wanted.pod.name,
            cgroups_path=cgroups.container_path(wanted.pod.uid, self.id),
            annotations=wanted.annotations(),
        )
        (self.bundle / "config.json").write_text(json.dumps(config))
        mounts.overlay(list(wanted.lower), upper, self._writable / "work", self.root)

    def _await_pid(self, timeout: float = PATIENCE) -> None:
        deadline = time.monotonic() + timeout
        while not (self.bundle / "pid").exists():
            if not self.running:
                log = self.bundle / "runc.log"
                said = self.output() + (log.read_text() if log.exists() else "")
                raise GroundError(f"{self._told()} did not start: {said.strip()}")
            if time.monotonic() > deadline:
                raise GroundError(f"{self._told()} did not start within {timeout:.0f} s")
            time.sleep(0.002)

    def _told(self) -> str:
        return f"container {self.specification.name} ({' '.join(self.specification.args)})"


def discard(bundle: Path, writable: Path) -> None:
    """Removes a container by its bundle alone: also one that a killed run left."""
    if Path("/run/runc", bundle.name).exists():
        with contextlib.suppress(GroundError):  # its processes and cgroups are removed below as well
            run(["runc", "delete", "--force", bundle.name])
    with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
        cgroups.remove(json.loads((bundle / "config.json").read_text())["linux"]["cgroupsPath"])
    for target in mounts.mounts_below(bundle):
        mounts.unmount(target)
    shutil.rmtree(writable, ignore_errors=True)
    shutil.rmtree(bundle)
