"""What an event carries: the path across mounts, the cgroup, the process, the executable."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sensor.model.events import EventFlag, EventKind, FileId
from sensor.node.capture import layout
from tests.kernel.conftest import Observer

pytestmark = pytest.mark.kernel

MOUNT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def mount(source, target, kind, flags=0, data=None):
    data = data.encode() if data else None
    if libc.mount(source.encode(), target.encode(), kind.encode(), flags, data):
        raise OSError(ctypes.get_errno(), target)
BIND, DETACH = 4096, 2
"""


def device(path: Path) -> int:
    """The kernel's own device number: 12 bits of major, 20 of minor."""
    number = os.stat(path).st_dev
    return os.major(number) << 20 | os.minor(number)


def test_file_process_and_executable(observer: Observer, tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    observed = observer.run(f"make({str(path)!r}); touch({str(path)!r})")
    event = observed.event(str(path))
    python = Path("/usr/bin/python3").resolve()
    assert event.file == FileId(path.stat().st_ino, device(path))
    assert event.executable == FileId(python.stat().st_ino, device(python))
    assert (event.executable_name, event.comm, event.uid) == (python.name, "python3", os.getuid())
    assert event.pid == observed.pid
    (executed,) = [
        e
        for e in observed.events
        if e.kind is EventKind.EXEC and e.pid == event.pid and e.path == str(python)
    ]
    assert 0 < event.start_boottime <= executed.time <= event.time
    assert event.mount_namespace_id > 0


def test_the_cgroup_is_told_from_the_leaf_up(observer: Observer, tmp_path: Path) -> None:
    controllers = Path("/sys/fs/cgroup")
    base = controllers / "memory" if (controllers / "memory").is_dir() else controllers
    cgroup = base / "kubepods" / "burstable" / f"podtest-{os.getpid()}" / ("c" * 64)
    cgroup.mkdir(parents=True)
    try:
        path = tmp_path / "a.py"
        script = f"""
open({str(cgroup / "cgroup.procs")!r}, "w").write(str(os.getpid()))
make({str(path)!r})
touch({str(path)!r})
"""
        event = observer.run(script).event(str(path))
        assert event.cgroup_path == f"/kubepods/burstable/podtest-{os.getpid()}/{'c' * 64}"
        assert event.cgroup_id == cgroup.stat().st_ino
    finally:
        cgroup.rmdir()
        cgroup.parent.rmdir()


def test_a_deep_cgroup_says_that_it_was_cut(observer: Observer, tmp_path: Path) -> None:
    controllers = Path("/sys/fs/cgroup")
    base = controllers / "memory" if (controllers / "memory").is_dir() else controllers
    names = [f"sensor-test-{os.getpid()}", *"abcdefg"]
    deepest = base.joinpath(*names)
    deepest.mkdir(parents=True)
    try:
        path = tmp_path / "a.py"
        script = f"""
open({str(deepest / "cgroup.procs")!r}, "w").write(str(os.getpid()))
make({str(path)!r})
touch({str(path)!r})
"""
        event = observer.run(script).event(str(path))
        assert event.cgroup_path == "…/b/c/d/e/f/g"
        assert EventFlag.CGROUP_TRUNCATED in event.flags
    finally:
        for depth in range(len(names), 0, -1):
            base.joinpath(*names[:depth]).rmdir()


def test_paths_cross_overlays_and_bind_mounts(observer: Observer, tmp_path: Path) -> None:
    script = (
        MOUNT
        + f"""
base = {str(tmp_path)!r}
for name in ("lower", "upper", "work", "merged", "bound"):
    os.mkdir(f"{{base}}/{{name}}")
make(f"{{base}}/lower/x/low.py")
layers = f"lowerdir={{base}}/lower,upperdir={{base}}/upper,workdir={{base}}/work"
mount("overlay", f"{{base}}/merged", "overlay", 0, layers)
make(f"{{base}}/merged/x/up.py")
mount(f"{{base}}/merged/x", f"{{base}}/bound", "none", BIND)
touch(f"{{base}}/merged/x/low.py")
touch(f"{{base}}/merged/x/up.py")
make(f"{{base}}/bound/bound.py")
touch(f"{{base}}/bound/bound.py")
"""
    )
    found = [path for path in observer.run(script).opened if path.startswith(str(tmp_path))]
    assert found == [
        f"{tmp_path}/merged/x/low.py",
        f"{tmp_path}/merged/x/up.py",
        f"{tmp_path}/bound/bound.py",
    ]


def test_links_are_told_by_their_target(observer: Observer, tmp_path: Path) -> None:
    real, link = str(tmp_path / "real" / "a.py"), str(tmp_path / "link.py")
    observed = observer.run(f"make({real!r}); os.symlink({real!r}, {link!r}); touch({link!r})")
    assert real in observed.opened
    assert link not in observed.opened


def test_a_chroot_is_flagged_and_its_paths_are_its_own(observer: Observer, tmp_path: Path) -> None:
    script = f"""
make({str(tmp_path / "jail/x/a.py")!r})
os.chroot({str(tmp_path / "jail")!r})
touch("/x/a.py")
"""
    event = observer.run(script).event("/x/a.py")
    assert event.flags == EventFlag.CHROOT


def test_a_deleted_file_is_flagged(observer: Observer, tmp_path: Path) -> None:
    path = str(tmp_path / "a.py")
    script = f"""
make({path!r})
handle = os.open({path!r}, os.O_WRONLY)
os.unlink({path!r})
touch(f"/proc/self/fd/{{handle}}")
"""
    events = [e for e in observer.run(script).events if e.path == path]
    assert [e.flags for e in events] == [EventFlag.DELETED]


def test_a_detached_mount_is_flagged(observer: Observer, tmp_path: Path) -> None:
    script = (
        MOUNT
        + f"""
base = {str(tmp_path)!r}
mount("none", base, "tmpfs")
make(f"{{base}}/x/a.py")
os.chdir(base)
libc.umount2(base.encode(), DETACH)
touch("x/a.py")
"""
    )
    (event,) = [e for e in observer.run(script).events if e.path.endswith("a.py")]
    assert event.path == "/x/a.py"
    assert EventFlag.DETACHED in event.flags


@pytest.mark.parametrize("depth", [layout.PATH_COMPONENTS - 2, layout.PATH_COMPONENTS + 8])
def test_a_path_too_deep_says_that_it_was_cut(observer: Observer, depth: int) -> None:
    script = f"""
import tempfile, shutil
base = tempfile.mkdtemp(dir="/tmp")
path = base + "/d" * {depth - 3} + "/deep.py"
make(path)
touch(path)
shutil.rmtree(base)
"""
    (event,) = [e for e in observer.run(script).events if e.path.endswith("deep.py")]
    cut = depth > layout.PATH_COMPONENTS
    assert (EventFlag.PATH_TRUNCATED in event.flags) == cut
    assert event.path.startswith("…/d/d/" if cut else "/tmp/")
    assert event.path.count("/") == min(depth, layout.PATH_COMPONENTS)


def test_a_path_of_long_names_says_that_it_was_cut(observer: Observer, tmp_path: Path) -> None:
    script = f"""
os.chdir({str(tmp_path)!r})
for _ in range(20):
    os.mkdir("n" * 250)
    os.chdir("n" * 250)
open("long.py", "w").close()
touch("long.py")
"""
    (event,) = [e for e in observer.run(script).events if e.path.endswith("long.py")]
    assert EventFlag.PATH_TRUNCATED in event.flags
    assert event.path.endswith("/" + "n" * 250 + "/long.py")
    subprocess.run(["rm", "-rf", *tmp_path.iterdir()], check=True)


@pytest.mark.parametrize("call", ["open", "openat", "openat2", "open_by_handle_at"])
def test_every_system_call_that_opens(observer: Observer, tmp_path: Path, call: str) -> None:
    path = str(tmp_path / f"{call}.py")
    script = f"""
import ctypes, struct, platform
libc = ctypes.CDLL(None, use_errno=True)
path = {path!r}
make(path)
x86 = platform.machine() == "x86_64"
if {call!r} == "open" and x86:
    result = libc.syscall(2, path.encode(), 0)
elif {call!r} in ("open", "openat"):
    result = libc.syscall(257 if x86 else 56, -100, path.encode(), 0)
elif {call!r} == "openat2":
    result = libc.syscall(437, -100, path.encode(), struct.pack("QQQ", 0, 0, 0), 24)
else:
    handle, mount_id = ctypes.create_string_buffer(136), ctypes.c_int()
    struct.pack_into("I", handle, 0, 128)
    assert libc.name_to_handle_at(-100, path.encode(), handle, ctypes.byref(mount_id), 0) == 0
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    result = libc.open_by_handle_at(folder, handle, 0)
assert result >= 0, ctypes.get_errno()
"""
    assert path in observer.run(script).opened
