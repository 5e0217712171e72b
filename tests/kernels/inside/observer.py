"""A capture, and processes that act in a mount namespace of their own while it listens."""

from __future__ import annotations

import json
import os
import select
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sensor.model.events import EventKind, KernelEvent
from sensor.node.capture import layout
from sensor.node.capture.capture import Capture, CaptureSettings
from sensor.node.capture.layout import Counter
from tests.kernels.inside import libc

PATIENCE = 60.0
"""Seconds for anything that should take milliseconds: the processor is emulated, and shared."""

Act = Callable[[], Iterator[None] | None]


@dataclass(frozen=True)
class Observed:
    """What one process did, as the kernel told it."""

    mount_namespace: int
    pid: int
    events: tuple[KernelEvent, ...]

    @property
    def opened(self) -> list[str]:
        """Paths of opens, whichever thread did them, in order."""
        return [event.path for event in self.events if event.kind is EventKind.OPEN]

    def below(self, folder: str) -> list[str]:
        """Of :attr:`opened` those below ``folder``."""
        return [path for path in self.opened if path.startswith(f"{folder}/")]

    def event(self, path: str) -> KernelEvent:
        """The one open of ``path``."""
        found = [event for event in self.events if event.path == path and event.kind is EventKind.OPEN]
        assert len(found) == 1, f"{len(found)} events of {path}, expected 1; heard {self.opened[:8]}"
        return found[0]


class Actor:
    """A child process that goes on to its next ``yield`` whenever it is told to."""

    def __init__(self, act: Act, *, private: bool = True) -> None:
        self._orders, orders = os.pipe()[::-1]
        self.answers, answers = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self._orders)  # else it would never read their end
            _serve(orders, answers, act, private)
        os.close(orders)
        os.close(answers)
        self.mount_namespace = int(self._answer()["mount_namespace"])

    def begin(self) -> None:
        """Let it go on; :meth:`finish` waits for it."""
        os.write(self._orders, b"\n")

    def finish(self) -> None:
        """Raise AssertionError with the child's words if it failed."""
        self._answer()

    def end(self) -> None:
        """Wait for its end."""
        for descriptor in (self._orders, self.answers):
            os.close(descriptor)
        os.waitpid(self.pid, 0)

    def _answer(self) -> dict[str, str | int]:
        ready, _, _ = select.select([self.answers], [], [], PATIENCE)
        assert ready, f"the acting process said nothing for {PATIENCE:.0f} s"
        answer: dict[str, str | int] = json.loads(os.read(self.answers, 65536) or '{"error": "it died"}')
        assert "error" not in answer, f"the acting process failed: {answer['error']}"
        return answer


def _serve(orders: int, answers: int, act: Act, private: bool) -> None:
    """The child's side; does not return."""

    def tell(**values: str | int) -> None:
        os.write(answers, json.dumps(values).encode())

    try:
        if private:
            libc.unshare_mounts()
        tell(mount_namespace=os.stat("/proc/self/ns/mnt").st_ino)
        going: Iterator[None] | None = None
        while os.read(orders, 1):
            if going is None:
                going = act()
            if going is not None:
                next(going, None)
            tell()
    except BaseException:  # noqa: BLE001 - whatever it is, the parent shows it
        tell(error=traceback.format_exc()[-2000:])
    finally:
        os._exit(0)


class Observer:
    """The kernel's word on what acts do."""

    def __init__(self, settings: CaptureSettings) -> None:
        self._events: list[KernelEvent] = []
        self.capture = Capture(settings, lambda record: self._events.append(layout.decode(record)))

    def run(self, act: Act, *, private: bool = True) -> Observed:
        """Let a process do all of ``act``."""
        actor = Actor(act, private=private)
        try:
            return self.step(actor)
        finally:
            actor.end()

    def step(self, actor: Actor, *, listen: bool = True) -> Observed:
        """What it does up to its next ``yield``; without ``listen`` the ring is read only afterwards."""
        actor.begin()
        while listen and not select.select([actor.answers], [], [], 0)[0]:
            self.capture.poll(0.005)
        actor.finish()
        self.drain()
        events = tuple(event for event in self._events if event.mount_namespace == actor.mount_namespace)
        self._events.clear()
        return Observed(actor.mount_namespace, actor.pid, events)

    def drain(self) -> None:
        """Read until an echo of an open made after everything else has come back."""
        before, end = self.capture.last_echo, time.monotonic() + PATIENCE
        while self.capture.last_echo == before:
            assert time.monotonic() < end, f"no echo of our own open for {PATIENCE:.0f} s"
            self.capture.beat()
            self.capture.poll(0.1)

    def counter(self, counter: Counter) -> int:
        """Since the capture began."""
        return self.capture.counters()[counter]

    def close(self) -> None:
        """Detach."""
        self.capture.close()


def touch(path: str, flags: int = os.O_RDONLY) -> None:
    """Open and close."""
    os.close(os.open(path, flags))


def make(path: str, size: int = 0) -> None:
    """A file and its folders."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.ftruncate(descriptor, size)
    os.close(descriptor)
