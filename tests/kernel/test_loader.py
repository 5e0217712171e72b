"""The loader child fails, hangs, dies: the agent says what happened and what to do."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sensor.config.bpf import bpf_directory
from sensor.node.capture import handover, hooks, host
from sensor.node.capture.btf import BtfError, KernelTypes
from sensor.node.capture.capture import probe
from sensor.node.capture.errors import CaptureError
from sensor.node.capture.offsets import member_macros
from tests.clock import in_time, until
from tests.kernel.conftest import Observer

LABELS = {hook.label for hook in hooks.HOOKS}

pytestmark = pytest.mark.kernel


def request(**changes: object) -> handover.LoadRequest:
    fields = {
        "bpf_folder": str(bpf_directory()),
        "agent_tgid": os.getpid(),
        "heartbeat_inode": 1,
        "host_mount_namespace": host.host_mount_namespace(),
        "include_host": False,
        "ring_bytes": 1 << 20,
        "cgroup_controller": host.cgroup_controller(),
    }
    return handover.LoadRequest(**(fields | changes))  # type: ignore[arg-type]


def broken_copy(folder: Path, name: str, old: str, new: str) -> str:
    """The programs, one line changed."""
    for source in bpf_directory().iterdir():
        (folder / source.name).write_text(source.read_text())
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    return str(folder)


def test_our_own_open_comes_back(real_kernel: None) -> None:
    before = len(os.listdir("/proc/self/fd"))
    assert probe()[0] in LABELS
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_program_that_does_not_compile(real_kernel: None, tmp_path: Path) -> None:
    folder = broken_copy(tmp_path, "open.h", "#define FMODE_READ 1", "#define FMODE_READ not C")
    with pytest.raises(CaptureError) as raised:
        handover.load(request(bpf_folder=folder))
    text = str(raised.value)
    assert "stage compile" in text
    assert "bpf/open.h:" in text  # the real file, not the text that was put together
    assert "what to do:" in text
    assert "Traceback" not in text


def test_a_program_that_the_verifier_refuses(real_kernel: None, tmp_path: Path) -> None:
    folder = broken_copy(
        tmp_path,
        "exec.c",
        "\topened.key.what = SEEN_EXEC;",
        "\twhile (bpf_ktime_get_ns()) {}\n\topened.key.what = 2;",
    )
    with pytest.raises(CaptureError) as raised:
        handover.load(request(bpf_folder=folder))
    text = str(raised.value)
    assert "the kernel refused program on_exec" in text
    assert raised.value.log, "the verifier's last lines"
    assert len(raised.value.log) <= 15
    assert "Traceback" not in text


def test_a_member_that_the_kernel_lacks_is_named(real_kernel: None) -> None:
    types = KernelTypes(kernel="kernel 9.9.9")
    with pytest.raises(BtfError, match=r"struct task_struct has no member nothing or none on kernel 9\.9\.9"):
        types.offset("task_struct", "nothing", "none")
    with pytest.raises(BtfError, match="struct no_such does not exist on kernel 9"):
        types.offset("no_such", "x")


def test_no_type_information_is_told(real_kernel: None, tmp_path: Path) -> None:
    with pytest.raises(BtfError, match="CONFIG_DEBUG_INFO_BTF"):
        KernelTypes(tmp_path / "vmlinux")
    (tmp_path / "vmlinux").write_bytes(b"\x9f\xeb" + os.urandom(4096))
    with pytest.raises(BtfError, match="CONFIG_DEBUG_INFO_BTF"):
        KernelTypes(tmp_path / "vmlinux")


def test_members_of_anonymous_structs_are_found(real_kernel: None) -> None:
    macros = member_macros(KernelTypes(), os.uname().machine)
    assert macros["MM_EXE_FILE"] > 0
    assert macros["DENTRY_NAME"] > macros["DENTRY_PARENT"]
    assert macros["FILE_SPAN_SIZE"] <= 256  # it lies on a stack of 512 bytes


def test_a_loader_that_hangs_is_given_up(real_kernel: None, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "exec.c")
    with in_time(), pytest.raises(CaptureError, match="did not finish within 1 s"):
        handover.load(request(bpf_folder=str(tmp_path)), timeout=1.0)
    assert loaders() == []


@pytest.mark.parametrize(("number", "cure"), [(9, "out of memory"), (4, "or this image lacks something")])
def test_a_loader_that_is_killed_is_told_and_the_next_start_works(
    real_kernel: None, tmp_path: Path, number: int, cure: str
) -> None:
    os.mkfifo(tmp_path / "exec.c")
    killer = threading.Thread(target=kill_loader, args=(number,))
    killer.start()
    with pytest.raises(CaptureError, match=rf"ended without an answer \(signal {number}") as raised:
        handover.load(request(bpf_folder=str(tmp_path)))
    assert cure in raised.value.cure
    killer.join()
    assert probe()[0] in LABELS


def loaders() -> list[int]:
    """Loader children of this very process."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "sensor.node.capture.loader"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]


def kill_loader(number: int) -> None:
    until(loaders)
    os.kill(loaders()[0], number)


def test_the_agent_never_maps_llvm(real_kernel: None) -> None:
    script = """
from sensor.node.capture.capture import Capture, CaptureSettings
capture = Capture(CaptureSettings(), lambda event: None)
capture.beat()
while not capture.last_echo:
    capture.poll(0.1)
maps = open("/proc/self/maps").read()
assert "LLVM" not in maps and "clang" not in maps and "libbcc" not in maps, maps
import sys
assert "bcc" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_killed_agent_leaves_nothing_attached(real_kernel: None) -> None:
    script = """
import sys, time
from sensor.node.capture.capture import Capture, CaptureSettings
capture = Capture(CaptureSettings(), lambda event: None)
print("ready", flush=True)
time.sleep(60)
"""
    before = program_ids()
    agent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert agent.stdout is not None
    agent.stdout.readline()
    attached = program_ids() - before
    agent.kill()
    agent.communicate()
    assert len(attached) >= 2
    until(lambda: not attached & program_ids(), "the end of programs in the kernel")


def program_ids() -> set[int]:
    """Ids of all programs in the kernel, by bpf(BPF_PROG_GET_NEXT_ID)."""
    library = ctypes.CDLL("libbpf.so.1")
    found: set[int] = set()
    current = ctypes.c_uint32(0)
    while library.bpf_prog_get_next_id(current, ctypes.byref(current)) == 0:
        found.add(current.value)
    return found


def test_kernels_before_typed_task_pointers_are_served(
    real_kernel: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels 5.8 to 5.10: the same programs with explicit reads throughout."""
    folder = tmp_path / "bpf"
    folder.mkdir()
    broken_copy(folder, "kernel_read.h", "#ifdef HAVE_TASK_BTF", "#ifdef NEVER_DEFINED")
    monkeypatch.setenv("RUNTIME_SENSOR_BPF_DIR", str(folder))
    observer = Observer()
    try:
        path = tmp_path / "a.py"
        event = observer.run(f"make({str(path)!r}); touch({str(path)!r})").event(str(path))
    finally:
        observer.capture.close()
    assert event.executable_name == Path("/usr/bin/python3").resolve().name
    assert event.mount_namespace_id > 0
