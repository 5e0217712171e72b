"""A run: the sensor delivering to a receiver, the load, samples, and what came of it."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from tests.endurance.arrived import Arrived, arrived, others
from tests.endurance.sample import Sample, sample
from tests.endurance.starter import Starter
from tests.endurance.verdict import Ends, ends, grown, is_quiet
from tests.ground import Ground, Sensor
from tests.ground.sensor import SensorError
from tests.receiver_process import Receiver

SETTLED_AFTER = 4.0
"""Seconds from /readyz to the figures of an idle sensor."""
RELEASED_WITHIN = 150.0
HELD = 65.0
"""Roots of ended containers are held for a minute, and maps are counted once in one."""
ARRIVED_WITHIN = 60.0
SAID_EVERY = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """``started``: containers that ran to their end; ``asked``: that were to. ``lost``: events that the
    kernel could not hand over, and records that the agent could not use. ``grown``: what is over its bound.
    ``others``: containers of others that may still be known in the end."""

    asked: int
    started: int
    failed: tuple[str, ...]
    late: int
    seconds: float
    arrived: Arrived
    lost: int
    samples: tuple[Sample, ...]
    others: int
    ends: Ends
    grown: tuple[str, ...]

    @property
    def rate(self) -> float:
        return self.started / self.seconds

    @property
    def cpu_cores(self) -> float:
        """Of the sensor, under load."""
        first, last = self.samples[0], self.samples[-1]
        return (last.cpu_seconds - first.cpu_seconds) / (last.seconds - first.seconds)

    @property
    def peak_mib(self) -> float:
        return max(each.memory for each in self.samples)


class Watch(threading.Thread):
    """Takes a sample each ``period`` seconds until :meth:`stop`."""

    def __init__(self, sensor: Sensor, period: float, say: Say) -> None:
        super().__init__(name="samples", daemon=True)
        self._sensor = sensor
        self._period = period
        self._say = say
        self._stopping = threading.Event()
        self.began = time.monotonic()
        self.samples: list[Sample] = []
        self.failures = 0

    def run(self) -> None:
        said = self.began
        while not self._stopping.wait(self._period):
            try:
                self.samples.append(sample(self._sensor, self.began))
            except (
                OSError,
                HTTPException,
            ):  # a scrape that came to nothing; a sensor that ended is seen by the starter
                self.failures += 1
                continue
            if time.monotonic() >= said + SAID_EVERY:
                said = time.monotonic()
                self._say(_line(self.samples[-1]))

    def stop(self) -> None:
        self._stopping.set()
        self.join(10)


def run(ground: Ground, folder: Path, minutes: float, rate: float, say: Say) -> Outcome:
    """Raises SensorError, GroundError, RuntimeError: then nothing is known of what was to be shown."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    starter = Starter(ground, rate)
    with Receiver(folder / "receiver") as receiver:
        options = [
            *("--output", "none", "--upstream", receiver.grpc_address, "--plaintext"),
            *("--token-file", str(receiver.token_file), "--state-dir", str(folder / "state")),
            *("--cluster-name", "endurance", "--node-name", "endurance-1"),
        ]
        with Sensor(*options, debounce=2.0, log=folder / "sensor.log") as sensor:
            return _under_load(sensor, receiver, starter, minutes * 60, rate, say)


def _under_load(  # noqa: PLR0917
    sensor: Sensor, receiver: Receiver, starter: Starter, seconds: float, rate: float, say: Say
) -> Outcome:
    time.sleep(SETTLED_AFTER)
    _sample(sensor, time.monotonic())  # the first scrape takes memory of its own
    idle = _sample(sensor, time.monotonic())
    say(f"idle: {_line(idle)}")
    watch = Watch(sensor, max(1.0, min(10.0, seconds / 60)), say)
    watch.start()
    took = starter.run(seconds, lambda: sensor.process.poll() is None)
    watch.stop()
    if sensor.process.poll() is not None:
        raise SensorError(f"the sensor ended with {sensor.process.returncode}: {sensor.log()[-2000:]}")
    say(f"{len(starter.ids)} containers ran; waiting until all has arrived and is let go")
    held = _await_arrival(receiver, starter)
    after, strangers = _await_quiet(sensor, idle, watch.began, lambda: others(receiver, starter.ids))
    found = ends(idle, watch.samples, after)
    return Outcome(
        asked=round(seconds * rate),
        started=len(starter.ids),
        failed=tuple(starter.failed),
        late=starter.late,
        seconds=took,
        arrived=held,
        lost=after.lost + after.unread,
        samples=tuple(watch.samples),
        ends=found,
        others=strangers,
        grown=tuple(grown(found, strangers)),
    )


def _await_arrival(receiver: Receiver, starter: Starter) -> Arrived:
    deadline = time.monotonic() + ARRIVED_WITHIN
    while (found := arrived(receiver, starter.ids)).missing and time.monotonic() < deadline:
        time.sleep(1)
    return found


def _await_quiet(
    sensor: Sensor, idle: Sample, began: float, strangers: Callable[[], int]
) -> tuple[Sample, int]:
    """The sensor once it holds nothing of ours any more, and how many containers of others it may hold."""
    begun = time.monotonic()
    while True:
        now, others_now = _sample(sensor, began), strangers()
        waited = time.monotonic() - begun
        if waited > RELEASED_WITHIN or (waited > HELD and is_quiet(idle, now, others_now)):
            return now, others_now
        time.sleep(1)


def _sample(sensor: Sensor, began: float) -> Sample:
    """Also where the machine stands still for some seconds. Raises OSError when the sensor is gone."""
    for _ in range(5):
        with contextlib.suppress(OSError, HTTPException):
            return sample(sensor, began)
    return sample(sensor, began)


def _line(now: Sample) -> str:
    return (
        f"{now.memory:.1f} MiB ({now.anonymous:.1f} anonymous), {now.descriptors} descriptors "
        f"({now.held_roots} roots), {now.containers} containers known, map seen {now.seen}, "
        f"outbox {now.outbox_mib:.2f} MiB, {now.lost} lost"
    )
