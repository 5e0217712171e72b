"""What is told of an exec and of an open, and of which opens anything is told."""

from __future__ import annotations

import os

from sensor.model.events import EventFlag, EventKind
from sensor.node.capture.layout import Counter
from tests.kernels.inside.observer import Observer, make, touch


def heartbeat(observer: Observer, _folder: str) -> str:
    """Our own open comes back, and nothing else of ours."""
    before = observer.counter(Counter.HEARTBEAT)
    observer.drain()
    assert observer.counter(Counter.HEARTBEAT) > before
    return "an open of our own came back"


def executes(observer: Observer, _folder: str) -> str:
    """One event for a program that is executed twice; the loader that the kernel opens is no open."""
    program = os.path.realpath("/usr/bin/env")

    def act() -> None:
        for _ in range(2):
            child = os.fork()
            if not child:
                os.execv(program, ["env", "-i", "/bin/true"])
            os.waitpid(child, 0)

    observed = observer.run(act)
    (event,) = [e for e in observed.events if e.kind is EventKind.EXEC and e.path == program]
    assert (event.executable_name, event.comm, event.uid, event.flags) == ("env", "env", 0, 0), event
    status = os.stat(program)
    assert (event.file.inode, event.file) == (status.st_ino, event.executable), event
    assert 0 < event.start_boottime <= event.time
    loaders = [path for path in observed.opened if os.path.basename(path).startswith("ld-")]
    assert not loaders, f"the kernel's own opens were told: {loaders}"
    assert any(path.endswith("/libc.so.6") for path in observed.opened), observed.opened
    return f"{program} once of 2 runs"


def opens(observer: Observer, folder: str) -> str:
    """Process, executable and file of an open."""
    path = f"{folder}/a.py"

    def act() -> None:
        make(path)
        touch(path)

    observed = observer.run(act)
    event, status = observed.event(path), os.stat(path)
    device = os.major(status.st_dev) << 20 | os.minor(status.st_dev)
    assert (event.file.inode, event.file.device) == (status.st_ino, device), event
    python = os.path.realpath("/proc/self/exe")
    assert event.executable.inode == os.stat(python).st_ino, event
    assert (event.executable_name, event.pid, event.uid) == (os.path.basename(python), observed.pid, 0), event
    assert event.mount_namespace_id > 0
    assert 0 < event.start_boottime <= event.time
    assert event.flags == EventFlag.NONE, event
    return path


def names(observer: Observer, folder: str) -> str:
    """What a resolver wants is told, the rest is not."""
    wanted = [
        "a.pyc",
        "liba.so.1.2.3",
        "A.JAR",
        "app.deps.json",
        "x.class",
        "node_modules/p/bin/run",
        "lib/modules",
    ]
    other = ["a.txt", ".so.1x", "a.d.ts", "package.json", "bin/run", "METADATA", "7"]

    def act() -> None:
        for number, name in enumerate(wanted + other):
            make(f"{folder}/{number}/{name}")
            touch(f"{folder}/{number}/{name}")

    expected = [f"{folder}/{number}/{name}" for number, name in enumerate(wanted)]
    found = observer.run(act).below(folder)
    assert found == expected, f"{found} instead of {expected}"
    return f"{len(wanted)} of {len(wanted) + len(other)} names"


def readers_only(observer: Observer, folder: str) -> str:
    """Neither write-only nor O_PATH opens, nor failed ones, nor folders."""

    def act() -> None:
        for name in ("written", "path", "read"):
            make(f"{folder}/{name}/{name}.py")
        touch(f"{folder}/written/written.py", os.O_WRONLY)
        touch(f"{folder}/path/path.py", os.O_PATH)
        os.mkdir(f"{folder}/folder.py")
        touch(f"{folder}/folder.py")
        try:
            touch(f"{folder}/missing.py")
        except FileNotFoundError:
            touch(f"{folder}/read/read.py")

    found = observer.run(act).below(folder)
    assert found == [f"{folder}/read/read.py"], found
    return "1 of 5 opens"


def cgroup(observer: Observer, folder: str, base: str) -> str:
    """The container's cgroup by name and number, from the leaf up."""
    home = f"{base}/kubepods/burstable/podtest/{'c' * 64}"
    path = f"{folder}/a.py"
    os.makedirs(home)

    def act() -> None:
        descriptor = os.open(f"{home}/cgroup.procs", os.O_WRONLY)
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
        make(path)
        touch(path)

    try:
        event = observer.run(act).event(path)
        assert event.cgroup_path == home.removeprefix(base), event.cgroup_path
        assert event.cgroup_id == os.stat(home).st_ino, event
    finally:
        for name in (home, *(os.path.dirname(home), f"{base}/kubepods/burstable", f"{base}/kubepods")):
            os.rmdir(name)
    return event.cgroup_path[:24] + "…"
