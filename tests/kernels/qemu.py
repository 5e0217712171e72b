"""One guest: booted, listened to, and ended in any case."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.initramfs import CHECKOUT, Payload, initramfs
from tests.kernels.problem import KernelsError

MEMORY_MIB = 768
_CONNECT_SECONDS = _POWER_OFF_SECONDS = 60.0
_CONSOLE_LINES = 12

# /dev/kvm may be there and not run these kernels: always emulate. QEMU 7.2's `max` crashed 6.12 in 5 of 24
# boots, without cx16 and la57 in none of 59.
_MACHINES = {
    "amd64": ("qemu-system-x86_64", "q35", "max,-cx16,-la57", "ttyS0", "tsc=reliable mitigations=off"),
    "arm64": ("qemu-system-aarch64", "virt", "cortex-a72", "ttyAMA0", "mitigations=off"),
}


@dataclass(frozen=True)
class Guest:
    """What to boot. ``kernel`` is an unpacked kernel package, ``counted`` lets each instruction last 1 ns."""

    architecture: str
    kernel: Path
    image: Path
    busybox: Path
    arguments: str
    seconds: float
    counted: bool = False
    payload: Payload = CHECKOUT


@dataclass(frozen=True)
class Ended:
    """How a guest ended: why it was given up (``""``: of its own accord) and its console's last lines."""

    why: str
    console: tuple[str, ...]


def run(guest: Guest, heard: Callable[[str], None], stop: threading.Event | None = None) -> Ended:
    """Boot and give each line of the guest's port to ``heard``, until it powers off or its time is over.

    Once ``stop`` is set it is ended within seconds.
    """
    deadline = time.monotonic() + guest.seconds
    with tempfile.TemporaryDirectory(prefix="kernels-") as name, socket.socket(socket.AF_UNIX) as server:
        folder = Path(name)
        server.bind(str(folder / "port"))
        server.listen()
        with _process(_command(guest, folder), folder) as process:
            why = _listen(server, process, _Patience(deadline, stop or threading.Event()), heard)
        errors = (folder / "errors").read_text(errors="replace").strip()
        if not why and process.returncode:
            why = f"QEMU ended with {process.returncode}: {errors[-300:]}"
        return Ended(why, _last_lines(folder / "console"))


def require(architecture: str) -> None:
    """Raise KernelsError where the emulator is not installed."""
    program = _MACHINES[architecture][0]
    if shutil.which(program) is None:
        package = "qemu-system-x86" if architecture == "amd64" else "qemu-system-arm"
        raise KernelsError(f"found no {program}: apt-get install --no-install-recommends {package}")


def _command(guest: Guest, folder: Path) -> list[str]:
    program, machine, processor, console, parameters = _MACHINES[guest.architecture]
    (folder / "initramfs").write_bytes(
        initramfs(_one(guest.kernel, "modules/*"), guest.busybox, guest.arguments, guest.payload)
    )
    command = [program, "-accel", "tcg", "-cpu", processor, "-machine", machine, "-m", str(MEMORY_MIB)]
    command += ["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    command += ["-kernel", str(_one(guest.kernel, "vmlinu[xz]-*")), "-initrd", str(folder / "initramfs")]
    command += ["-append", f"console={console} loglevel=5 panic=-1 {parameters}"]
    command += ["-serial", f"file:{folder / 'console'}", "-device", "virtio-rng-pci"]
    command += ["-chardev", f"socket,id=port,path={folder / 'port'}", "-device", "virtio-serial-pci"]
    command += ["-device", "virtserialport,chardev=port,name=results"]
    # snapshot: the guest may write, the image stays as it is.
    command += ["-drive", f"file={guest.image},if=none,id=root,format=raw,snapshot=on"]
    command += ["-device", "virtio-blk-pci,drive=root"]
    if guest.counted:
        command += ["-icount", "shift=0,sleep=off"]
    return command


def _one(tree: Path, pattern: str) -> Path:
    """Kernel packages have boot/ and lib/modules/, the newest ones everything below usr/lib/modules/."""
    places = (
        [*tree.glob("lib/modules/*"), *tree.glob("usr/lib/modules/*")]
        if pattern == "modules/*"
        else [*tree.glob(f"boot/{pattern}"), *tree.glob("usr/lib/modules/*/vmlinu[xz]*")]
    )
    if not places:
        raise KernelsError(f"{tree}: found no {pattern}; expected an unpacked kernel package")
    return places[0]


@contextlib.contextmanager
def _process(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],  # no guest outlives us, however we end
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            env={**os.environ, "TMPDIR": str(folder)},  # where what the guest writes goes
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


@dataclass(frozen=True)
class _Patience:
    deadline: float
    stop: threading.Event

    def look(self) -> None:
        """Raise TimeoutError when there is none left."""
        if self.stop.is_set() or time.monotonic() > self.deadline:
            raise TimeoutError


def _listen(
    server: socket.socket, process: subprocess.Popen[bytes], patience: _Patience, heard: Callable[[str], None]
) -> str:
    """Why it was given up, ``""`` when it ended of its own accord."""
    try:
        server.settimeout(_CONNECT_SECONDS)
        connection, _ = server.accept()
        with connection:
            for line in _lines(connection, patience):
                heard(line)
        process.wait(timeout=_POWER_OFF_SECONDS)
    except (TimeoutError, subprocess.TimeoutExpired):
        return "" if process.poll() else "did not end in time"
    return ""


def _lines(connection: socket.socket, patience: _Patience) -> Iterator[str]:
    rest = b""
    while True:
        patience.look()
        if not select.select([connection], [], [], 1.0)[0]:
            continue
        received = connection.recv(65536)
        if not received:
            return
        *whole, rest = (rest + received).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace").rstrip("\r")


def _last_lines(console: Path) -> tuple[str, ...]:
    if not console.is_file():
        return ()
    lines = console.read_bytes()[-16384:].decode("utf-8", "replace").replace("\r", "").splitlines()
    return tuple(line for line in lines if line.strip())[-_CONSOLE_LINES:]
