"""The path of an opened file: across mounts, cut, or gone."""

from __future__ import annotations

import os
import tempfile

from sensor.model.events import EventFlag
from sensor.node.capture import layout
from tests.kernels.inside import libc
from tests.kernels.inside.observer import Observer, make, touch


def overlay(observer: Observer, folder: str, kind: str) -> str:
    """Each file is told once, by the overlay's path: the one below is the kernel's own."""
    base = tempfile.mkdtemp(dir="/dev/shm") if kind == "tmpfs" else folder
    merged = f"{base}/merged"

    def act() -> None:
        for name in ("upper", "work", "merged"):
            os.mkdir(f"{base}/{name}")
        make(f"{base}/lower/x/low.py")
        make(f"{base}/lower/y/copied.py")
        layers = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
        libc.mount("overlay", merged, "overlay", 0, layers)
        make(f"{merged}/x/up.py")
        for name in ("x/low.py", "x/up.py"):
            touch(f"{merged}/{name}")
        touch(f"{merged}/y/copied.py", os.O_RDWR)
        for name in ("x/low.py", "x/up.py"):
            touch(f"{merged}/{name}")

    found = observer.run(act).below(base)
    expected = [f"{merged}/x/low.py", f"{merged}/x/up.py", f"{merged}/y/copied.py"]
    assert found == expected, f"{found} instead of {expected}"
    return f"{len(expected)} files, one event each"


def bind_mount(observer: Observer, folder: str) -> str:
    """A bind mount's path counts, not where its files lie."""

    def act() -> None:
        make(f"{folder}/real/a.py")
        os.mkdir(f"{folder}/bound")
        libc.mount(f"{folder}/real", f"{folder}/bound", "none", libc.MS_BIND)
        touch(f"{folder}/bound/a.py")

    found = observer.run(act).below(folder)
    assert found == [f"{folder}/bound/a.py"], found
    return found[0]


def link(observer: Observer, folder: str) -> str:
    """A symbolic link is told by its target."""

    def act() -> None:
        make(f"{folder}/real/a.py")
        os.symlink(f"{folder}/real/a.py", f"{folder}/link.py")
        touch(f"{folder}/link.py")

    found = observer.run(act).below(folder)
    assert found == [f"{folder}/real/a.py"], found
    return found[0]


def depth(observer: Observer, folder: str, components: int) -> str:
    """A path deeper than the walk keeps its end and says that it was cut."""
    path = folder + "/d" * (components - folder.count("/") - 1) + "/deep.py"
    assert path.count("/") == components

    def act() -> None:
        make(path)
        touch(path)

    (event,) = [e for e in observer.run(act).events if e.path.endswith("/deep.py")]
    cut = components > layout.PATH_COMPONENTS
    assert (EventFlag.PATH_TRUNCATED in event.flags) == cut, event
    assert event.path == path or (cut and event.path.startswith("…/d/")), event
    assert event.path.count("/") == min(components, layout.PATH_COMPONENTS), event
    return "cut, and says so" if cut else "whole"


def deleted(observer: Observer, folder: str) -> str:
    """A file without a name left is flagged."""
    path = f"{folder}/a.py"

    def act() -> None:
        make(path)
        handle = os.open(path, os.O_WRONLY)
        os.unlink(path)
        touch(f"/proc/self/fd/{handle}")

    assert observer.run(act).event(path).flags == EventFlag.DELETED
    return "flagged"


def detached(observer: Observer, folder: str) -> str:
    """A mount that is no longer in the tree loses its prefix and is flagged."""

    def act() -> None:
        libc.mount("none", folder, "tmpfs")
        make(f"{folder}/x/a.py")
        os.chdir(folder)
        libc.unmount(folder, libc.MNT_DETACH)
        touch("x/a.py")

    (event,) = [e for e in observer.run(act).events if e.path.endswith("a.py")]
    assert (event.path, event.flags) == ("/x/a.py", EventFlag.DETACHED), event
    return "flagged"


def chroot(observer: Observer, folder: str) -> str:
    """Paths are the process's own, and it is flagged."""

    def act() -> None:
        make(f"{folder}/jail/x/a.py")
        os.chroot(f"{folder}/jail")
        touch("/x/a.py")

    assert observer.run(act).event("/x/a.py").flags == EventFlag.CHROOT
    return "flagged"
