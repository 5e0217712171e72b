"""What the sensor loads: libraries, the compiler, its own programs in the kernel."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Iterator

from sensor.node.preflight.finding import Finding, Status


def libbpf() -> Iterator[Finding]:
    """The agent reads the ring buffer through it."""
    try:
        library = ctypes.CDLL("libbpf.so.1")
    except OSError as error:
        yield Finding("libbpf", Status.FAIL, str(error), "install libbpf1 of the distribution")
        return
    library.libbpf_version_string.restype = ctypes.c_char_p
    yield Finding("libbpf", Status.OK, library.libbpf_version_string().decode())


def bcc() -> Iterator[Finding]:
    """In a child process: importing bcc maps LLVM, and this process stays without."""
    code = "import bcc; from bcc import BPF; print(bcc.__version__, bcc.__file__)"
    cure = (
        "install python3-bpfcc of the distribution, and make the environment from its python3 with "
        "--system-site-packages, as `make setup` does; the bcc of the package index is another project"
    )
    try:
        # -I: no module of the current folder may stand in for bcc.
        child = subprocess.run(
            [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding("bcc", Status.FAIL, "its import took more than 30 s", cure)
        return
    if child.returncode:
        last = (child.stderr.strip().splitlines() or [f"exit code {child.returncode}"])[-1]
        yield Finding("bcc", Status.FAIL, last, cure)
    else:
        version, _, path = child.stdout.strip().partition(" ")
        yield Finding("bcc", Status.OK, f"{version} ({path})")


def temporary_folder() -> Iterator[Finding]:
    """BCC reads a few headers out of one; writes them, and removes them, as the loader does."""
    from sensor.node.capture import scratch  # noqa: PLC0415 - see hook()

    try:
        with scratch.header_tree() as tree:
            yield Finding("temporary folder", Status.OK, f"{tree.parent} can be written")
    except scratch.ScratchError as error:
        yield Finding("temporary folder", Status.FAIL, str(error), scratch.CURE)


def hook() -> Iterator[Finding]:
    """Loads and attaches the real programs, and waits for an event of its own."""
    # Late: what this module imports may be what is broken on this node.
    from sensor.node.capture import capture, errors  # noqa: PLC0415

    try:
        used, refusals = capture.probe()
    except errors.CaptureError as error:
        found = "; ".join([str(error.args[0]), *error.log])
        yield Finding("hook", Status.FAIL, found, error.cure)
        return
    for refused, reason in refusals.items():
        yield Finding(f"hook {refused}", Status.OK, f"not to be had, and not needed: {reason}")
    yield Finding("hook", Status.OK, f"{used}: loaded, attached, and our own open came back")
    if used == "raw_tracepoint":
        found = "every system call of the node pays a little, io_uring and 32-bit programs are not seen"
        cure = "nothing to do where the kernel refuses the other hooks, as above"
        yield Finding("hook limits", Status.WARN, f"of {used}: {found}", cure)
