"""How a guest is put together, started, listened to and given up."""

from __future__ import annotations

import lzma
import stat
import threading
import time
from pathlib import Path

import pytest

from tests.kernels import archive, qemu, unpack
from tests.kernels.initramfs import initramfs
from tests.kernels.inside import loud_loader
from tests.kernels.problem import KernelsError

LISTED = """\
'http://mirror.invalid/libbpf1_1.1.2-0+deb12u1_amd64.deb' libbpf1_1%3a1.1.2-0+deb12u1_amd64.deb 145 SHA256:00
'http://mirror.invalid/python3-bpfcc_0.26.0+ds-1_all.deb' python3-bpfcc_0.26.0+ds-1_all.deb 38 SHA256:11
Reading package lists...
"""
_CONNECT = """\
#!/usr/bin/python3 -I
import socket, sys, time
def connect():
    port = socket.socket(socket.AF_UNIX)
    port.connect(next(a for a in sys.argv if a.startswith("socket,")).rpartition("path=")[2])
    return port
"""


def module(path: Path, depends: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF\0license=GPL\0depends=" + depends.encode() + b"\0name=x\0")


def unpacked(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Name -> (mode, content) of a cpio archive in the newc format."""
    found: dict[str, tuple[int, bytes]] = {}
    at = 0
    while at < len(data):
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = -(-(at + 110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return found
        found[name] = mode, data[start : start + size]
        at = -(-(start + size) // 4) * 4
    raise AssertionError("no trailer")


def test_what_apt_lists_are_file_names() -> None:
    names = archive._file_names(LISTED)
    assert names == ["libbpf1_1%3a1.1.2-0+deb12u1_amd64.deb", "python3-bpfcc_0.26.0+ds-1_all.deb"]
    assert unpack._version(names, "python3-bpfcc") == "0.26.0"
    assert unpack._version(names, "libbpf1") == "1.1.2"


def test_another_list_of_packages_is_another_image() -> None:
    assert unpack._key(["a_1.deb"]) != unpack._key(["a_2.deb"])


def test_modules_come_after_those_they_need(tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    module(modules / "kernel/virtio_blk.ko", "virtio,virtio-ring")
    module(modules / "kernel/virtio.ko", "virtio-ring")
    module(modules / "kernel/unrelated.ko", "")
    module(modules / "ring/virtio_ring.ko", "")
    plain = (modules / "ring/virtio_ring.ko").read_bytes()
    (modules / "ring/virtio_ring.ko").unlink()
    (modules / "ring/virtio-ring.ko.xz").write_bytes(lzma.compress(plain))
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"\x7fELF")
    files = unpacked(initramfs(modules, busybox, '{"what": "checks"}'))
    assert files["modules/order"][1].decode().split() == ["virtio_ring", "virtio", "virtio_blk"]
    assert files["modules/virtio_ring.ko"][1] == plain
    assert files["init"][0] == stat.S_IFREG | 0o755
    assert files["project/arguments"][1] == b'{"what": "checks"}'
    for name in ("bpf/events.h", "sensor/node/capture/loader.py", "tests/kernels/inside/checks.py"):
        assert f"project/{name}" in files
    assert not any("__pycache__" in name for name in files)


def emulator(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, seconds: float) -> qemu.Guest:
    """A guest whose emulator is ``script``: Python, which may ``connect()`` as QEMU does."""
    program = folder / "emulator"
    program.write_text(_CONNECT + script)
    program.chmod(0o755)
    monkeypatch.setitem(qemu._MACHINES, "amd64", (str(program), "none", "none", "ttyS0", ""))
    (folder / "boot").mkdir()
    (folder / "boot/vmlinuz-1").touch()
    (folder / "lib/modules/1").mkdir(parents=True)
    return qemu.Guest("amd64", folder, folder / "image", program, "{}", seconds)


def test_lines_of_a_guest_are_heard_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "port = connect()\nport.sendall(b'one\\ntw')\ntime.sleep(0.2)\nport.sendall(b'o\\nhalf')"
    heard: list[str] = []
    ended = qemu.run(emulator(tmp_path, monkeypatch, script, 60), heard.append)
    assert (heard, ended.why) == (["one", "two"], "")


def test_a_guest_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = "port = connect()\nport.sendall(b'one\\n')\ntime.sleep(600)"
    heard: list[str] = []
    started = time.monotonic()
    ended = qemu.run(emulator(tmp_path, monkeypatch, script, 3), heard.append)
    assert (heard, ended.why) == (["one"], "did not end in time")
    assert time.monotonic() - started < 120


def test_a_run_that_is_stopped_ends_its_guests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    guest = emulator(tmp_path, monkeypatch, "port = connect()\nport.sendall(b'one\\n')\ntime.sleep(600)", 600)
    started = time.monotonic()
    qemu.run(guest, lambda _line: stop.set(), stop)
    assert time.monotonic() - started < 120


def test_an_emulator_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qemu, "_CONNECT_SECONDS", 3.0)
    ended = qemu.run(emulator(tmp_path, monkeypatch, "sys.exit('no such machine')", 60), lambda _line: None)
    assert ended.why == "QEMU ended with 1: no such machine"


def test_a_missing_emulator_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(KernelsError, match="apt-get install --no-install-recommends qemu-system-arm"):
        qemu.require("arm64")


def test_the_verifiers_last_word_on_a_program_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = tmp_path / "said"
    monkeypatch.setattr(loud_loader, "SAID", said)
    said.write_text(
        "on_exec processed 1 insns (limit 1000000)\n"
        "on_open_fentry processed 2 insns (limit 1000000)\n"
        "on_open_fentry verification time 9 usec processed 14943 insns (limit 1000000)\n"
    )
    assert loud_loader.instructions("on_open_fentry") == 14943
    with pytest.raises(AssertionError, match="nothing of on_sys_exit"):
        loud_loader.instructions("on_sys_exit")
