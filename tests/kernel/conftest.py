"""One capture for all tests, and programs that run in a mount namespace of their own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from sensor.model.events import EventKind, KernelEvent
from sensor.node.capture import layout
from sensor.node.capture.capture import Capture, CaptureSettings
from tests.clock import PATIENCE

_UNSHARE = ("unshare", "--mount", "--propagation", "private")
_PYTHON = ("/usr/bin/python3", "-I", "-S", "-c")
_PREAMBLE = """
import os, sys
print(os.stat("/proc/self/ns/mnt").st_ino, os.getpid(), flush=True)
def touch(path, flags=os.O_RDONLY):
    os.close(os.open(path, flags))
def make(path, size=0):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)
"""


@dataclass(frozen=True)
class Observed:
    """What one program did, as the kernel told it."""

    mount_namespace: int
    pid: int
    events: tuple[KernelEvent, ...]

    @property
    def opened(self) -> list[str]:
        """Paths of opens by the program itself, in order."""
        return [e.path for e in self.events if e.kind is EventKind.OPEN and e.pid == self.pid]

    def event(self, path: str) -> KernelEvent:
        """The one open of ``path``."""
        (event,) = [e for e in self.events if e.path == path and e.kind is EventKind.OPEN]
        return event


class Observer:
    """Runs programs while ``capture`` listens."""

    def __init__(self, settings: CaptureSettings | None = None) -> None:
        self._events: list[KernelEvent] = []
        self.capture = Capture(settings or CaptureSettings(), self._receive)

    def _receive(self, record: bytes) -> None:
        self._events.append(layout.decode(record))

    def run(self, script: str, *, private: bool = True) -> Observed:
        """Run Python code, with :data:`_PREAMBLE` before it, in a mount namespace of its own."""
        command = [*(_UNSHARE if private else []), *_PYTHON, _PREAMBLE + script]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        namespace, pid = map(int, done.stdout.split()[:2])
        return Observed(namespace, pid, self._take(namespace))

    @contextmanager
    def stepping(self, script: str) -> Iterator[Callable[[], Observed]]:
        """Run ``script`` like :meth:`run`; each call gives what it did up to its next ``pause()``.

        It must call ``pause()`` as often as it is stepped.
        """
        pause = "\ndef pause():\n    print(flush=True)\n    input()\ninput()\n"
        child = subprocess.Popen(
            [*_UNSHARE, *_PYTHON, _PREAMBLE + pause + script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stdin is not None
            assert child.stdout is not None
            stdin, stdout = child.stdin, child.stdout
            namespace, pid = map(int, stdout.readline().split())

            def step() -> Observed:
                stdin.write("\n")
                stdin.flush()
                stdout.readline()
                return Observed(namespace, pid, self._take(namespace))

            yield step
            child.communicate("\n")
        assert child.returncode == 0

    def _take(self, namespace: int) -> tuple[KernelEvent, ...]:
        self.drain()
        events = tuple(event for event in self._events if event.mount_namespace == namespace)
        self._events.clear()
        return events

    def drain(self) -> None:
        """Read until an echo of an open made after everything else has come back."""
        before = self.capture.last_echo
        end = time.monotonic() + PATIENCE
        again = 0.0
        while self.capture.last_echo == before:
            assert time.monotonic() < end, "no echo"
            if time.monotonic() >= again:  # a full ring loses it; a second echo would mislead the next call
                self.capture.beat()
                again = time.monotonic() + 1
            self.capture.poll(0.1)


@pytest.fixture(scope="session")
def observer(real_kernel: None) -> Iterator[Observer]:
    observer = Observer()
    yield observer
    observer.capture.close()
