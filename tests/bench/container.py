"""A container by hand: cgroups named as the kubelet names them, a mount namespace, an overlay for a root.

The overlay is what container runtimes make: an image's layer, here over the machine's own root, and a
writable one. The sensor takes a process with the machine's very root for no container.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.bench.process import BenchError, running, wait_until

# Pods of this benchmark, whichever run made them: what a killed run left is found by it.
POD_PREFIX = "podbe9c4000-0000-4000-8000-"
# The version 1 hierarchies that container runtimes and sensors tell containers by. Not cpuset: a new cgroup
# there takes no process before it is given processors.
VERSION_1 = {"memory", "pids", "name=systemd"}
UP_SECONDS = 60.0
NEW_SECONDS = 60.0

# $1 is an empty folder, $2 the layer: copied, as overlayfs refuses a layer that lies below another (ELOOP).
_BECOME_CONTAINER = """set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
cp -a "$2" "$1/layer"
mount -t overlay overlay -o "lowerdir=$1/layer:/,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir "$1/root/machine"
mount -t proc proc "$1/root/proc"
cd "$1/root"
pivot_root . machine
umount -l /machine
shift 2
exec "$@"
"""
_ENTER_CGROUPS = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 1; shift; done; shift; exec "$@"'


def hierarchies(mountinfo: str) -> tuple[Path, ...]:
    """Mount points of the cgroup hierarchies that name containers, from a mountinfo file (proc(5))."""
    found: list[Path] = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2" or (kind == "cgroup" and VERSION_1 & set(options.split(","))):
            found.append(Path(left.split(" ")[4]))
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Container:
    """A running container: ``init`` is the host's process id of its first process."""

    id: str
    init: int
    cgroups: tuple[Path, ...]

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs ``arguments`` inside, with the same process id all the way."""
        return _in_cgroups(self.cgroups, ["nsenter", f"--mount=/proc/{self.init}/ns/mnt", *arguments])


@contextlib.contextmanager
def container(layer: Path, scratch: Path) -> Iterator[Container]:
    """Start a container that idles; on the way out every process in it is killed and its cgroups removed.

    ``layer`` is the folder with the files of its image, ``scratch`` an empty one that it hides.
    Raises BenchError when there are no cgroups or they take no process.
    """
    roots = mounted_hierarchies()
    remove_leftovers(roots)
    with launched(roots, layer, scratch, ("sleep", "infinity"), subprocess.DEVNULL) as (started, init):
        wait_until_up(init, "sleep")
        yield started


def mounted_hierarchies() -> tuple[Path, ...]:
    """Those of this machine; raises BenchError when there is none."""
    roots = hierarchies(Path("/proc/self/mountinfo").read_text())
    if not roots:
        raise BenchError("no cgroup hierarchy is mounted; expected one at /sys/fs/cgroup")
    return roots


@contextlib.contextmanager
def launched(
    roots: Sequence[Path], layer: Path, scratch: Path, program: Sequence[str], output: IO[bytes] | int
) -> Iterator[tuple[Container, subprocess.Popen[bytes]]]:
    """A container that is on its way to be up, and its first process, which becomes ``program``.

    ``scratch`` may be the same for all: what is mounted on it is seen in the container alone.
    """
    container_id = secrets.token_hex(32)
    pod = POD_PREFIX + secrets.token_hex(6)
    with contextlib.ExitStack() as stack:
        cgroups = tuple(stack.enter_context(_cgroup(root, pod, container_id)) for root in roots)
        become = ["sh", "-c", _BECOME_CONTAINER, "sh", str(scratch), str(layer), *program]
        command = _in_cgroups(cgroups, ["unshare", "--mount", *become])
        init = stack.enter_context(running(command, output, subprocess.PIPE))
        assert init.stderr is not None
        stack.enter_context(init.stderr)
        yield Container(container_id, init.pid, cgroups), init


def remove_leftovers(roots: Sequence[Path]) -> None:
    """Remove the cgroups of earlier runs; those of a run that is going on have processes, or are new, and
    stay."""
    for root in roots:
        for pod in root.glob(f"kubepods/besteffort/{POD_PREFIX}*"):
            if _age(pod) < NEW_SECONDS:
                continue
            for directory in (*pod.glob("*/"), pod):
                with contextlib.suppress(OSError):
                    directory.rmdir()


def _age(directory: Path) -> float:
    """Seconds since it was made; of one that has gone meanwhile, nothing."""
    try:
        return time.time() - directory.stat().st_ctime
    except FileNotFoundError:
        return 0.0


def _in_cgroups(cgroups: Sequence[Path], arguments: Sequence[str]) -> list[str]:
    files = [str(cgroup / "cgroup.procs") for cgroup in cgroups]
    return ["sh", "-c", _ENTER_CGROUPS, "sh", *files, "--", *arguments]


def wait_until_up(init: subprocess.Popen[bytes], name: str) -> None:
    """Return once the first process has become the program ``name``; raises BenchError."""

    def idles() -> bool:
        if init.poll() is not None:
            assert init.stderr is not None
            raise BenchError(f"the container did not start: {init.stderr.read().decode(errors='replace')}")
        return Path(f"/proc/{init.pid}/comm").read_text() == f"{name}\n"

    if not wait_until(idles, UP_SECONDS):
        raise BenchError(f"the container was not up within {UP_SECONDS:.0f} s")


@contextlib.contextmanager
def _cgroup(root: Path, pod: str, container_id: str) -> Iterator[Path]:
    directory = root / "kubepods" / "besteffort" / pod / container_id
    chain = (directory, *directory.parents[:3])  # the container's, the pod's, besteffort, kubepods
    created = [each for each in chain if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield directory
    finally:
        _kill_all(directory)
        for each in created:
            with contextlib.suppress(OSError):  # not empty: another program's containers came to stand in it
                each.rmdir()


def _kill_all(cgroup: Path) -> None:
    def empty() -> bool:
        try:
            members = (cgroup / "cgroup.procs").read_text().split()
        except FileNotFoundError:  # another run of the benchmark took it for a leftover
            return True
        for member in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(member), signal.SIGKILL)
        return not members

    wait_until(empty, 5)
