"""A containerd of our own: every folder, socket and cgroup of it private, and none left behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster.sweep import CGROUPS, STATE, new_folder, sweep
from tests.ground.mounts import unmount
from tests.ground.problem import GroundError, run

PAUSE = "registry.k8s.io/pause:3.9"
_CONFIG = """\
version = 2
root = "{folder}/root"
state = "{state}"
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.monitor.v1.cgroups",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true  # lowering it needs CAP_SYS_RESOURCE, which a container or a CI machine lacks
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{folder}/cni"
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{folder}/runc"
        SystemdCgroup = false
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{systemd}]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.{systemd}.options]
        BinaryName = "{folder}/{systemd}"
        Root = "{folder}/runc"
        SystemdCgroup = false
"""


class Containerd:
    """The process and what it works on. ``state`` is where sandboxes and bundles are, and the socket."""

    def __init__(self, state: Path | None = None) -> None:
        """Sweeps first what killed runs have left. A ``state`` that exists still may be a runtime's of the
        machine: GroundError."""
        if os.geteuid() != 0:
            raise GroundError("not root: containerd needs it; run this as root, for example with sudo")
        self.folder, self._lock = new_folder()
        if state is not None and state.exists():
            sweep(self.folder)
            self._lock.close()
            raise GroundError(f"{state} exists: it may be a runtime's of this machine; give another folder")
        self.state = state or self.folder / "state"
        self.socket = self.state / "containerd.sock"
        self._process: subprocess.Popen[bytes] | None = None
        try:
            # Without the disk, which every snapshot would wait for.
            run(["mount", "-t", "tmpfs", "-o", "mode=711", "runtime-sensor-cri", str(self.folder)])
            self._write()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        if self._process is None:
            raise GroundError("containerd was not started, or is stopped")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, answers: Callable[[], bool], timeout: float = 30) -> None:
        """Returns when it ``answers``. From a thread that lives on: the kernel ends it with that thread."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                # A run that is killed must not leave it behind.
                [*("setpriv", "--pdeathsig", "TERM", "--"), "containerd", "--config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not answers():
            if not self.is_running or time.monotonic() > deadline:
                raise GroundError(f"containerd does not answer on {self.socket}; its log ends:\n{self.log()}")
            time.sleep(0.01)

    def stop(self, timeout: float = 20) -> None:
        """Ends containerd alone: its containers run on, as after a crash or an update of it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def import_image(self, archive: bytes) -> None:
        """Loads an OCI image layout and unpacks it. Raises GroundError."""
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".tar") as file:
            file.write(archive)
            file.flush()
            ctr = ("ctr", "--address", str(self.socket), "--namespace", "k8s.io")
            run([*ctr, "images", "import", "--snapshotter", self.snapshotter, file.name])

    def note(self, parent: str) -> None:
        """Remembers a pod's cgroup for the sweep, also one after this process was killed."""
        with (self.folder / CGROUPS).open("a") as journal:
            journal.write(f"{parent}\n")

    def log(self, lines: int = 15) -> str:
        return "\n".join((self.folder / "log").read_text(errors="replace").splitlines()[-lines:])

    def close(self) -> None:
        """Ends everything and removes it; whatever state it is in."""
        self.stop()
        sweep(self.folder)
        self._lock.close()

    @property
    def _config(self) -> Path:
        return self.folder / "config.toml"

    def _write(self) -> None:
        self.snapshotter = "overlayfs" if _has_overlay(self.folder) else "native"
        (self.folder / STATE).write_text(str(self.state))
        wrapper = self.folder / cgroups.HANDLER
        wrapper.write_text(cgroups.NAMED_BY_SYSTEMD)
        wrapper.chmod(0o755)
        self._config.write_text(
            _CONFIG.format(
                folder=self.folder,
                state=self.state,
                socket=self.socket,
                pause=PAUSE,
                snapshotter=self.snapshotter,
                systemd=cgroups.HANDLER,
            )
        )


def _has_overlay(folder: Path) -> bool:
    """Whether overlayfs takes a writable layer on this file system."""
    place = folder / "overlay"
    parts = {name: place / name for name in ("lower", "upper", "work", "merged")}
    for path in parts.values():
        path.mkdir(parents=True)
    options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
    try:
        run(["mount", "-t", "overlay", "probe", "-o", options, str(parts["merged"])])
    except GroundError:
        return False
    unmount(parts["merged"])
    return True
