"""What a guest starts with: a busybox, the kernel's modules that find the disk, and what it is to run."""

from __future__ import annotations

import io
import lzma
import re
import stat
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.kernels.problem import KernelsError

REPOSITORY = Path(__file__).parents[2]
SITE = "usr/lib/python3/dist-packages"
"""Where Debian's python3 of any version looks for modules, in isolated mode too."""

_MODULES = (
    *("virtio_pci", "virtio_blk", "virtio_rng", "virtio_console"),
    *("crc32c_generic", "crc32c_cryptoapi", "libcrc32c", "ext4", "overlay"),
)

_INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /new
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
for module in $($b cat /modules/order); do
	$b insmod /modules/$module.ko || echo "insmod $module failed"
done
tries=0
while [ ! -b /dev/vda ] && [ $tries -lt 200 ]; do $b usleep 50000; tries=$((tries + 1)); done
$b ip link set lo up
"""

_OWN = f"""$b mount -t ext4 /dev/vda /new || echo "the root file system cannot be mounted"
$b mkdir -p /new/{SITE}
$b cp -a /project/. /new/{SITE}/
for name in proc sys dev; do $b mount --move /$name /new/$name; done
$b mount -t tmpfs run /new/run
$b mkdir -p /new/dev/shm
$b mount -t tmpfs shm /new/dev/shm
$b mount -t bpf bpf /new/sys/fs/bpf
$b mount -t tracefs tracefs /new/sys/kernel/tracing
$b mount -t debugfs debugfs /new/sys/kernel/debug
exec $b switch_root /new /bin/sh /{SITE}/start
"""

_START = f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONUNBUFFERED=1
/usr/bin/python3 -m tests.kernels.inside "$(cat /{SITE}/arguments)"
sync
echo o > /proc/sysrq-trigger
exec sleep 60
"""


@dataclass(frozen=True)
class Payload:
    """What of the project a guest gets, in /project beside ``arguments`` and ``start``, and what it does.

    ``init``: ``$b`` is a busybox, /dev/vda the root file system, /new a folder to mount it on.
    """

    folders: tuple[str, ...]
    init: str
    start: str


CHECKOUT = Payload(("sensor", "bpf", "tests/kernels"), _OWN, _START)
"""The checkout, under the root file system's python3 and bcc."""


@dataclass(frozen=True)
class _Entry:
    name: str
    mode: int
    data: bytes = b""


def initramfs(modules: Path, busybox: Path, arguments: str, payload: Payload = CHECKOUT) -> bytes:
    """A cpio archive in the kernel's newc format.

    ``modules`` is the folder ``lib/modules/RELEASE``; ``arguments`` is for what ``payload`` runs.
    """
    return _archive(_entries(modules, busybox, arguments, payload))


def _entries(modules: Path, busybox: Path, arguments: str, payload: Payload) -> Iterator[_Entry]:
    program, folder = stat.S_IFREG | 0o755, stat.S_IFDIR | 0o755
    for name in ("bin", "modules", "project", "project/tests"):
        yield _Entry(name, folder)
    yield _Entry("init", program, (_INIT + payload.init).encode())
    yield _Entry("bin/busybox", program, busybox.read_bytes())
    found = _modules(modules)
    for name, data in found.items():
        yield _Entry(f"modules/{name}.ko", program, data)
    yield _Entry("modules/order", program, "\n".join(found).encode())
    yield _Entry("project/start", program, payload.start.encode())
    yield _Entry("project/arguments", program, arguments.encode())
    yield _Entry("project/tests/__init__.py", program)
    for name in payload.folders:
        yield from _tree(name)


def _tree(name: str) -> Iterator[_Entry]:
    yield _Entry(f"project/{name}", stat.S_IFDIR | 0o755)
    for path in sorted((REPOSITORY / name).iterdir()):
        inside = f"{name}/{path.name}"
        if path.is_dir() and path.name != "__pycache__":
            yield from _tree(inside)
        elif path.is_file():
            yield _Entry(f"project/{inside}", stat.S_IFREG | 0o644, path.read_bytes())


def _modules(folder: Path) -> dict[str, bytes]:
    """Name -> module, each after those it needs. What the kernel has built in is not among them."""
    files = {}
    for path in folder.rglob("*.ko*"):
        files[path.name.partition(".ko")[0].replace("-", "_")] = path
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name in ordered or name not in files:
            return
        data = _unpacked(files[name])
        needs = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in needs[1].decode().split(",") if needs and needs[1] else ():
            add(other.replace("-", "_"))
        ordered[name] = data

    for name in _MODULES:
        add(name)
    return ordered


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix != ".zst":
        return path.read_bytes()
    try:
        return subprocess.run(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise KernelsError(f"{path} cannot be unpacked: apt-get install zstd") from error


def _archive(entries: Iterable[_Entry]) -> bytes:
    """Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel."""
    out = io.BytesIO()

    def put(number: int, entry: _Entry) -> None:
        name = entry.name.encode() + b"\0"
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
        out.write(b"070701" + b"".join(b"%08x" % field for field in fields))
        for part in (name, entry.data):
            out.write(part)
            out.write(b"\0" * (-out.tell() % 4))

    number = 0
    for number, entry in enumerate(entries, 1):
        put(number, entry)
    put(number + 1, _Entry("TRAILER!!!", 0))
    return out.getvalue()
