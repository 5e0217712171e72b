"""The agent's side of the loader child: start it, wait, take the descriptors over."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import IO, Any

from sensor.node.capture.errors import CaptureError

LOADER_TIMEOUT = 30.0
"""Seconds. A cold compile takes one second here, three on a loaded node."""

_MAX_DESCRIPTORS = 32
_MAX_ANSWER = 65536
_LOG_LINES = 15
_CURES: dict[int, str] = {
    signal.SIGKILL: "out of memory? the loader needs 256 MiB for about a second",
    # What a call into a library ends with that our image only has a stub of.
    signal.SIGILL: "this processor or this image lacks something: report it with what `doctor` prints",
}


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the loader must know. ``cgroup_controller`` is ``""`` on a pure v2 host; ``open_hook`` is ``auto``
    or a name of ``hooks.HOOKS``."""

    bpf_folder: str
    agent_tgid: int
    heartbeat_inode: int
    host_mount_namespace: int
    include_host: bool
    ring_bytes: int
    cgroup_controller: str
    open_hook: str = "auto"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Descriptors that keep programs and maps alive in the kernel; closing ``links`` detaches.

    ``programs`` are those of execs and of opens. ``refusals`` maps each hook that was tried before ``hook``
    to the reason why the kernel would not have it.
    """

    hook: str
    refusals: Mapping[str, str]
    events: int
    seen: int
    losses: int
    ignored: int
    counters: int
    epoch: int
    programs: tuple[int, int]
    links: tuple[int, int]

    def close(self) -> None:
        maps = (self.events, self.seen, self.losses, self.ignored, self.counters, self.epoch)
        for descriptor in (*self.links, *self.programs, *maps):
            os.close(descriptor)


def load(request: LoadRequest, timeout: float = LOADER_TIMEOUT) -> Loaded:
    """Run the loader child and return what it loaded and attached.

    Raises :class:`CaptureError` with the verifier's last lines and a cure when it fails, dies or
    does not answer within ``timeout`` seconds; then nothing stays in the kernel.
    """
    ours, theirs = socket.socketpair()
    # In memory: where no file can be written, the loader is still heard.
    with ours, open(os.memfd_create("runtime-sensor-loader-log"), "w+b") as log:
        with theirs:
            # -I: neither the working folder nor the environment may bring code of its own along.
            command = [sys.executable, "-I", "-m", "sensor.node.capture.loader", str(theirs.fileno())]
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C at the terminal is the agent's to handle
            )
        try:
            return _converse(ours, request, timeout, log, child)
        finally:
            child.kill()
            child.wait()


def _converse(
    connection: socket.socket,
    request: LoadRequest,
    timeout: float,
    log: IO[bytes],
    child: subprocess.Popen[bytes],
) -> Loaded:
    connection.settimeout(timeout)
    try:
        connection.sendall(json.dumps(asdict(request)).encode())
        answer, descriptors, _, _ = socket.recv_fds(connection, _MAX_ANSWER, _MAX_DESCRIPTORS)
    except TimeoutError:
        raise CaptureError(
            f"the loader did not finish within {timeout:.0f} s",
            "the node is overloaded, or LLVM hangs: look at the lines above and try again",
            _last_lines(log),
        ) from None
    except OSError as error:
        raise _died(child, log) from error
    if not answer:
        raise _died(child, log)
    return _take_over(json.loads(answer), descriptors, log)


def _take_over(answer: dict[str, Any], descriptors: list[int], log: IO[bytes]) -> Loaded:
    if not answer["ok"]:
        raise CaptureError(
            f"capture cannot start, stage {answer['stage']}: {answer['error']}",
            answer["cure"],
            _last_lines(log),
        )
    if len(descriptors) != answer["descriptors"]:
        for descriptor in descriptors:
            os.close(descriptor)
        raise CaptureError(
            f"{len(descriptors)} of {answer['descriptors']} descriptors arrived",
            "raise the limit of open files (ulimit -n) of the sensor",
        )
    events, seen, losses, ignored, counters, epoch, execs, opens, exec_link, open_link = descriptors
    return Loaded(
        answer["hook"],
        answer["refusals"],
        *(events, seen, losses, ignored, counters, epoch),
        programs=(execs, opens),
        links=(exec_link, open_link),
    )


def _died(child: subprocess.Popen[bytes], log: IO[bytes]) -> CaptureError:
    status = child.wait()
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    cure = _CURES.get(-status, "see the lines above")
    return CaptureError(f"the loader ended without an answer ({how})", cure, _last_lines(log))


def _last_lines(log: IO[bytes]) -> tuple[str, ...]:
    """The compiler's or verifier's last words; at most 64 KiB are looked at."""
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - 65536))
    lines = log.read().decode("utf-8", "replace").splitlines()
    return tuple(line for line in lines if line.strip())[-_LOG_LINES:]
